//! Conversions of numbers from one unit into another, with one rounding at the end.

use dashu_ratio::RBig;

use crate::decimal::Decimal;

/// A number's way from one unit into another: times a factor and plus an offset, both exact.
///
/// The result is the binary number nearest to the exact value, ties to even (IEEE 754-2019, 4.3.1): 1.1 m is 110 cm and not
/// 110.00000000000001, and whoever writes the same value in another unit gets the same bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    scale: RBig,
    shift: RBig,
    small: Option<Small>,
}

/// A conversion of small whole numbers: (factor x + offset) / divisor, each below 2^53 in size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Small {
    factor: i64,
    offset: i64,
    divisor: i64,
}

impl Conversion {
    /// Makes the conversion of x to `scale` x + `shift`.
    pub(crate) fn new(scale: RBig, shift: RBig) -> Self {
        let small = Small::of(&scale, &shift);
        Self { scale, shift, small }
    }

    /// Says whether every number stays what it is.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.scale.is_one() && self.shift.is_zero()
    }

    /// Converts a number; infinite where it is too large for 64 bits.
    #[must_use]
    pub fn apply(&self, x: &Decimal) -> f64 {
        self.fast(x).unwrap_or_else(|| self.exact(x))
    }

    /// Converts by one division, where numerator and denominator are exact in 64 bits: then it is rounded correctly.
    fn fast(&self, x: &Decimal) -> Option<f64> {
        let Small { factor, offset, divisor } = self.small?;
        let (mantissa, exponent) = x.small()?;
        let power = 10_i128.checked_pow(exponent.unsigned_abs()).filter(|&power| power < WHOLE_MAX)?;
        // Below 2^53 each, but for the power: no product of two passes 2^127.
        let product = i128::from(mantissa) * i128::from(factor);
        let (numerator, denominator) = if exponent < 0 {
            (product + i128::from(offset) * power, i128::from(divisor) * power)
        } else {
            (product.checked_mul(power)?.checked_add(offset.into())?, i128::from(divisor))
        };
        Some(whole(numerator)? / whole(denominator)?)
    }

    fn exact(&self, x: &Decimal) -> f64 {
        (x.ratio() * &self.scale + &self.shift).to_f64().value()
    }
}

impl Small {
    fn of(scale: &RBig, shift: &RBig) -> Option<Self> {
        let part = |x: i128| i64::try_from(x).ok().filter(|x| x.unsigned_abs() <= 1 << 53);
        let (p, q) = (i128::try_from(scale.numerator()).ok()?, i128::try_from(scale.denominator()).ok()?);
        let (o, r) = (i128::try_from(shift.numerator()).ok()?, i128::try_from(shift.denominator()).ok()?);
        Some(Self {
            factor: part(p.checked_mul(r)?)?,
            offset: part(o.checked_mul(q)?)?,
            divisor: part(q.checked_mul(r)?)?,
        })
    }
}

/// Returns a whole number as a binary one, where no digit is lost.
fn whole(x: i128) -> Option<f64> {
    #[expect(clippy::cast_possible_truncation, reason = "back from a whole number below 2^74")]
    let (binary, back) = (x as f64, (x as f64) as i128);
    (x.unsigned_abs() < WHOLE_MAX.unsigned_abs() && back == x).then_some(binary)
}

/// Above 10^22, the largest power of ten that is exact in 64 bits, and far below what ends i128.
const WHOLE_MAX: i128 = 1 << 74;

#[cfg(test)]
mod tests {
    use dashu_int::{IBig, UBig};
    use proptest::prelude::*;

    use super::*;

    fn ratio(numerator: i64, denominator: u64) -> RBig {
        RBig::from_parts(IBig::from(numerator), UBig::from(denominator))
    }

    fn check(conversion: &Conversion, text: &str, expected: f64) {
        let found = conversion.apply(&text.parse().unwrap());
        assert_eq!(found.to_bits(), expected.to_bits(), "{text}: {found} and not {expected}");
    }

    #[test]
    fn a_conversion_is_rounded_once() {
        let metres = Conversion::new(ratio(100, 1), RBig::ZERO);
        check(&metres, "1.1", 110.0);
        check(&metres, "1.76", 176.0);
        check(&metres, "1e-400", 0.0);
        let fahrenheit = Conversion::new(ratio(5, 9), ratio(-160, 9));
        check(&fahrenheit, "98.6", 37.0);
        check(&fahrenheit, "-40", -40.0);
        check(&fahrenheit, "100.04", 37.8);
        check(&fahrenheit, "100.0400000000000000000000000001", 37.8);
    }

    #[test]
    fn sizes_beyond_all_measures_end_in_infinity_and_zero() {
        let large = Conversion::new(ratio(1_000_000, 1), RBig::ZERO);
        check(&large, "1.7e308", f64::INFINITY);
        check(&large, "-1.7e308", f64::NEG_INFINITY);
        check(&Conversion::new(ratio(1, 1_000_000), RBig::ZERO), "4.9e-324", 0.0);
    }

    proptest! {
        #[test]
        fn both_ways_give_the_same_bits(
            mantissa in -(1_i64 << 53)..(1 << 53), exponent in -25_i32..25,
            p in 1_i64..1_000_000, q in 1_u64..1_000_000, o in -1000_i64..1000, r in 1_u64..200,
        ) {
            let conversion = Conversion::new(ratio(p, q), ratio(o, r));
            let x = format!("{mantissa}e{exponent}").parse().unwrap();
            prop_assert_eq!(conversion.apply(&x).to_bits(), conversion.exact(&x).to_bits());
        }

        /// The standard library reads decimals with the nearest binary number: another implementation of the rounding.
        #[test]
        fn the_exact_way_rounds_as_the_standard_library_reads(mantissa: i64, exponent in -345_i32..300) {
            let text = format!("{mantissa}e{exponent}");
            let exact = Conversion::new(RBig::ONE, RBig::ZERO).exact(&text.parse().unwrap());
            let read: f64 = text.parse().unwrap();
            prop_assert_eq!(exact.abs().to_bits(), read.abs().to_bits());
        }
    }
}
