//! What is spent, reserved and left, for people and scripts.

use fedtwin_plan::{CohortName, Digest, StudyId};
use serde::Serialize;

use crate::ledger::body::StudyEnd;
use crate::ledger::budget::{BudgetKind, BudgetOpened, BudgetRaised, Delta, Purpose};
use crate::ledger::claim::{BlockId, Claim, Spend};
use crate::ledger::cost::Cost;
use crate::ledger::state::{BudgetState, CohortState, LedgerState, Progress, StudyState};

/// What readers of a report should know: only the cap is a bound that was fixed in advance. What is spent is an
/// odometer's reading, and bounds by itself only what would have been done whatever was seen on the way.
pub const CAP_AND_SPEND: &str = "The cap bounds everything together, whatever was chosen after what; the spend says how much of it is used.";

/// One cohort, composed over all purposes: its budgets and the studies that drew on them.
///
/// An epsilon is that of its amount alone, at the budgets' delta: epsilons do not add up, the amounts in
/// units of 1e-9 do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CohortReport {
    /// The cohort, by the name that plans and the site's configuration give it.
    pub cohort: CohortName,
    /// The budgets, by purpose; none if nobody opened one. All are of one kind, at one delta.
    pub budgets: Vec<BudgetReport>,
    /// The amount of all budgets together.
    pub total: Amount,
    /// The cost of all blocks that were opened.
    pub spent: Amount,
    /// What running studies have set aside.
    pub reserved: Amount,
    /// What new studies may ask for.
    pub left: Amount,
    /// The entry from which on no bound holds, whatever the amounts say.
    pub unbounded_since: Option<u64>,
    /// The first entry that a build for tests wrote: from there on nothing is private.
    pub not_private_since: Option<u64>,
    /// The studies, by name.
    pub studies: Vec<StudyReport>,
}

/// A cohort's budget for one purpose.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetReport {
    /// What it is for.
    pub purpose: Purpose,
    /// What a person opened.
    pub opened: BudgetOpened,
    /// How it was raised since.
    pub raises: Vec<BudgetRaised>,
    /// The amount now.
    pub total: Amount,
    /// The cost of the blocks that were opened.
    pub spent: Amount,
    /// What running studies have set aside.
    pub reserved: Amount,
    /// What a new study may ask for.
    pub left: Amount,
}

/// An amount of privacy loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Amount {
    /// Of what the budget's kind adds up, in units of 1e-9.
    pub nano: u64,
    /// Of the budget's delta, in parts per million.
    pub delta_ppm: u32,
    /// The epsilon that it implies alone.
    pub epsilon: f64,
}

/// One study.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StudyReport {
    /// The study, by its plan's `study.id`.
    pub study: StudyId,
    /// The digest of its plan.
    pub plan: Digest,
    /// How far it is.
    pub stage: Stage,
    /// What it may do, by purpose, and what of that it did.
    pub claims: Vec<ClaimReport>,
    /// The cost of its blocks that were opened.
    pub spent: Amount,
    /// What it has still set aside.
    pub reserved: Amount,
    /// The attempts that it used up.
    pub attempts: usize,
    /// Its releases.
    pub releases: usize,
    /// The attempts that it used up and that released nothing.
    pub failed: u32,
    /// Attempts that were refused.
    pub refused: u32,
}

/// How far a study is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Its cost is set aside and no block of it was opened.
    Reserved,
    /// It may read data.
    Running,
    /// All rounds were done.
    Committed,
    /// It ended early.
    Aborted,
}

/// What a study may do for one purpose.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClaimReport {
    /// Which budget pays: training's or the metrics'.
    pub purpose: Purpose,
    /// The attempts, their blocks and what one attempt does, or that nothing bounds it.
    pub claim: Claim,
    /// The blocks that were opened, in order.
    pub blocks: Vec<BlockReport>,
    /// Their cost.
    pub spent: Amount,
    /// What is still set aside.
    pub reserved: Amount,
}

/// One opened block: as many of the claim's events as it has attempts, whether or not they were used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BlockReport {
    /// Its number.
    pub block: BlockId,
    /// The attempts that it paid for.
    pub attempts: u32,
    /// What was charged.
    pub cost: Cost,
    /// The attempts that were used up in it.
    pub begun: u32,
    /// The releases made in it.
    pub releases: u32,
}

impl CohortReport {
    /// Says what holds for the cohort in total: an epsilon, or why there is none.
    #[must_use]
    pub fn headline(&self) -> String {
        match (self.not_private_since, self.unbounded_since) {
            (Some(entry), _) => format!("not private (since entry {entry})"),
            (None, Some(entry)) => format!("unbounded (since entry {entry})"),
            (None, None) => {
                format!("epsilon {:.4} spent of {:.4}", self.spent.epsilon, self.total.epsilon)
            }
        }
    }

    /// Returns the kind and the delta that all budgets have.
    #[must_use]
    pub fn terms(&self) -> Option<(BudgetKind, Delta)> {
        self.budgets.first().map(|budget| (budget.opened.kind, budget.opened.delta))
    }
}

