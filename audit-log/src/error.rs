//! Why a log cannot be opened or written.

use std::io;
use std::path::PathBuf;

use crate::entry::BodyError;
use crate::key::PublicKey;
use crate::verify::FirstBad;

/// A log that cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk failed.
    #[error("{action} {path} failed")]
    Storage {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Another process has the log open.
    #[error("{0} is in use by another process")]
    Locked(PathBuf),
    /// An entry was changed.
    #[error("{path} was altered")]
    Altered {
        /// The log.
        path: PathBuf,
        /// The first bad entry.
        #[source]
        source: FirstBad,
    },
    /// Acknowledged entries are missing: the file was cut, or replaced by an older one.
    #[error(
        "{path} has {found} good entries but entry {acknowledged} was acknowledged: restore the newer file"
    )]
    EntriesLost {
        /// The log.
        path: PathBuf,
        /// The number of good entries.
        found: u64,
        /// The sequence of the last acknowledged entry.
        acknowledged: u64,
    },
    /// The head file does not belong to this log.
    #[error("{head} does not belong to the log beside it: restore both from the same moment")]
    HeadDiffers {
        /// The head file.
        head: PathBuf,
    },
    /// The body cannot be written.
    #[error("an entry cannot be written")]
    Body(#[from] BodyError),
    /// The log goes on under another key than the writer's.
    #[error(
        "{path} is signed by the key {found}, and this writer's is {own}: a writer with a new key enters that first"
    )]
    OtherKey {
        /// The log.
        path: PathBuf,
        /// The key of its last entry.
        found: PublicKey,
        /// The writer's.
        own: PublicKey,
    },
    /// An earlier append failed, so what is on the disk is not known.
    #[error("an earlier append to {0} failed: open the log again")]
    Poisoned(PathBuf),
}

impl LogError {
    /// Says whether the disk has no room, which people mend without touching the log.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let Self::Storage { source, .. } = self else { return false };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}
