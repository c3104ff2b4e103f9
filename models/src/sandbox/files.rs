//! Landlock's rules for files, in two steps: nothing is written from the start, and little is read once a cohort is
//! known.
//!
//! Best effort upwards: what a newer kernel can refuse besides (ioctl, TCP, signals and abstract sockets beyond the
//! process) is refused there; on an older one the list of system calls stands alone against it, as it does against
//! truncation. Reading and writing are refused by every kernel that has Landlock, and the process does not go on without.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    Scope, path_beneath_rules,
};

use super::{SandboxError, has_gpu};

/// Makes every file read-only, and everything beyond the process unreachable as far as the kernel can.
pub(super) fn forbid_writing() -> Result<(), SandboxError> {
    in_force(read_only_everywhere())
}

/// Leaves `files` and what libraries need as all that can be read. Names in folders can still be listed.
pub(super) fn forbid_reading_others(files: &[PathBuf]) -> Result<(), SandboxError> {
    // Rules hold for the thread that sets them and for those that it starts.
    match fs::read_dir("/proc/self/task").map(Iterator::count) {
        Ok(1) => in_force(reading_of(files)),
        Ok(threads) => Err(SandboxError::Threads(threads)),
        Err(_no_proc) => Err(SandboxError::Threads(0)),
    }
}

fn in_force(status: Result<RulesetStatus, RulesetError>) -> Result<(), SandboxError> {
    match status.map_err(SandboxError::Files)? {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        RulesetStatus::NotEnforced => Err(SandboxError::NoLandlock),
    }
}

fn read_only_everywhere() -> Result<RulesetStatus, RulesetError> {
    // A GPU is a device that is written to.
    let writable: &[&str] = if has_gpu() { &["/dev"] } else { &[] };
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(["/"], AccessFs::ReadFile | AccessFs::ReadDir))?
        .add_rules(path_beneath_rules(writable, AccessFs::from_file(NEWEST)))?
        .restrict_self()?;
    Ok(status.ruleset)
}

fn reading_of(files: &[PathBuf]) -> Result<RulesetStatus, RulesetError> {
    let status = Ruleset::default()
        .handle_access(AccessFs::ReadFile)?
        .create()?
        .add_rules(path_beneath_rules(files, AccessFs::ReadFile))?
        .add_rules(path_beneath_rules(library_folders(), AccessFs::ReadFile))?
        .add_rules(path_beneath_rules(NEEDED_BY_LIBRARIES, AccessFs::ReadFile))?
        .restrict_self()?;
    Ok(status.ruleset)
}

/// Returns the folders of the libraries that are loaded: they load further ones from there.
fn library_folders() -> BTreeSet<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let paths = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).map(Path::new);
    let is_library = |path: &&Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.is_absolute() && name.contains(".so")
    };
    paths.filter(is_library).filter_map(Path::parent).map(Path::to_path_buf).collect()
}

/// Processors and memory, as OpenMP, cpuinfo and the C library count them; randomness; time zones; a GPU's driver.
const NEEDED_BY_LIBRARIES: [&str; 12] = [
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/vm/overcommit_memory",
    "/proc/driver/nvidia",
    "/proc/devices",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/dev",
    "/etc/ld.so.cache",
    "/etc/localtime",
];

/// Linux 6.15. What it knows beyond the running kernel is left out there.
const NEWEST: ABI = ABI::V7;
