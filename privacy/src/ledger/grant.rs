//! What the ledger hands out: each is made only by the entry that it stands for.

use fedtwin_plan::{Digest, StudyId};

use crate::ledger::body::{Attempt, Round, StudyReserved};
use crate::ledger::budget::Purpose;
use crate::ledger::claim::{BlockId, Spend};

/// A study that is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation(pub(super) StudyReserved);

impl Reservation {
    /// Returns what was reserved.
    #[must_use]
    pub fn terms(&self) -> &StudyReserved {
        &self.0
    }
}

/// An attempt that may read data: its block is paid for, and that it began is on the disk.
#[derive(Debug, PartialEq, Eq)]
pub struct BlockGrant {
    pub(super) study: StudyId,
    pub(super) purpose: Purpose,
    pub(super) key: (Round, Attempt),
    pub(super) block: BlockId,
    pub(super) attempts_left: u32,
    pub(super) spend: Spend,
}

impl BlockGrant {
    /// Returns the study.
    #[must_use]
    pub fn study(&self) -> &StudyId {
        &self.study
    }

    /// Returns what the attempt is for.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Returns the round and the attempt at it.
    #[must_use]
    pub fn key(&self) -> (Round, Attempt) {
        self.key
    }

    /// Returns the block's number.
    #[must_use]
    pub fn block(&self) -> BlockId {
        self.block
    }

    /// Returns the attempts that the block pays for after this one.
    #[must_use]
    pub fn attempts_left(&self) -> u32 {
        self.attempts_left
    }

    /// Returns what the study may do.
    #[must_use]
    pub fn spend(&self) -> &Spend {
        &self.spend
    }
}

/// Proof that a release's entry is on the disk: bytes leave only together with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Receipt {
    pub(super) study: StudyId,
    pub(super) purpose: Purpose,
    pub(super) round: Round,
    pub(super) attempt: Attempt,
    pub(super) digest: Digest,
}

impl Receipt {
    /// Returns the study.
    #[must_use]
    pub fn study(&self) -> &StudyId {
        &self.study
    }

    /// Returns what the release is for.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Returns the round and the attempt at it.
    #[must_use]
    pub fn key(&self) -> (Round, Attempt) {
        (self.round, self.attempt)
    }

    /// Returns the digest of the bytes that may leave.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }
}
