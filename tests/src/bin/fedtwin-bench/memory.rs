//! The memory of a process, sampled while it works.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;

/// Samples a process until it is asked for the peak.
#[derive(Debug)]
pub(crate) struct PeakMemory {
    stop: Arc<AtomicBool>,
    sampling: JoinHandle<u64>,
}

impl PeakMemory {
    /// Starts to sample the anonymous resident memory of a process.
    pub(crate) fn of(process: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let sampling = std::thread::spawn(move || {
            let mut peak = 0;
            while !stopped.load(Ordering::Relaxed) {
                peak = peak.max(rss_anon_kib(process).unwrap_or(0));
                std::thread::sleep(PAUSE);
            }
            peak
        });
        Self { stop, sampling }
    }

    /// Returns the peak in MB (10^6 bytes).
    #[expect(clippy::cast_precision_loss, reason = "megabytes of one process")]
    pub(crate) fn peak_mb(self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        let kib = self.sampling.join().expect("sampling does not panic");
        kib as f64 * 1024.0 / 1e6
    }
}

/// Starts this program anew with an allocator that gives freed buffers back at once, so that what a part of it takes
/// shows beside what another part took before.
pub(crate) fn give_back_what_is_freed() -> anyhow::Result<()> {
    if std::env::var_os(MALLOC_SETTINGS[0].0).is_some() {
        return Ok(());
    }
    let program = std::env::current_exe()?;
    let failed = Command::new(program).args(std::env::args_os().skip(1)).envs(MALLOC_SETTINGS).exec();
    Err(failed).context("could not start anew")
}

/// Buffers from 128 KiB on, with a limit that does not grow.
const MALLOC_SETTINGS: [(&str, &str); 2] =
    [("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_TRIM_THRESHOLD_", "131072")];

/// `RssAnon` leaves out file pages, which the kernel may drop: see proc_pid_status(5).
fn rss_anon_kib(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Shorter than any phase of a round that holds memory.
const PAUSE: Duration = Duration::from_millis(10);
