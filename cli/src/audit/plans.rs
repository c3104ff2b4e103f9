//! Plans that an auditor was given, found by the digest that a ledger names.

use std::io;
use std::path::{Path, PathBuf};

use fedtwin_plan::text_file::{TextError, parse};
use fedtwin_plan::{Digest, Plan};

/// Plans with the files that they are from.
#[derive(Debug, Default)]
pub struct Plans(Vec<(PathBuf, Digest, Plan)>);

/// Why a plan is of no use.
#[derive(Debug, thiserror::Error)]
pub enum NoPlan {
    /// The file cannot be read.
    #[error("{file} cannot be read")]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no plan.
    #[error(transparent)]
    Text(#[from] TextError),
    /// No study ran it.
    #[error("{file} is a plan {digest} that no study in the ledgers ran")]
    Unknown {
        /// The file.
        file: PathBuf,
        /// Its digest.
        digest: Digest,
    },
}

impl Plans {
    /// Reads plans.
    ///
    /// # Errors
    /// Names the file that cannot be read or is no plan.
    pub fn read(files: &[PathBuf]) -> Result<Self, NoPlan> {
        let read = |file: &PathBuf| {
            let text =
                std::fs::read_to_string(file).map_err(|source| NoPlan::Io { file: file.clone(), source })?;
            let plan = parse(&file.display().to_string(), &text)?;
            Ok((file.clone(), Digest::of(text.as_bytes()), plan))
        };
        files.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the files with the digests of their plans.
    pub fn digests(&self) -> impl Iterator<Item = (&Path, Digest)> {
        self.0.iter().map(|(file, digest, _)| (file.as_path(), *digest))
    }

    /// Returns the plan with a digest.
    #[must_use]
    pub fn get(&self, digest: Digest) -> Option<&Plan> {
        self.0.iter().find(|(_, found, _)| *found == digest).map(|(_, _, plan)| plan)
    }
}
