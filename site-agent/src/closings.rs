//! Studies that people at the site want closed, on their way into the ledger.
//!
//! ```text
//! closings/<study>.json   who and why; whoever holds the ledger enters it
//! ```
//! The agent holds the ledger while it runs, so a command never has to stop it: the agent enters a closing when it
//! starts and before it considers a study or begins an attempt. No message leads here, and closing gives back only what
//! was never begun.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fedtwin_plan::{StudyId, Timestamp};
use fedtwin_privacy::ledger::{ClosedBy, Ledger, LedgerError, Remark, StudyEnd};
use serde::{Deserialize, Serialize};

use crate::{state_folder, whole_file};

/// A person's wish to close a study.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// The study, by its plan's `study.id`.
    pub study: StudyId,
    /// Who closes it.
    pub who: Remark,
    /// Why, in the words of whoever decided.
    pub why: Remark,
}

/// The folder of closings.
#[derive(Debug, Clone)]
pub struct Closings(PathBuf);

/// Closings that could not be entered.
#[derive(Debug, thiserror::Error)]
pub enum ClosingError {
    /// The folder.
    #[error("{path} cannot be used")]
    Storage {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Closings {
    /// Names the folder in a site's state; it need not exist.
    #[must_use]
    pub fn of(state: &Path) -> Self {
        Self(state.join("closings"))
    }

    /// Keeps a closing, whole or not at all, to be entered by whoever holds the ledger.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn ask(&self, closing: &Closing) -> Result<(), ClosingError> {
        let path = self.0.join(format!("{}.json", closing.study));
        let written = fs::create_dir_all(&self.0)
            .and_then(|()| whole_file::replace(&path, &serde_json::to_vec_pretty(closing)?));
        written.map_err(storage(&path))
    }

    /// Enters what people want closed and returns it; a study that is not running needs no closing.
    ///
    /// # Errors
    /// Fails where the ledger or the folder cannot be used.
    pub fn enter(&self, ledger: &mut Ledger, now: Timestamp) -> Result<Vec<StudyId>, ClosingError> {
        let mut closed = Vec::new();
        for path in self.asked()? {
            let text = fs::read(&path).map_err(storage(&path))?;
            let anybodys = state_folder::is_others_to_write(&path).map_err(storage(&path))?;
            match serde_json::from_slice::<Closing>(&text) {
                _ if anybodys => {
                    tracing::error!(path = %path.display(), "others than its owner may write a closing: ask for it again");
                }
                Err(error) => tracing::error!(path = %path.display(), %error, "a closing cannot be read"),
                Ok(Closing { study, who, why }) => {
                    match ledger.close(&study, StudyEnd::Aborted, ClosedBy::Person { who, why }, now) {
                        Ok(()) => closed.push(study),
                        Err(LedgerError::Refused(violation)) => {
                            tracing::warn!(%study, %violation, "a closing was not needed");
                        }
                        Err(other) => return Err(other.into()),
                    }
                }
            }
            fs::remove_file(&path).map_err(storage(&path))?;
        }
        Ok(closed)
    }

    fn asked(&self) -> Result<Vec<PathBuf>, ClosingError> {
        let files = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(storage(&self.0))?,
        };
        let mut paths = Vec::new();
        for file in files {
            let path = file.map_err(storage(&self.0))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }
}

fn storage(path: &Path) -> impl Fn(io::Error) -> ClosingError {
    move |source| ClosingError::Storage { path: path.to_owned(), source }
}