impl StudyReport {
    /// Says whether nothing bounds what the study releases for some purpose.
    #[must_use]
    pub fn is_unbounded(&self) -> bool {
        self.claims.iter().any(|claim| matches!(claim.claim.spend, Spend::Unbounded { .. }))
    }
}

impl LedgerState {
    /// Reports on every cohort, by name.
    #[must_use]
    pub fn report(&self) -> Vec<CohortReport> {
        self.cohorts.iter().map(|(name, cohort)| self.report_on(name, cohort)).collect()
    }

    fn report_on(&self, name: &CohortName, cohort: &CohortState) -> CohortReport {
        let pricing = Pricing::of(cohort);
        let budgets: Vec<_> = cohort.budgets.iter().map(|(p, budget)| pricing.budget(*p, budget)).collect();
        let sum = |amount: fn(&BudgetReport) -> Amount| {
            budgets.iter().map(|budget| amount(budget).cost()).sum::<Cost>()
        };
        let (total, left) = (sum(|budget| budget.total), sum(|budget| budget.left));
        let shared = |nano: u64, delta_ppm| pricing.amount(Cost { nano, delta_ppm });
        let studies = self.studies.values().filter(|state| &state.reserved.cohort == name);
        CohortReport {
            cohort: name.clone(),
            total: shared(total.nano, pricing.slack_ppm_max()),
            spent: pricing.amount(sum(|budget| budget.spent)),
            reserved: pricing.amount(sum(|budget| budget.reserved)),
            left: shared(left.nano, cohort.slack_left_ppm()),
            unbounded_since: cohort.unbounded_since,
            not_private_since: self.not_private_since(),
            studies: studies.map(|state| pricing.study(state)).collect(),
            budgets,
        }
    }
}

/// How a cohort's amounts imply epsilons.
struct Pricing {
    terms: Option<(BudgetKind, Delta)>,
    slack_left_ppm: u32,
}

impl Pricing {
    fn of(cohort: &CohortState) -> Self {
        let terms = cohort.budgets.values().next().map(|budget| (budget.opened.kind, budget.opened.delta));
        Self { terms, slack_left_ppm: cohort.slack_left_ppm() }
    }

    fn slack_ppm_max(&self) -> u32 {
        self.terms.map_or(0, |(kind, _)| kind.slack_ppm_max())
    }

    fn amount(&self, cost: Cost) -> Amount {
        let epsilon = self.terms.map_or(0.0, |(kind, delta)| kind.epsilon(cost, delta));
        Amount { nano: cost.nano, delta_ppm: cost.delta_ppm, epsilon }
    }

    fn budget(&self, purpose: Purpose, budget: &BudgetState) -> BudgetReport {
        let nano = budget.amount_nano();
        let left = Cost { nano: nano - budget.used().nano, delta_ppm: self.slack_left_ppm };
        BudgetReport {
            purpose,
            opened: budget.opened.clone(),
            raises: budget.raises.clone(),
            total: self.amount(Cost { nano, delta_ppm: self.slack_ppm_max() }),
            spent: self.amount(budget.spent),
            reserved: self.amount(budget.reserved),
            left: if left.nano == 0 { self.amount(Cost::NONE) } else { self.amount(left) },
        }
    }

    fn study(&self, state: &StudyState) -> StudyReport {
        let claims = state.claims().map(|(purpose, claim, progress)| ClaimReport {
            purpose,
            claim: claim.clone(),
            blocks: blocks(progress),
            spent: self.amount(progress.spent()),
            reserved: self.amount(state.reserved_for(claim, progress)),
        });
        StudyReport {
            study: state.reserved.study.clone(),
            plan: state.reserved.plan,
            stage: state.stage(),
            claims: claims.collect(),
            spent: self.amount(state.spent()),
            reserved: self.amount(state.unspent()),
            attempts: state.progress.values().map(|progress| progress.attempts.len()).sum(),
            releases: state.progress.values().map(Progress::releases).sum(),
            failed: state.failed(),
            refused: state.refused,
        }
    }
}

impl StudyState {
    fn stage(&self) -> Stage {
        match self.closed {
            Some(StudyEnd::Committed) => Stage::Committed,
            Some(StudyEnd::Aborted) => Stage::Aborted,
            None if self.progress.values().all(|progress| progress.blocks.is_empty()) => Stage::Reserved,
            None => Stage::Running,
        }
    }
}

impl Amount {
    fn cost(self) -> Cost {
        Cost { nano: self.nano, delta_ppm: self.delta_ppm }
    }
}

fn blocks(progress: &Progress) -> Vec<BlockReport> {
    let report = |(number, block): (u32, &crate::ledger::state::BlockState)| BlockReport {
        block: BlockId(number),
        attempts: block.attempts,
        cost: block.cost,
        begun: block.begun,
        releases: block.recorded,
    };
    (0..).zip(&progress.blocks).map(report).collect()
}
