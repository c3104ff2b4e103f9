//! What a trainer gives up before it reads its first patient.
//!
//! It parses hospital files and hands tensors to a large C++ library; should either be subverted, the
//! process can still open no connection, start no program, write no file, read no file but its cohort's and its
//! libraries', touch no other process and take no more than its memory. Pipes that the agent opened stay usable.
//! Out of scope: side channels.
//!
//! Two guards stand behind each other: a list of the system calls that training takes (`calls`), and Landlock's rules
//! for files. A kernel that lacks either is refused, unless people waived it in so many words.

mod attempts;
mod calls;
mod files;

use std::io;
use std::path::PathBuf;

use rlimit::Resource;

pub use attempts::{Checked, DENIED, attempt, check};

/// What the process has given up for good.
#[derive(Debug)]
pub struct Sandbox {
    requirement: Requirement,
    /// Whether the rules for the cohort's files are in force.
    reads: bool,
}

/// What to do where the kernel cannot confine the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// To give up: no patient is read without protection.
    Protected,
    /// To go on with what there is, and say so: people at the site waived the protection.
    Waived,
}

/// Why the process could not be confined; then it must not read patients.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The memory limit was refused.
    #[error("could not limit the memory to {mb} MB")]
    Memory {
        /// The limit.
        mb: u64,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The system call filter was refused.
    #[error(
        "could not forbid system calls: the kernel needs seccomp filters (CONFIG_SECCOMP_FILTER); to go on without this \
         protection, set trainer.unprotected = true, which the ledger will say"
    )]
    SystemCalls(#[source] seccompiler::Error),
    /// The filter cannot be built for this processor.
    #[error("could not build the system call filter")]
    Filter(#[source] seccompiler::BackendError),
    /// The file rules were refused by a kernel that has Landlock.
    #[error("could not set the rules for files")]
    Files(#[source] landlock::RulesetError),
    /// The kernel has no rules for files.
    #[error(
        "this kernel lacks Landlock (Linux 5.13 or later, with landlock among lsm=), without which the trainer could read \
         the site's keys; to go on without this protection, set trainer.unprotected = true, which the ledger will say"
    )]
    NoLandlock,
    /// Rules would hold for one thread of several.
    #[error(
        "the trainer has {0} threads before it reads its cohort, and rules for files would not hold for all of them"
    )]
    Threads(usize),
}

impl Sandbox {
    /// Confines this process and all its threads for good; files can be read until [`read_only`](Self::read_only).
    ///
    /// `memory_mb` bounds writable private memory (`RLIMIT_DATA`), which is what tensors and records take;
    /// the address space is no measure, since libtorch and CUDA reserve much that they never touch.
    /// No core file is written: it would hold patients.
    ///
    /// # Errors
    /// Fails where the kernel refuses or cannot confine, unless that is waived.
    pub fn enter(memory_mb: u64, requirement: Requirement) -> Result<Self, SandboxError> {
        limit_memory(memory_mb).map_err(|source| SandboxError::Memory { mb: memory_mb, source })?;
        waivable(requirement, files::forbid_writing())?;
        waivable(requirement, calls::forbid())?;
        Ok(Self { requirement, reads: false })
    }

    /// Leaves these files, and what libraries need, as all that can be read from here on, for good: a second call
    /// changes nothing.
    ///
    /// # Errors
    /// As [`enter`](Self::enter); and where threads are running already, which the rules would not reach.
    pub fn read_only(&mut self, files: &[PathBuf]) -> Result<(), SandboxError> {
        if !self.reads {
            waivable(self.requirement, files::forbid_reading_others(files))?;
            self.reads = true;
        }
        Ok(())
    }
}

fn waivable(requirement: Requirement, done: Result<(), SandboxError>) -> Result<(), SandboxError> {
    match (requirement, done) {
        (Requirement::Waived, Err(error)) => {
            tracing::warn!(%error, "going on unprotected, as the configuration says");
            Ok(())
        }
        (Requirement::Protected | Requirement::Waived, done) => done,
    }
}

fn limit_memory(mb: u64) -> io::Result<()> {
    let (_, hard) = Resource::DATA.get()?;
    let bytes = mb.saturating_mul(1 << 20).min(hard);
    Resource::DATA.set(bytes, bytes)?;
    Resource::CORE.set(0, 0)
}

/// Says whether the machine has a GPU of Nvidia's, whose driver takes further calls and writes to its devices.
fn has_gpu() -> bool {
    std::path::Path::new("/dev/nvidiactl").exists()
}
