//! How much memory the processes of a simulation took, as the kernel says.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Watches processes and their children until it is dropped.
#[derive(Debug)]
pub struct MemoryWatch {
    stop: Arc<AtomicBool>,
    peaks: Arc<Mutex<BTreeMap<u32, u64>>>,
    thread: Option<JoinHandle<()>>,
}

impl MemoryWatch {
    /// Starts to watch.
    #[must_use]
    pub fn start(processes: Vec<u32>) -> Self {
        let (stop, peaks) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(BTreeMap::new())));
        let (stopped, shared) = (Arc::clone(&stop), Arc::clone(&peaks));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for &process in &processes {
                    let total = peak_mb(process) + children(process).into_iter().map(peak_mb).sum::<u64>();
                    let mut peaks = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    let peak = peaks.entry(process).or_insert(0);
                    *peak = total.max(*peak);
                }
                std::thread::sleep(PAUSE);
            }
        });
        Self { stop, peaks, thread: Some(thread) }
    }

    /// Returns the peak of each process with its children, in MiB, in the order of their identifiers.
    #[must_use]
    pub fn peaks_mb(&self) -> BTreeMap<u32, u64> {
        self.peaks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread only reads; if it panicked there is nothing to undo.
            let _joined = thread.join();
        }
    }
}

/// The kernel's own high-water mark of resident memory; 0 for a process that is gone.
fn peak_mb(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn children(process: u32) -> Vec<u32> {
    let mut children = Vec::new();
    for task in fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.extend(text.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
    }
    children
}

const PAUSE: Duration = Duration::from_millis(250);
