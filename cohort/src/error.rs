//! What can go wrong with a cohort, and whose fault it is.

use std::io;
use std::path::{Path, PathBuf};

use fedtwin_plan::text_file::TextError;

use crate::mismatch::Mismatch;

/// Why a cohort cannot be used.
///
/// No message holds a patient's value. Messages do hold names of files, which may identify a patient:
/// they are for the hospital's eyes and logs, and what goes to the coordinator is that the site refuses.
#[derive(Debug, thiserror::Error)]
pub enum CohortError {
    /// A file or folder cannot be read at all.
    #[error("cannot read {file}")]
    Storage {
        /// The file or folder.
        file: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The hospital's cohort file or schema is refused.
    #[error("the cohort's description is refused")]
    Config(#[from] TextError),
    /// A table is not what its description says.
    #[error("{file}:{line}: {message}")]
    Table {
        /// The table.
        file: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What stands there, without its value, and what was expected.
        message: String,
    },
    /// A file or folder is not what the cohort's description says.
    #[error("{file}: {message}")]
    File {
        /// The image, mask, list or folder.
        file: PathBuf,
        /// What is wrong and what was expected.
        message: String,
    },
    /// The plan asks for something else than the cohort has.
    #[error("the plan does not fit this cohort")]
    PlanMismatch(#[from] Mismatch),
    /// There are more training patients than the cohort file declares.
    #[error(
        "{file} declares {declared} patients, and there are more training patients: declare the true number"
    )]
    Undeclared {
        /// The cohort file.
        file: PathBuf,
        /// The declared size.
        declared: u32,
    },
}

impl CohortError {
    pub(crate) fn storage(file: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Storage { file: file.to_owned(), source }
    }

    pub(crate) fn table(file: &Path, line: u64, message: impl Into<String>) -> Self {
        Self::Table { file: file.to_owned(), line, message: message.into() }
    }

    pub(crate) fn file(file: &Path, message: impl Into<String>) -> Self {
        Self::File { file: file.to_owned(), message: message.into() }
    }
}
