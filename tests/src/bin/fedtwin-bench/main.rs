//! `cargo xtask bench NAME [--json FILE]`: measurements over the programs as a hospital runs them.
#![expect(clippy::print_stdout, reason = "a program for the terminal whose tables are its purpose")]

mod against;
mod data;
mod memory;
mod noise;
mod privacy;
mod round;
mod secagg;

use std::fs::File;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
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
    /// Measure another build too, turn by turn, and print ratios: the folder of its programs, as in
    /// `other/target/release`.
    #[arg(long, global = true, value_name = "FOLDER")]
    against: Option<PathBuf>,
    /// The turns of each build, with `--against`.
    #[arg(long, global = true, default_value = "3")]
    turns: NonZeroUsize,
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// Microseconds for one value of discrete Gaussian noise, by each sampler, on one core and on all.
    Noise,
    /// The accountant against reference values; fails if a row is not accepted.
    Privacy {
        /// The folder with epsilon.csv and the others; without it, `../reference` beside FEDTWIN_DATA.
        #[arg(long)]
        reference: Option<PathBuf>,
    },
    /// Rounds of scripted sites over mutual TLS on loopback: time, bytes, and the coordinator's memory.
    Round {
        /// Only these cases, as in `4x117985`.
        cases: Vec<round::Case>,
    },
    /// Secure aggregation: masks, bytes, the coordinator's time and memory, and whole rounds.
    Secagg {
        /// The largest federation whose coordinator is measured.
        #[arg(long, default_value_t = 256)]
        sites_max: usize,
    },
    /// Reading tables of 20 columns, beside polars and pyarrow: seconds, MB/s, memory.
    Data {
        /// The Python that has both; without it, only this build is measured.
        #[arg(long)]
        python: Option<PathBuf>,
        #[arg(long, default_value_t = 1_000_000)]
        rows: u32,
    },
    /// One reading of `data`, which starts it.
    #[command(hide = true)]
    DataRead { task: data::Task, folder: PathBuf, file: String },
    /// The coordinator's part of `secagg`, which starts it.
    #[command(hide = true)]
    SecaggCoordinator { folder: PathBuf, sites: usize, values: usize, bits: u32 },
}

/// The form of every benchmark's file.
#[derive(Serialize)]
struct Results<'a, T> {
    results: &'a [T],
}

#[tokio::main]
async fn main() -> ExitCode {
    program::exit(run(Arguments::parse()).await)
}

impl Benchmark {
    /// Returns how to ask another build for the same.
    fn arguments(&self) -> anyhow::Result<Vec<String>> {
        Ok(match self {
            Self::Noise => vec!["noise".to_owned()],
            Self::Round { cases } => {
                std::iter::once("round".to_owned()).chain(cases.iter().map(round::Case::to_string)).collect()
            }
            Self::Secagg { sites_max } => {
                vec!["secagg".to_owned(), "--sites-max".to_owned(), sites_max.to_string()]
            }
            Self::Privacy { .. }
            | Self::Data { .. }
            | Self::DataRead { .. }
            | Self::SecaggCoordinator { .. } => {
                bail!("`--against` compares `noise`, `round` and `secagg`")
            }
        })
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    if let Some(folder) = arguments.against {
        let same = arguments.benchmark.arguments()?;
        return write(arguments.json, &against::compare(&folder, arguments.turns.get(), &same)?);
    }
    match arguments.benchmark {
        Benchmark::Noise => write(arguments.json, &noise::run()?),
        Benchmark::Privacy { reference } => {
            let results = privacy::run(reference)?;
            write(arguments.json, &results)?;
            privacy::verdict(&results)
        }
        Benchmark::Data { python, rows } => write(arguments.json, &data::run(rows, python.as_deref())?),
        Benchmark::DataRead { task, folder, file } => data::read(task, &folder, &file),
        Benchmark::Secagg { sites_max } => {
            memory::give_back_what_is_freed()?;
            write(arguments.json, &secagg::run(sites_max).await?)
        }
        Benchmark::SecaggCoordinator { folder, sites, values, bits } => {
            let size = secagg::halves::Size { sites, values, bits: bits.try_into()? };
            secagg::coordinator::serve(size, &folder)
        }
        Benchmark::Round { cases } => write(arguments.json, &round::run(&cases).await?),
    }
}

fn write<T: Serialize>(json: Option<PathBuf>, results: &[T]) -> anyhow::Result<()> {
    if let Some(path) = json {
        serde_json::to_writer_pretty(File::create(path)?, &Results { results })?;
    }
    Ok(())
}
