//! A process's memory and processor time, as the kernel counts them.

use std::fs;
use std::num::NonZeroUsize;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::case::Case;
use crate::step::StepKind;

/// Takes some steps of one kind and returns the peak of this process's anonymous memory, in MB (10^6 bytes).
///
/// That is the peak of what was resident less the files' pages, which the kernel may drop: see
/// proc_pid_status(5).
pub(crate) fn peak_mb(case: &Case, kind: StepKind, threads: NonZeroUsize) -> anyhow::Result<f64> {
    let mut step = kind.make(case, threads)?;
    for _ in 0..STEPS {
        step.step()?;
    }
    let status = fs::read_to_string("/proc/self/status")?;
    let kib = |key: &str| -> anyhow::Result<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).context("a line of the status")?;
        Ok(line.split_whitespace().next().context("a number")?.parse()?)
    };
    Ok((kib("VmHWM:")? - kib("RssFile:")?) * 1024.0 / 1e6)
}

/// Returns the processor time that this process took so far, of all its threads, in seconds.
pub(crate) fn processor_seconds() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The second field is the program's name, in parentheses; user and system time are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')').context("a name in the status")?;
    let ticks: Vec<f64> =
        fields.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}

/// Asks a process of its own, so that no other kind of step is in the peak.
pub(crate) fn peak_of_process_mb(case: &Case, kind: StepKind, threads: NonZeroUsize) -> anyhow::Result<f64> {
    let output = Command::new(std::env::current_exe()?)
        .args([&case.to_string(), "--threads", &threads.to_string(), "--peak", &kind.name()])
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// What Linux tells programs on every architecture, whatever its own timer does.
const TICKS_PER_SECOND: f64 = 100.0;

/// The second step shows what is kept from the first.
const STEPS: usize = 2;
