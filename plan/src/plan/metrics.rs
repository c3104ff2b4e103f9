//! What a plan says about metrics: how often sites release counts of the model's scores, and at what cost.

use serde::{Deserialize, Serialize};

use super::PlanFile;
use crate::numbers::{Count, Positive, Probability};

/// Noised counts of scores on the sites' test patients; without this section no score leaves a site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// The largest epsilon of all releases together, besides what training costs.
    pub epsilon: Positive,
    /// The delta at which it is stated.
    pub delta: Probability,
    /// Release after every so many rounds besides the last one; 0 releases after the last one only.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub every_rounds: u32,
}

/// The integers that calibration chose for metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsNoise {
    /// The noise's standard deviation in each count is 2^m grid units.
    pub m: Count<10, 30>,
    /// What one patient adds to one count, in grid units.
    pub c_int: Count<1, 0x7fff_ffff>,
    /// The releases that are paid for.
    pub releases: u32,
    /// The claim: no site's accountant may find more.
    pub epsilon: Positive,
}

impl MetricsNoise {
    /// Returns the standard deviation of one site's noise in each count, in patients.
    #[must_use]
    pub fn patients(&self) -> f64 {
        f64::from(self.m.get()).exp2() / f64::from(self.c_int.get())
    }
}

impl<C> PlanFile<C> {
    /// Says whether sites release metrics of the model after so many rounds.
    #[must_use]
    pub fn measures_after(&self, rounds: u32) -> bool {
        let Some(metrics) = &self.metrics else { return false };
        let every = metrics.every_rounds;
        rounds == self.rounds.count.get() || (every > 0 && rounds > 0 && rounds.is_multiple_of(every))
    }

    /// Returns the number of releases of metrics in the whole study.
    #[must_use]
    pub fn metrics_releases(&self) -> u32 {
        let Some(metrics) = &self.metrics else { return 0 };
        let count = self.rounds.count.get();
        // The last round's release is not another one where it falls on the grid.
        (count - 1).checked_div(metrics.every_rounds).unwrap_or(0) + 1
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}
