//! What people wrote of a cohort: its file and those that it names, none of which holds patients.

use std::path::{Path, PathBuf};

use fedtwin_plan::Digest;
use fedtwin_plan::digest::RunningDigest;
use fedtwin_plan::text_file::{self, Check};
use serde::de::DeserializeOwned;

use crate::error::CohortError;
use crate::paths::beside;

/// The texts that describe a cohort, digested in the order in which they are read.
pub(crate) struct Description {
    cohort_file: PathBuf,
    digest: RunningDigest,
}

impl Description {
    /// Begins with no text of the cohort that `cohort_file` describes.
    pub(crate) fn of(cohort_file: &Path) -> Self {
        Self { cohort_file: cohort_file.to_owned(), digest: RunningDigest::new() }
    }

    /// Reads the file that the cohort file calls `path`, and checks it.
    pub(crate) fn read<T: DeserializeOwned + Check>(&mut self, path: &Path) -> Result<T, CohortError> {
        self.read_at(&beside(&self.cohort_file, path))
    }

    /// Reads the cohort file itself.
    pub(crate) fn read_cohort_file<T: DeserializeOwned + Check>(&mut self) -> Result<T, CohortError> {
        self.read_at(&self.cohort_file.clone())
    }

    /// Returns the digest of all that was read.
    pub(crate) fn finish(self) -> Digest {
        self.digest.finish()
    }

    fn read_at<T: DeserializeOwned + Check>(&mut self, file: &Path) -> Result<T, CohortError> {
        let text = std::fs::read_to_string(file).map_err(CohortError::storage(file))?;
        self.digest.update(&Digest::of(text.as_bytes()).0);
        Ok(text_file::parse(&file.display().to_string(), &text)?)
    }
}
