//! Decimal numbers as people write them, without a rounding.

use std::str::FromStr;

use dashu_int::{IBig, UBig};
use dashu_ratio::RBig;

/// A decimal number, exactly as it was written: its digits times a power of ten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    /// Does not end with a zero, unless it is 0.
    mantissa: IBig,
    /// The power of ten; 0 where the mantissa is 0.
    exponent: i32,
}

/// A text that is no decimal number, or one of more digits or another size than anything measured has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no decimal number of at most {DIGITS_MAX} digits below 1e{SIZE_MAX}")]
pub struct NotADecimal;

impl Decimal {
    /// Returns a half of it.
    #[must_use]
    pub fn halved(&self) -> Self {
        // A half is five tenths.
        Self::new(&self.mantissa * IBig::from(5), self.exponent - 1)
    }

    /// Says whether it is below 0.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.mantissa < IBig::ZERO
    }

    /// Returns mantissa and power of ten, where the mantissa is small: below 2^53 in size.
    pub(crate) fn small(&self) -> Option<(i64, i32)> {
        let mantissa = i64::try_from(&self.mantissa).ok()?;
        (mantissa.unsigned_abs() <= 1 << 53).then_some((mantissa, self.exponent))
    }

    /// Returns the same number as a fraction.
    pub(crate) fn ratio(&self) -> RBig {
        let power = UBig::from(10_u8).pow(self.exponent.unsigned_abs() as usize);
        if self.exponent < 0 {
            RBig::from_parts(self.mantissa.clone(), power)
        } else {
            RBig::from(&self.mantissa * IBig::from(power))
        }
    }

    fn new(mantissa: IBig, exponent: i32) -> Self {
        let (mut mantissa, mut exponent) = (mantissa, exponent);
        if mantissa == IBig::ZERO {
            return Self { mantissa, exponent: 0 };
        }
        let ten = IBig::from(10);
        while &mantissa % &ten == IBig::ZERO {
            mantissa /= &ten;
            exponent += 1;
        }
        Self { mantissa, exponent }
    }
}

impl FromStr for Decimal {
    type Err = NotADecimal;

    /// Reads a sign, digits, a point and digits, and an exponent. What lies below 1e-400 is 0, as it is as a binary number.
    fn from_str(text: &str) -> Result<Self, NotADecimal> {
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, power(exponent)?),
            None => (text, 0),
        };
        let (sign, number) = match number.strip_prefix('-') {
            Some(number) => ("-", number),
            None => ("", number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits = format!("{whole}{fraction}");
        if (whole.is_empty() && !number.contains(|c: char| c.is_ascii_digit())) || !is_digits(&digits) {
            return Err(NotADecimal);
        }
        let significant = digits.trim_start_matches('0');
        let places = i64::try_from(fraction.len()).ok().ok_or(NotADecimal)?;
        let size = i64::try_from(significant.len()).ok().ok_or(NotADecimal)?;
        let exponent = exponent.saturating_sub(places);
        if significant.is_empty() || exponent.saturating_add(size) < -SIZE_MAX {
            return Ok(Self { mantissa: IBig::ZERO, exponent: 0 });
        }
        if significant.trim_end_matches('0').len() > DIGITS_MAX || exponent.saturating_add(size) > SIZE_MAX {
            return Err(NotADecimal);
        }
        // Zeros at the end are part of the size alone, which is bounded.
        let mantissa = format!("{sign}{significant}").parse().ok().ok_or(NotADecimal)?;
        Ok(Self::new(mantissa, i32::try_from(exponent).ok().ok_or(NotADecimal)?))
    }
}

impl TryFrom<f64> for Decimal {
    type Error = NotADecimal;

    /// Takes a binary number for the shortest decimal that it stands for: what was written as 0.1 is a tenth.
    fn try_from(x: f64) -> Result<Self, NotADecimal> {
        format!("{x:e}").parse()
    }
}

impl TryFrom<f32> for Decimal {
    type Error = NotADecimal;

    /// Takes a binary number for the shortest decimal that it stands for among those of its size.
    fn try_from(x: f32) -> Result<Self, NotADecimal> {
        format!("{x:e}").parse()
    }
}

/// Reads an exponent; one beyond all sizes stays beyond them.
fn power(text: &str) -> Result<i64, NotADecimal> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !is_digits(digits) {
        return Err(NotADecimal);
    }
    // Twice the largest size of a text, so that no mantissa brings it back.
    Ok(sign
        * digits.trim_start_matches('0').parse().unwrap_or(if digits.bytes().all(|b| b == b'0') {
            0
        } else {
            i64::MAX / 4
        }))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// More than the 767 digits that it can take to tell two binary numbers of 64 bits apart.
const DIGITS_MAX: usize = 800;
/// Beyond the sizes of binary numbers of 64 bits, 5e-324 to 1.8e308, and of units.
const SIZE_MAX: i64 = 400;

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn one_number_is_one_decimal_however_it_is_written() {
        for (a, b) in [
            ("1.1", "+01.10"),
            ("110", "1.1e2"),
            (".5", "0.5"),
            ("5.", "5"),
            ("0", "-0.000e99999999999999999999"),
            ("1e-500", "0"),
            ("1e-99999999999999999999", "0"),
            ("0.00e+0003", "0"),
            ("1E3", "1000"),
        ] {
            assert_eq!(decimal(a), decimal(b), "{a} {b}");
        }
        assert_eq!(decimal("1000").small(), Some((1, 3)));
        assert_eq!(decimal("-0.0120").small(), Some((-12, -3)));
        assert_eq!(decimal("9007199254740993").small(), None);
        assert_eq!(decimal("0.3").halved(), decimal("0.15"));
    }

    #[test]
    fn what_is_no_number_or_beyond_all_sizes_is_refused() {
        let long = "1".repeat(DIGITS_MAX + 1);
        for text in [
            "",
            ".",
            "-",
            "e5",
            "1e",
            "1e+",
            "--1",
            "1.2.3",
            "0x1",
            "inf",
            "nan",
            "1e401",
            "1e99999999999999999999",
        ] {
            assert_eq!(text.parse::<Decimal>(), Err(NotADecimal), "{text}");
        }
        assert_eq!(long.parse::<Decimal>(), Err(NotADecimal));
        assert_eq!(Decimal::try_from(f64::NAN), Err(NotADecimal));
        assert_eq!(Decimal::try_from(f64::INFINITY), Err(NotADecimal));
    }

    #[test]
    fn binary_numbers_are_the_shortest_decimals_that_they_stand_for() {
        assert_eq!(Decimal::try_from(0.1_f64), Ok(decimal("0.1")));
        assert_eq!(Decimal::try_from(0.1_f32), Ok(decimal("0.1")));
        assert_eq!(Decimal::try_from(1e300_f64), Ok(decimal("1e300")));
        assert_eq!(Decimal::try_from(-5e-324_f64), Ok(decimal("-5e-324")));
    }
}
