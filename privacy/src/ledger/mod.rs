//! The site's ledger: what was spent on each cohort, durable before it happens.
//!
//! The order for every study: [`Ledger::reserve`] sets the whole plan aside; [`Ledger::open_block`] spends
//! a part of it before data is read; [`Ledger::record`] makes one release durable and returns the receipt
//! without which its bytes cannot leave; [`Ledger::close`] gives back the blocks that never started (valid
//! because a block's cost is fixed before it starts). A crash at any point may overstate what was spent,
//! never understate it: the state is what a replay of the file says.

pub mod body;
mod grant;
pub mod report;
mod state;
#[cfg(test)]
mod tests;
mod violation;

use std::path::Path;

use fedtwin_audit_log::checkpoint::CheckpointError;
use fedtwin_audit_log::{LogError, LogFile, Signer};
use fedtwin_plan::time::Timestamp;
use fedtwin_plan::{CohortName, Digest, StudyId};

pub use body::{Attempt, BlockId, Body, BudgetOpened, Delta, Opened, Outcome, Round, Spend};
pub use grant::{BlockGrant, Receipt, Reservation};
pub use report::{Amount, CohortReport, StudyReport};
pub use state::LedgerState;
pub use violation::{Shortfall, Violation};

use crate::accountant::rdp::from_epsilon;
use crate::accountant::{GaussianEvent, Order};
use body::{BlockOpened, NANO, Relation, Released, StudyClosed, StudyRefused, StudyReserved, Unit};

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
    /// The file belongs to another site.
    #[error("the ledger belongs to site {} of federation {}", .0.site, .0.federation)]
    Foreign(Opened),
    /// The request breaks a rule: nothing was written but, for a study over budget, its refusal.
    #[error(transparent)]
    Refused(#[from] Violation),
    /// The epsilon is too small for the order.
    #[error(
        "epsilon {epsilon} at delta {delta} leaves nothing at order {order}: choose a larger order or epsilon"
    )]
    NothingToSpend {
        /// The epsilon.
        epsilon: f64,
        /// The delta.
        delta: Delta,
        /// The order.
        order: Order,
    },
    /// The budget that is open has other terms than the one asked for.
    #[error("the budget of cohort {0} was opened with other terms, which are fixed for ever")]
    BudgetDiffers(CohortName),
}

/// A budget as a person states it.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetRequest {
    /// The cohort.
    pub cohort: CohortName,
    /// The cohort's declared size.
    pub patients: u32,
    /// The largest epsilon of everything together.
    pub epsilon: f64,
    /// The delta at which it is stated.
    pub delta: Delta,
    /// The Renyi order at which spending is added up.
    pub order: Order,
}

/// A study as its plan states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyRequest {
    /// The study.
    pub study: StudyId,
    /// The digest of the plan's signed bytes.
    pub plan: Digest,
    /// The cohort.
    pub cohort: CohortName,
    /// The attempts to pay for, repeated rounds included.
    pub attempts_max: u32,
    /// The parts in which they are spent.
    pub blocks: u32,
    /// What one attempt does.
    pub attempt: AttemptCost,
}

/// What one attempt costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptCost {
    /// As many noisy sums as the event has steps.
    Noised(GaussianEvent),
    /// No bound; the site's policy allows it under this name.
    Unbounded(String),
}

/// A site's ledger: its state and the file that it was replayed from.
pub struct Ledger {
    state: LedgerState,
    log: LogFile<Body>,
}

impl Ledger {
    /// Opens the site's ledger, or begins one.
    ///
    /// # Errors
    /// Refuses a file that is in use, altered, shorter than acknowledged, or of another site.
    pub fn open(
        path: &Path,
        owner: &Opened,
        signer: Box<dyn Signer + Send>,
        now: Timestamp,
    ) -> Result<Self, LedgerError> {
        let (log, entries) = LogFile::open(path, signer)?;
        let state = LedgerState::replay(entries.iter().map(|entry| &entry.body))
            .map_err(|(sequence, violation)| LedgerError::Inconsistent { sequence, violation })?;
        let mut ledger = Self { state, log };
        match &ledger.state.opened {
            None => ledger.append(&Body::Opened(owner.clone()), now)?,
            Some(found) if found == owner => {}
            Some(found) => return Err(LedgerError::Foreign(found.clone())),
        }
        Ok(ledger)
    }

    /// Returns the state, for reports.
    #[must_use]
    pub fn state(&self) -> &LedgerState {
        &self.state
    }

    /// Signs the ledger's size and root under the name `origin`.
    ///
    /// # Errors
    /// Refuses an origin that cannot stand in a checkpoint.
    pub fn checkpoint(&self, origin: &str) -> Result<String, CheckpointError> {
        self.log.checkpoint(origin)
    }

    /// Opens a cohort's budget; does nothing where the same one is open.
    ///
    /// # Errors
    /// Refuses other terms than those of an open budget, and an epsilon that leaves nothing to spend.
    pub fn open_budget(&mut self, request: &BudgetRequest, now: Timestamp) -> Result<(), LedgerError> {
        let BudgetRequest { cohort, patients, epsilon, delta, order } = request;
        let amount_nano = floor(from_epsilon(*epsilon, *order, delta.value()) * NANO);
        if amount_nano == 0 {
            return Err(LedgerError::NothingToSpend { epsilon: *epsilon, delta: *delta, order: *order });
        }
        let budget = BudgetOpened {
            cohort: cohort.clone(),
            patients: *patients,
            unit: Unit::Patient,
            relation: Relation::ZeroOut,
            delta: *delta,
            order_milli: *order,
            amount_nano,
            epsilon_micro: floor(epsilon * 1e6),
        };
        match self.state.cohorts.get(cohort).and_then(|state| state.budget.as_ref()) {
            None => self.append(&Body::BudgetOpened(budget), now),
            Some(open) if *open == budget => Ok(()),
            Some(_) => Err(LedgerError::BudgetDiffers(cohort.clone())),
        }
    }

