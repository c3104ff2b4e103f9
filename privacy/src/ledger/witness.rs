//! Checkpoints of the ledger, by which others notice that it was rolled back.
//!
//! The site signs its ledger's size and root; the coordinator and the other sites keep the last one. A site
//! whose ledger is shorter than a checkpoint that it signed, or differs from it, was restored from an old
//! copy: what it spent since then is missing, so it must release nothing. Nobody else can make such a
//! checkpoint, because it takes the site's own identity key.

use fedtwin_audit_log::checkpoint::CheckpointError;
use fedtwin_audit_log::{Checkpoint, LeafHash, Tree};

use crate::ledger::{Ledger, Owner};

/// The ledger is not the one that this site signed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RolledBack {
    /// Entries are missing.
    #[error(
        "the ledger was rolled back: it has {found} entries, but this site signed one of {signed}; restore the \
         newest backup of ledger.log and ledger.log.head, one of {signed} entries or more"
    )]
    Shorter {
        /// The ledger's entries.
        found: u64,
        /// The entries of the checkpoint.
        signed: u64,
    },
    /// Entries are others.
    #[error(
        "the ledger was rolled back and continued: its first {signed} entries are not those that this site \
         signed before; restore the backup of ledger.log and ledger.log.head from before that"
    )]
    Forked {
        /// The entries of the checkpoint.
        signed: u64,
    },
}

/// Returns the name under which a site's ledger is signed: `<federation>/<site>/ledger`.
#[must_use]
pub fn origin(owner: &Owner) -> String {
    format!("{}/{}/ledger", owner.federation, owner.site)
}

/// Compares a ledger's leaves with a checkpoint that its site signed.
///
/// # Errors
/// Says that entries are missing or others.
pub fn compare(leaves: &[LeafHash], signed: &Checkpoint) -> Result<(), RolledBack> {
    let size = signed.size();
    let prefix = usize::try_from(size).ok().and_then(|size| leaves.get(..size));
    let prefix = prefix.ok_or(RolledBack::Shorter { found: leaves.len() as u64, signed: size })?;
    if Tree::over(prefix) == signed.tree() { Ok(()) } else { Err(RolledBack::Forked { signed: size }) }
}

impl Ledger {
    /// Returns the leaf hashes of all entries.
    #[must_use]
    pub fn leaves(&self) -> &[LeafHash] {
        &self.leaves
    }

    /// Signs the ledger's size and root.
    ///
    /// # Errors
    /// Refuses names that cannot stand in a checkpoint.
    pub fn checkpoint(&self) -> Result<String, CheckpointError> {
        let owner = self.state.owner().expect("an open ledger says whose it is");
        self.log.checkpoint(&origin(owner))
    }
}
