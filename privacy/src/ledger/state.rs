//! The ledger's state: a pure function of its entries.
//!
//! Who sends what: the agent proposes a body, [`LedgerState::check`] says whether the rules allow it, the
//! log makes it durable, and [`LedgerState::apply`] takes it in. Replaying a file does the last step only,
//! with the same checks, so that a file whose entries break a rule does not open.

use std::collections::{BTreeMap, BTreeSet};

use fedtwin_plan::{CohortName, Digest, StudyId};

use crate::ledger::body::{
    Attempt, BlockId, BlockOpened, Body, BudgetOpened, Opened, Outcome, Released, Round, Spend, StudyClosed,
    StudyReserved,
};
use crate::ledger::violation::{Shortfall, Violation};

/// What the entries so far amount to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerState {
    pub(crate) opened: Option<Opened>,
    pub(crate) cohorts: BTreeMap<CohortName, CohortState>,
    pub(crate) studies: BTreeMap<StudyId, StudyState>,
    plans: BTreeSet<Digest>,
    entries: u64,
}

/// One cohort.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CohortState {
    pub(crate) budget: Option<BudgetOpened>,
    /// Set aside and not yet spent.
    pub(crate) reserved_nano: u64,
    /// The cost of all blocks that were opened.
    pub(crate) spent_nano: u64,
    /// The entry from which on nothing is bounded.
    pub(crate) unbounded_since: Option<u64>,
}

/// One study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StudyState {
    pub(crate) reserved: StudyReserved,
    /// The cost of the blocks that were opened.
    pub(crate) spent_nano: u64,
    /// The blocks that were opened, in order.
    pub(crate) blocks: Vec<BlockState>,
    /// What was released, in order.
    pub(crate) releases: BTreeMap<(Round, Attempt), Digest>,
    pub(crate) closed: Option<Outcome>,
}

/// One opened block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockState {
    pub(crate) attempts: u32,
    pub(crate) recorded: u32,
}

impl StudyState {
    pub(crate) fn unspent_nano(&self) -> u64 {
        self.reserved.spend.cost_nano() - self.spent_nano
    }

    /// Returns the block that attempts are recorded in, and its number.
    pub(crate) fn current(&self) -> Option<(BlockId, BlockState)> {
        let block = *self.blocks.last()?;
        Some((self.next_block_before(), block))
    }

    pub(crate) fn next_block(&self) -> BlockId {
        BlockId(u32::try_from(self.blocks.len()).expect("there are at most 2^32 blocks"))
    }

    fn next_block_before(&self) -> BlockId {
        BlockId(self.next_block().0 - 1)
    }
}

