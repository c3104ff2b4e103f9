//! Memory that programs keep, because they need as much of it again.
//!
//! The buffers of every step and of every round have the sizes of the last ones. glibc gives what is freed of them back
//! to the kernel, which clears the pages of the next ones: 10 to 25 % of the time of a step, and a quarter of the
//! processor time of a round. Kept memory is the process's until it ends. Another C library knows none of these settings.

use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Environment variables that glibc looks at when a program starts.
pub const SETTINGS: [(&str, &str); 3] = [
    ("MALLOC_TRIM_THRESHOLD_", KEPT_BYTES),
    ("MALLOC_MMAP_THRESHOLD_", KEPT_BYTES),
    // And threads share it: each would give its own back in pieces of 64 MiB.
    ("MALLOC_ARENA_MAX", "1"),
];

/// Has this program keep its memory: starts it anew as the same process, unless somebody has chosen already.
///
/// # Errors
/// Returns why it could not be started anew; it can go on all the same.
pub fn keep() -> io::Result<()> {
    if env::var_os(SETTINGS[0].0).is_some() {
        return Ok(());
    }
    let program = env::current_exe()?;
    Err(Command::new(program).args(env::args_os().skip(1)).envs(SETTINGS).exec())
}

/// What is larger than this goes back at once; a GiB is more than a step takes.
const KEPT_BYTES: &str = "1073741824";
