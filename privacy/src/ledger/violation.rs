//! The ledger's rules, as the messages of those who break them.

use fedtwin_plan::{CohortName, Digest, StudyId};

use crate::ledger::budget::{BudgetOpened, Purpose, SLACK_PPM_MAX};
use crate::ledger::cost::{Cost, to_units};
use crate::ledger::state::FAILURES_MAX;

/// An entry that the rules do not allow.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Violation {
    /// The first entry must say whose ledger this is.
    #[error("the ledger does not begin with an opened entry")]
    NotOpened,
    /// Only the first entry may.
    #[error("the ledger is opened already")]
    OpenedTwice,
    /// An entry says what changes.
    #[error("the trainer's protection is what the entry says already")]
    SameProtection,
    /// A budget is immutable.
    #[error("cohort {cohort} has a {purpose} budget already: it can only be raised")]
    BudgetExists {
        /// The cohort, by the name that plans and the site's configuration give it.
        cohort: CohortName,
        /// Which budget pays: training's or the metrics'.
        purpose: Purpose,
    },
    /// A raise raises, and nothing else.
    #[error("the {purpose} budget of cohort {cohort} is {} now: a raise has to be above that", to_units(*amount_nano))]
    NotARaise {
        /// The cohort, by the name that plans and the site's configuration give it.
        cohort: CohortName,
        /// Which budget pays: training's or the metrics'.
        purpose: Purpose,
        /// The amount now, in units of 1e-9.
        amount_nano: u64,
    },
    /// Amounts of one cohort add up only if they are of one kind.
    #[error(
        "cohort {0} has a budget with other terms (patients, kind, order, delta), which are fixed for ever"
    )]
    OtherTerms(CohortName),
    /// The amount leaves nothing to spend, or is beyond what can be added up.
    #[error("a budget of {} cannot be opened: choose a larger epsilon, or a larger order", to_units(*_0))]
    Amount(u64),
    /// Nothing may be spent on the cohort.
    #[error(
        "cohort {cohort} has no {purpose} budget: a person at the site opens one with `fedtwin-site budget propose`"
    )]
    NoBudget {
        /// The cohort, by the name that plans and the site's configuration give it.
        cohort: CohortName,
        /// Which budget pays: training's or the metrics'.
        purpose: Purpose,
    },
    /// A study is reserved once.
    #[error("study {0} was reserved before: a new study needs a new id")]
    StudyExists(StudyId),
    /// A plan is run once.
    #[error("the plan {0} was reserved before: a new study needs a new plan")]
    PlanExists(Digest),
    /// The attempts cannot be divided so.
    #[error(
        "{attempts_max} attempts in {blocks} blocks, expected at least one of each, no more blocks than attempts, and a cost for each block"
    )]
    Blocks {
        /// The attempts.
        attempts_max: u32,
        /// The blocks.
        blocks: u32,
    },
    /// The study asks for nothing.
    #[error("study {0} claims nothing")]
    NoClaim(StudyId),
    /// The study does not fit.
    #[error("{0}")]
    OverBudget(Box<Shortfall>),
    /// The Gaussian bounds of sampled steps have used up their part of delta.
    #[error(
        "blocks of sampled steps may take {SLACK_PPM_MAX} millionths of the delta of cohort {cohort}, {left_ppm} are left and study {study} asks for {asked_ppm}"
    )]
    SlackUsed {
        /// The cohort, by the name that plans and the site's configuration give it.
        cohort: CohortName,
        /// The study, by its plan's `study.id`.
        study: StudyId,
        /// What it asks for, in parts per million of delta.
        asked_ppm: u32,
        /// What is left of them.
        left_ppm: u32,
    },
    /// An amount is not what the reservation implies.
    #[error("the entry's amount is not the reservation's, {} and {} millionths of delta", to_units(expected.nano), expected.delta_ppm)]
    WrongAmount {
        /// The amount.
        expected: Cost,
    },
    /// The study was never reserved.
    #[error("study {0} is not reserved")]
    NoSuchStudy(StudyId),
    /// The study has no claim of this purpose.
    #[error("study {study} has reserved nothing for {purpose}")]
    NoSuchClaim {
        /// The study, by its plan's `study.id`.
        study: StudyId,
        /// Which budget pays: training's or the metrics'.
        purpose: Purpose,
    },
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
    #[error("all attempts that study {0} paid for are used")]
    NoBlockLeft(StudyId),
    /// The open block pays for no further attempt.
    #[error("no open block of study {0} pays for another attempt")]
    NotPaid(StudyId),
    /// Rounds and attempts only go up.
    #[error("round {round} attempt {attempt} is not after the last one that began")]
    Replayed {
        /// The round, counted from 1.
        round: u32,
        /// The attempt, counted from 1 over the whole study.
        attempt: u32,
    },
    /// Only the attempt that began last may release anything, and once.
    #[error("round {round} attempt {attempt} is not the one that began last, or released already")]
    NotBegun {
        /// The round, counted from 1.
        round: u32,
        /// The attempt, counted from 1 over the whole study.
        attempt: u32,
    },
    /// Too much was asked of the cohort for nothing.
    #[error("{FAILURES_MAX} attempts of study {0} began and released nothing: no further one begins")]
    TooManyFailed(StudyId),
}

/// By how much a study does not fit, in numbers for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    /// The study, by its plan's `study.id`.
    pub study: StudyId,
    /// The budget that it does not fit, as it was opened.
    pub budget: BudgetOpened,
    /// The budget's amount now.
    pub amount_nano: u64,
    /// What the study asks for.
    pub asked: Cost,
    /// What is spent.
    pub spent: Cost,
    /// What other studies have set aside.
    pub reserved: Cost,
}

impl std::fmt::Display for Shortfall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { study, budget, amount_nano, asked, spent, reserved } = self;
        let total = Cost { nano: *amount_nano, delta_ppm: budget.kind.slack_ppm_max() };
        let left = total.nano - spent.nano - reserved.nano;
        let left = Cost { nano: left, ..total };
        let amount = |cost: Cost| {
            format!("{:.6} (epsilon {:.4})", to_units(cost.nano), budget.kind.epsilon(cost, budget.delta))
        };
        write!(
            f,
            "study {study} does not fit the budget of cohort {} for {}: it asks for {}, left is {}; spent is {}, \
             reserved {}, of {}; {}, epsilons each alone at delta {}",
            budget.cohort,
            budget.purpose,
            amount(*asked),
            amount(left),
            amount(*spent),
            amount(*reserved),
            amount(total),
            budget.kind,
            budget.delta,
        )
    }
}
