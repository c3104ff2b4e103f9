//! What a trainer gives up before it reads its first patient.
//!
//! It parses hospital files and hands tensors to a large C++ library; should either be subverted, the
//! process can still open no connection, start no program, write no file and take no more than its
//! memory. Pipes that the agent opened stay usable. Out of scope: reading files that the trainer's
//! user may read, and side channels.

use std::fs::File;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use landlock::path_beneath_rules;
use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
};
use rlimit::Resource;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

/// What the kernel keeps from the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sandbox {
    /// Whether files are read-only; kernels without Landlock cannot say so.
    pub files_read_only: bool,
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
    #[error("could not deny network and programs (needs seccomp filters in the kernel)")]
    SystemCalls(#[source] seccompiler::Error),
    /// The filter cannot be built for this processor.
    #[error("could not build the system call filter")]
    Filter(#[source] seccompiler::BackendError),
    /// The file rules were refused by a kernel that has Landlock.
    #[error("could not make files read-only")]
    Files(#[source] RulesetError),
}

/// Confines this process and all its threads for good.
///
/// `memory_mb` bounds writable private memory (`RLIMIT_DATA`), which is what tensors and records take;
/// the address space is no measure, since libtorch and CUDA reserve much that they never touch.
/// No core file is written: it would hold patients.
///
/// # Errors
/// Fails where the kernel refuses, but for Landlock, which older kernels lack: [`Sandbox`] tells.
pub fn enter(memory_mb: u64) -> Result<Sandbox, SandboxError> {
    limit_memory(memory_mb).map_err(|source| SandboxError::Memory { mb: memory_mb, source })?;
    let files_read_only = make_files_read_only().map_err(SandboxError::Files)?;
    let filter = filter().map_err(SandboxError::Filter)?;
    seccompiler::apply_filter_all_threads(&filter).map_err(SandboxError::SystemCalls)?;
    Ok(Sandbox { files_read_only })
}

/// Tries what the sandbox denies and returns what was possible nevertheless; for IT and for tests.
///
/// `folder` is one in which the user may write.
#[must_use]
pub fn possible(folder: &Path) -> Vec<&'static str> {
    let file = folder.join("fedtwin-sandbox-check");
    let written = File::create(&file).is_ok();
    if written {
        // Only an attempt to leave no trace; the answer is found already.
        drop(std::fs::remove_file(&file));
    }
    let attempts = [
        ("open a TCP socket", TcpListener::bind("127.0.0.1:0").is_ok()),
        ("open a UDP socket", UdpSocket::bind("127.0.0.1:0").is_ok()),
        ("open a Unix socket", UnixStream::pair().is_ok()),
        ("start a program", Command::new("true").status().is_ok()),
        ("write a file", written),
    ];
    attempts.into_iter().filter(|&(_, possible)| possible).map(|(what, _)| what).collect()
}

fn limit_memory(mb: u64) -> io::Result<()> {
    let (_, hard) = Resource::DATA.get()?;
    let bytes = mb.saturating_mul(1 << 20).min(hard);
    Resource::DATA.set(bytes, bytes)?;
    Resource::CORE.set(0, 0)
}

/// Devices stay writable: a GPU is one. Returns whether the kernel enforces all of it.
fn make_files_read_only() -> Result<bool, RulesetError> {
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK_ABI))?
        .create()?
        .add_rules(path_beneath_rules(["/"], AccessFs::from_read(LANDLOCK_ABI)))?
        .add_rules(path_beneath_rules(["/dev"], AccessFs::from_file(LANDLOCK_ABI)))?
        .restrict_self()?;
    Ok(status.ruleset == RulesetStatus::FullyEnforced)
}

/// Denies with EPERM; the other calls are allowed.
fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let rules = DENIED.iter().map(|&call| (call, Vec::new())).collect();
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, SeccompAction::Allow, denied, arch)?.try_into()
}

/// No new sockets, hence no connections; io_uring could make some unseen by the filter. No programs,
/// and no reaching into other processes of the same user, which may hold keys.
const DENIED: [libc::c_long; 9] = [
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_io_uring_setup,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
];

/// Linux 6.2: with truncation, the last file right that matters here.
const LANDLOCK_ABI: ABI = ABI::V3;
