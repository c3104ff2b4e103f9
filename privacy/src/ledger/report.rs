//! What is spent, reserved and left, for people and scripts.

use fedtwin_plan::{CohortName, Digest, StudyId};
use serde::Serialize;

use crate::ledger::body::{BudgetOpened, Outcome, Spend};
use crate::ledger::state::{CohortState, LedgerState, StudyState};

/// One cohort's budget and the studies that drew on it.
///
/// An epsilon is that of its amount alone, at the budget's order and delta: epsilons do not add up, the
/// amounts in units of 1e-9 do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CohortReport {
    /// The cohort.
    pub cohort: CohortName,
    /// The budget, if a person opened one.
    pub budget: Option<BudgetOpened>,
    /// The budget's amount.
    pub total: Amount,
    /// The cost of all blocks that were opened.
    pub spent: Amount,
    /// What running studies have set aside.
    pub reserved: Amount,
    /// What a new study may ask for.
    pub left: Amount,
    /// The entry from which on no bound holds, whatever the amounts say.
    pub unbounded_since: Option<u64>,
    /// The studies, by name.
    pub studies: Vec<StudyReport>,
}

/// An amount of privacy loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Amount {
    /// The Renyi divergence in units of 1e-9.
    pub nano: u64,
    /// The epsilon that it implies alone.
    pub epsilon: f64,
}

/// One study.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StudyReport {
    /// The study.
    pub study: StudyId,
    /// The digest of its plan.
    pub plan: Digest,
    /// What one attempt does and what all cost, or that nothing bounds it.
    pub spend: Spend,
    /// The cost of its blocks that were opened.
    pub spent: Amount,
    /// What it has still set aside.
    pub reserved: Amount,
    /// Its releases.
    pub releases: usize,
    /// How it ended, unless it is running.
    pub outcome: Option<Outcome>,
}

impl CohortReport {
    /// Says what holds for the cohort in total: an epsilon, or `unbounded (since entry N)`.
    #[must_use]
    pub fn headline(&self) -> String {
        match self.unbounded_since {
            Some(entry) => format!("unbounded (since entry {entry})"),
            None => format!("epsilon {:.4} spent of {:.4}", self.spent.epsilon, self.total.epsilon),
        }
    }
}

impl LedgerState {
    /// Reports on every cohort, by name.
    #[must_use]
    pub fn report(&self) -> Vec<CohortReport> {
        self.cohorts.iter().map(|(name, cohort)| self.report_on(name, cohort)).collect()
    }

    fn report_on(&self, name: &CohortName, cohort: &CohortState) -> CohortReport {
        let CohortState { budget, reserved_nano, spent_nano, unbounded_since } = cohort;
        let amount =
            |nano| Amount { nano, epsilon: budget.as_ref().map_or(0.0, |budget| budget.epsilon(nano)) };
        let total = budget.as_ref().map_or(0, |budget| budget.amount_nano);
        let study_report = |(study, state): (&StudyId, &StudyState)| StudyReport {
            study: study.clone(),
            plan: state.reserved.plan,
            spend: state.reserved.spend.clone(),
            spent: amount(state.spent_nano),
            reserved: amount(if state.closed.is_none() { state.unspent_nano() } else { 0 }),
            releases: state.releases.len(),
            outcome: state.closed,
        };
        CohortReport {
            cohort: name.clone(),
            budget: budget.clone(),
            total: amount(total),
            spent: amount(*spent_nano),
            reserved: amount(*reserved_nano),
            left: amount(total - spent_nano - reserved_nano),
            unbounded_since: *unbounded_since,
            studies: self
                .studies
                .iter()
                .filter(|(_, state)| &state.reserved.cohort == name)
                .map(study_report)
                .collect(),
        }
    }
}
