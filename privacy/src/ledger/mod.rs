//! The site's ledger: what was spent on each cohort, durable before it happens.
//!
//! A study's claim goes from proposed (a [`StudyRequest`]) to reserved, running, and committed or aborted:
//! [`Ledger::reserve`] sets the whole plan aside, for all purposes or none; [`Ledger::begin`] uses up one attempt of
//! it, and spends the next part where the last one is used up, before data is read; [`Ledger::record`] makes the
//! attempt's release durable and returns the receipt without which its bytes cannot leave; [`Ledger::close`] gives
//! back the blocks that never started (valid because a block's cost is fixed before it starts). A crash at any
//! point may overstate what was spent, never understate it: the state is what a replay of the file says.
//!
//! Left out on purpose: any way for a message to open or raise a budget. [`Ledger::set_budget`] takes the
//! [`Approval`] of a person, and only a site's own command calls it.

pub mod body;
pub mod budget;
pub mod claim;
pub mod cost;
mod grant;
pub mod rekey;
pub mod report;
mod request;
mod state;
#[cfg(test)]
mod tests;
mod violation;
pub mod witness;

use std::path::Path;

use fedtwin_audit_log::disk::{Disk, Files};
use fedtwin_audit_log::{Appended, LeafHash, LogError, LogFile, PublicKey, Signer, Stamp};
use fedtwin_plan::time::Timestamp;
use fedtwin_plan::{Digest, StudyId};

pub use body::{Attempt, Body, ClosedBy, Owner, Protection, Round, StudyEnd};
pub use budget::{Approval, BudgetKind, BudgetOpened, BudgetRaised, Delta, Purpose, Remark};
pub use claim::{BlockId, Claim, Spend};
pub use cost::Cost;
pub use grant::{BlockGrant, Receipt, Reservation};
pub use report::{Amount, BudgetReport, CAP_AND_SPEND, CohortReport, Stage, StudyReport};
pub use request::{AttemptCost, BudgetRequest, ClaimRequest, StudyRequest};
pub use state::{ConfirmedMirror, FAILURES_MAX, LedgerState, Unprotected};
pub use violation::{Shortfall, Violation};
pub use witness::RolledBack;

use body::{
    AttemptBegun, AttemptRefused, BlockOpened, MirrorConfirmed, Released, StudyClosed, StudyRefused,
    TrainerProtection,
};
use state::StudyState;

