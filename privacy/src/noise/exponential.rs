//! exp(-E) for dyadic E, between bounds that are proven: in 64-bit integers, and to any precision.
//!
//! [`Exponential::falling`] is what almost every decision needs: fixed point, an error of at most a few
//! units of 2^-63. [`growth`] computes exp(+E) with as many bits as asked for; tables are made with it, and
//! decisions that the first one leaves open are closed with it.
//!
//! Left out on purpose: floating point. Nothing here depends on a rounding mode or a mathematical library.

use std::sync::LazyLock;

use dashu_int::UBig;

/// A number E >= 0 in units of 2^-64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exponent(pub(super) u128);

/// The largest integer below a value and one above it, or equal to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// At most the value.
    pub(super) low: u64,
    /// At least the value.
    pub(super) high: u64,
}

/// exp(-E) in units of 2^-63, from two tables and a short series.
#[derive(Debug)]
pub(super) struct Exponential {
    /// floor(2^63 exp(-a)); from 44 on this is zero.
    whole: [u64; WHOLES],
    /// floor(2^63 exp(-b/16)).
    sixteenths: [u64; 16],
}

impl Exponential {
    /// Returns the tables, which are computed once.
    pub(super) fn shared() -> &'static Self {
        static TABLES: LazyLock<Exponential> = LazyLock::new(|| Exponential {
            whole: std::array::from_fn(|a| floor_of_falling(Exponent((a as u128) << 64))),
            sixteenths: std::array::from_fn(|b| floor_of_falling(Exponent((b as u128) << 60))),
        });
        &TABLES
    }

    /// Encloses 2^63 exp(-E) to within eight units.
    ///
    /// With E = a + b/16 + g, a and b integers and 0 <= g < 1/16, the value is the product of two table
    /// entries and of the alternating series exp(-g) = 1 - g (1 - g/2 (1 - g/3 (...))), cut after the
    /// twelfth term. In units of 2^-63:
    ///
    /// - The rest of the series is below g^13 / 13! < 2^-84, or 2^-21 units.
    /// - Each of its steps rounds one product down: floor(floor(g y) / i) = floor(g y / i) is off by less
    ///   than one unit. An error d of the inner value becomes at most d g / i. So the sum of all is below
    ///   1 + (1 + ...) / 16 < 1.07 in either direction, with the rest of the series 1.08.
    /// - A table entry is at most one unit too small and the values are at most 1, so their product,
    ///   rounded down, is too small by less than 3.
    /// - The final product adds the errors 3 and 1.08 and rounds down: the result v is too large by less
    ///   than 1.08 and too small by less than 3 + 1.08 + 1 = 5.08.
    ///
    /// So v - 2 < 2^63 exp(-E) < v + 6, and it is at most 2^63. From E = 44 on, 2^63 exp(-E) < 1, v is
    /// zero, and the same holds.
    #[inline]
    pub(super) fn falling(&self, exponent: Exponent) -> Bounds {
        let whole = usize::try_from(exponent.0 >> 64).unwrap_or(WHOLES).min(WHOLES - 1);
        #[expect(clippy::cast_possible_truncation, reason = "the fraction is the lowest 64 bits")]
        let fraction = exponent.0 as u64;
        let sixteenth = (fraction >> 60) as usize;
        let rest = fraction & (u64::MAX >> 4);
        let series = (1..=12).rev().fold(ONE, |y, i| ONE - high_product(rest, y) / i);
        let tables = half_product(self.whole[whole], self.sixteenths[sixteenth]);
        let value = half_product(tables, series);
        Bounds { low: value.saturating_sub(2), high: (value + 6).min(ONE) }
    }
}

