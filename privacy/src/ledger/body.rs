//! What a ledger's entries say: integers and texts only, and nothing that depends on patients.

use std::collections::BTreeMap;

use fedtwin_plan::{CohortName, Digest, FederationName, SiteName, StudyId};
use serde::{Deserialize, Serialize};

use crate::ledger::budget::{BudgetOpened, BudgetRaised, Purpose, Remark};
use crate::ledger::claim::{BlockId, Claim};
use crate::ledger::cost::Cost;

/// An entry's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub enum Body {
    /// The ledger begins.
    Opened(Owner),
    /// A person opened a cohort's budget for one purpose.
    BudgetOpened(BudgetOpened),
    /// A person raised a budget.
    BudgetRaised(BudgetRaised),
    /// A study's whole plan was set aside.
    StudyReserved(StudyReserved),
    /// A part of a claim was spent, before its first attempt reads data.
    BlockOpened(BlockOpened),
    /// An attempt begins to read data, and is used up by it.
    AttemptBegun(AttemptBegun),
    /// Bytes may leave.
    Released(Released),
    /// An attempt was refused before it read data.
    AttemptRefused(AttemptRefused),
    /// A study ended; what it never started is given back.
    StudyClosed(StudyClosed),
    /// A study was refused.
    StudyRefused(StudyRefused),
    /// From this entry on another identity key signs; the entry itself says which, and whether the old one agreed.
    KeyChanged(KeyChanged),
    /// From here on the process that reads patients is confined, or people at the site do not ask for it.
    Trainer(TrainerProtection),
    /// A person confirmed that the coordinator's copy of this ledger is short for a reason.
    MirrorConfirmed(MirrorConfirmed),
}

/// Whether the kernel confines the process that reads patients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerProtection {
    /// What the site's configuration says.
    pub protection: Protection,
}

/// What a site's configuration says of its trainer's protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// It starts only where the kernel confines it; so it is before any entry says otherwise.
    Required,
    /// It starts without, too.
    Waived,
}

/// Whose ledger this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// The federation, by the name in its authority's certificate.
    pub federation: FederationName,
    /// The site, by the name in its certificates.
    pub site: SiteName,
}

/// What a study may do at this site: all of it, or the study is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyReserved {
    /// The study, by its plan's `study.id`.
    pub study: StudyId,
    /// The digest of the plan's signed bytes.
    pub plan: Digest,
    /// The cohort, by the name that plans and the site's configuration give it.
    pub cohort: CohortName,
    /// What it may do for each purpose, and what that costs.
    pub claims: BTreeMap<Purpose, Claim>,
}

impl StudyReserved {
    /// Returns what everything costs, over all purposes.
    #[must_use]
    pub fn total(&self) -> Cost {
        self.claims.values().map(Claim::total).sum()
    }
}

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
    /// The study, by its plan's `study.id`.
    pub study: StudyId,
    /// What it is for.
    pub purpose: Purpose,
    /// The block, opened in order.
    pub block: BlockId,
    /// The attempts that it pays for.
    pub attempts: u32,
    /// What they cost.
    pub cost: Cost,
}

/// An attempt that may read data, once: whatever becomes of it, it has used up one of its block's.
///
/// So an attempt that fails, or that a crash ends, costs what one costs that released something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptBegun {
    /// The study, by its plan's `study.id`.
    pub study: StudyId,
    /// What it is for.
    pub purpose: Purpose,
    /// The round, counted from 1.
    pub round: Round,
    /// The attempt at it.
    pub attempt: Attempt,
}

/// Bytes that may leave, once: those of the attempt that began last. A study never has two of one purpose, round and attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Released {
    /// The study, by its plan's `study.id`.
    pub study: StudyId,
    /// What it is for.
    pub purpose: Purpose,
    /// The round, counted from 1.
    pub round: Round,
    /// The attempt at it.
    pub attempt: Attempt,
    /// The digest of the bytes.
    pub digest: Digest,
}

/// An attempt that was asked for and refused before any data was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptRefused {
    /// The study, by its plan's `study.id`.
    pub study: StudyId,
    /// The round, counted from 1.
    pub round: Round,
    /// The attempt at it.
    pub attempt: Attempt,
    /// Why, in words for a person.
    pub reason: String,
}

/// The end of a study at this site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyClosed {
    /// The study, by its plan's `study.id`.
    pub study: StudyId,
    /// How it ended.
    pub outcome: StudyEnd,
    /// Who ended it.
    pub by: ClosedBy,
    /// What its blocks that were never opened would have cost, over all purposes.
    pub refunded: Cost,
}

/// Who ended a study at this site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ClosedBy {
    /// The coordinator said that it is over.
    Coordinator,
    /// As many attempts as may be used up without a release were.
    Failures,
    /// A person at the site.
    Person {
        /// Who decided, in their own words.
        who: Remark,
        /// Why, in the words of whoever decided.
        why: Remark,
    },
}

/// How a study ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StudyEnd {
    /// All rounds were done.
    Committed,
    /// It ended early.
    Aborted,
}

/// Why the site has another identity key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyChanged {
    /// Who entered it.
    pub who: Remark,
    /// Why, in the words of whoever decided.
    pub why: Remark,
}

/// A study that was refused before any data was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyRefused {
    /// The study, by its plan's `study.id`.
    pub study: StudyId,
    /// The digest of the plan's signed bytes.
    pub plan: Digest,
    /// Why, in words for a person.
    pub reason: String,
}

/// The coordinator has fewer entries of this ledger than it acknowledged, and a person knows why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorConfirmed {
    /// The entries that it has.
    pub held: u64,
    /// Who confirmed it.
    pub confirmed_by: Remark,
    /// Why it is so.
    pub why: Remark,
}
