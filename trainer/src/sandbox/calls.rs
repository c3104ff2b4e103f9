//! The list of system calls that a trainer may make. Whatever is not on it ends the process at once.
//!
//! It ends rather than gets an error, so that a subverted process does not go on to look for another way, and people
//! see in the site's log that it was ended by SIGSYS. Calls by which libraries only ask what there is get an error.
//! The list is what training and checking were seen to make (strace of the programs' tests, one and several threads),
//! and the calls by which glibc 2.31 to 2.41 may do the same.

use std::collections::BTreeMap;

use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::{SandboxError, has_gpu};

/// Forbids everything that is not on the list, in all threads.
pub(super) fn forbid() -> Result<(), SandboxError> {
    // The strictest answer of several filters counts. The one that ends the process comes last: it forbids filters too.
    for filter in [answered(UNKNOWN, libc::ENOSYS), answered(DENIED, libc::EPERM), allowed(has_gpu())] {
        let filter = filter.map_err(SandboxError::Filter)?;
        seccompiler::apply_filter_all_threads(&filter).map_err(SandboxError::SystemCalls)?;
    }
    Ok(())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn allowed(gpu: bool) -> Result<BpfProgram, BackendError> {
    let whole = ALLOWED.iter().chain(UNKNOWN).chain(DENIED).chain(if gpu { GPU } else { &[] });
    let mut rules: Rules = whole.map(|&call| (call, Vec::new())).collect();
    for (call, conditions) in conditional()? {
        // A driver's devices are opened for writing, which a filter cannot tell from other files: Landlock allows it for
        // Nvidia's alone, and where that is waived nothing forbids the others.
        let opens = [libc::SYS_openat].contains(&call) && gpu;
        rules.entry(call).or_default().extend((!opens).then(|| SeccompRule::new(conditions)).transpose()?);
    }
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch)?.try_into()
}

fn answered(calls: &[i64], errno: i32) -> Result<BpfProgram, BackendError> {
    let rules: Rules = calls.iter().map(|&call| (call, Vec::new())).collect();
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let error = SeccompAction::Errno(errno.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, error, arch)?.try_into()
}

/// Calls that are allowed with some arguments alone.
fn conditional() -> Result<Vec<(i64, Vec<SeccompCondition>)>, BackendError> {
    let own = u64::from(std::process::id());
    let prctl = |option: i32| when(libc::SYS_prctl, &[(0, Dword, Eq, option.unsigned_abs().into())]);
    let mut calls = vec![
        // Threads, and no process: one that shares memory and signals.
        when(libc::SYS_clone, &[(0, Qword, MaskedEq(THREAD), THREAD)])?,
        // To read; what creates or cuts a file is not reading.
        when(libc::SYS_openat, &[(2, Dword, MaskedEq(WRITING), 0)])?,
        // `abort`, of this process alone.
        when(libc::SYS_tgkill, &[(0, Dword, Eq, own)])?,
        // To look at limits, and not to set them.
        when(libc::SYS_prlimit64, &[(0, Dword, Eq, 0), (2, Qword, Eq, 0)])?,
        when(libc::SYS_prlimit64, &[(0, Dword, Eq, own), (2, Qword, Eq, 0)])?,
    ];
    // As openat. On some processors MKL makes this older call itself, to look for its settings in /proc/self/environ, which
    // Landlock keeps from it.
    #[cfg(target_arch = "x86_64")]
    calls.push(when(libc::SYS_open, &[(1, Dword, MaskedEq(WRITING), 0)])?);
    for option in [libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_NO_NEW_PRIVS, libc::PR_SET_VMA] {
        calls.push(prctl(option)?);
    }
    Ok(calls)
}

type Argument = (u8, SeccompCmpArgLen, SeccompCmpOp, u64);

fn when(call: i64, arguments: &[Argument]) -> Result<(i64, Vec<SeccompCondition>), BackendError> {
    let conditions = arguments
        .iter()
        .cloned()
        .map(|(index, length, operator, value)| SeccompCondition::new(index, length, operator, value));
    Ok((call, conditions.collect::<Result<_, _>>()?))
}

const THREAD: u64 = (libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_SIGHAND).unsigned_abs() as u64;
const WRITING: u64 =
    (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND).unsigned_abs() as u64;

/// Memory, threads, signals of its own, time, randomness, files to read, and Landlock's own calls.
const ALLOWED: &[i64] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_fcntl,
    libc::SYS_dup,
    libc::SYS_fadvise64,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_membarrier,
    libc::SYS_futex,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_ppoll,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_restrict_self,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_arch_prctl,
];

/// As on a kernel that does not have them: `clone3` keeps its flags in memory, where no filter sees them, and the C
/// library then takes `clone`; `openat2` likewise.
const UNKNOWN: &[i64] = &[libc::SYS_clone3, libc::SYS_openat2];

/// What libraries try to make themselves at home, and do without: terminals, places in memory, processors.
const DENIED: &[i64] = &[
    libc::SYS_mbind,
    libc::SYS_set_mempolicy,
    libc::SYS_get_mempolicy,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_mlock,
];

/// What the driver of a GPU takes besides: calls to its devices, and ways to wait for them.
const GPU: &[i64] = &[
    libc::SYS_ioctl,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    libc::SYS_memfd_create,
    libc::SYS_ftruncate,
    libc::SYS_munlock,
    libc::SYS_mincore,
    libc::SYS_msync,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_getpriority,
];
