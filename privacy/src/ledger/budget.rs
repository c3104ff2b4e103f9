//! Budgets: what may be spent on a cohort for one purpose, how that adds up, and who allowed it.
//!
//! A budget adds up one of two quantities, both of which stay valid bounds when studies are chosen after
//! seeing earlier results, as sums of privacy-loss distributions do not:
//!
//! - [`BudgetKind::Rdp`]: the Renyi divergence at one order, fixed when the budget is opened (Feldman and
//!   Zrnic, "Individual Privacy Accounting via a Renyi Filter", 2021, arXiv 2008.11193, theorem 4.3).
//! - [`BudgetKind::Gdp`]: mu squared of Gaussian differential privacy (Smith and Thakurta, "Fully Adaptive
//!   Composition for Gaussian Differential Privacy", 2022, arXiv 2210.17520, theorem 3.1). Steps with all
//!   patients have an exact mu. A block of sampled steps has a Gaussian bound (mu, delta0): outside of an
//!   event of probability delta0 it is mu-GDP. Blocks compose to mu^2 = sum of mu_b^2 and a probability of
//!   at most the sum of delta0_b, so the epsilon of a spend is that of mu at delta less that sum. Each such
//!   block takes [`BLOCK_PPM`] parts per million of the budget's delta, and all blocks of a cohort together
//!   never more than [`SLACK_PPM_MAX`], which the cap allows for from the beginning.
//!
//! All budgets of a cohort have the same kind, order and delta, so that the amounts of all purposes add up.

use std::fmt;

use fedtwin_plan::CohortName;
use serde::{Deserialize, Serialize};

use crate::accountant::rdp::{from_epsilon, to_epsilon};
use crate::accountant::{GaussianEvent, Order, gaussian_bound, gdp, gdp_cost, rdp_cost};
use crate::ledger::cost::{Cost, NANO, ceil, floor, to_units};

/// What a budget is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Updates of models.
    Training,
    /// Scores, counts and other statistics.
    Metrics,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Training => "training",
            Self::Metrics => "metrics",
        })
    }
}

/// The unit of privacy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// One patient at one site.
    Patient,
}

/// The adjacency relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// One patient's contributions become zero; the cohort's size stays.
    ZeroOut,
}

/// What a budget adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum BudgetKind {
    /// Mu squared.
    Gdp,
    /// The Renyi divergence at one order.
    Rdp {
        /// The order times 1000.
        order_milli: Order,
    },
}

impl BudgetKind {
    /// Returns the largest amount in units of 1e-9 that keeps to `epsilon` at `delta`, rounded down; zero
    /// where there is none.
    #[must_use]
    pub fn amount(self, epsilon: f64, delta: Delta) -> u64 {
        let amount = match self {
            Self::Gdp => gdp::mu(epsilon, delta.less(self.slack_ppm_max())).powi(2),
            Self::Rdp { order_milli } => from_epsilon(epsilon, order_milli, delta.value()),
        };
        floor(amount * (1.0 - 4.0 * f64::EPSILON) * NANO)
    }

    /// Returns the parts per million of delta that Gaussian bounds of a cohort's blocks may take.
    #[must_use]
    pub fn slack_ppm_max(self) -> u32 {
        match self {
            Self::Gdp => SLACK_PPM_MAX,
            Self::Rdp { .. } => 0,
        }
    }

    /// Returns the cost of `attempts` attempts that each do `event`, as one block of a budget at `delta`,
    /// rounded up; what nothing bounds costs more than any budget has.
    #[must_use]
    pub fn price(self, event: &GaussianEvent, attempts: u32, delta: Delta) -> Cost {
        let block = GaussianEvent { steps: event.steps.saturating_mul(attempts.into()), ..*event };
        let (amount, delta_ppm) = match self {
            Self::Gdp => match gdp_cost(&block) {
                Some(exact) => (exact, 0),
                None => (gaussian_bound(&[block], delta.part(BLOCK_PPM)).powi(2), BLOCK_PPM),
            },
            Self::Rdp { order_milli } => (rdp_cost(&block, order_milli), 0),
        };
        Cost { nano: ceil(amount * (1.0 + 4.0 * f64::EPSILON) * NANO), delta_ppm }
    }

    /// Returns the epsilon at `delta` that a cost implies alone, rounded up; nothing spent implies nothing.
    #[must_use]
    pub fn epsilon(self, cost: Cost, delta: Delta) -> f64 {
        if cost == Cost::NONE {
            return 0.0;
        }
        let amount = to_units(cost.nano);
        match self {
            Self::Gdp => gdp::epsilon(amount.sqrt().next_up(), delta.less(cost.delta_ppm)),
            Self::Rdp { order_milli } => to_epsilon(amount, order_milli, delta.value()),
        }
    }
}

