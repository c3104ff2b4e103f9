//! The ledger's state: a pure function of its entries.
//!
//! Who sends what: the agent proposes a body, [`LedgerState::check`] says whether the rules allow it, the
//! log makes it durable, and [`LedgerState::apply`] takes it in. Replaying a file does the last step only,
//! with the same checks, so that a file whose entries break a rule does not open. Checks compare integers
//! that are in the entries; computing a price again from an entry's event is the auditor's work.

mod rules;
mod unprotected;

use std::collections::{BTreeMap, BTreeSet};

use fedtwin_audit_log::Stamp;
use fedtwin_plan::{CohortName, Digest, StudyId};

use crate::ledger::body::{
    Attempt, AttemptBegun, BlockOpened, Body, MirrorConfirmed, Owner, Released, Round, StudyClosed, StudyEnd,
    StudyReserved, TrainerProtection,
};
use crate::ledger::budget::{BudgetOpened, BudgetRaised, Purpose};
use crate::ledger::claim::{BlockId, Claim, Spend};
use crate::ledger::cost::Cost;
use crate::ledger::violation::Violation;
pub(crate) use rules::same_terms;
pub use unprotected::Unprotected;

/// What the entries so far amount to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerState {
    pub(crate) opened: Option<Owner>,
    pub(crate) cohorts: BTreeMap<CohortName, CohortState>,
    pub(crate) studies: BTreeMap<StudyId, StudyState>,
    plans: BTreeSet<Digest>,
    entries: u64,
    not_private_since: Option<u64>,
    unprotected: Vec<Unprotected>,
    confirmed_mirror: Option<ConfirmedMirror>,
}

/// What a person confirmed of the coordinator's copy of this ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfirmedMirror {
    /// The entries that it had.
    pub held: u64,
    /// The entries of this ledger until then: it may have acknowledged all of them.
    pub entries: u64,
}

/// One cohort.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CohortState {
    pub(crate) budgets: BTreeMap<Purpose, BudgetState>,
    /// The entry from which on nothing is bounded.
    pub(crate) unbounded_since: Option<u64>,
}

/// One cohort's budget for one purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BudgetState {
    pub(crate) opened: BudgetOpened,
    pub(crate) raises: Vec<BudgetRaised>,
    /// Set aside and not yet spent.
    pub(crate) reserved: Cost,
    /// The cost of all blocks that were opened.
    pub(crate) spent: Cost,
}

/// One study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StudyState {
    pub(crate) reserved: StudyReserved,
    pub(crate) progress: BTreeMap<Purpose, Progress>,
    /// Attempts that were refused.
    pub(crate) refused: u32,
    pub(crate) closed: Option<StudyEnd>,
}

/// How far a claim is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The blocks that were opened, in order.
    pub(crate) blocks: Vec<BlockState>,
    /// The attempts that began, in order, and what they released.
    pub(crate) attempts: BTreeMap<(Round, Attempt), Option<Digest>>,
}

/// One opened block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockState {
    pub(crate) attempts: u32,
    pub(crate) cost: Cost,
    /// The attempts that began, and are used up by it.
    pub(crate) begun: u32,
    /// Those of them that released something.
    pub(crate) recorded: u32,
}

impl Progress {
    pub(crate) fn spent(&self) -> Cost {
        self.blocks.iter().map(|block| block.cost).sum()
    }

    /// Returns the block that pays for the next attempt, and its number.
    pub(crate) fn current(&self) -> Option<(BlockId, BlockState)> {
        let block = *self.blocks.last()?;
        (block.begun < block.attempts).then(|| (BlockId(self.next_block().0 - 1), block))
    }

    pub(crate) fn next_block(&self) -> BlockId {
        BlockId(u32::try_from(self.blocks.len()).expect("there are at most 2^32 blocks"))
    }

