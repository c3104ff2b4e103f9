//! Why a plan does not fit a cohort: words of plan and schema, and public numbers, so that it may leave the site.

use std::fmt;

use fedtwin_plan::outcome::OutcomeKind;
use fedtwin_units::NoConversion;

/// What a plan asks for and a cohort does not have; neither need be wrong.
///
/// Made from a plan, a schema and declared limits alone. Whatever depends on a file with patients is a
/// [`CohortError`](crate::CohortError), which stays at the site.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Mismatch {
    /// Records of another kind.
    #[error("it expects {plan}, the cohort has {cohort}")]
    Kind {
        /// What the plan expects.
        plan: RecordKind,
        /// What the cohort has.
        cohort: RecordKind,
    },
    /// Another outcome.
    #[error("it predicts outcome {plan:?}, the cohort has {cohort:?}")]
    Outcome {
        /// The plan's.
        plan: String,
        /// The schema's.
        cohort: String,
    },
    /// An outcome of another kind.
    #[error("it predicts an outcome that is {plan}, the cohort's is {cohort}")]
    OutcomeKind {
        /// The plan's.
        plan: OutcomeKind,
        /// The schema's.
        cohort: OutcomeKind,
    },
    /// A feature that the schema does not have.
    #[error("it expects a column {plan:?}, the cohort has {}", .cohort.join(", "))]
    Feature {
        /// The plan's.
        plan: String,
        /// All of the schema.
        cohort: Vec<String>,
    },
    /// A number here and a category there.
    #[error("column {feature:?}: the plan expects {plan}, the cohort has {cohort}")]
    Values {
        /// The feature's name, as the plan has it.
        feature: String,
        /// What the plan expects.
        plan: Values,
        /// What the cohort has.
        cohort: Values,
    },
    /// A number in a unit that is not converted into the plan's.
    #[error("column {feature:?}: the plan expects {plan:?}, the cohort has {cohort:?}")]
    Unit {
        /// The feature's name, as the plan has it.
        feature: String,
        /// The plan's unit.
        plan: String,
        /// The schema's unit.
        cohort: String,
        /// Why not, in words of both and of people who define units.
        #[source]
        why: Box<NoConversion>,
    },
    /// Ranges without a common value betray another quantity under the same name.
    #[error(
        "column {feature:?}: the plan expects {} to {} {unit}, the cohort's values are plausible from {} to {}",
        .plan[0], .plan[1], .cohort[0], .cohort[1]
    )]
    Range {
        /// The feature's name, as the plan has it.
        feature: String,
        /// The plan's unit, in which both are.
        unit: String,
        /// The plan's lowest and highest value.
        plan: [f64; 2],
        /// The schema's, converted.
        cohort: [f64; 2],
    },
    /// A category that the plan does not know.
    #[error(
        "column {feature:?}: the cohort has category {cohort:?}, the plan expects one of {}", .plan.join(", ")
    )]
    Category {
        /// The feature's name, as the plan has it.
        feature: String,
        /// All of the plan.
        plan: Vec<String>,
        /// The schema's.
        cohort: String,
    },
    /// Slices that are declared to be larger than the plan's, which cuts none.
    #[error(
        "it expects slices of at most {} x {}, the cohort's are declared to be up to {} x {}",
        .plan[0], .plan[1], .cohort[0], .cohort[1]
    )]
    SliceSize {
        /// The plan's height and width.
        plan: [u32; 2],
        /// The declared ones.
        cohort: [u32; 2],
    },
}

/// A kind of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// Rows of a table.
    Table,
    /// Volumes or pictures with masks.
    Images,
}

/// A kind of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// Measured numbers.
    Numbers,
    /// Categories.
    Categories,
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "a table",
            Self::Images => "images",
        })
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Numbers => "numbers",
            Self::Categories => "categories",
        })
    }
}
