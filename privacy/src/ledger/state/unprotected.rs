//! When a site's trainer could run without the kernel's protection.

use super::LedgerState;
use crate::ledger::body::Protection;

/// Entries over which a site's trainer could run unprotected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unprotected {
    /// The first.
    pub since: u64,
    /// The entry that ended it; absent where it is so still.
    pub until: Option<u64>,
}

impl LedgerState {
    /// Returns when the site's trainer could run without the kernel's protection.
    #[must_use]
    pub fn unprotected(&self) -> &[Unprotected] {
        &self.unprotected
    }

    /// Returns what the ledger says of the trainer's protection now.
    #[must_use]
    pub fn protection(&self) -> Protection {
        match self.unprotected.last() {
            Some(Unprotected { until: None, .. }) => Protection::Waived,
            Some(_) | None => Protection::Required,
        }
    }

    pub(super) fn set_protection(&mut self, protection: Protection) {
        match protection {
            Protection::Waived => self.unprotected.push(Unprotected { since: self.entries, until: None }),
            Protection::Required => {
                let last = self.unprotected.last_mut().expect("the check found it waived");
                last.until = Some(self.entries);
            }
        }
    }
}

impl std::fmt::Display for Unprotected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "trainer unprotected since entry {}", self.since)?;
        self.until.map_or(Ok(()), |until| write!(f, " until entry {until}"))
    }
}