/// Encloses 2^precision exp(E) between two integers.
///
/// All terms E^i / i! are positive, so that rounding each of them down gives a lower bound, and rounding
/// each up an upper one. Once i >= 2 E every further term is at most half of the one before, and all of
/// them together at most that one, which the upper bound counts twice for it.
pub(super) fn growth(exponent: Exponent, precision: usize) -> (UBig, UBig) {
    let numerator = UBig::from(exponent.0);
    let ceiling = UBig::from(u64::MAX);
    let one = UBig::ONE << precision;
    let (mut low, mut high) = (one.clone(), one.clone());
    let (mut low_term, mut high_term) = (one.clone(), one);
    for i in 1_u128.. {
        low_term = ((low_term * &numerator) >> 64) / UBig::from(i);
        high_term = (((high_term * &numerator + &ceiling) >> 64) + UBig::from(i - 1)) / UBig::from(i);
        low += &low_term;
        high += &high_term;
        if low_term == UBig::ZERO && (i << 64) >= exponent.0.saturating_mul(2) {
            break;
        }
    }
    (low, high + high_term)
}

/// Returns floor(2^63 exp(-E)) exactly.
fn floor_of_falling(exponent: Exponent) -> u64 {
    if exponent.0 == 0 {
        return ONE;
    }
    // exp(-E) is irrational for a rational E > 0, so that enough bits always tell its floor.
    for precision in (128..).step_by(64) {
        let (low, high) = growth(exponent, precision);
        let one = UBig::ONE << (63 + precision);
        let (floor, at_most) = (&one / high, one / low);
        if floor == at_most {
            return u64::try_from(floor).expect("exp(-E) is at most 1");
        }
    }
    unreachable!("the precisions do not end")
}

/// floor(a b / 2^64).
fn high_product(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) >> 64) as u64
}

/// floor(a b / 2^63) of two numbers of at most 2^63.
fn half_product(a: u64, b: u64) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "at most 2^126 / 2^63")]
    let product = ((u128::from(a) * u128::from(b)) >> 63) as u64;
    product
}

/// 1 in units of 2^-63.
pub(super) const ONE: u64 = 1 << 63;

/// exp(-44) < 2^-63.
const WHOLES: usize = 45;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{RandomSource, SeededRandom};

    /// Numbers from Python's decimal module, with 120 digits.
    #[test]
    fn bounds_hold_values_of_another_library() {
        let check = |exponent: u128, scaled: u64| {
            let bounds = Exponential::shared().falling(Exponent(exponent));
            assert!(bounds.low <= scaled && scaled <= bounds.high, "{exponent:x}: {scaled} {bounds:?}");
        };
        check(0, ONE);
        check(0x5555_5555_5555_5555, 6_608_834_853_477_192_517);
        check(1 << 63, 0x4da2_cbf1_be58_27f9);
        check((7 << 64) + (15 << 60) + 1, 3_293_648_709_055_892);
        check((43 << 64) + (1 << 63), 1);
        check(45 << 64, 0);
        check(u128::MAX, 0);
    }

    #[test]
    fn growth_holds_values_of_another_library() {
        let check = |exponent: u128, scaled: &str| {
            let (low, high) = growth(Exponent(exponent), 128);
            let scaled = UBig::from_str_radix(scaled, 16).unwrap();
            assert!(low <= scaled && scaled <= high, "{low} {scaled} {high}");
            assert!((&high - &low) << 64 < low, "{low} {high}");
        };
        check(0, "100000000000000000000000000000000");
        check(1 << 60, "11082b577d34ed7d5b1a019e225c9a951");
        check(1 << 64, "2b7e151628aed2a6abf7158809cf4f3c7");
        check((9 << 64) + (3 << 62), "43023a933ee5cd3d447c15bb6b4317858eaa");
    }

    #[test]
    fn bounds_hold_exact_values_at_random_exponents() {
        let mut random = SeededRandom::new(1);
        for _ in 0..5_000 {
            let mut bytes = [0; 16];
            random.fill(&mut bytes).unwrap();
            // Exponents of all sizes up to 64.
            let exponent = Exponent(u128::from_le_bytes(bytes) >> (58 + random.below(70).unwrap()));
            let (bounds, floor) = (Exponential::shared().falling(exponent), floor_of_falling(exponent));
            assert!(bounds.low <= floor && floor <= bounds.high, "{exponent:?} {floor} {bounds:?}");
            assert!(bounds.high - bounds.low <= 8);
        }
    }
}