    /// Says whether this attempt or a later one began, so that this key comes too late.
    pub(crate) fn is_past(&self, key: (Round, Attempt)) -> bool {
        self.attempts.last_key_value().is_some_and(|(last, _)| *last >= key)
    }

    /// Returns the attempt that may release something: the one that began last, until it did.
    pub(crate) fn under_way(&self) -> Option<(Round, Attempt)> {
        let (key, released) = self.attempts.last_key_value()?;
        released.is_none().then_some(*key)
    }

    pub(crate) fn releases(&self) -> usize {
        self.attempts.values().flatten().count()
    }

    /// Counts the attempts that are used up and released nothing.
    pub(crate) fn failed(&self) -> u32 {
        u32::try_from(self.attempts.len() - self.releases()).expect("there are at most 2^32 attempts")
    }
}

impl StudyState {
    pub(crate) fn claim(&self, purpose: Purpose) -> Result<(&Claim, &Progress), Violation> {
        let parts = self.reserved.claims.get(&purpose).zip(self.progress.get(&purpose));
        parts.ok_or_else(|| Violation::NoSuchClaim { study: self.reserved.study.clone(), purpose })
    }

    /// Returns claims and how far they are, by purpose.
    pub(crate) fn claims(&self) -> impl Iterator<Item = (Purpose, &Claim, &Progress)> {
        self.reserved.claims.iter().map(|(purpose, claim)| (*purpose, claim, &self.progress[purpose]))
    }

    /// Returns what a claim has set aside: nothing once the study is closed.
    pub(crate) fn reserved_for(&self, claim: &Claim, progress: &Progress) -> Cost {
        if self.closed.is_some() { Cost::NONE } else { claim.total().minus(progress.spent()) }
    }

    /// Counts the attempts, of all purposes, that are used up and released nothing.
    pub(crate) fn failed(&self) -> u32 {
        self.progress.values().map(Progress::failed).sum()
    }

    pub(crate) fn spent(&self) -> Cost {
        self.progress.values().map(Progress::spent).sum()
    }

    pub(crate) fn unspent(&self) -> Cost {
        self.claims().map(|(_, claim, progress)| self.reserved_for(claim, progress)).sum()
    }
}

impl BudgetState {
    pub(crate) fn amount_nano(&self) -> u64 {
        self.raises.last().map_or(self.opened.amount_nano, |raise| raise.amount_nano)
    }

    /// Returns what is spent or set aside.
    pub(crate) fn used(&self) -> Cost {
        self.spent.plus(self.reserved)
    }
}

impl CohortState {
    /// Returns the parts per million of delta that Gaussian bounds may still take.
    pub(crate) fn slack_left_ppm(&self) -> u32 {
        let limit = self.budgets.values().next().map_or(0, |budget| budget.opened.kind.slack_ppm_max());
        limit - self.budgets.values().map(BudgetState::used).sum::<Cost>().delta_ppm
    }
}

impl LedgerState {
    /// Replays entries in order.
    ///
    /// # Errors
    /// Names the first entry that breaks a rule.
    pub fn replay<'a>(
        entries: impl IntoIterator<Item = (&'a Body, Option<Stamp>)>,
    ) -> Result<Self, (u64, Violation)> {
        let mut state = Self::default();
        for (body, stamp) in entries {
            state.apply(body, stamp).map_err(|violation| (state.entries, violation))?;
        }
        Ok(state)
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Returns whose ledger this is, once it says so.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.opened.as_ref()
    }

    /// Returns the first entry that a build for tests wrote, whose noise may be known to anybody.
    #[must_use]
    pub fn not_private_since(&self) -> Option<u64> {
        self.not_private_since
    }

    /// Returns what a person confirmed last of the coordinator's copy.
    #[must_use]
    pub fn confirmed_mirror(&self) -> Option<ConfirmedMirror> {
        self.confirmed_mirror
    }

    /// Says whether a study was ever reserved.
    #[must_use]
    pub fn has_studies(&self) -> bool {
        !self.studies.is_empty()
    }

