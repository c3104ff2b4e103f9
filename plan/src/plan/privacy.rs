//! What a plan says about privacy: clipping, noise, and the integers that calibration chose.

use serde::{Deserialize, Serialize};

use super::metrics::MetricsNoise;
use crate::numbers::{Count, Positive, Probability};

/// Clipping and noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Privacy {
    /// No noise; a site's policy must allow it, and its ledger says `unbounded` from then on.
    None(NoNoise),
    /// Each site's own noise suffices.
    Local(LocalNoise),
}

/// No noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoNoise {
    /// Largest L2 norm of one patient's gradient.
    pub clip: Positive,
}

/// Noise at each site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalNoise {
    /// Largest L2 norm of one patient's gradient.
    pub clip: Positive,
    /// The delta at which epsilon is stated.
    pub delta: Probability,
    /// What calibration aims at.
    pub target: Target,
}

/// What calibration aims at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The epsilon of all attempts together.
    Epsilon(Positive),
    /// The ratio of the noise's standard deviation to the clip, in each step.
    NoiseMultiplier(Positive),
}

/// The integers that calibration chose, and what they cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibrated {
    /// The noise's standard deviation is 2^m grid units.
    pub m: Count<10, 30>,
    /// The largest norm of one patient's quantised contribution, in grid units.
    pub c_int: u64,
    /// Updates are integers modulo 2 to this power: 32, 40 or 64.
    pub modulus_bits: Count<32, 64>,
    /// Noisy sums that are paid for: attempts times local steps.
    pub steps: u64,
    /// The claim: no site's accountant may find more. Absent where nothing bounds it.
    pub epsilon: Option<Positive>,
    /// The same for metrics, where the plan has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsNoise>,
}
