//! Mechanisms as plain data: what is priced, and how often it was used.

use crate::accountant::{GaussianEvent, Segment};

/// What a neighbouring cohort is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Adjacency {
    /// One patient's contributions become zero; the cohort's size stays, and is public. What ledgers state.
    #[default]
    ZeroOut,
    /// One patient is replaced by any other: up to twice the sensitivity. For comparisons; no ledger states it.
    ReplaceOne,
}

impl std::fmt::Display for Adjacency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ZeroOut => "zero-out",
            Self::ReplaceOne => "replace-one",
        })
    }
}

/// One release. Noise is relative to the sensitivity to zeroing out one patient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mechanism {
    /// Gaussian noise on a sum over all patients.
    Gaussian {
        /// The noise's standard deviation over the L2 sensitivity, above 0.
        multiplier: f64,
    },
    /// Gaussian noise on a sum over a Poisson sample.
    PoissonGaussian {
        /// The probability with which each patient is in the sample, in [0, 1].
        rate: f64,
        /// The noise's standard deviation over the L2 sensitivity, above 0.
        multiplier: f64,
    },
    /// Gaussian noise on a sum over a Poisson sample of which, where it is larger than `cap`, a random part of `cap`
    /// patients is kept.
    TruncatedPoissonGaussian {
        /// The probability with which each patient is in the sample before it is cut, in [0, 1].
        rate: f64,
        /// The noise's standard deviation over the L2 sensitivity, above 0.
        multiplier: f64,
        /// The cohort's declared size, which is public.
        patients: u32,
        /// The largest sample, at least 1.
        cap: u32,
    },
    /// Laplace noise.
    Laplace {
        /// The noise's scale over the L1 sensitivity, above 0.
        multiplier: f64,
    },
    /// Discrete Laplace (two-sided geometric) noise on integers: P(k) is proportional to exp(-|k| / scale).
    DiscreteLaplace {
        /// The noise's scale, above 0.
        scale: f64,
        /// The L1 sensitivity.
        sensitivity: u32,
    },
    /// Discrete Gaussian noise on vectors of integers.
    DiscreteGaussian {
        /// The scale sigma: P(k) is proportional to exp(-k^2 / 2 sigma^2). Above 6; below, nothing is proven.
        scale: f64,
        /// The L2 sensitivity.
        sensitivity: f64,
    },
    /// Anything that is private with this epsilon and a delta of zero.
    Pure {
        /// The epsilon, at least 0.
        epsilon: f64,
    },
}

/// A mechanism and how often it was used, with fresh noise each time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    /// The mechanism.
    pub mechanism: Mechanism,
    /// How often.
    pub count: u64,
}

impl Event {
    /// Returns the event as steps of the Poisson-subsampled Gaussian mechanism, if it is that, for zeroing out one
    /// patient. A discrete Gaussian is, by the lemma of [`GaussianEvent::noise_multiplier`].
    pub(crate) fn segment(&self) -> Option<Segment> {
        let (rate, multiplier) = match self.mechanism {
            Mechanism::Gaussian { multiplier } => (1.0, multiplier),
            Mechanism::PoissonGaussian { rate, multiplier } => (rate, multiplier),
            Mechanism::DiscreteGaussian { scale, sensitivity } => {
                (1.0, discrete_multiplier(scale, sensitivity)?)
            }
            Mechanism::TruncatedPoissonGaussian { .. }
            | Mechanism::Laplace { .. }
            | Mechanism::DiscreteLaplace { .. }
            | Mechanism::Pure { .. } => return None,
        };
        Some(Segment { rate, multiplier, steps: self.count })
    }
}

impl From<&GaussianEvent> for Event {
    fn from(event: &GaussianEvent) -> Self {
        Segment::from(event).into()
    }
}

impl From<Segment> for Event {
    fn from(segment: Segment) -> Self {
        let Segment { rate, multiplier, steps } = segment;
        Self { mechanism: Mechanism::PoissonGaussian { rate, multiplier }, count: steps }
    }
}

/// Returns sqrt(scale^2 - 36) / sensitivity, rounded down: the continuous multiplier that costs at least as much as a
/// discrete Gaussian, see [`GaussianEvent::noise_multiplier`].
pub(crate) fn discrete_multiplier(scale: f64, sensitivity: f64) -> Option<f64> {
    let variance = scale * scale * (1.0 - 4.0 * f64::EPSILON) - 36.0;
    (variance > 0.0).then(|| variance.sqrt() / sensitivity * (1.0 - 4.0 * f64::EPSILON))
}
