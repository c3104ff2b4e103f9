//! What a plan says about privacy: clipping, noise, and the integers that calibration chose.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::metrics::MetricsNoise;
use crate::numbers::{Count, Positive, Probability};
use crate::wire_bits::WireBits;

/// Clipping and noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Privacy {
    /// No noise; a site's policy must allow it, and its ledger says `unbounded` from then on.
    None(NoNoise),
    /// Each site's own noise suffices.
    Local(LocalNoise),
    /// The noise of all sites together suffices, for those who see the sum alone.
    Shared(SharedNoise),
}

impl Privacy {
    /// Returns the largest L2 norm of one patient's gradient.
    #[must_use]
    pub fn clip(&self) -> Positive {
        match self {
            Self::None(NoNoise { clip, .. })
            | Self::Local(LocalNoise { clip, .. })
            | Self::Shared(SharedNoise { clip, .. }) => *clip,
        }
    }

    /// Says whether secure aggregation hides single updates.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        match self {
            Self::None(NoNoise { sums_only, .. }) => *sums_only,
            Self::Local(_) => false,
            Self::Shared(_) => true,
        }
    }

    /// Returns what site policies and figures call it.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self {
            Self::None(NoNoise { sums_only: false, .. }) => Mode::None,
            Self::None(NoNoise { sums_only: true, .. }) => Mode::SumsOnly,
            Self::Local(_) => Mode::Local,
            Self::Shared(_) => Mode::Shared,
        }
    }

    /// Returns the delta at which epsilon is stated, in (0, 1), where there is noise.
    #[must_use]
    pub fn delta(&self) -> Option<f64> {
        match self {
            Self::None(_) => None,
            Self::Local(LocalNoise { delta, .. }) | Self::Shared(SharedNoise { delta, .. }) => {
                Some(delta.get())
            }
        }
    }
}

/// How releases are protected, as site policies name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Not at all: the cohort's total reads `unbounded` from then on.
    None,
    /// By secure aggregation alone, which opens sums without noise: the total reads `unbounded` all the same.
    SumsOnly,
    /// By a site's own noise.
    Local,
    /// By the noise of several sites, in sums that secure aggregation opens and nothing else.
    Shared,
}

impl Mode {
    /// Returns the name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SumsOnly => "sums-only",
            Self::Local => "local",
            Self::Shared => "shared",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoNoise {
    /// Largest L2 norm of one patient's gradient.
    pub clip: Positive,
    /// Whether secure aggregation opens sums over the sites alone: no single update is seen, and nothing bounds what a
    /// sum says about a patient.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sums_only: bool,
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

/// Noise that is shared by the sites of a sum.
///
/// Every site draws noise of 2^m grid units, and the noise multiplier of the target is that of the sum of
/// k = sites - colluders - dropouts of them. Secure aggregation opens sums alone, of all sites but `dropouts` at
/// least; so that is what anybody sees but for the colluders, who know their own noise, and what a site charges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedNoise {
    /// Largest L2 norm of one patient's gradient.
    pub clip: Positive,
    /// The delta at which epsilon is stated.
    pub delta: Probability,
    /// What calibration aims at, for the sum.
    pub target: Target,
    /// Sites that may pool what they know with the coordinator: their noise does not count.
    pub colluders: Count<0, 10_000>,
    /// Sites that may be missing from a sum: their noise does not count either. Fewer than a third of all.
    pub dropouts: Count<0, 10_000>,
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
    /// Updates are integers modulo 2 to this power.
    pub modulus_bits: WireBits,
    /// Noisy sums that are paid for: attempts times local steps.
    pub steps: u64,
    /// The claim: no site's accountant may find more. Absent where nothing bounds it.
    pub epsilon: Option<Positive>,
    /// The same for metrics, where the plan has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsNoise>,
}
