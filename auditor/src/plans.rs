//! Plans that an auditor was given, found by the digest that a ledger names.

use fedtwin_plan::text_file::{TextError, parse};
use fedtwin_plan::{Digest, Plan};

use crate::given::Given;

/// Plans with the files that they are from.
#[derive(Debug, Default)]
pub struct Plans(Vec<(String, Digest, Plan)>);

/// Why a plan is of no use.
#[derive(Debug, thiserror::Error)]
pub enum NoPlan {
    /// It is no plan.
    #[error(transparent)]
    Text(#[from] TextError),
    /// No study ran it.
    #[error("{file} is a plan {digest} that no study in the ledgers ran")]
    Unknown {
        /// The file, as it was named when it was given.
        file: String,
        /// Its digest.
        digest: Digest,
    },
}

impl Plans {
    /// Parses plans.
    ///
    /// # Errors
    /// Names the text that is no plan.
    pub fn parse(texts: &[Given]) -> Result<Self, NoPlan> {
        let parsed = |Given { name, text }: &Given| {
            Ok((name.clone(), Digest::of(text.as_bytes()), parse(name, text)?))
        };
        texts.iter().map(parsed).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the plans' names with their digests.
    pub fn digests(&self) -> impl Iterator<Item = (&str, Digest)> {
        self.0.iter().map(|(name, digest, _)| (name.as_str(), *digest))
    }

    /// Returns the plan with a digest.
    #[must_use]
    pub fn get(&self, digest: Digest) -> Option<&Plan> {
        self.0.iter().find(|(_, found, _)| *found == digest).map(|(_, _, plan)| plan)
    }
}
