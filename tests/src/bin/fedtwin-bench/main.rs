//! `cargo xtask bench NAME [--json FILE]`: measurements over the programs as a hospital runs them.
#![expect(clippy::print_stdout, reason = "a program for the terminal whose tables are its purpose")]

mod memory;
mod round;

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fedtwin_daemon::program;
use serde::Serialize;

/// Measures this build.
#[derive(Parser)]
#[command(name = "fedtwin-bench")]
struct Arguments {
    /// Write the figures to this file too.
    #[arg(long, global = true)]
    json: Option<PathBuf>,
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// Rounds of scripted sites over mutual TLS on loopback: time, bytes, and the coordinator's memory.
    Round {
        /// Only these cases, as in `4x117985`.
        cases: Vec<round::Case>,
    },
}

/// The form of every benchmark's file.
#[derive(Serialize)]
struct Results<T> {
    results: Vec<T>,
}

#[tokio::main]
async fn main() -> ExitCode {
    program::exit(run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let results = match arguments.benchmark {
        Benchmark::Round { cases } => round::run(&cases).await?,
    };
    if let Some(path) = arguments.json {
        serde_json::to_writer_pretty(File::create(path)?, &Results { results })?;
    }
    Ok(())
}
