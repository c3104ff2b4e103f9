//! Tries what the sandbox denies; for IT and for tests.
//!
//! Each attempt has a process of its own, because most of them end it.

use std::fs::{self, File};
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use super::files::library_folders;

/// What came of all attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What was possible and should not be.
    pub possible: Vec<&'static str>,
    /// What was not possible and should be.
    pub impossible: Vec<&'static str>,
}

/// Makes every attempt in a process that `start` makes ready for the attempt of a number.
///
/// `folder` is one in which the user may write; a file with a secret is left there, and one in the memory that processes
/// share, for as long as it takes.
///
/// # Errors
/// Fails where a process cannot be started, a secret cannot be written, or an attempt could not be confined.
pub fn check(folder: &Path, start: impl Fn(usize) -> Command) -> io::Result<Checked> {
    let _secret = Secret::write(folder.join(SECRET))?;
    let shared = Path::new(SHARED_MEMORY);
    let in_memory = shared.is_dir().then(|| shared.join(format!("{SECRET}-{}", std::process::id())));
    let _in_memory = in_memory.map(Secret::write).transpose()?;
    let mut checked = Checked { possible: Vec::new(), impossible: Vec::new() };
    for (number, (what, _)) in ATTEMPTS.iter().enumerate() {
        let outcome = outcome(start(number).status()?);
        match outcome {
            Some(true) if number >= NEEDED => checked.possible.push(what),
            Some(false) if number < NEEDED => checked.impossible.push(what),
            Some(_) => {}
            None => return Err(io::Error::other("the trainer could not confine itself")),
        }
    }
    Ok(checked)
}

/// A file that is there for the attempts, and gone once they have ended, however they did.
struct Secret(PathBuf);

impl Secret {
    fn write(path: PathBuf) -> io::Result<Self> {
        fs::write(&path, "a key")?;
        Ok(Self(path))
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        // An attempt that should not have succeeded has removed it.
        let _gone = fs::remove_file(&self.0);
    }
}

/// Makes the attempt of a number, and says whether it succeeded.
#[must_use]
pub fn attempt(number: usize, folder: &Path) -> bool {
    ATTEMPTS.get(number).is_some_and(|(_, attempt)| attempt(folder))
}

/// Whether an attempt succeeded; nothing of a process that ended before it.
fn outcome(status: ExitStatus) -> Option<bool> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Some(true),
        (Some(code), _) if code == i32::from(DENIED) => Some(false),
        (None, Some(libc::SIGSYS)) => Some(false),
        (Some(_) | None, _) => None,
    }
}

type Attempt = (&'static str, fn(&Path) -> bool);

/// What training takes, then what it must not do.
const ATTEMPTS: [Attempt; 16] = [
    ("start a thread", |_| std::thread::spawn(|| 1 + 1).join().is_ok()),
    ("wait", |_| {
        std::thread::sleep(Duration::from_millis(1));
        true
    }),
    ("open a TCP socket", |_| TcpListener::bind("127.0.0.1:0").is_ok()),
    ("open a UDP socket", |_| UdpSocket::bind("127.0.0.1:0").is_ok()),
    ("open a Unix socket", |_| UnixStream::pair().is_ok()),
    ("start a program", |_| Command::new("/bin/true").status().is_ok()),
    ("become a program", |_| {
        // It returns only where it failed.
        let _error = Command::new("/bin/true").exec();
        false
    }),
    ("write a file", |folder| File::create(folder.join("written")).is_ok()),
    ("write to a file that is there", |folder| {
        File::options().append(true).open(folder.join(SECRET)).is_ok()
    }),
    ("make a folder", |folder| fs::create_dir(folder.join("made")).is_ok()),
    ("rename a file", |folder| fs::rename(folder.join(SECRET), folder.join("renamed")).is_ok()),
    ("remove a file", |folder| fs::remove_file(folder.join(SECRET)).is_ok()),
    ("read a file that is not its cohort's", |folder| fs::read(folder.join(SECRET)).is_ok()),
    ("read another process's memory", |_| {
        let parent = std::os::unix::process::parent_id();
        File::open(format!("/proc/{parent}/mem")).is_ok()
    }),
    ("read what other processes share in memory", |_| can_read_one(&entries(Path::new(SHARED_MEMORY)))),
    ("read a file below a library's folder", |_| {
        let below = |folder: PathBuf| entries(&folder).into_iter().flat_map(|below| entries(&below));
        let files: Vec<_> = library_folders().into_iter().flat_map(below).collect();
        can_read_one(&files)
    }),
];

/// Whether one of these files can be opened. Libraries do not count: one beside those that are loaded may be a link to it.
fn can_read_one(paths: &[PathBuf]) -> bool {
    let is_library =
        |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().contains(".so"));
    paths
        .iter()
        .any(|path| path.is_file() && !path.is_symlink() && !is_library(path) && File::open(path).is_ok())
}

/// Lists a folder, which the sandbox allows; nothing where there is none.
fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// So many of the attempts must succeed.
const NEEDED: usize = 2;

/// The status with which an attempt says that it did not succeed; not one with which programs fail.
pub const DENIED: u8 = 42;

/// A file beside the attempts.
const SECRET: &str = "fedtwin-sandbox-check";

/// Memory that processes share under names, where others may keep what is theirs.
const SHARED_MEMORY: &str = "/dev/shm";
