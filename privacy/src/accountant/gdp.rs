//! The Gaussian mechanism without subsampling, exactly.
//!
//! T steps with noise multiplier z are one Gaussian mechanism with mu = sqrt(T) / z, whose (epsilon,
//! delta) curve has a closed form: Balle and Wang, "Improving the Gaussian Mechanism for Differential
//! Privacy", 2018 (arXiv 1805.06530), theorem 8; mu-GDP in Dong, Roth and Su, 2019 (arXiv 1905.02383),
//! corollary 2.13. Adjacency: one patient zeroed out, at sensitivity 1.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use libm::{erfc, exp, expm1};

use crate::accountant::{NUMERICAL_ERROR, upward};

/// Returns delta at `epsilon` of a mu-GDP mechanism, rounded up:
/// Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu).
#[must_use]
pub fn delta(epsilon: f64, mu: f64) -> f64 {
    if mu <= 0.0 {
        return 0.0;
    }
    let (delta, error) = delta_with_error(epsilon, mu);
    (delta + error).clamp(0.0, 1.0)
}

/// Returns what [`delta`] does, rounded down, for mu above 0.
pub(crate) fn delta_below(epsilon: f64, mu: f64) -> f64 {
    let (delta, error) = delta_with_error(epsilon, mu);
    delta - error
}

/// Returns delta and a bound on its error.
fn delta_with_error(epsilon: f64, mu: f64) -> (f64, f64) {
    // With a = (epsilon/mu + mu/2) / sqrt 2 and b = (epsilon/mu - mu/2) / sqrt 2, the second term is
    // exp(epsilon) erfc(a) / 2 = exp(-b^2) erfcx(a) / 2, and the first is exp(-b^2) erfcx(b) / 2.
    let (ratio, half) = (epsilon / mu, mu / 2.0);
    let (a, b) = ((ratio + half) * FRAC_1_SQRT_2, (ratio - half) * FRAC_1_SQRT_2);
    let weight = exp(-b * b);
    let first = if b > 0.0 { weight * erfcx(b) } else { erfc(b) };
    let second = weight * erfcx(a);
    // Both terms are accurate to (1e-14 + the error of b^2) relative; their difference may be much smaller.
    let error = (first + second) * (1e-14 + 4.0 * f64::EPSILON * b * b);
    ((first - second) / 2.0, error / 2.0)
}

/// Returns epsilon at `delta` of a mu-GDP mechanism, rounded up.
#[must_use]
pub fn epsilon(mu: f64, delta_max: f64) -> f64 {
    if delta(0.0, mu) <= delta_max {
        return 0.0;
    }
    let mut high = 1.0;
    while delta(high, mu) > delta_max {
        high *= 2.0;
        if high > EPSILON_MAX {
            return f64::INFINITY;
        }
    }
    let low = if high > 1.0 { high / 2.0 } else { 0.0 };
    upward(bisect(low, high, |epsilon| delta(epsilon, mu) <= delta_max))
}

/// Returns the largest mu whose epsilon at `delta_max` is at most `epsilon`, rounded down.
#[must_use]
pub fn mu(epsilon: f64, delta_max: f64) -> f64 {
    // In terms of 1/mu the condition goes from false to true, as `bisect` wants; what the other
    // functions round up must still fit.
    let epsilon = epsilon * (1.0 - 4.0 * NUMERICAL_ERROR);
    let fits = |inverse: f64| delta(epsilon, 1.0 / inverse) <= delta_max;
    let mut high = 1.0;
    while !fits(high) {
        high *= 2.0;
        if high > MU_MAX {
            return 0.0;
        }
    }
    let mut low = high / 2.0;
    while low > 1.0 / MU_MAX && fits(low) {
        low /= 2.0;
    }
    (1.0 - NUMERICAL_ERROR) / bisect(low, low * 2.0, fits)
}

/// Returns the upper end of the interval that is left after halving `low..high` until no number is
/// between: `holds` is false below and true above.
pub(crate) fn bisect(mut low: f64, mut high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return high;
        }
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
}

