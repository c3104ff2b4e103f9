//! Numbers that cannot hold an impossible value: each type checks itself where it is read.

use std::fmt;
use std::num::{IntErrorKind, ParseIntError};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An exact ratio in (0, 1], written `1/20` (or `1`).
///
/// Sampling rates are kept as integers so that a ledger entry states exactly what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Ratio {
    numerator: u32,
    denominator: u32,
}

/// Why a text is no ratio in (0, 1].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotARatio {
    /// It is another number, or none.
    #[error("expected a ratio above 0 and at most 1, written like \"1/20\" or \"1\"")]
    OutOfRange,
    /// It may be one, of larger integers than a ledger's entry holds.
    #[error(
        "expected a ratio of integers up to {max}: round it up to one of those, which costs no less",
        max = u32::MAX
    )]
    TooFine,
}

impl Ratio {
    /// One: every patient in every step.
    pub const ONE: Self = Self { numerator: 1, denominator: 1 };

    /// Makes `numerator / denominator`.
    ///
    /// # Errors
    /// Refuses zero and anything above one.
    pub fn new(numerator: u32, denominator: u32) -> Result<Self, NotARatio> {
        if numerator == 0 || numerator > denominator {
            return Err(NotARatio::OutOfRange);
        }
        Ok(Self { numerator, denominator })
    }

    /// Returns the numerator, at least 1.
    #[must_use]
    pub fn numerator(self) -> u32 {
        self.numerator
    }

    /// Returns the denominator, at least the numerator.
    #[must_use]
    pub fn denominator(self) -> u32 {
        self.denominator
    }

    /// Returns the nearest floating-point number, in (0, 1].
    #[must_use]
    pub fn to_f64(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }

    /// Says whether the ratio is one.
    #[must_use]
    pub fn is_one(self) -> bool {
        self.numerator == self.denominator
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_one() { f.write_str("1") } else { write!(f, "{}/{}", self.numerator, self.denominator) }
    }
}

impl NotARatio {
    #[expect(clippy::needless_pass_by_value, reason = "the signature that `map_err` takes")]
    fn of(error: ParseIntError) -> Self {
        if *error.kind() == IntErrorKind::PosOverflow { Self::TooFine } else { Self::OutOfRange }
    }
}

impl FromStr for Ratio {
    type Err = NotARatio;

    fn from_str(text: &str) -> Result<Self, NotARatio> {
        let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
        let parse = |part: &str| part.trim().parse().map_err(NotARatio::of);
        Self::new(parse(numerator)?, parse(denominator)?)
    }
}

impl TryFrom<String> for Ratio {
    type Error = NotARatio;

    fn try_from(text: String) -> Result<Self, NotARatio> {
        text.parse()
    }
}

impl From<Ratio> for String {
    fn from(ratio: Ratio) -> Self {
        ratio.to_string()
    }
}

/// A finite number above zero.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(into = "f64", try_from = "f64")]
pub struct Positive(f64);

/// A number that is not finite or not above zero.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("is {0}, expected a finite number above 0")]
pub struct NotPositive(f64);

impl Positive {
    /// Returns the number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Positive {
    type Error = NotPositive;

    fn try_from(value: f64) -> Result<Self, NotPositive> {
        if value.is_finite() && value > 0.0 { Ok(Self(value)) } else { Err(NotPositive(value)) }
    }
}

impl From<Positive> for f64 {
    fn from(value: Positive) -> Self {
        value.0
    }
}

/// A probability strictly between zero and one, such as the delta of (epsilon, delta)-DP.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(into = "f64", try_from = "f64")]
pub struct Probability(f64);

/// A number outside (0, 1).
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("is {0}, expected a probability strictly between 0 and 1")]
pub struct NotAProbability(f64);

impl Probability {
    /// Returns the number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Probability {
    type Error = NotAProbability;

