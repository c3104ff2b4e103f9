//! `cargo xtask bench dp-step`: what a private step of training costs beside an ordinary one.
//!
//! An ordinary step is one forward and one backward pass over all patients' slices as one batch, with the
//! same net in the same memory layout, and a step on the mean gradient. A private one draws noise and the
//! sample, has each patient's gradient, clips, quantises, checks and sums them, adds the noise, decodes and
//! takes the same step. Steps of all kinds take turns in one run with the same number of threads, and
//! medians are compared. Peak memory is that of a process which takes one kind of step alone.
#![expect(clippy::print_stdout, reason = "a program for the terminal whose tables are its purpose")]

mod case;
mod figures;
mod memory;
mod opacus;
mod plain;
mod private;
mod step;

use std::fs::File;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context;
use case::Case;
use clap::Parser;
use fedtwin_trainer::kept_memory;
use figures::Figures;
use serde::Serialize;
use step::StepKind;

/// Measures private steps of training beside ordinary ones.
#[derive(Debug, Parser)]
#[command(name = "fedtwin-dp-step")]
struct Arguments {
    /// `unet-PATIENTSxSLICES[-PIXELS[-BASE]]` (of 128 x 128 pixels and base 16) or `risk`.
    #[arg(default_values = ["unet-8x1", "unet-8x24", "risk"])]
    cases: Vec<Case>,
    /// Write the figures to this file too.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Threads of every kind of step, noise included; each given number is measured. One, as a site has by
    /// default, and as many as there are cores, if this is not given.
    #[arg(long, value_delimiter = ',')]
    threads: Vec<NonZeroUsize>,
    /// Seconds for each case and number of threads; at least five turns are taken.
    #[arg(long, default_value_t = 40.0)]
    seconds: f64,
    /// A Python with torch and Opacus, to measure those beside; without it they are left out.
    #[arg(long, env = "FEDTWIN_PYTHON")]
    python: Option<PathBuf>,
    /// Take some steps of one kind and print the peak of the process's memory in MB.
    #[arg(long, hide = true)]
    peak: Option<StepKind>,
}

/// The form of every benchmark's file.
#[derive(Serialize)]
struct Results {
    results: Vec<Figures>,
}

fn main() -> anyhow::Result<()> {
    kept_memory::keep().context("could not start anew")?;
    let mut arguments = Arguments::parse();
    if arguments.threads.is_empty() {
        arguments.threads = vec![NonZeroUsize::MIN, std::thread::available_parallelism()?];
        arguments.threads.dedup();
    }
    if let Some(kind) = arguments.peak {
        let case = arguments.cases.first().context("a case")?;
        println!("{}", memory::peak_mb(case, kind, arguments.threads[0])?);
        return Ok(());
    }
    println!("{}", Figures::HEADER);
    let mut results = Vec::new();
    for case in &arguments.cases {
        for &threads in &arguments.threads {
            show(step::measure(case, threads, arguments.seconds)?, &mut results);
            if let Some(python) = &arguments.python {
                show(opacus::measure(python, case, threads)?, &mut results);
            }
        }
    }
    if let Some(path) = arguments.json {
        serde_json::to_writer_pretty(File::create(path)?, &Results { results })?;
    }
    Ok(())
}

/// Prints rows as soon as they are there: Opacus may take minutes for the next ones.
fn show(mut rows: Vec<Figures>, results: &mut Vec<Figures>) {
    rows.iter().for_each(|row| println!("{row}"));
    results.append(&mut rows);
}
