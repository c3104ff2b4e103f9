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
    let writable = if has_gpu() { gpu_devices() } else { Vec::new() };
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
        .add_rules(path_beneath_rules(library_files(), AccessFs::ReadFile))?
        .add_rules(path_beneath_rules(gpu_devices(), AccessFs::ReadFile))?
        .add_rules(path_beneath_rules(NEEDED_BY_LIBRARIES, AccessFs::ReadFile))?
        .restrict_self()?;
    Ok(status.ruleset)
}

/// Returns the libraries in the folders of those that are loaded: they load further ones from there. A rule for a folder
/// would be one for whatever is below it.
fn library_files() -> Vec<PathBuf> {
    let beside = |folder: PathBuf| files_named(&folder, is_library);
    library_folders().into_iter().flat_map(beside).filter(|path| path.is_file()).collect()
}

/// Returns the folders of the libraries that are loaded.
pub(super) fn library_folders() -> BTreeSet<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let paths = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).map(Path::new);
    let is_loaded = |path: &&Path| {
        path.is_absolute() && is_library(&path.file_name().unwrap_or_default().to_string_lossy())
    };
    paths.filter(is_loaded).filter_map(Path::parent).map(Path::to_path_buf).collect()
}

/// Returns the devices of Nvidia's driver, and no other: `/dev` has memory that processes share, and disks.
fn gpu_devices() -> Vec<PathBuf> {
    files_named(Path::new("/dev"), |name| name.starts_with("nvidia"))
}

fn is_library(name: &str) -> bool {
    name.contains(".so")
}

/// Returns what is directly in a folder under such names; a folder that cannot be listed has nothing that is allowed.
fn files_named(folder: &Path, is_wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let wanted = entries.filter(|entry| is_wanted(&entry.file_name().to_string_lossy()));
    wanted.map(|entry| entry.path()).collect()
}

/// Processors and memory, as OpenMP, cpuinfo and the C library count them; randomness; time zones; a GPU's driver.
const NEEDED_BY_LIBRARIES: [&str; 15] = [
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/vm/overcommit_memory",
    "/proc/driver/nvidia",
    "/proc/devices",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "/etc/ld.so.cache",
    "/etc/localtime",
];

/// Linux 6.15. What it knows beyond the running kernel is left out there.
const NEWEST: ABI = ABI::V7;