    /// Takes in an entry.
    ///
    /// # Errors
    /// Names the rule that it would break, and changes nothing then.
    pub fn apply(&mut self, body: &Body, stamp: Option<Stamp>) -> Result<(), Violation> {
        self.check(body)?;
        match body {
            Body::Opened(opened) => self.opened = Some(opened.clone()),
            Body::BudgetOpened(budget) => self.open_budget(budget),
            Body::BudgetRaised(raise) => {
                let cohort = self.cohorts.get_mut(&raise.cohort);
                let budget = cohort.and_then(|cohort| cohort.budgets.get_mut(&raise.purpose));
                budget.expect("the check found the budget").raises.push(raise.clone());
            }
            Body::StudyReserved(reserved) => self.reserve(reserved),
            Body::BlockOpened(block) => self.open_block(block),
            Body::AttemptBegun(begun) => self.begin(begun),
            Body::Released(release) => self.release(release),
            Body::AttemptRefused(refused) => self.study_mut(&refused.study).refused += 1,
            Body::StudyClosed(closed) => self.close(closed),
            Body::StudyRefused(_) | Body::KeyChanged(_) => {}
            Body::Trainer(TrainerProtection { protection }) => self.set_protection(*protection),
            Body::MirrorConfirmed(MirrorConfirmed { held, .. }) => {
                self.confirmed_mirror = Some(ConfirmedMirror { held: *held, entries: self.entries });
            }
        }
        if stamp.is_some() {
            self.not_private_since.get_or_insert(self.entries);
        }
        self.entries += 1;
        self.invariant_reserved_fits_budget();
        self.invariant_spent_never_below_released();
        Ok(())
    }

    /// Returns a study that is reserved and not closed.
    pub(crate) fn running(&self, study: &StudyId) -> Result<&StudyState, Violation> {
        let state = self.studies.get(study).ok_or_else(|| Violation::NoSuchStudy(study.clone()))?;
        if state.closed.is_some() { Err(Violation::StudyClosed(study.clone())) } else { Ok(state) }
    }

    pub(crate) fn budget(&self, cohort: &CohortName, purpose: Purpose) -> Option<&BudgetState> {
        self.cohorts.get(cohort)?.budgets.get(&purpose)
    }

    fn open_budget(&mut self, budget: &BudgetOpened) {
        let cohort = self.cohorts.entry(budget.cohort.clone()).or_default();
        let opened = BudgetState {
            opened: budget.clone(),
            raises: Vec::new(),
            reserved: Cost::NONE,
            spent: Cost::NONE,
        };
        cohort.budgets.insert(budget.purpose, opened);
    }

    fn reserve(&mut self, reserved: &StudyReserved) {
        let cohort = self.cohorts.entry(reserved.cohort.clone()).or_default();
        for (purpose, claim) in &reserved.claims {
            match claim.spend {
                Spend::Priced { .. } => {
                    let budget = cohort.budgets.get_mut(purpose).expect("the check found the budget");
                    budget.reserved = budget.reserved.plus(claim.total());
                }
                Spend::Unbounded { .. } => {
                    cohort.unbounded_since.get_or_insert(self.entries);
                }
            }
        }
        self.plans.insert(reserved.plan);
        let progress = reserved.claims.keys().map(|purpose| (*purpose, Progress::default())).collect();
        let state = StudyState { reserved: reserved.clone(), progress, refused: 0, closed: None };
        self.studies.insert(reserved.study.clone(), state);
    }

    fn open_block(&mut self, block: &BlockOpened) {
        let study = self.study_mut(&block.study);
        let cohort = study.reserved.cohort.clone();
        let progress = study.progress.get_mut(&block.purpose).expect("the check found the claim");
        progress.blocks.push(BlockState {
            attempts: block.attempts,
            cost: block.cost,
            begun: 0,
            recorded: 0,
        });
        let cohort = self.cohorts.get_mut(&cohort).expect("a reserved study has a cohort");
        // A claim without bound draws on no budget.
        if let Some(budget) = cohort.budgets.get_mut(&block.purpose) {
            budget.reserved = budget.reserved.minus(block.cost);
            budget.spent = budget.spent.plus(block.cost);
        }
    }

