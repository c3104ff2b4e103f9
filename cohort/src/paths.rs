//! Paths in cohort files.

use std::path::{Path, PathBuf};

/// Returns the path that a cohort file at `cohort_file` means by `path`.
pub(crate) fn beside(cohort_file: &Path, path: &Path) -> PathBuf {
    cohort_file.parent().map_or_else(|| path.to_owned(), |folder| folder.join(path))
}
