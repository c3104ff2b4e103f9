//! The files that an auditor names.

use std::io;
use std::path::{Path, PathBuf};

use fedtwin_auditor::given::Given;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file} cannot be {action}")]
pub struct FileError {
    /// The file.
    pub file: PathBuf,
    /// Read or written.
    pub action: &'static str,
    /// What the system said.
    pub source: io::Error,
}

/// Reads a file.
///
/// # Errors
/// Names the file and says what the system said.
pub fn read(file: &Path) -> Result<Vec<u8>, FileError> {
    std::fs::read(file).map_err(|source| FileError { file: file.to_owned(), action: "read", source })
}

/// Reads files of text.
///
/// # Errors
/// Names the first file that cannot be read.
pub fn texts(files: &[PathBuf]) -> Result<Vec<Given>, FileError> {
    let text = |file: &PathBuf| match std::fs::read_to_string(file) {
        Ok(text) => Ok(Given { name: file.display().to_string(), text }),
        Err(source) => Err(FileError { file: file.clone(), action: "read", source }),
    };
    files.iter().map(text).collect()
}

/// Writes a file.
///
/// # Errors
/// Names the file and says what the system said.
pub fn write(file: &Path, text: impl AsRef<[u8]>) -> Result<(), FileError> {
    std::fs::write(file, text).map_err(|source| FileError {
        file: file.to_owned(),
        action: "written",
        source,
    })
}
