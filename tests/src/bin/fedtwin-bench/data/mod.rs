//! `bench data`: how long a cohort's table takes to be read, as a study does it and as `check` does, beside what polars and
//! pyarrow take for the same file.
//!
//! A study's reading is more than theirs: nobody is there twice, codes and ranges are checked, each cell becomes a value of a
//! patient's record. Each reading is a process of its own, so that its peak memory is its own, too.

mod table;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use fedtwin_cohort::CohortFile;
use fedtwin_cohort::schema::TableSchema;
use fedtwin_plan::record::Part;
use fedtwin_plan::text_file;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// What is done with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Task {
    /// Keeps the records of the training patients, as a study does.
    Study,
    /// Takes the inventory, as `fedtwin-site check` does, with two digests of the files.
    Check,
}

/// One line of the results.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    file: &'static str,
    reader: String,
    /// Of the fastest repetition: the others were disturbed.
    seconds: f64,
    /// Of the file as it is stored (10^6 bytes).
    mb_per_s: f64,
    /// `VmHWM` of the whole process (10^6 bytes).
    peak_mb: f64,
    /// This reader's time over that of the faster peer with the same file, if there is a peer.
    ratio: Option<f64>,
}

/// What a process says of its reading.
#[derive(Debug, Serialize, Deserialize)]
struct Reading {
    seconds: f64,
    peak_kb: f64,
    rows: u64,
}

/// Measures all readings of a table with `rows` rows, and prints a line for each.
pub(crate) fn run(rows: u32, python: Option<&Path>) -> anyhow::Result<Vec<Figures>> {
    let folder = tempfile::tempdir()?;
    table::write(folder.path(), rows)?;
    println!(
        "{:>16} {:>16} {:>8} {:>8} {:>8} {:>7}",
        "file", "reader", "seconds", "MB/s", "peak MB", "ratio"
    );
    let mut results = Vec::new();
    for file in table::FILES {
        let path = folder.path().join(file);
        #[expect(clippy::cast_precision_loss, reason = "megabytes of a file")]
        let megabytes = std::fs::metadata(&path)?.len() as f64 / 1e6;
        let mut readings = Vec::new();
        for peer in python.map_or(&[][..], |_| &["polars", "pyarrow"]) {
            let python = python.expect("there are peers where there is Python");
            readings.push((*peer, best(rows, || of_peer(python, peer, &path))?));
        }
        let fastest = readings.iter().map(|(_, reading)| reading.seconds).min_by(f64::total_cmp);
        for task in [Task::Study, Task::Check] {
            let name = match task {
                Task::Study => "fedtwin study",
                Task::Check => "fedtwin check",
            };
            readings.push((name, best(rows, || of_this(task, folder.path(), file))?));
        }
        for (reader, Reading { seconds, peak_kb, .. }) in readings {
            let ratio = fastest.map(|fastest| seconds / fastest);
            let (mb_per_s, peak_mb) = (megabytes / seconds, peak_kb * 1024.0 / 1e6);
            let shown = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
            println!("{file:>16} {reader:>16} {seconds:>8.3} {mb_per_s:>8.0} {peak_mb:>8.0} {shown:>7}");
            results.push(Figures { file, reader: reader.to_owned(), seconds, mb_per_s, peak_mb, ratio });
        }
    }
    Ok(results)
}

/// Reads once, in this process, and prints what it took.
pub(crate) fn read(task: Task, folder: &Path, file: &str) -> anyhow::Result<()> {
    let cohort = CohortFile::load(&folder.join(format!("{file}.toml")))?;
    let schema = std::fs::read_to_string(folder.join(table::SCHEMA))?;
    let need = text_file::parse::<TableSchema>(table::SCHEMA, &schema)?.need();
    let start = Instant::now();
    let rows = match task {
        Task::Study => cohort.read(&need, Part::Train)?.patients() as u64,
        Task::Check => u64::from(cohort.take_inventory()?.patients()),
    };
    let seconds = start.elapsed().as_secs_f64();
    let reading = Reading { seconds, peak_kb: peak_kb()?, rows };
    println!("{}", serde_json::to_string(&reading)?);
    Ok(())
}

/// Returns the fastest of some readings, all of which must have met every row.
fn best(rows: u32, read: impl Fn() -> anyhow::Result<Reading>) -> anyhow::Result<Reading> {
    let mut best: Option<Reading> = None;
    for _ in 0..REPETITIONS {
        let reading = read()?;
        ensure!(reading.rows > u64::from(rows) * 7 / 10, "{} of {rows} rows were read", reading.rows);
        if best.as_ref().is_none_or(|best| reading.seconds < best.seconds) {
            best = Some(reading);
        }
    }
    best.context("there is at least one repetition")
}

fn of_this(task: Task, folder: &Path, file: &str) -> anyhow::Result<Reading> {
    let task = task.to_possible_value().context("a task has a name")?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["data-read", task.get_name()]).arg(folder).arg(file);
    said(command)
}

fn of_peer(python: &Path, peer: &str, file: &Path) -> anyhow::Result<Reading> {
    let mut command = Command::new(python);
    command.args(["-c", include_str!("peers.py"), peer]).arg(file);
    said(command)
}

/// Runs a reading, and reads what it says.
fn said(mut command: Command) -> anyhow::Result<Reading> {
    let output = command.output().with_context(|| format!("could not start {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{:?} failed: {}", command.get_program(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Returns the most memory that this process has held (proc(5)).
fn peak_kb() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.split_whitespace().next()).context("Linux counts the peak")?;
    Ok(peak.parse()?)
}

const REPETITIONS: usize = 5;
