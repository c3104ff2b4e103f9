//! A clip that follows the patients' gradient norms, paid for by the noisy sum itself.

use serde::{Deserialize, Serialize};

use crate::numbers::{Interval, Positive, Probability};

/// A clip that follows a quantile of the norms (Andrew et al. 2021, arXiv 1905.03871, algorithm 1).
///
/// Each contribution has one coordinate more: plus `below` grid units if the gradient is no longer than the
/// round's clip, minus `below` if it is longer, and nothing for a null record or a gradient of zero. The
/// gradient is clipped to what the coordinate leaves of C_int, so that the integer norm of the whole is at
/// most C_int, as it is without: the noisy sum, which is charged anyway, tells the quantile at no further
/// cost. The paper's separate noise for the indicator and the sum, split by its equation 1, is the same
/// trade with two releases. Who sees the sum computes the next clip from it, so that each round's clip is
/// post-processing of releases; `bounds` are public and keep it from running away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveClip {
    /// The fraction of gradients that should be no longer than the clip, in (0, 1).
    pub quantile: Probability,
    /// The step size eta of `clip = clip exp(-eta (below - quantile))`.
    pub learning_rate: Positive,
    /// The range that the clip never leaves, above 0. The privacy section's clip is the first round's.
    pub bounds: Interval,
    /// The part of C_int that the indicator takes, in (0, 1): 0.1 leaves the gradient 99.5 % of it.
    pub share: Probability,
}

/// How a contribution's integer norm is divided: `gradient^2 + below^2 <= C_int^2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NormDivision {
    /// The largest norm of the gradient's part, in grid units.
    pub gradient: u64,
    /// The magnitude of the indicator, in grid units; 0 without one.
    pub below: u64,
}

impl NormDivision {
    /// Leaves the whole norm to the gradient.
    #[must_use]
    pub fn whole(c_int: u64) -> Self {
        Self { gradient: c_int, below: 0 }
    }
}

impl AdaptiveClip {
    /// Divides `c_int`, which is below 2^31; both parts are rounded down.
    #[must_use]
    pub fn divide(&self, c_int: u64) -> NormDivision {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "C_int is below 2^31 and the share within (0, 1)"
        )]
        let below = (c_int as f64 * self.share.get()) as u64;
        NormDivision { gradient: (c_int * c_int - below * below).isqrt(), below }
    }

    /// Returns the next clip after a round in which the fraction `below` of gradients, as the noisy sum says
    /// it, was no longer than `clip`. Noise may put `below` outside of [0, 1]; it counts as the nearer end.
    #[must_use]
    pub fn next(&self, clip: Positive, below: f64) -> Positive {
        let below = if below.is_nan() { self.quantile.get() } else { below.clamp(0.0, 1.0) };
        let next = clip.get() * (-self.learning_rate.get() * (below - self.quantile.get())).exp();
        let next = next.clamp(self.bounds.low(), self.bounds.high());
        Positive::try_from(next).expect("the bounds of a checked plan are above 0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(share: f64) -> AdaptiveClip {
        AdaptiveClip {
            quantile: 0.5.try_into().unwrap(),
            learning_rate: 0.2.try_into().unwrap(),
            bounds: [0.1, 10.0].try_into().unwrap(),
            share: share.try_into().unwrap(),
        }
    }

    #[test]
    fn the_parts_never_exceed_the_whole_and_waste_little() {
        for c_int in [1, 2, 100, 65_536, (1 << 31) - 1] {
            for share in [1e-9, 0.1, 0.5, 0.71, 0.999_999] {
                let NormDivision { gradient, below } = clip(share).divide(c_int);
                let squares = |value: u64| u128::from(value).pow(2);
                assert!(squares(gradient) + squares(below) <= squares(c_int), "{c_int} {share}");
                assert!(squares(gradient + 1) + squares(below) > squares(c_int), "{c_int} {share}");
            }
        }
        assert_eq!(clip(0.6).divide(1000), NormDivision { gradient: 800, below: 600 });
    }

    #[test]
    fn the_clip_moves_against_the_fraction_and_stays_within_its_bounds() {
        let one = Positive::try_from(1.0).unwrap();
        let next = |from: Positive, below: f64| clip(0.1).next(from, below).get();
        assert!((next(one, 1.0) - (-0.1_f64).exp()).abs() < 1e-12);
        assert!((next(one, 0.0) - 0.1_f64.exp()).abs() < 1e-12);
        assert!((next(one, 0.5) - 1.0).abs() < 1e-12 && (next(one, f64::NAN) - 1.0).abs() < 1e-12);
        assert!((next(one, -1e300) - next(one, 0.0)).abs() < 1e-12);
        let (low, high) = (0.1.try_into().unwrap(), 10.0.try_into().unwrap());
        assert!((next(low, 1.0) - 0.1).abs() < 1e-12 && (next(high, 0.0) - 10.0).abs() < 1e-12);
    }
}
