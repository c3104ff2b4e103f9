//! The standard normal distribution, to the last digits of a double.

use std::f64::consts::FRAC_1_SQRT_2;

/// Returns the probability below `x`.
#[must_use]
pub fn below(x: f64) -> f64 {
    libm::erfc(-x * FRAC_1_SQRT_2) / 2.0
}

/// Returns the x with this probability below it: infinite at 0 and 1.
///
/// Found by halving an interval until no number is between, on the side where the tail is small and
/// therefore exact.
#[must_use]
pub fn quantile(probability: f64) -> f64 {
    if probability > 0.5 {
        return -quantile(1.0 - probability);
    }
    if probability <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let (mut low, mut high) = (LEAST, 0.0);
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return high;
        }
        if below(middle) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// Returns the largest true-positive rate that a mu-GDP mechanism leaves to any test with this
/// false-positive rate: Phi(PhiInv(rate) + mu).
///
/// Dong, Roth and Su, 2019 (arXiv 1905.02383), definition 2.4 and equation 6.
#[must_use]
pub fn true_positive_rate_max(false_positive_rate: f64, mu: f64) -> f64 {
    below(quantile(false_positive_rate) + mu)
}

/// Below this no double has any probability left.
const LEAST: f64 = -40.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        // scipy.stats.norm.ppf, scipy 1.17.
        let reference = [
            (1e-300, -37.047_096_299_361_2),
            (1e-5, -4.264_890_793_922_825),
            (0.001, -3.090_232_306_167_813_5),
            (0.025, -1.959_963_984_540_054_5),
            (0.4, -0.253_347_103_135_799_8),
            (0.975, 1.959_963_984_540_054),
            (0.999_999, 4.753_424_308_817_087),
        ];
        for (probability, expected) in reference {
            let found: f64 = quantile(probability);
            assert!((found - expected).abs() < 1e-9 * expected.abs(), "{probability}: {found}");
            assert!((below(found) - probability).abs() < 1e-14, "{probability}");
        }
        assert!(quantile(0.5).abs() < 1e-15);
        assert!(quantile(0.0).is_infinite() && quantile(1.0).is_infinite());
    }

    #[test]
    fn no_test_beats_chance_at_mu_zero() {
        for rate in [0.001, 0.01, 0.5, 0.9] {
            assert!((true_positive_rate_max(rate, 0.0) - rate).abs() < 1e-14);
        }
        assert!((true_positive_rate_max(0.01, 1.0) - 0.092_362_248_073_694).abs() < 1e-13);
    }
}
