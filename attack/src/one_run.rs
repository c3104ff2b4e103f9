//! A lower bound on epsilon from one run in which many canaries were in or out.
//!
//! Steinke, Nasr and Jagielski, "Privacy Auditing with One (1) Training Run", 2023 (arXiv 2305.08846),
//! theorem 5.2 and appendix D. It assumes nothing of the mechanism but (epsilon, delta) for adding or
//! removing one canary. Its delta term grows with the number of canaries, so that at a delta of 1e-3
//! and thousands of canaries it says little; it stands beside the bound of [`crate::bounds`].

use serde::{Deserialize, Serialize};

use crate::binomial::Binomial;

/// Guesses about canaries; those that no guess was made about count among `canaries` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guesses {
    /// All canaries, each in or out by a fair coin.
    pub canaries: u32,
    /// How many were guessed at all, chosen without looking at the coins.
    pub made: u32,
    /// How many guesses were right.
    pub right: u32,
}

impl Guesses {
    /// Bounds the probability of at least so many right guesses under (`epsilon`, `delta`):
    /// beta + alpha 2 m delta, at most 1.
    #[must_use]
    pub fn probability_max(&self, epsilon: f64, delta: f64) -> f64 {
        let law = Binomial { trials: self.made, probability: 1.0 / (1.0 + (-epsilon).exp()) };
        let (mut steepest, mut below) = (0.0_f64, 0.0);
        for fewer in 1..=self.right {
            below += law.exactly(self.right - fewer);
            steepest = steepest.max(below / f64::from(fewer));
        }
        let slack = steepest * 2.0 * f64::from(self.canaries) * delta;
        (law.at_least(self.right) + slack).min(1.0)
    }

    /// Returns the largest epsilon, rounded down, that the guesses refute at `delta`, wrongly with
    /// probability at most `miss`; 0 where they refute none.
    #[must_use]
    pub fn epsilon_low(&self, delta: f64, miss: f64) -> f64 {
        let refuted = |epsilon: f64| self.probability_max(epsilon, delta) < miss;
        if !refuted(0.0) {
            return 0.0;
        }
        let mut high = 1.0;
        while high < EPSILON_MAX && refuted(high) {
            high *= 2.0;
        }
        let mut low = 0.0;
        while high - low > RESOLUTION {
            let middle = f64::midpoint(low, high);
            if refuted(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// More than any number of guesses refutes.
const EPSILON_MAX: f64 = 64.0;
const RESOLUTION: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_the_papers() {
        // Appendix D prints 0.673 for 75 right of 100 guesses on 1000 canaries at delta 1e-4 and 95 %.
        let guesses = Guesses { canaries: 1000, made: 100, right: 75 };
        assert!(
            (guesses.epsilon_low(1e-4, 0.05) - 0.673).abs() < 5e-4,
            "{}",
            guesses.epsilon_low(1e-4, 0.05)
        );
        // Without delta it inverts the bound of Clopper and Pearson on the share of right guesses.
        let share = crate::binomial::Rate::of(75, 100, 0.05).low;
        assert!((guesses.epsilon_low(0.0, 0.05) - (share / (1.0 - share)).ln()).abs() < 1e-5);
    }

    #[test]
    fn chance_and_large_deltas_refute_nothing() {
        let half = Guesses { canaries: 1000, made: 100, right: 50 };
        assert!(half.epsilon_low(0.0, 0.05) <= 0.0);
        let all = Guesses { canaries: 4096, made: 512, right: 512 };
        assert!(all.epsilon_low(0.01, 0.05) <= 0.0);
        assert!(all.epsilon_low(1e-9, 0.05) > 5.0);
        let none = Guesses { canaries: 10, made: 0, right: 0 };
        assert!(none.epsilon_low(0.0, 0.05) <= 0.0);
    }

    #[test]
    fn more_right_guesses_refute_more() {
        let bound = |right| Guesses { canaries: 1000, made: 100, right }.epsilon_low(1e-5, 0.05);
        assert!((60..100).all(|right| bound(right) <= bound(right + 1)));
    }
}
