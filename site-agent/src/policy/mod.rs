//! What studies may ask of this site. Whatever is not allowed here is refused.
//!
//! This file is what a hospital writes; `rules` hold plans against it, `denied` is what a refusal says, and
//! [`researchers`] are whose plans count.

pub mod policy_error;
pub mod researchers;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;

use fedtwin_plan::CohortName;
use fedtwin_plan::numbers::{Count, Positive, Probability};
use fedtwin_plan::plan::Mode;
use fedtwin_plan::text_file::Problem;
use serde::Deserialize;

pub use policy_error::{PlanLine, PolicyError};
pub use researchers::{ResearcherKeys, Researchers};

/// The site's own rules; the coordinator can neither see nor change them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Model families that may be trained here.
    pub models: BTreeSet<String>,
    /// The largest number of weights.
    pub parameters_max: usize,
    /// Cohorts that studies may use.
    pub cohorts: BTreeSet<CohortName>,
    /// Researchers whose plans count, by their identity keys; nobody's without it.
    #[serde(default)]
    pub researchers: Researchers,
    /// How releases may be protected.
    pub modes: BTreeSet<Mode>,
    /// The least ratio of noise to clip in one step; of shared noise, that which surely counts.
    pub noise_multiplier_min: Positive,
    /// The least ratio of this site's own noise to the clip, where the noise is shared: what still protects its patients
    /// if all others turn out to be on one side. Needed with mode `shared`.
    pub own_noise_multiplier_min: Option<Positive>,
    /// The fewest sites that a plan with shared noise must count as colluders. Needed with mode `shared`.
    pub colluders_min: Option<u32>,
    /// The largest delta that a plan may state its epsilon at.
    pub delta_max: Probability,
    /// The most attempts that a plan may ask for.
    pub attempts_max: u32,
    /// The most blocks that a plan may charge its budget in. Each block of sampled steps takes a part of the budget's
    /// delta for its Gaussian bound, and a plan of many cheap ones could take it all.
    #[serde(default = "blocks_max")]
    pub blocks_max: u32,
    /// The fewest seconds between the moments at which an update may leave, where who is in a step is secret.
    #[serde(default = "slot_s_min")]
    pub slot_s_min: u32,
    /// The fewest sites that a plan may go on with.
    pub sites_min: u32,
    /// The most studies that this site takes part in at one time. Each has a trainer, a process of gigabytes.
    #[serde(default = "studies_max")]
    pub studies_max: Count<1, 64>,
    /// What plans may ask of metrics; without it no plan with metrics is accepted.
    pub metrics: Option<MetricsPolicy>,
    /// Whom this site hides among; without it no plan with shared noise is accepted.
    pub secure_aggregation: Option<SecurePolicy>,
}

/// Whom this site hides among.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurePolicy {
    /// The folder with the identity certificates of the other sites, which people here have checked: `NAME.pem`
    /// each. Nobody else counts, whatever the federation's authority certifies.
    pub peers: PathBuf,
    /// The fewest sites to hide among, this one included.
    pub sites_min: Count<3, 10_000>,
}

/// What plans may ask of metrics.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsPolicy {
    /// The least noise in each count, in patients.
    pub noise_patients_min: Positive,
    /// The most releases in one study.
    pub releases_max: u32,
}

impl Policy {
    /// Checks that the policy says what it has to: shared noise is as strong as what a hospital believes of the others,
    /// and that must not be the researcher's choice.
    ///
    /// # Errors
    /// Names the line that is missing.
    pub fn check_lines(&self) -> Result<(), Problem> {
        if !self.modes.contains(&Mode::Shared) {
            return Ok(());
        }
        let message = match (self.colluders_min, self.own_noise_multiplier_min) {
            (None, _) => {
                "allows \"shared\" and needs a line `colluders_min`: the fewest sites, of those that this one hides \
                 among, that a plan must expect to pool what they know (1 is a beginning)"
            }
            (_, None) => {
                "allows \"shared\" and needs a line `own_noise_multiplier_min`: the least ratio of this site's own noise \
                 to the clip, which is what its patients have if everybody else colludes (0.5 is a beginning)"
            }
            (Some(_), Some(_)) => return Ok(()),
        };
        Err(Problem::new("policy.modes", message))
    }
}

/// Twenty blocks of sampled steps take a fiftieth of the delta that all blocks of a cohort may take.
const fn blocks_max() -> u32 {
    20
}

/// The least that a plan itself must have.
const fn slot_s_min() -> u32 {
    1
}

/// Four trainers may map 64 GiB by default, and use some gigabytes.
fn studies_max() -> Count<1, 64> {
    Count::try_from(4).expect("4 is in range")
}
