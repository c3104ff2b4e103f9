//! Tails of the normal and the chi-square distribution.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Returns the chance that a standard normal variable exceeds `z`, in [0, 1].
#[must_use]
pub fn normal_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z * FRAC_1_SQRT_2)
}

/// Returns the chance that a chi-square variable of `freedom` degrees, at least 1, exceeds `value`, in [0, 1].
///
/// The finite sums of Abramowitz and Stegun 1964, equations 26.4.4 (odd) and 26.4.5 (even).
#[must_use]
pub fn chi_square_tail(value: f64, freedom: u32) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let half = value / 2.0;
    let (mut tail, mut term, mut of) = if freedom.is_multiple_of(2) {
        (0.0, (-half).exp(), 1.0)
    } else {
        // (x/2)^(1/2) over the gamma function of 3/2.
        (libm::erfc(half.sqrt()), (-half).exp() * half.sqrt() * 2.0 / PI.sqrt(), 1.5)
    };
    for _ in 0..freedom / 2 {
        tail += term;
        term *= half / of;
        of += 1.0;
    }
    tail.min(1.0)
}

/// Returns the z that a standard normal variable exceeds with the chance `tail`, which is in (0, 1/2].
pub(crate) fn normal_quantile(tail: f64) -> f64 {
    // Beyond 40 the tail is below the smallest double.
    let (mut low, mut high) = (0.0, 40.0);
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return middle;
        }
        if normal_tail(middle) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-12 * expected.abs(), "{found} is not {expected}");
    }

    // Expected values: scipy 1.17.1, norm.sf, norm.isf and chi2.sf.
    #[test]
    fn tails_and_quantiles_are_scipys() {
        check(normal_tail(1.0), 0.158_655_253_931_457_07);
        check(normal_tail(-8.0), 0.999_999_999_999_999_3);
        check(normal_quantile(0.025), 1.959_963_984_540_054);
        check(normal_quantile(0.005), 2.575_829_303_548_901);
        check(normal_quantile(1e-300), 37.047_096_299_361_2);
        assert!(normal_quantile(0.5).abs() < 1e-12);
    }

    #[test]
    fn chi_square_tails_are_scipys() {
        for (value, freedom, expected) in CHI_SQUARE {
            check(chi_square_tail(value, freedom), expected);
        }
        assert!((chi_square_tail(0.0, 3) - 1.0).abs() < 1e-12);
    }

    const CHI_SQUARE: [(f64, u32, f64); 6] = [
        (3.84, 1, 0.050_043_521_248_705_19),
        (10.3, 1, 0.001_330_302_090_646_819_3),
        (5.0, 2, 0.082_084_998_623_898_8),
        (7.5, 3, 0.057_558_451_972_636_4),
        (20.0, 4, 0.000_499_399_227_387_333_6),
        (2.0, 17, 0.999_996_557_703_700_6),
    ];
}
