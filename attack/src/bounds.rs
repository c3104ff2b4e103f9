//! From right and wrong calls to lower bounds on what a mechanism costs.

use serde::{Deserialize, Serialize};

use crate::binomial::Rate;
use crate::normal::quantile;
use crate::one_run::Guesses;

/// Independent calls of somebody in or out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trials {
    /// Who was in.
    pub inside: u32,
    /// Who was in and was called in.
    pub true_positives: u32,
    /// Who was out.
    pub outside: u32,
    /// Who was out and was called in.
    pub false_positives: u32,
}

/// What a run of calls refutes: every claim below these bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LowerBounds {
    /// The share called in among those that were in.
    pub true_positives: Rate,
    /// The share called in among those that were out.
    pub false_positives: Rate,
    /// No mechanism with a smaller mu does this.
    pub mu: f64,
    /// Guesses about the surest canaries, for the bound of one run.
    pub guesses: Guesses,
    /// The probability with which each of the bounds may fail.
    pub miss: f64,
}

impl LowerBounds {
    /// Bounds from independent trials; a bound fails with probability at most `miss`.
    ///
    /// Each of the two rates may fail with half of that. The bound on mu is that of a Gaussian trade-off
    /// curve through the worst point of the rectangle: PhiInv(TPR) - PhiInv(FPR), never below 0 (Dong,
    /// Roth and Su, 2019, arXiv 1905.02383, equation 6).
    ///
    /// # Panics
    /// When nobody was in, or nobody out.
    #[must_use]
    pub fn of(trials: &Trials, guesses: &Guesses, miss: f64) -> Self {
        let true_positives = Rate::of(trials.true_positives, trials.inside, miss / 2.0);
        let false_positives = Rate::of(trials.false_positives, trials.outside, miss / 2.0);
        let mu = (quantile(true_positives.low) - quantile(false_positives.high)).max(0.0);
        Self { true_positives, false_positives, mu, guesses: *guesses, miss }
    }

    /// Returns the largest epsilon that the rates refute at `delta`, whatever the mechanism; 0 where none.
    ///
    /// Kairouz, Oh and Viswanath, "The Composition Theorem for Differential Privacy", 2015 (arXiv
    /// 1311.0776), theorem 2.1: TPR <= e^epsilon FPR + delta, and the same for the complements.
    #[must_use]
    pub fn epsilon(&self, delta: f64) -> f64 {
        let bound = |certain: f64, wrong: f64| ((certain - delta).max(0.0) / wrong).ln();
        let called_in = bound(self.true_positives.low, self.false_positives.high);
        let called_out = bound(1.0 - self.false_positives.high, 1.0 - self.true_positives.low);
        called_in.max(called_out).max(0.0)
    }

    /// Returns the largest epsilon that the guesses refute at `delta` by the bound of one run.
    #[must_use]
    pub fn one_run_epsilon(&self, delta: f64) -> f64 {
        self.guesses.epsilon_low(delta, self.miss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Guesses = Guesses { canaries: 1, made: 0, right: 0 };

    #[test]
    fn bounds_are_those_of_the_worst_corner() {
        let trials = Trials { inside: 2048, true_positives: 1420, outside: 2048, false_positives: 620 };
        let bounds = LowerBounds::of(&trials, &NONE, 0.05);
        // scipy: norm.ppf(beta.ppf(.025, 1420, 629)) - norm.ppf(beta.ppf(.975, 621, 1428)).
        assert!((bounds.mu - MU).abs() < 1e-8, "{}", bounds.mu);
        let epsilon = (bounds.true_positives.low / bounds.false_positives.high).ln();
        assert!((bounds.epsilon(0.0) - epsilon).abs() < 1e-12);
        assert!(bounds.epsilon(0.1) < epsilon && bounds.epsilon(0.9) <= 0.0);
    }

    #[test]
    fn chance_refutes_nothing() {
        for (true_positives, false_positives) in [(50, 50), (0, 0), (100, 100), (0, 100), (40, 60)] {
            let trials = Trials { inside: 100, true_positives, outside: 100, false_positives };
            let bounds = LowerBounds::of(&trials, &NONE, 0.05);
            assert!(bounds.mu <= 0.0 && bounds.epsilon(1e-5) <= 0.0, "{trials:?} {bounds:?}");
        }
    }

    #[test]
    fn perfect_calls_refute_what_their_number_allows() {
        let trials = Trials { inside: 2048, true_positives: 2048, outside: 2048, false_positives: 0 };
        let bounds = LowerBounds::of(&trials, &NONE, 0.05);
        assert!((5.8..5.9).contains(&bounds.mu), "{}", bounds.mu);
        assert!((6.3..6.4).contains(&bounds.epsilon(1e-5)), "{}", bounds.epsilon(1e-5));
    }

    const MU: f64 = 0.906_788_065_405_163_3;
}