/// Something that the ledger does not do.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file failed or was altered; after a failed write nothing may be released.
    #[error("the ledger's file cannot be used")]
    Log(#[from] LogError),
    /// The file's entries, though signed, break a rule.
    #[error("entry {sequence} of the ledger breaks a rule")]
    Inconsistent {
        /// The entry.
        sequence: u64,
        /// The rule.
        #[source]
        violation: Violation,
    },
    /// The file is signed by another key, or was altered from its first line on.
    #[error(
        "the ledger is not signed by this site's identity key; if the site has new credentials, enter the new key first: \
         `fedtwin-site ledger rekey`"
    )]
    AnotherKey(#[source] LogError),
    /// The key is the ledger's already.
    #[error("the old and the new identity key are the same: there is nothing to enter")]
    SameKey,
    /// There is no ledger yet.
    #[error("there is no ledger that an old key signed: the first start of the agent begins one")]
    Empty,
    /// The file belongs to another site.
    #[error("the ledger belongs to site {} of federation {}", .0.site, .0.federation)]
    Foreign(Owner),
    /// The request breaks a rule; of a study, that is in the ledger too.
    #[error(transparent)]
    Refused(#[from] Violation),
}

/// A site's ledger: its state and the file that it was replayed from.
pub struct Ledger {
    state: LedgerState,
    log: LogFile<Body>,
    /// The key of the last entry.
    key: PublicKey,
    leaves: Vec<LeafHash>,
}

impl Ledger {
    /// Opens the site's ledger, or begins one.
    ///
    /// # Errors
    /// Refuses a file that is in use, altered, shorter than acknowledged, or of another site.
    pub fn open(
        path: &Path,
        owner: &Owner,
        signer: Box<dyn Signer + Send>,
        now: Timestamp,
    ) -> Result<Self, LedgerError> {
        Self::open_on(Box::new(Files::open(path)?), owner, (path, signer), now)
    }

    /// Opens the site's ledger on another disk; the path is for messages.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn open_on(
        disk: Box<dyn Disk>,
        owner: &Owner,
        (path, signer): (&Path, Box<dyn Signer + Send>),
        now: Timestamp,
    ) -> Result<Self, LedgerError> {
        let last = signer.public_key();
        let mut ledger = Self::replay_on(disk, (path, signer), last)?;
        match ledger.state.owner() {
            None => ledger.append(&Body::Opened(owner.clone()), now)?,
            Some(found) if found == owner => {}
            Some(found) => return Err(LedgerError::Foreign(found.clone())),
        }
        Ok(ledger)
    }

    /// Verifies and replays the entries, of which the key `last` signed the last one.
    fn replay_on(
        disk: Box<dyn Disk>,
        (path, signer): (&Path, Box<dyn Signer + Send>),
        last: PublicKey,
    ) -> Result<Self, LedgerError> {
        let (log, entries) = LogFile::open_under(disk, path, signer, last).map_err(rekey::other_key)?;
        let state = LedgerState::replay(entries.iter().map(|entry| (&entry.body, entry.stamp)))
            .map_err(|(sequence, violation)| LedgerError::Inconsistent { sequence, violation })?;
        let leaves = entries.iter().map(|entry| entry.hash).collect();
        Ok(Self { state, log: log.stamped(STAMP), key: last, leaves })
    }

    /// Returns the state, for reports.
    #[must_use]
    pub fn state(&self) -> &LedgerState {
        &self.state
    }

    /// Opens a budget, or raises the one that is open.
    ///
    /// # Errors
    /// As [`LedgerState::budget_entry`].
    pub fn set_budget(&mut self, request: &BudgetRequest, now: Timestamp) -> Result<(), LedgerError> {
        let entry = self.state.budget_entry(request)?;
        self.append(&entry, now)
    }

    /// Sets a study's whole cost aside, for all purposes or none, before any data is read.
    ///
    /// # Errors
    /// Refuses a study that does not fit its budgets, and an id or a plan that was reserved before; the
    /// refusal is in the ledger by then.
    pub fn reserve(&mut self, request: &StudyRequest, now: Timestamp) -> Result<Reservation, LedgerError> {
        let reserved = self.state.reservation_of(request).map_err(LedgerError::from).and_then(|reserved| {
            self.append(&Body::StudyReserved(reserved.clone()), now)?;
            Ok(Reservation(reserved))
        });
        if let Err(LedgerError::Refused(violation)) = &reserved {
            self.refuse(&request.study, request.plan, &violation.to_string(), now)?;
        }
        reserved
    }

    /// Logs that a study was refused.
    ///
    /// # Errors
    /// Fails when the disk does.
    pub fn refuse(
        &mut self,
        study: &StudyId,
        plan: Digest,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let reason = shortened(reason);
        self.append(&Body::StudyRefused(StudyRefused { study: study.clone(), plan, reason }), now)
    }

    /// Says whether the kernel has to confine the trainer from here on, where that changes.
    ///
    /// # Errors
    /// Fails when the disk does.
    pub fn set_protection(&mut self, protection: Protection, now: Timestamp) -> Result<(), LedgerError> {
        if self.state.protection() == protection {
            return Ok(());
        }
        self.append(&Body::Trainer(TrainerProtection { protection }), now)
    }

    /// Logs that an attempt of a running study was refused, unless many of its attempts were: who asks
    /// again and again must not make the ledger grow.
    ///
    /// # Errors
    /// Fails when the disk does.
    pub fn refuse_attempt(
        &mut self,
        study: &StudyId,
        key: (Round, Attempt),
        reason: &str,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        match self.state.running(study) {
            Ok(state) if state.refused < ATTEMPTS_REFUSED_MAX => {}
            Ok(_) | Err(_) => return Ok(()),
        }
        let ((round, attempt), reason) = (key, shortened(reason));
        self.append(
            &Body::AttemptRefused(AttemptRefused { study: study.clone(), round, attempt, reason }),
            now,
        )
    }

    /// Logs a person's word of how many entries the coordinator's copy of this ledger has, and why.
    ///
    /// # Errors
    /// Fails when the disk does.
    pub fn confirm_mirror(&mut self, confirmed: MirrorConfirmed, now: Timestamp) -> Result<(), LedgerError> {
        self.append(&Body::MirrorConfirmed(confirmed), now)
    }

    /// Returns the reservation of a study that is running, as after a restart.
    #[must_use]
    pub fn reservation(&self, study: &StudyId) -> Option<Reservation> {
        self.state.running(study).ok().map(|state| Reservation(state.reserved.clone()))
    }

    /// Returns the studies that are reserved and not closed.
    pub fn running(&self) -> impl Iterator<Item = &StudyId> {
        self.state.studies.iter().filter(|(_, study)| study.closed.is_none()).map(|(id, _)| id)
    }

    /// Begins an attempt, before it reads data: in the open block, or in the next one, which is spent by it.
    ///
    /// `key` is the round and the attempt at it: both only go up. The attempt is used up, whatever becomes of it.
    ///
    /// # Errors
    /// Refuses a key that is not after the last one that began, an attempt beyond the last block, and any attempt
    /// of a study of which too many released nothing.
    pub fn begin(
        &mut self,
        study: &StudyId,
        purpose: Purpose,
        key: (Round, Attempt),
        now: Timestamp,
    ) -> Result<BlockGrant, LedgerError> {
        let (round, attempt) = key;
        let begun = Body::AttemptBegun(AttemptBegun { study: study.clone(), purpose, round, attempt });
        match self.state.check(&begun) {
            Ok(()) => {}
            Err(Violation::NotPaid(_)) => self.open_block(study, purpose, now)?,
            Err(refused) => return Err(refused.into()),
        }
        self.append(&begun, now)?;
        let (claim, progress) = self.state.running(study)?.claim(purpose)?;
        let block = BlockId(progress.next_block().0 - 1);
        let attempts_left = progress.current().map_or(0, |(_, block)| block.attempts - block.begun);
        Ok(BlockGrant {
            study: study.clone(),
            purpose,
            key,
            block,
            attempts_left,
            spend: claim.spend.clone(),
        })
    }

    /// Spends the next block, before its first attempt reads data.
    fn open_block(&mut self, study: &StudyId, purpose: Purpose, now: Timestamp) -> Result<(), LedgerError> {
        let (claim, progress) = self.state.running(study)?.claim(purpose)?;
        let block = progress.next_block();
        let (attempts, cost) = (claim.attempts_in(block), claim.cost_in(block));
        self.append(
            &Body::BlockOpened(BlockOpened { study: study.clone(), purpose, block, attempts, cost }),
            now,
        )
    }

    /// Counts a study's attempts, of all purposes, that began and released nothing; one that is under way is
    /// among them.
    #[must_use]
    pub fn failed(&self, study: &StudyId) -> u32 {
        self.state.running(study).map_or(0, StudyState::failed)
    }

    /// Makes one release durable and returns its receipt.
    ///
    /// # Errors
    /// Refuses an attempt that is not the one that began last, and one that released something already.
    pub fn record(
        &mut self,
        grant: &BlockGrant,
        digest: Digest,
        now: Timestamp,
    ) -> Result<Receipt, LedgerError> {
        let (round, attempt) = grant.key;
        let (study, purpose) = (grant.study.clone(), grant.purpose);
        let released = Released { study: study.clone(), purpose, round, attempt, digest };
        self.append(&Body::Released(released), now)?;
        Ok(Receipt { study, purpose, round, attempt, digest })
    }

    /// Returns the receipt of a release that was recorded, for sending its stored bytes again.
    #[must_use]
    pub fn receipt(&self, study: &StudyId, purpose: Purpose, key: (Round, Attempt)) -> Option<Receipt> {
        let (_, progress) = self.state.running(study).ok()?.claim(purpose).ok()?;
        let digest = (*progress.attempts.get(&key)?)?;
        let (round, attempt) = key;
        Some(Receipt { study: study.clone(), purpose, round, attempt, digest })
    }

    /// Ends a study and gives back the blocks that it never opened.
    ///
    /// # Errors
    /// Refuses a study that is not running.
    pub fn close(
        &mut self,
        study: &StudyId,
        outcome: StudyEnd,
        by: ClosedBy,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let refunded = self.state.running(study)?.unspent();
        self.append(&Body::StudyClosed(StudyClosed { study: study.clone(), outcome, by, refunded }), now)
    }

    /// Checks, persists, then takes in.
    fn append(&mut self, body: &Body, now: Timestamp) -> Result<(), LedgerError> {
        self.state.check(body)?;
        let appended = self.log.append(body, now.0)?;
        self.take_in(body, appended);
        Ok(())
    }

    fn take_in(&mut self, body: &Body, appended: Appended) {
        self.leaves.push(appended.hash);
        self.state.apply(body, STAMP).expect("the entry was checked against this state");
    }
}

fn shortened(reason: &str) -> String {
    reason.chars().take(REASON_CHARS_MAX).collect()
}

/// A build in which noise and samples can be foreseen says so in each entry that it writes.
pub const STAMP: Option<Stamp> = if cfg!(feature = "testing") { Some(Stamp::NotPrivate) } else { None };

/// Keeps a line of the log far below its limit.
const REASON_CHARS_MAX: usize = 1000;

/// Enough to see what is asked again and again.
const ATTEMPTS_REFUSED_MAX: u32 = 16;
