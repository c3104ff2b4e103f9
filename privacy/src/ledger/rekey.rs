//! A site with new credentials: the ledger goes on under another identity key.
//!
//! The history is not cut. The old key signs the new one and the new one signs the entry, so that an auditor who believes
//! the new key verifies from the first entry on. If the old key is lost, a person says so, and the break is visible for ever.

use std::path::Path;

use fedtwin_audit_log::disk::Files;
use fedtwin_audit_log::entry::Reason;
use fedtwin_audit_log::key_change::Old;
use fedtwin_audit_log::{LogError, PublicKey, Signer};
use fedtwin_plan::time::Timestamp;

use super::body::{Body, KeyChanged};
use super::{Ledger, LedgerError, Owner};

/// A change of key: the old one, and who says why.
pub struct Rekey<'a> {
    /// The key of the ledger so far.
    pub old: Old<'a>,
    /// The statement that goes into the ledger.
    pub statement: KeyChanged,
}

impl Ledger {
    /// Opens a ledger that is signed by an old key and enters the new one, `signer`'s.
    ///
    /// # Errors
    /// Refuses what [`Ledger::open`] refuses, a ledger that the old key did not sign, and one that is under the new key.
    pub fn rekey(
        path: &Path,
        owner: &Owner,
        signer: Box<dyn Signer + Send>,
        rekey: Rekey<'_>,
        now: Timestamp,
    ) -> Result<Self, LedgerError> {
        UnderOldKey::open(path, owner, signer, rekey.old)?.enter(rekey.statement, now)
    }

    /// Returns all keys that signed the ledger, the present one last: its site's checkpoints are under one of them.
    #[must_use]
    pub fn keys(&self) -> Vec<PublicKey> {
        let before = self.log.keys().iter().map(|succession| succession.change.from);
        before.chain([self.key]).collect()
    }
}

/// A ledger that an old key signs, to be looked at before the new one is entered: nothing brings the old one back.
pub struct UnderOldKey<'a> {
    ledger: Ledger,
    own: PublicKey,
    old: Old<'a>,
}

impl<'a> UnderOldKey<'a> {
    /// Opens a ledger that is signed by an old key; `signer` has the new one.
    ///
    /// # Errors
    /// As [`Ledger::rekey`].
    pub fn open(
        path: &Path,
        owner: &Owner,
        signer: Box<dyn Signer + Send>,
        old: Old<'a>,
    ) -> Result<Self, LedgerError> {
        let own = signer.public_key();
        let last = match old {
            Old::Signs(signer) => signer.public_key(),
            Old::Lost(key) => key,
        };
        if last == own {
            return Err(LedgerError::SameKey);
        }
        let disk = Box::new(Files::open(path)?);
        let ledger = Ledger::replay_on(disk, (path, signer), last)?;
        match ledger.state.owner() {
            Some(found) if found == owner => Ok(Self { ledger, own, old }),
            Some(found) => Err(LedgerError::Foreign(found.clone())),
            None => Err(LedgerError::Empty),
        }
    }

    /// Returns the ledger as it is.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Enters the new key.
    ///
    /// # Errors
    /// Fails when the disk does.
    pub fn enter(self, statement: KeyChanged, now: Timestamp) -> Result<Ledger, LedgerError> {
        let Self { mut ledger, own, old } = self;
        let body = Body::KeyChanged(statement);
        ledger.state.check(&body)?;
        let appended = ledger.log.change_key(old, &body, now.0)?;
        ledger.take_in(&body, appended);
        ledger.key = own;
        Ok(ledger)
    }
}

/// Says of a ledger that this key did not sign what a person can do.
#[must_use]
pub fn other_key(error: LogError) -> LedgerError {
    let unsigned = match &error {
        LogError::Altered { source, .. } => {
            let first = source.sequence == 0 && matches!(source.reason, Reason::Signature);
            first || matches!(source.reason, Reason::OtherKey(_))
        }
        LogError::OtherKey { .. } => true,
        LogError::Storage { .. }
        | LogError::Locked(_)
        | LogError::EntriesLost { .. }
        | LogError::HeadDiffers { .. }
        | LogError::Body(_)
        | LogError::Poisoned(_) => false,
    };
    if unsigned { LedgerError::AnotherKey(error) } else { LedgerError::Log(error) }
}
