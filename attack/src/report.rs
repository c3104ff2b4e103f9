//! The report of an audit by attacks: a site keeps it, and an auditor may be shown it.
//!
//! It holds figures about a plan and a code, and none about a patient: rates, distances and correlations
//! over many. Still it depends on the cohort where the site's own was used, and so it stays at the site.

use fedtwin_plan::{CohortName, Digest, StudyId};
use fedtwin_privacy::accountant::GaussianEvent;
use serde::{Deserialize, Serialize};

use crate::attempts::SharedDraws;
use crate::bounds::LowerBounds;
use crate::claim::ClaimedCost;
use crate::inversion::Inversion;
use crate::membership::Inference;
use crate::neighbours::Differences;
use crate::planted::Bug;
use crate::sampling::SamplingStatistics;

/// Everything that the attacks found about one plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttackReport {
    /// The form of this report: 1.
    pub version: u32,
    /// The study, by its plan's `study.id`.
    pub study: StudyId,
    /// The digest of the plan's text.
    pub plan: Digest,
    /// Whose records were used.
    pub records: RecordsUsed,
    /// What one step of the plan does, and how many there are; absent for a plan without noise.
    pub event: Option<GaussianEvent>,
    /// What the whole plan costs by the accountant; absent for a plan without noise.
    pub claim: Option<ClaimedCost>,
    /// The audit by canaries.
    pub canaries: Finding<CanaryReport>,
    /// Exact comparison of neighbouring cohorts and releases.
    pub neighbours: Finding<NeighbourReport>,
    /// The samples of the plan's steps.
    pub sampling: Finding<SamplingReport>,
    /// Two attempts at one round.
    pub attempts: Finding<AttemptReport>,
    /// Membership inference.
    pub membership: Finding<MembershipReport>,
    /// Gradient inversion.
    pub inversion: Finding<InversionReport>,
    /// What contradicts the claim, one line each; empty where nothing does.
    pub findings: Vec<String>,
}

/// Whose records were used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordsUsed {
    /// Invented ones of the plan's schema.
    Synthetic,
    /// The site's own cohort.
    Cohort(CohortName),
}

/// A part of the report, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding<T> {
    /// What was found.
    Done(T),
    /// Why the attack does not apply.
    Skipped(String),
}

impl<T> Finding<T> {
    /// Returns what was found.
    #[must_use]
    pub fn done(&self) -> Option<&T> {
        match self {
            Self::Done(found) => Some(found),
            Self::Skipped(_) => None,
        }
    }
}

/// A planted bug, and whether its detector saw it: a report whose controls fail says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// The bug.
    pub bug: Bug,
    /// Whether it was seen.
    pub caught: bool,
}

/// The audit by canaries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryReport {
    /// The steps that were taken, at most those of the plan, and their price.
    pub claim: ClaimedCost,
    /// What the canaries refute.
    pub bounds: LowerBounds,
    /// The epsilon at the claim's delta that the bounds refute whatever the mechanism.
    pub epsilon_low: f64,
    /// The epsilon at the claim's delta of a Gaussian mechanism with the lower bound on mu.
    pub epsilon_low_gaussian: f64,
    /// The epsilon at the claim's delta that the bound of one run refutes.
    pub epsilon_low_one_run: f64,
    /// Whether the lower bounds are at most the claim.
    pub holds: bool,
    /// The same hunt with planted bugs.
    pub controls: Vec<Control>,
}

/// Exact comparison of neighbours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeighbourReport {
    /// Sums of the real trainer, over cohorts that differ in one patient.
    pub cohorts: Differences,
    /// Releases at equal randomness, with one patient and without.
    pub releases: Differences,
    /// Whether no pair is beyond the claim.
    pub holds: bool,
    /// The same comparison with planted bugs.
    pub controls: Vec<Control>,
}

/// The samples of a plan's steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplingReport {
    /// Statistics that are standard normal for Poisson samples.
    pub statistics: SamplingStatistics,
    /// Whether they are.
    pub holds: bool,
    /// The same statistics of shuffled batches; none where everybody is in every step.
    pub controls: Vec<Control>,
}

/// Two attempts at one round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptReport {
    /// What they have in common.
    pub shared: SharedDraws,
    /// Whether that is nothing.
    pub holds: bool,
    /// The same comparison with noise reused.
    pub controls: Vec<Control>,
}

/// Membership inference by shadow models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MembershipReport {
    /// Shadow models, each for the plan with its noise and for the same without.
    pub models: u32,
    /// Patients whose membership was asked about.
    pub patients: u32,
    /// What the models' training costs by the accountant; absent for a plan without noise.
    pub claim: Option<ClaimedCost>,
    /// Against models with the plan's noise; empty for a plan without.
    pub with_noise: Vec<Inference>,
    /// Against models without noise.
    pub without_noise: Vec<Inference>,
    /// Whether no attack on models with noise is above what the claim leaves possible.
    pub holds: bool,
}

/// Gradient inversion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InversionReport {
    /// The releases that were added up.
    pub steps: u64,
    /// From releases with the plan's noise; absent for a plan without.
    pub with_noise: Option<Inversion>,
    /// From the exact contribution.
    pub without_noise: Inversion,
}

/// The form of the report.
pub const VERSION: u32 = 1;