impl LedgerState {
    /// Replays entries in order.
    ///
    /// # Errors
    /// Names the first entry that breaks a rule.
    pub fn replay<'a>(bodies: impl IntoIterator<Item = &'a Body>) -> Result<Self, (u64, Violation)> {
        let mut state = Self::default();
        for body in bodies {
            state.apply(body).map_err(|violation| (state.entries, violation))?;
        }
        Ok(state)
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Says whether the rules allow an entry.
    ///
    /// # Errors
    /// Names the rule that it would break.
    pub fn check(&self, body: &Body) -> Result<(), Violation> {
        if let Body::Opened(_) = body {
            return if self.entries == 0 { Ok(()) } else { Err(Violation::OpenedTwice) };
        }
        if self.entries == 0 {
            return Err(Violation::NotOpened);
        }
        match body {
            Body::Opened(_) | Body::StudyRefused(_) => Ok(()),
            Body::BudgetOpened(budget) => self.check_budget(budget),
            Body::StudyReserved(reserved) => self.check_reservation(reserved),
            Body::BlockOpened(block) => self.check_block(block),
            Body::Released(release) => self.check_release(release),
            Body::StudyClosed(closed) => {
                let study = self.running(&closed.study)?;
                let unspent = study.unspent_nano();
                if closed.refunded_nano == unspent {
                    Ok(())
                } else {
                    Err(Violation::WrongAmount { expected: unspent })
                }
            }
        }
    }

    /// Takes in an entry.
    ///
    /// # Errors
    /// Names the rule that it would break, and changes nothing then.
    pub fn apply(&mut self, body: &Body) -> Result<(), Violation> {
        self.check(body)?;
        match body {
            Body::Opened(opened) => self.opened = Some(opened.clone()),
            Body::BudgetOpened(budget) => {
                self.cohorts.entry(budget.cohort.clone()).or_default().budget = Some(budget.clone());
            }
            Body::StudyReserved(reserved) => self.reserve(reserved),
            Body::BlockOpened(block) => self.open_block(block),
            Body::Released(release) => self.release(release),
            Body::StudyClosed(closed) => self.close(closed),
            Body::StudyRefused(_) => {}
        }
        self.entries += 1;
        self.invariant_reserved_fits_budget();
        self.invariant_spent_never_below_released();
        Ok(())
    }

    fn check_budget(&self, budget: &BudgetOpened) -> Result<(), Violation> {
        match self.cohorts.get(&budget.cohort) {
            Some(CohortState { budget: Some(_), .. }) => Err(Violation::BudgetExists(budget.cohort.clone())),
            Some(CohortState { budget: None, .. }) | None => Ok(()),
        }
    }

    fn check_reservation(&self, reserved: &StudyReserved) -> Result<(), Violation> {
        let StudyReserved { study, plan, cohort, attempts_max, blocks, spend } = reserved;
        if self.studies.contains_key(study) {
            return Err(Violation::StudyExists(study.clone()));
        }
        if self.plans.contains(plan) {
            return Err(Violation::PlanExists(*plan));
        }
        if *blocks == 0 || blocks > attempts_max {
            return Err(Violation::Blocks { attempts_max: *attempts_max, blocks: *blocks });
        }
        let Spend::Priced { cost_nano, .. } = spend else { return Ok(()) };
        let state = self.cohorts.get(cohort);
        let budget = state
            .and_then(|state| state.budget.as_ref())
            .ok_or_else(|| Violation::NoBudget(cohort.clone()))?;
        let (spent, reserved) = state.map_or((0, 0), |state| (state.spent_nano, state.reserved_nano));
        let left = budget.amount_nano - spent - reserved;
        if *cost_nano > left {
            let shortfall = Shortfall::new(study, budget, *cost_nano, (spent, reserved));
            return Err(Violation::OverBudget(Box::new(shortfall)));
        }
        // Blocks cost whole attempts, so that refunds are exact.
        let attempt = cost_nano / u64::from(*attempts_max);
        let expected = attempt * u64::from(*attempts_max);
        if *cost_nano == expected { Ok(()) } else { Err(Violation::WrongAmount { expected }) }
    }

    fn check_block(&self, block: &BlockOpened) -> Result<(), Violation> {
        let study = self.running(&block.study)?;
        let next = study.next_block();
        if block.block != next {
            return Err(Violation::BlockOrder { asked: block.block.0, next: next.0 });
        }
        let attempts = study.reserved.attempts_in(next);
        if attempts == 0 {
            return Err(Violation::NoBlockLeft(block.study.clone()));
        }
        let expected = study.reserved.cost_of(attempts);
        if block.attempts == attempts && block.cost_nano == expected {
            Ok(())
        } else {
            Err(Violation::WrongAmount { expected })
        }
    }

    fn check_release(&self, release: &Released) -> Result<(), Violation> {
        let study = self.running(&release.study)?;
        let Released { round, attempt, .. } = release;
        let late = study.releases.last_key_value().is_some_and(|(last, _)| *last >= (*round, *attempt));
        if late {
            return Err(Violation::Replayed { round: round.0, attempt: attempt.0 });
        }
        match study.blocks.last() {
            Some(block) if block.recorded < block.attempts => Ok(()),
            Some(_) | None => Err(Violation::NotPaid(release.study.clone())),
        }
    }

    /// Returns a study that is reserved and not closed.
    pub(crate) fn running(&self, study: &StudyId) -> Result<&StudyState, Violation> {
        let state = self.studies.get(study).ok_or_else(|| Violation::NoSuchStudy(study.clone()))?;
        if state.closed.is_some() { Err(Violation::StudyClosed(study.clone())) } else { Ok(state) }
    }

    fn reserve(&mut self, reserved: &StudyReserved) {
        let cohort = self.cohorts.entry(reserved.cohort.clone()).or_default();
        match reserved.spend {
            Spend::Priced { cost_nano, .. } => cohort.reserved_nano += cost_nano,
            Spend::Unbounded { .. } => cohort.unbounded_since = cohort.unbounded_since.or(Some(self.entries)),
        }
        self.plans.insert(reserved.plan);
        let state = StudyState {
            reserved: reserved.clone(),
            spent_nano: 0,
            blocks: Vec::new(),
            releases: BTreeMap::new(),
            closed: None,
        };
        self.studies.insert(reserved.study.clone(), state);
    }

    fn open_block(&mut self, block: &BlockOpened) {
        let (study, cohort) = self.parts(&block.study);
        study.blocks.push(BlockState { attempts: block.attempts, recorded: 0 });
        study.spent_nano += block.cost_nano;
        cohort.reserved_nano -= block.cost_nano;
        cohort.spent_nano += block.cost_nano;
    }

    fn release(&mut self, release: &Released) {
        let (study, _) = self.parts(&release.study);
        study.releases.insert((release.round, release.attempt), release.digest);
        study.blocks.last_mut().expect("the check found a block").recorded += 1;
    }

    fn close(&mut self, closed: &StudyClosed) {
        let (study, cohort) = self.parts(&closed.study);
        study.closed = Some(closed.outcome);
        cohort.reserved_nano -= closed.refunded_nano;
    }

    fn parts(&mut self, study: &StudyId) -> (&mut StudyState, &mut CohortState) {
        let study = self.studies.get_mut(study).expect("the check found the study");
        let cohort = self.cohorts.get_mut(&study.reserved.cohort).expect("a reserved study has a cohort");
        (study, cohort)
    }

    /// What is spent and reserved never exceeds a budget, and is what the studies say.
    fn invariant_reserved_fits_budget(&self) {
        for (name, cohort) in &self.cohorts {
            let studies = || self.studies.values().filter(|study| &study.reserved.cohort == name);
            let spent: u64 = studies().map(|study| study.spent_nano).sum();
            let running = studies().filter(|study| study.closed.is_none());
            let reserved: u64 = running.map(StudyState::unspent_nano).sum();
            assert_eq!((cohort.spent_nano, cohort.reserved_nano), (spent, reserved), "sums of {name}");
            let amount = cohort.budget.as_ref().map_or(0, |budget| budget.amount_nano);
            assert!(spent + reserved <= amount, "{name} is over its budget");
        }
    }

    /// Every release is paid for by an opened block.
    fn invariant_spent_never_below_released(&self) {
        for (name, study) in &self.studies {
            let released = u32::try_from(study.releases.len()).expect("attempts_max fits 32 bits");
            let released_nano = study.reserved.cost_of(released);
            assert!(released_nano <= study.spent_nano, "{name} released more than it paid for");
        }
    }
}