    fn begin(&mut self, begun: &AttemptBegun) {
        let study = self.study_mut(&begun.study);
        let progress = study.progress.get_mut(&begun.purpose).expect("the check found the claim");
        progress.attempts.insert((begun.round, begun.attempt), None);
        progress.blocks.last_mut().expect("the check found a block").begun += 1;
    }

    fn release(&mut self, release: &Released) {
        let study = self.study_mut(&release.study);
        let progress = study.progress.get_mut(&release.purpose).expect("the check found the claim");
        progress.attempts.insert((release.round, release.attempt), Some(release.digest));
        progress.blocks.last_mut().expect("the check found a block").recorded += 1;
    }

    fn close(&mut self, closed: &StudyClosed) {
        let study = self.studies.get_mut(&closed.study).expect("the check found the study");
        let cohort = self.cohorts.get_mut(&study.reserved.cohort).expect("a reserved study has a cohort");
        for (purpose, claim, progress) in study.claims() {
            if let Some(budget) = cohort.budgets.get_mut(&purpose) {
                budget.reserved = budget.reserved.minus(study.reserved_for(claim, progress));
            }
        }
        study.closed = Some(closed.outcome);
    }

    fn study_mut(&mut self, study: &StudyId) -> &mut StudyState {
        self.studies.get_mut(study).expect("the check found the study")
    }

    /// What is spent and reserved never exceeds a budget, and is what the studies say.
    fn invariant_reserved_fits_budget(&self) {
        for (name, cohort) in &self.cohorts {
            let studies = || self.studies.values().filter(|study| &study.reserved.cohort == name);
            for (purpose, budget) in &cohort.budgets {
                let claims = || studies().filter_map(|study| Some((study, study.claim(*purpose).ok()?)));
                let spent: Cost = claims().map(|(_, (_, progress))| progress.spent()).sum();
                let reserved = claims().map(|(study, (claim, progress))| study.reserved_for(claim, progress));
                let sums = (spent, reserved.sum::<Cost>());
                assert_eq!((budget.spent, budget.reserved), sums, "{purpose} sums of {name}");
                assert!(budget.used().nano <= budget.amount_nano(), "{name} is over its {purpose} budget");
            }
            let used: Cost = cohort.budgets.values().map(BudgetState::used).sum();
            let limit = cohort.budgets.values().next().map_or(0, |budget| budget.opened.kind.slack_ppm_max());
            assert!(used.delta_ppm <= limit, "{name} is over its part of delta");
        }
    }

    /// Every attempt that began, whether or not it released anything, is paid for by an opened block.
    fn invariant_spent_never_below_released(&self) {
        for (name, study) in &self.studies {
            for (purpose, _, progress) in study.claims() {
                let sum = |count: fn(&BlockState) -> u32| -> u64 {
                    progress.blocks.iter().map(|block| u64::from(count(block))).sum()
                };
                let counted = (progress.attempts.len() as u64, progress.releases() as u64);
                let of_blocks = (sum(|block| block.begun), sum(|block| block.recorded));
                assert_eq!(counted, of_blocks, "{purpose} attempts and releases of {name}");
                let paid =
                    |block: &BlockState| block.recorded <= block.begun && block.begun <= block.attempts;
                let paid = progress.blocks.iter().all(paid);
                assert!(paid, "{name} did more for {purpose} than it paid for");
            }
        }
    }
}

/// Attempts of a study that may be used up without a release. Which of its attempts failed is what a site tells
/// without noise: so it tells that this often, and ends the study. Three are a trainer that ran out of memory twice
/// and an agent that was restarted.
pub const FAILURES_MAX: u32 = 3;