impl fmt::Display for BudgetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gdp => f.write_str("mu squared of Gaussian differential privacy"),
            Self::Rdp { order_milli } => write!(f, "Renyi divergence of order {order_milli}"),
        }
    }
}

/// A person opened a cohort's budget for one purpose; it is never changed, only raised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetOpened {
    /// The cohort, by the name that plans and the site's configuration give it.
    pub cohort: CohortName,
    /// What it is for.
    pub purpose: Purpose,
    /// The cohort's declared size, which is public.
    pub patients: u32,
    /// What one unit of privacy is.
    pub unit: Unit,
    /// What a neighbouring cohort is.
    pub relation: Relation,
    /// What it adds up.
    pub kind: BudgetKind,
    /// The delta at which epsilon is stated.
    pub delta: Delta,
    /// The cap in units of 1e-9, rounded down.
    pub amount_nano: u64,
    /// The epsilon that the person asked for, in units of 1e-6.
    pub epsilon_micro: u64,
    /// Who allowed it.
    pub approval: Approval,
}

/// A person raised a budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetRaised {
    /// The cohort, by the name that plans and the site's configuration give it.
    pub cohort: CohortName,
    /// What the budget is for.
    pub purpose: Purpose,
    /// The new cap in units of 1e-9, rounded down, above the one before.
    pub amount_nano: u64,
    /// The epsilon that the person asked for, in units of 1e-6.
    pub epsilon_micro: u64,
    /// Who allowed it.
    pub approval: Approval,
}

/// Who opened or raised a budget, in two steps, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Who proposed it.
    pub proposed_by: Remark,
    /// Who confirmed it; may be the same person.
    pub confirmed_by: Remark,
    /// Why, in the words of whoever decided.
    pub why: Remark,
}

/// Words of a person: one line of at most [`REMARK_CHARS_MAX`] characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Remark(String);

/// A text that is no remark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one line of 1 to {REMARK_CHARS_MAX} characters")]
pub struct NotARemark;

impl std::str::FromStr for Remark {
    type Err = NotARemark;

    fn from_str(text: &str) -> Result<Self, NotARemark> {
        let text = text.trim();
        let fits = (1..=REMARK_CHARS_MAX).contains(&text.chars().count());
        if fits && !text.chars().any(char::is_control) { Ok(Self(text.to_owned())) } else { Err(NotARemark) }
    }
}

impl TryFrom<String> for Remark {
    type Error = NotARemark;

    fn try_from(text: String) -> Result<Self, NotARemark> {
        text.parse()
    }
}

impl From<Remark> for String {
    fn from(remark: Remark) -> Self {
        remark.0
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A probability in (0, 1), written as a decimal text that reads back as the same number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Delta(f64);

impl Eq for Delta {}

/// A number that is no delta.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("delta is {0}, expected a number strictly between 0 and 1")]
pub struct NotADelta(String);

impl Delta {
    /// Returns the probability.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }

    /// Returns what is left of it when `ppm` parts per million are taken away, rounded down.
    fn less(self, ppm: u32) -> f64 {
        self.part(PPM.saturating_sub(ppm))
    }

    /// Returns parts per million of it, rounded down.
    fn part(self, ppm: u32) -> f64 {
        self.0 * (f64::from(ppm) / f64::from(PPM)) * (1.0 - 4.0 * f64::EPSILON)
    }
}

impl TryFrom<f64> for Delta {
    type Error = NotADelta;

    fn try_from(delta: f64) -> Result<Self, NotADelta> {
        if delta > 0.0 && delta < 1.0 { Ok(Self(delta)) } else { Err(NotADelta(delta.to_string())) }
    }
}

impl TryFrom<String> for Delta {
    type Error = NotADelta;

    fn try_from(text: String) -> Result<Self, NotADelta> {
        let parsed = text.parse().ok().and_then(|delta: f64| Self::try_from(delta).ok());
        parsed.ok_or(NotADelta(text))
    }
}

impl From<Delta> for String {
    fn from(delta: Delta) -> Self {
        delta.to_string()
    }
}

impl fmt::Display for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The part of a budget's delta that one Gaussian bound takes: a hundred-thousandth.
pub const BLOCK_PPM: u32 = 10;

/// The part that all Gaussian bounds of a cohort may take: one hundredth, a thousand blocks of sampled steps.
/// A hundredth of delta moves an epsilon of 1 at delta 1e-5 by 0.1 %.
pub const SLACK_PPM_MAX: u32 = 10_000;

/// The longest remark.
pub const REMARK_CHARS_MAX: usize = 500;

const PPM: u32 = 1_000_000;