    /// Sets a study's whole cost aside, before any data is read.
    ///
    /// # Errors
    /// Refuses a study that does not fit the budget, and logs that; refuses an id or a plan that was
    /// reserved before.
    pub fn reserve(&mut self, request: &StudyRequest, now: Timestamp) -> Result<Reservation, LedgerError> {
        let StudyRequest { study, plan, cohort, attempts_max, blocks, attempt } = request;
        let spend = match attempt {
            AttemptCost::Noised(event) => {
                let budget = self.state.cohorts.get(cohort).and_then(|state| state.budget.as_ref());
                let budget = budget.ok_or_else(|| Violation::NoBudget(cohort.clone()))?;
                Spend::priced(*event, *attempts_max, budget.order_milli)
            }
            AttemptCost::Unbounded(reason) => Spend::Unbounded { reason: reason.clone() },
        };
        let reserved = StudyReserved {
            study: study.clone(),
            plan: *plan,
            cohort: cohort.clone(),
            attempts_max: *attempts_max,
            blocks: *blocks,
            spend,
        };
        match self.append(&Body::StudyReserved(reserved.clone()), now) {
            Ok(()) => Ok(Reservation(reserved)),
            Err(LedgerError::Refused(Violation::OverBudget(shortfall))) => {
                self.refuse(study, *plan, &shortfall.to_string(), now)?;
                Err(Violation::OverBudget(shortfall).into())
            }
            Err(other) => Err(other),
        }
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
        let reason = reason.chars().take(REASON_CHARS_MAX).collect();
        self.append(&Body::StudyRefused(StudyRefused { study: study.clone(), plan, reason }), now)
    }

    /// Returns the reservation of a study that is running, as after a restart.
    #[must_use]
    pub fn reservation(&self, study: &StudyId) -> Option<Reservation> {
        self.state.running(study).ok().map(|state| Reservation(state.reserved.clone()))
    }

    /// Returns the block of a running study that still pays for an attempt, as after a restart.
    #[must_use]
    pub fn grant(&self, study: &StudyId) -> Option<BlockGrant> {
        let state = self.state.running(study).ok()?;
        let (block, current) = state.current()?;
        let attempts_left = current.attempts - current.recorded;
        let spend = state.reserved.spend.clone();
        (attempts_left > 0).then(|| BlockGrant { study: study.clone(), block, attempts_left, spend })
    }

    /// Returns the block that the reservation's next open_block call may ask for.
    #[must_use]
    pub fn next_block(&self, study: &StudyId) -> Option<BlockId> {
        let state = self.state.running(study).ok()?;
        let next = state.next_block();
        (state.reserved.attempts_in(next) > 0).then_some(next)
    }

    /// Spends the next block, before its first attempt reads data.
    ///
    /// # Errors
    /// Refuses a block out of order and a study that is closed.
    pub fn open_block(
        &mut self,
        reservation: &Reservation,
        block: BlockId,
        now: Timestamp,
    ) -> Result<BlockGrant, LedgerError> {
        let StudyReserved { study, spend, .. } = &reservation.0;
        let attempts = reservation.0.attempts_in(block);
        let cost_nano = reservation.0.cost_of(attempts);
        let opened = BlockOpened { study: study.clone(), block, attempts, cost_nano };
        self.append(&Body::BlockOpened(opened), now)?;
        Ok(BlockGrant { study: study.clone(), block, attempts_left: attempts, spend: spend.clone() })
    }

    /// Makes one release durable and returns its receipt.
    ///
    /// `key` is the round and the attempt at it: both only go up.
    ///
    /// # Errors
    /// Refuses a key that is not after the last one, and an attempt that the open block does not pay for.
    pub fn record(
        &mut self,
        grant: &BlockGrant,
        key: (Round, Attempt),
        digest: Digest,
        now: Timestamp,
    ) -> Result<Receipt, LedgerError> {
        let (round, attempt) = key;
        let study = grant.study.clone();
        self.append(&Body::Released(Released { study: study.clone(), round, attempt, digest }), now)?;
        Ok(Receipt { study, round, attempt, digest })
    }

    /// Returns the receipt of a release that was recorded, for sending its stored bytes again.
    #[must_use]
    pub fn receipt(&self, study: &StudyId, key: (Round, Attempt)) -> Option<Receipt> {
        let digest = *self.state.running(study).ok()?.releases.get(&key)?;
        let (round, attempt) = key;
        Some(Receipt { study: study.clone(), round, attempt, digest })
    }

    /// Ends a study and gives back the blocks that it never opened.
    ///
    /// # Errors
    /// Refuses a study that is not running.
    pub fn close(&mut self, study: &StudyId, outcome: Outcome, now: Timestamp) -> Result<(), LedgerError> {
        let refunded_nano = self.state.running(study)?.unspent_nano();
        self.append(&Body::StudyClosed(StudyClosed { study: study.clone(), outcome, refunded_nano }), now)
    }

    /// Checks, persists, then takes in.
    fn append(&mut self, body: &Body, now: Timestamp) -> Result<(), LedgerError> {
        self.state.check(body)?;
        self.log.append(body, now.0)?;
        self.state.apply(body).expect("the entry was checked against this state");
        Ok(())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "floor is the point; the cast saturates"
)]
fn floor(value: f64) -> u64 {
    value as u64
}

/// Keeps a line of the log far below its limit.
const REASON_CHARS_MAX: usize = 1000;
