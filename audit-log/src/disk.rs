//! Where a log is kept: the few operations that have to survive a crash.
//!
//! [`Files`] is the real one; a test has another, which loses power.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::LogError;

/// A log and, beside it, the head that says which of its entries were acknowledged.
pub trait Disk: Send {
    /// Returns the log from byte `start` on.
    ///
    /// # Errors
    /// Returns the disk's errors, as all methods do.
    fn read(&mut self, start: u64) -> io::Result<Box<dyn Read + '_>>;

    /// Cuts the log; durable on return.
    ///
    /// # Errors
    /// Returns the disk's errors.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// Writes bytes after the last; not durable before [`Disk::sync`].
    ///
    /// # Errors
    /// Returns the disk's errors.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes durable what was appended.
    ///
    /// # Errors
    /// Returns the disk's errors.
    fn sync(&mut self) -> io::Result<()>;

    /// Returns the head; there is none before the first entry.
    ///
    /// # Errors
    /// Returns the disk's errors.
    fn head(&mut self) -> io::Result<Option<Vec<u8>>>;

    /// Replaces the head: whole, or not at all if the power fails; durable on return.
    ///
    /// # Errors
    /// Returns the disk's errors.
    fn replace_head(&mut self, head: &[u8]) -> io::Result<()>;
}

/// Two files: the log, locked for this process, and its head.
#[derive(Debug)]
pub struct Files {
    log: File,
    folder: File,
    path: PathBuf,
}

impl Files {
    /// Opens or creates a log and locks it.
    ///
    /// # Errors
    /// Refuses a log that another process has open.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let storage = |action, source| LogError::Storage { action, path: path.to_owned(), source };
        let log = OpenOptions::new().read(true).append(true).create(true).open(path);
        let log = log.map_err(|e| storage("opening", e))?;
        match log.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LogError::Locked(path.to_owned())),
            Err(TryLockError::Error(e)) => return Err(storage("locking", e)),
        }
        // The name of a created file has to be durable, too.
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = File::open(folder).map_err(|e| storage("opening the folder of", e))?;
        folder.sync_all().map_err(|e| storage("syncing the folder of", e))?;
        Ok(Self { log, folder, path: path.to_owned() })
    }

    fn with_suffix(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    }
}

impl Disk for Files {
    fn read(&mut self, start: u64) -> io::Result<Box<dyn Read + '_>> {
        self.log.seek(SeekFrom::Start(start))?;
        Ok(Box::new(&self.log))
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.log.set_len(length)?;
        self.log.sync_all()
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.log.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.log.sync_data()
    }

    fn head(&mut self) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(self.with_suffix(".head")) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mut head = Vec::new();
        file.take(HEAD_BYTES_MAX).read_to_end(&mut head)?;
        Ok(Some(head))
    }

    fn replace_head(&mut self, head: &[u8]) -> io::Result<()> {
        let new = self.with_suffix(".head.new");
        let mut file = File::create(&new)?;
        file.write_all(head)?;
        file.sync_data()?;
        fs::rename(&new, self.with_suffix(".head"))?;
        self.folder.sync_all()
    }
}

/// A head takes about 100 bytes.
const HEAD_BYTES_MAX: u64 = 1024;
