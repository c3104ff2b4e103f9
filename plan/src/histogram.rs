//! The counts that metrics consist of: each test patient is in exactly one cell, or in none.
//!
//! A count is all that leaves of a patient's score, noised. So one patient changes one number by one,
//! whatever the score is.

use serde::{Deserialize, Serialize};

/// What the cells are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Histogram {
    /// Twenty equal bins of the global model's probability: first of the patients without the outcome,
    /// then of those with it.
    Risk,
    /// Twenty equal bins of each patient's Dice overlap.
    Segmentation,
}

impl Histogram {
    /// Returns the number of cells.
    #[must_use]
    pub fn cells(self) -> usize {
        match self {
            Self::Risk => 2 * BINS,
            Self::Segmentation => BINS,
        }
    }
}

/// Returns the bin of a score: it holds its lower edge, and the last also holds 1. What is no number in [0, 1] is in none.
#[must_use]
pub fn bin(score: f64) -> Option<usize> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the bin is where it truncates to, twenty is exact, and scores are not negative here"
    )]
    let bin = || ((score * BINS as f64) as usize).min(BINS - 1);
    (0.0..=1.0).contains(&score).then(bin)
}

/// Twenty: enough for a calibration curve, and one edge is at one half.
pub const BINS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_score_is_in_the_bin_that_holds_it() {
        for (score, expected) in [
            (0.0, Some(0)),
            (0.049_999, Some(0)),
            (0.05, Some(1)),
            (0.5, Some(10)),
            (0.999, Some(19)),
            (1.0, Some(19)),
            (-1e-300, None),
            (1.000_001, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(bin(score), expected, "{score}");
        }
    }
}
