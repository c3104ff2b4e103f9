//! What a ledger's entries say: integers and texts only, and nothing that depends on patients.

use fedtwin_plan::{CohortName, Digest, FederationName, SiteName, StudyId};
use serde::{Deserialize, Serialize};

use crate::accountant::{GaussianEvent, Order, rdp_cost};

/// An entry's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub enum Body {
    /// The ledger begins.
    Opened(Opened),
    /// A person opened a cohort's budget.
    BudgetOpened(BudgetOpened),
    /// A study's whole plan was set aside.
    StudyReserved(StudyReserved),
    /// A part of a reservation was spent, before its first attempt reads data.
    BlockOpened(BlockOpened),
    /// Bytes may leave.
    Released(Released),
    /// A study ended; what it never started is given back.
    StudyClosed(StudyClosed),
    /// A study was refused.
    StudyRefused(StudyRefused),
}

/// Whose ledger this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// The federation.
    pub federation: FederationName,
    /// The site.
    pub site: SiteName,
}

/// A budget: a cap on the Renyi divergence at one fixed order, from zeroing out one patient.
///
/// At a fixed order, costs of studies that were chosen after seeing earlier results add up (Feldman and
/// Zrnic, "Individual Privacy Accounting via a Renyi Filter", 2021, arXiv 2008.11193, theorem 4.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetOpened {
    /// The cohort.
    pub cohort: CohortName,
    /// The cohort's declared size, which is public.
    pub patients: u32,
    /// What one unit of privacy is.
    pub unit: Unit,
    /// What a neighbouring cohort is.
    pub relation: Relation,
    /// The delta at which epsilon is stated.
    pub delta: Delta,
    /// The Renyi order times 1000.
    pub order_milli: Order,
    /// The cap in units of 1e-9, rounded down.
    pub amount_nano: u64,
    /// The epsilon that the person asked for, in units of 1e-6.
    pub epsilon_micro: u64,
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

impl std::fmt::Display for Delta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a study may do at this site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyReserved {
    /// The study.
    pub study: StudyId,
    /// The digest of the plan's signed bytes.
    pub plan: Digest,
    /// The cohort.
    pub cohort: CohortName,
    /// The attempts that are paid for, repeated rounds included.
    pub attempts_max: u32,
    /// The parts in which the attempts are spent.
    pub blocks: u32,
    /// What all attempts together cost.
    pub spend: Spend,
}

/// What a study costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Spend {
    /// A known amount.
    Priced {
        /// What one attempt does.
        event: GaussianEvent,
        /// The cost of all attempts in units of 1e-9, each rounded up.
        cost_nano: u64,
    },
    /// No bound exists: nothing about the cohort is private from here on.
    Unbounded {
        /// Why, as the site's policy calls it.
        reason: String,
    },
}

impl Spend {
    /// Prices `attempts` attempts at `order`, rounded up; a cost beyond every budget stays so.
    #[must_use]
    pub fn priced(event: GaussianEvent, attempts: u32, order: Order) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "ceil is the point; the cast saturates"
        )]
        let attempt_nano = (rdp_cost(&event, order) * NANO).ceil() as u64;
        Self::Priced { event, cost_nano: attempt_nano.saturating_mul(attempts.into()) }
    }

    /// Returns the cost in units of 1e-9; an unbounded one has none that could be subtracted.
    #[must_use]
    pub fn cost_nano(&self) -> u64 {
        match self {
            Self::Priced { cost_nano, .. } => *cost_nano,
            Self::Unbounded { .. } => 0,
        }
    }
}

impl StudyReserved {
    /// Returns the attempts in a block: equal shares, of which the last may be smaller or empty.
    #[must_use]
    pub fn attempts_in(&self, block: BlockId) -> u32 {
        let share = self.attempts_max.div_ceil(self.blocks.max(1));
        share.min(self.attempts_max.saturating_sub(share.saturating_mul(block.0)))
    }

    /// Returns the cost of `attempts` attempts in units of 1e-9.
    pub(crate) fn cost_of(&self, attempts: u32) -> u64 {
        self.spend.cost_nano() / u64::from(self.attempts_max.max(1)) * u64::from(attempts)
    }
}

/// The number of a block of attempts, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlockId(pub u32);

/// The number of a round of a study, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Round(pub u32);

/// The number of an attempt at a round, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attempt(pub u32);

/// A block that is spent, whatever becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockOpened {
    /// The study.
    pub study: StudyId,
    /// The block, opened in order.
    pub block: BlockId,
    /// The releases that it pays for.
    pub attempts: u32,
    /// Their cost in units of 1e-9.
    pub cost_nano: u64,
}

/// Bytes that may leave, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Released {
    /// The study.
    pub study: StudyId,
    /// The round.
    pub round: Round,
    /// The attempt at it.
    pub attempt: Attempt,
    /// The digest of the bytes.
    pub digest: Digest,
}

/// The end of a study at this site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyClosed {
    /// The study.
    pub study: StudyId,
    /// How it ended.
    pub outcome: Outcome,
    /// What its blocks that were never opened would have cost, in units of 1e-9.
    pub refunded_nano: u64,
}

/// How a study ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All rounds were done.
    Committed,
    /// It ended early.
    Aborted,
}

/// A study that was refused before any data was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyRefused {
    /// The study.
    pub study: StudyId,
    /// The digest of the plan's signed bytes.
    pub plan: Digest,
    /// Why, in words for a person.
    pub reason: String,
}

/// The ledger's units in one.
pub(crate) const NANO: f64 = 1e9;