/// Returns exp(x^2) erfc(x), accurate to 1e-14 relative for x above -5.
pub(crate) fn erfcx(x: f64) -> f64 {
    if x < FRACTION_MIN {
        // x^2 is split into a rounded square and its exact error, which exp would magnify.
        let square = x * x;
        let error = x.mul_add(x, -square);
        return exp(square) * erfc(x) * (1.0 + expm1(error));
    }
    // The continued fraction of Abramowitz and Stegun, 7.1.14, from its 40th level upwards.
    let fraction = (1..=40).rev().fold(x, |tail, k| x + f64::from(k) / 2.0 / tail);
    1.0 / (fraction * PI.sqrt())
}

/// From here on forty levels of the continued fraction are exact to the last digit.
const FRACTION_MIN: f64 = 5.0;

/// Beyond this nothing is promised, and bisection has to end.
const EPSILON_MAX: f64 = 1e12;
const MU_MAX: f64 = 1e9;

#[cfg(test)]
mod tests {
    use super::*;

    /// `eps_exact` of the rows G of `epsilon.csv`: sigma, steps, delta, epsilon.
    const REFERENCE: [(f64, u32, f64, f64); 6] = [
        (0.5, 1, 1e-5, 9.997_256_146_43),
        (1.0, 1, 1e-6, 4.886_554_117_46),
        (5.0, 1, 1e-5, 0.725_521_750_858),
        (1.0, 10, 1e-5, 17.856_586_830_1),
        (10.0, 100, 1e-6, 4.886_554_117_46),
        (0.8, 3, 1e-3, 8.418_376_394_12),
    ];

    #[test]
    fn epsilons_match_the_exact_rows() {
        for (sigma, steps, delta, expected) in REFERENCE {
            let found = epsilon(f64::from(steps).sqrt() / sigma, delta);
            assert!((found / expected - 1.0).abs() < 2e-12, "{sigma} {steps} {delta}: {found} {expected}");
        }
    }

    #[test]
    fn scaled_erfc_is_smooth_where_its_methods_meet() {
        // Values of mpmath at 30 digits.
        for (x, expected) in [(0.0, 1.0), (1.0, 0.427_583_576_155_807), (10.0, 0.056_140_992_743_822_6)] {
            assert!((erfcx(x) / expected - 1.0).abs() < 1e-14, "{x}");
        }
        let (below, above) = (erfcx(FRACTION_MIN - 1e-13), erfcx(FRACTION_MIN));
        assert!((below / above - 1.0).abs() < 1e-13, "{below} {above}");
    }

    #[test]
    fn deltas_hold_in_the_tails() {
        assert!((delta(0.0, 1.0) - 0.382_924_922_548_026).abs() < 1e-12);
        // Halving mu squares the tail, about: it neither vanishes nor turns negative.
        for mu in [1e-3, 0.1, 1.0, 10.0] {
            let deltas: Vec<_> = (0..200).map(|i| delta(f64::from(i) * mu / 10.0, mu)).collect();
            assert!(deltas.windows(2).all(|pair| pair[1] <= pair[0] * (1.0 + 1e-9)), "{mu}");
            assert!(deltas.iter().all(|&d| d > 0.0 || d < 1e-80), "{mu}");
        }
    }

    #[test]
    fn edges_are_harmless() {
        assert!(epsilon(0.0, 1e-5) <= 0.0);
        assert!(epsilon(1e-9, 1e-5) <= 0.0);
        assert!(epsilon(1.0, 1e-300) > 37.0 && epsilon(1.0, 1e-300) < 50.0);
        assert!(epsilon(100.0, 1e-5) > 5000.0 && epsilon(100.0, 1e-5).is_finite());
        assert!(epsilon(1e8, 1e-5).is_infinite());
    }

    #[test]
    fn mu_is_the_inverse_of_epsilon() {
        for (eps, delta) in [(0.01, 1e-3), (1.0, 1e-3), (1.0, 1e-5), (8.0, 1e-5), (200.0, 1e-9)] {
            let found = mu(eps, delta);
            let back = epsilon(found, delta);
            assert!(back <= eps && back >= eps * (1.0 - 1e-6), "{eps} {delta}: {found} {back}");
        }
    }
}