    fn try_from(value: f64) -> Result<Self, NotAProbability> {
        if value > 0.0 && value < 1.0 { Ok(Self(value)) } else { Err(NotAProbability(value)) }
    }
}

impl From<Probability> for f64 {
    fn from(value: Probability) -> Self {
        value.0
    }
}

/// A range of finite numbers, written `[low, high]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "[f64; 2]", try_from = "[f64; 2]")]
pub struct Interval {
    low: f64,
    high: f64,
}

/// A range that is none.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("is from {0} to {1}, expected two finite numbers, the lower one first")]
pub struct NotAnInterval(f64, f64);

impl Interval {
    /// Returns the lower end, at most the upper one.
    #[must_use]
    pub fn low(self) -> f64 {
        self.low
    }

    /// Returns the upper end.
    #[must_use]
    pub fn high(self) -> f64 {
        self.high
    }
}

impl TryFrom<[f64; 2]> for Interval {
    type Error = NotAnInterval;

    fn try_from([low, high]: [f64; 2]) -> Result<Self, NotAnInterval> {
        let finite = low.is_finite() && high.is_finite();
        if finite && low <= high { Ok(Self { low, high }) } else { Err(NotAnInterval(low, high)) }
    }
}

impl From<Interval> for [f64; 2] {
    fn from(Interval { low, high }: Interval) -> Self {
        [low, high]
    }
}

/// An integer in `MIN..=MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u32", try_from = "i64")]
pub struct Count<const MIN: u32, const MAX: u32>(u32);

/// An integer out of its range.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is {value}, expected an integer from {min} to {max}")]
pub struct OutOfRange {
    value: i64,
    min: u32,
    max: u32,
}

impl<const MIN: u32, const MAX: u32> Count<MIN, MAX> {
    /// Returns the integer.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// Returns the integer as a size.
    #[must_use]
    pub fn size(self) -> usize {
        self.0 as usize
    }
}

impl<const MIN: u32, const MAX: u32> TryFrom<i64> for Count<MIN, MAX> {
    type Error = OutOfRange;

    fn try_from(value: i64) -> Result<Self, OutOfRange> {
        u32::try_from(value).ok().filter(|count| (MIN..=MAX).contains(count)).map(Self).ok_or(OutOfRange {
            value,
            min: MIN,
            max: MAX,
        })
    }
}

impl<const MIN: u32, const MAX: u32> From<Count<MIN, MAX>> for u32 {
    fn from(count: Count<MIN, MAX>) -> Self {
        count.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_stay_in_range() {
        for (text, expected) in [("1", "1"), ("1/20", "1/20"), ("3 / 3", "1"), ("8/171", "8/171")] {
            assert_eq!(text.parse::<Ratio>().unwrap().to_string(), expected);
        }
        for bad in ["", "0", "0/3", "2", "4/3", "-1/2", "0.5", "1/0", "1/2/3"] {
            assert_eq!(bad.parse::<Ratio>(), Err(NotARatio::OutOfRange), "{bad}");
        }
        for fine in ["4294967296/4294967297", "1/10000000000"] {
            assert_eq!(fine.parse::<Ratio>(), Err(NotARatio::TooFine), "{fine}");
        }
    }

    #[test]
    fn impossible_numbers_are_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Positive::try_from(bad).is_err());
        }
        for bad in [0.0, 1.0, -0.1, 1.1, f64::NAN] {
            assert!(Probability::try_from(bad).is_err());
        }
        for bad in [[2.0, 1.0], [f64::NAN, 1.0], [0.0, f64::NAN], [0.0, f64::INFINITY]] {
            assert!(Interval::try_from(bad).is_err(), "{bad:?}");
        }
        assert!(Interval::try_from([1.0, 1.0]).is_ok());
        assert!(Count::<1, 5>::try_from(0).is_err());
        assert!(Count::<1, 5>::try_from(6).is_err());
        assert!(Count::<1, 5>::try_from(i64::MAX).is_err());
    }
}
