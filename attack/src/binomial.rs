//! Exact binomial tails, and the intervals of Clopper and Pearson.

use serde::{Deserialize, Serialize};

/// A binomial distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Binomial {
    /// The number of trials.
    pub trials: u32,
    /// The probability of a success, in [0, 1].
    pub probability: f64,
}

impl Binomial {
    /// Returns the probability of exactly `successes`, to 1e-10 relative.
    #[must_use]
    pub fn exactly(&self, successes: u32) -> f64 {
        let (n, k) = (f64::from(self.trials), f64::from(successes));
        if successes > self.trials {
            return 0.0;
        }
        if self.probability <= 0.0 || self.probability >= 1.0 {
            let certain = if self.probability <= 0.0 { 0 } else { self.trials };
            return if successes == certain { 1.0 } else { 0.0 };
        }
        let choose = libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0);
        (choose + k * self.probability.ln() + (n - k) * (-self.probability).ln_1p()).exp()
    }

    /// Returns the probability of at least `successes`, to 1e-9 relative where it is small.
    ///
    /// The smaller tail is summed outwards from its largest term.
    #[must_use]
    pub fn at_least(&self, successes: u32) -> f64 {
        if successes == 0 {
            return 1.0;
        }
        if successes > self.trials || self.probability <= 0.0 {
            return 0.0;
        }
        if self.probability >= 1.0 {
            return 1.0;
        }
        let odds = self.probability / (1.0 - self.probability);
        if f64::from(successes) > f64::from(self.trials) * self.probability {
            let ratios =
                (successes..self.trials).map(|k| f64::from(self.trials - k) / f64::from(k + 1) * odds);
            tail(self.exactly(successes), ratios)
        } else {
            let ratios = (1..successes).rev().map(|k| f64::from(k) / f64::from(self.trials - k + 1) / odds);
            1.0 - tail(self.exactly(successes - 1), ratios)
        }
    }
}

/// Sums terms that fall: the first, and each next one by its ratio to the last.
fn tail(first: f64, ratios: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut term) = (first, first);
    for ratio in ratios {
        term *= ratio;
        sum += term;
        if term < sum * f64::EPSILON / 64.0 {
            break;
        }
    }
    sum
}

/// How often something happened, with bounds on its probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// The share that was seen, in [0, 1].
    pub value: f64,
    /// The probability is at least this, at the interval's confidence.
    pub low: f64,
    /// The probability is at most this, at the interval's confidence.
    pub high: f64,
}

impl Rate {
    /// Returns the share of successes with the bounds of Clopper and Pearson, each of which fails with
    /// probability at most `miss`.
    ///
    /// Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    /// binomial", Biometrika 26, 1934. Both bounds are rounded outwards.
    ///
    /// # Panics
    /// When there are more successes than trials, or no trials.
    #[must_use]
    pub fn of(successes: u32, trials: u32, miss: f64) -> Self {
        assert!(successes <= trials && trials > 0, "successes are among the trials");
        let value = f64::from(successes) / f64::from(trials);
        Self {
            value,
            low: least_probability(successes, trials, miss),
            high: 1.0 - least_probability(trials - successes, trials, miss),
        }
    }
}

/// Returns the largest probability, rounded down, with which at least `successes` have a chance of at most `miss`.
fn least_probability(successes: u32, trials: u32, miss: f64) -> f64 {
    if successes == 0 {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while high - low > RESOLUTION {
        let probability = f64::midpoint(low, high);
        if (Binomial { trials, probability }).at_least(successes) <= miss {
            low = probability;
        } else {
            high = probability;
        }
    }
    (low - RESOLUTION).max(0.0)
}

/// Far below the width of any interval here, and above the error of a tail.
const RESOLUTION: f64 = 1e-11;

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{found} is not {expected}");
    }

    #[test]
    fn tails_are_exact() {
        // Sums of integers over 2^10, and scipy.stats.binom.sf for the others (scipy 1.17).
        let coins = Binomial { trials: 10, probability: 0.5 };
        close(coins.exactly(3), 120.0 / 1024.0);
        close(coins.at_least(8), 56.0 / 1024.0);
        close(coins.at_least(2), 1013.0 / 1024.0);
        for (trials, probability, successes, expected) in REFERENCE_TAILS {
            close(Binomial { trials, probability }.at_least(successes), expected);
        }
        for probability in [0.0, 1.0] {
            let sure = Binomial { trials: 5, probability };
            close(sure.at_least(1), probability);
            close(sure.at_least(0), 1.0);
            close(sure.exactly(5), probability);
            close(sure.at_least(6), 0.0);
        }
    }

    #[test]
    fn intervals_are_those_of_clopper_and_pearson() {
        // scipy.stats.beta.ppf, scipy 1.17, each bound at 2.5 %.
        for (successes, trials, low, high) in [
            (8, 10, 0.443_904_537_7, 0.974_789_273_7),
            (0, 10, 0.0, 0.308_497_107_8),
            (10, 10, 0.691_502_892_2, 1.0),
            (1024, 2048, 0.478_114_249_9, 0.521_885_750_1),
            (3, 2048, 0.000_302_187_9, 0.004_274_871_1),
        ] {
            let found = Rate::of(successes, trials, 0.025);
            assert!((found.low - low).abs() < 1e-9 && (found.high - high).abs() < 1e-9, "{found:?}");
            assert!(found.low <= found.value && found.value <= found.high);
        }
    }

    #[test]
    fn a_bound_misses_as_often_as_it_says_and_no_more() {
        // Exact coverage: the sum of all outcomes whose lower bound is above the truth.
        for probability in [0.02, 0.3, 0.5, 0.9] {
            let law = Binomial { trials: 60, probability };
            let missed: f64 =
                (0..=60).filter(|&k| Rate::of(k, 60, 0.05).low > probability).map(|k| law.exactly(k)).sum();
            assert!(missed <= 0.05, "{probability}: {missed}");
        }
    }

    const REFERENCE_TAILS: [(u32, f64, u32, f64); 5] = [
        (4096, 0.3, 1300, 0.008_195_681_095_121_55),
        (4096, 0.3, 1100, 0.999_995_775_548_198_1),
        (2048, 0.001, 9, 0.000_278_837_897_782_659_3),
        (2048, 0.5, 1200, 3.773_932_245_135_502e-15),
        (100, 0.66, 75, 0.034_006_668_767_773_75),
    ];
}
