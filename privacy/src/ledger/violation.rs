//! The ledger's rules, as the messages of those who break them.

use fedtwin_plan::{CohortName, Digest, StudyId};

use crate::accountant::rdp::to_epsilon;
use crate::ledger::body::{BudgetOpened, NANO};

/// An entry that the rules do not allow.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Violation {
    /// The first entry must say whose ledger this is.
    #[error("the ledger does not begin with an opened entry")]
    NotOpened,
    /// Only the first entry may.
    #[error("the ledger is opened already")]
    OpenedTwice,
    /// A budget is immutable.
    #[error("cohort {0} has a budget already, and it is fixed for ever")]
    BudgetExists(CohortName),
    /// Nothing may be spent on the cohort.
    #[error("cohort {0} has no budget")]
    NoBudget(CohortName),
    /// A study is reserved once.
    #[error("study {0} was reserved before: a new study needs a new id")]
    StudyExists(StudyId),
    /// A plan is run once.
    #[error("the plan {0} was reserved before: a new study needs a new plan")]
    PlanExists(Digest),
    /// The attempts cannot be divided so.
    #[error(
        "{attempts_max} attempts in {blocks} blocks, expected at least one of each and no more blocks than attempts"
    )]
    Blocks {
        /// The attempts.
        attempts_max: u32,
        /// The blocks.
        blocks: u32,
    },
    /// The study does not fit.
    #[error("{0}")]
    OverBudget(Box<Shortfall>),
    /// An amount is not what the reservation implies.
    #[error("the entry's amount is not the reservation's, {expected}e-9")]
    WrongAmount {
        /// The amount in units of 1e-9.
        expected: u64,
    },
    /// The study was never reserved.
    #[error("study {0} is not reserved")]
    NoSuchStudy(StudyId),
    /// The study has ended.
    #[error("study {0} is closed")]
    StudyClosed(StudyId),
    /// Blocks are opened in order, each once.
    #[error("block {asked} was asked for, the next one is {next}")]
    BlockOrder {
        /// The block that was asked for.
        asked: u32,
        /// The block that may be opened.
        next: u32,
    },
    /// All blocks are spent.
    #[error("all attempts of study {0} are spent")]
    NoBlockLeft(StudyId),
    /// The open block pays for no further attempt.
    #[error("no open block of study {0} pays for another attempt")]
    NotPaid(StudyId),
    /// Rounds and attempts only go up.
    #[error("round {round} attempt {attempt} is not after the last one released")]
    Replayed {
        /// The round.
        round: u32,
        /// The attempt.
        attempt: u32,
    },
}

/// By how much a study does not fit, in numbers for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    /// The study.
    pub study: StudyId,
    /// The budget that it does not fit.
    pub budget: BudgetOpened,
    /// What the study asks for, in units of 1e-9.
    pub asked_nano: u64,
    /// What is spent.
    pub spent_nano: u64,
    /// What other studies have set aside.
    pub reserved_nano: u64,
}

impl Shortfall {
    pub(crate) fn new(study: &StudyId, budget: &BudgetOpened, asked_nano: u64, used: (u64, u64)) -> Self {
        let (spent_nano, reserved_nano) = used;
        Self { study: study.clone(), budget: budget.clone(), asked_nano, spent_nano, reserved_nano }
    }
}

impl std::fmt::Display for Shortfall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { study, budget, asked_nano, spent_nano, reserved_nano } = self;
        let left = budget.amount_nano - spent_nano - reserved_nano;
        let amount = |nano: u64| format!("{:.6} (epsilon {:.4})", to_units(nano), budget.epsilon(nano));
        write!(
            f,
            "study {study} does not fit the budget of cohort {}: it asks for {}, left is {}; spent is {}, \
             reserved {}, of {}; Renyi divergence of order {}, epsilons each alone at delta {}",
            budget.cohort,
            amount(*asked_nano),
            amount(left),
            amount(*spent_nano),
            amount(*reserved_nano),
            amount(budget.amount_nano),
            budget.order_milli,
            budget.delta,
        )
    }
}

impl BudgetOpened {
    /// Returns the epsilon that a cost in units of 1e-9 implies at the budget's order and delta, rounded
    /// up; nothing spent implies nothing.
    #[must_use]
    pub fn epsilon(&self, cost_nano: u64) -> f64 {
        if cost_nano == 0 {
            return 0.0;
        }
        to_epsilon(to_units(cost_nano), self.order_milli, self.delta.value())
    }
}

#[expect(clippy::cast_precision_loss, reason = "for epsilons, which are rounded up by more")]
fn to_units(nano: u64) -> f64 {
    nano as f64 / NANO
}
