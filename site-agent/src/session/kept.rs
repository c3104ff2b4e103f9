//! Checkpoints of this site's own ledger that the site keeps itself, so that its memory does not hang on the coordinator's.
//!
//! One in the state folder says how much the coordinator acknowledged: one that has less forgot it, or keeps silent. The
//! other lies where no backup of the state folder reaches, for a state folder that is restored as a whole; it is
//! written at start, before an attempt reads data, and before anything leaves. What auditors saw, people name in the configuration.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fedtwin_audit_log::checkpoint::CheckpointError;
use fedtwin_audit_log::{Checkpoint, PublicKey};
use fedtwin_privacy::ledger::Ledger;
use fedtwin_privacy::ledger::witness::origin;

use crate::config::LedgerConfig;
use crate::whole_file;

/// The places, and what stands there.
#[derive(Debug)]
pub(crate) struct Kept {
    origin: String,
    /// The keys that have signed this ledger.
    keys: Vec<PublicKey>,
    acknowledgement: PathBuf,
    /// The entries that the coordinator acknowledged last.
    acknowledged: u64,
    copy: Option<PathBuf>,
    /// The entries of the checkpoint that this run wrote to the copy, or 0.
    copied: u64,
}

/// Why a checkpoint does not count, or is not kept.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// A file cannot be read.
    #[error("the checkpoint {} cannot be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("the checkpoint {} cannot be written, and nothing leaves before it can", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The second place is empty although studies took place.
    #[error(
        "there is no checkpoint {path}, and nothing leaves before there is: if its disk is not mounted, mount it; if this is the \
         first start with this `checkpoint_copy`, make an empty file there", path = .0.display()
    )]
    Missing(PathBuf),
    /// A file is of another ledger, or not a checkpoint.
    #[error("{} is no checkpoint that this site signed of its ledger", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// The ledger's own checkpoint.
    #[error("the ledger has no checkpoint to keep")]
    Unsigned(#[source] CheckpointError),
}

impl Kept {
    /// Reads what is kept, and returns these checkpoints and those that people name, for the ledger to be compared with.
    ///
    /// # Errors
    /// Refuses a file that cannot be read or that this site did not sign, and a second place that is empty although
    /// studies took place.
    pub(crate) fn open(
        state: &Path,
        (base, config): (&Path, &LedgerConfig),
        ledger: &Ledger,
    ) -> Result<(Self, Vec<Checkpoint>), KeptError> {
        let mut kept = Self {
            origin: ledger.state().owner().map(origin).unwrap_or_default(),
            keys: ledger.keys(),
            acknowledgement: state.join(FILE),
            acknowledged: 0,
            copy: config.checkpoint_copy.as_ref().map(|path| base.join(path)),
            copied: 0,
        };
        let mut found = Vec::new();
        if let Some(note) = read(&kept.acknowledgement)? {
            let checkpoint = kept.parse_file(&kept.acknowledgement, &note)?;
            kept.acknowledged = checkpoint.size();
            found.push(checkpoint);
        }
        if let Some(copy) = &kept.copy {
            match read(copy)? {
                // A person made it for the first start.
                Some(note) if note.is_empty() => {}
                Some(note) => found.push(kept.parse_file(copy, &note)?),
                None if ledger.state().has_studies() => return Err(KeptError::Missing(copy.clone())),
                None => {}
            }
        }
        for path in &config.checkpoints {
            let path = base.join(path);
            let note = fs::read_to_string(&path);
            let note = note.map_err(|source| KeptError::Unreadable { path: path.clone(), source })?;
            found.push(kept.parse_file(&path, &note)?);
        }
        Ok((kept, found))
    }

    /// Returns how many entries the coordinator acknowledged last.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Keeps a checkpoint that the coordinator acknowledged; it is on disk when this returns.
    ///
    /// # Errors
    /// Returns the file system's errors: then nothing may leave.
    pub(super) fn acknowledge(&mut self, note: &str) -> Result<(), KeptError> {
        let checkpoint = self.parse(note).map_err(KeptError::Unsigned)?;
        // The same again, as two studies send it at one time, or an older one that comes late.
        if checkpoint.size() > self.acknowledged {
            write(&self.acknowledgement, note)?;
            self.acknowledged = checkpoint.size();
        }
        Ok(())
    }

    /// Writes the ledger's checkpoint to the second place, if there is one; it is on disk when this returns.
    ///
    /// # Errors
    /// Returns the file system's errors, and refuses a place that is empty by now: then nothing may leave.
    pub(super) fn copy(&mut self, ledger: &Ledger) -> Result<(), KeptError> {
        let entries = ledger.state().entries();
        let Some(copy) = self.copy.as_ref().filter(|_| self.copied < entries) else { return Ok(()) };
        // What this run wrote is gone with the disk that it is on: what is written now would be on another.
        if self.copied > 0 && read(copy)?.is_none() {
            return Err(KeptError::Missing(copy.clone()));
        }
        write(copy, &ledger.checkpoint().map_err(KeptError::Unsigned)?)?;
        self.copied = entries;
        Ok(())
    }

    /// Opens a checkpoint that this site signed; one from before a change of key is its own, too.
    pub(super) fn parse(&self, note: &str) -> Result<Checkpoint, CheckpointError> {
        let opened = |key| Checkpoint::open(note, &self.origin, key);
        self.keys.iter().map(opened).find(Result::is_ok).unwrap_or(Err(CheckpointError::Signature))
    }

    fn parse_file(&self, path: &Path, note: &str) -> Result<Checkpoint, KeptError> {
        self.parse(note).map_err(|source| KeptError::Foreign { path: path.to_owned(), source })
    }
}

fn read(path: &Path) -> Result<Option<String>, KeptError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some).map_err(|source| KeptError::Unreadable { path: path.to_owned(), source }),
    }
}

fn write(path: &Path, note: &str) -> Result<(), KeptError> {
    let written = whole_file::replace(path, note.as_bytes());
    written.map_err(|source| KeptError::Unwritable { path: path.to_owned(), source })
}

const FILE: &str = "acknowledged.checkpoint";
