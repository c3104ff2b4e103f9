//! The width of an update's values, which a plan chooses.

use serde::{Deserialize, Serialize};

/// The width of a value on the wire; a plan writes its number of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub enum WireBits {
    /// Modulo 2^32.
    B32,
    /// Modulo 2^40.
    B40,
    /// Modulo 2^64.
    B64,
}

/// A width that the format does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is {0}, expected a width of 32, 40 or 64 bits")]
pub struct NoSuchWidth(u32);

impl TryFrom<u32> for WireBits {
    type Error = NoSuchWidth;

    fn try_from(bits: u32) -> Result<Self, NoSuchWidth> {
        match bits {
            32 => Ok(Self::B32),
            40 => Ok(Self::B40),
            64 => Ok(Self::B64),
            _ => Err(NoSuchWidth(bits)),
        }
    }
}

impl From<WireBits> for u32 {
    fn from(bits: WireBits) -> Self {
        bits.bits()
    }
}

impl WireBits {
    /// Returns the number of bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        match self {
            Self::B32 => 32,
            Self::B40 => 40,
            Self::B64 => 64,
        }
    }

    /// Returns the bytes of one value.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::B32 => 4,
            Self::B40 => 5,
            Self::B64 => 8,
        }
    }

    /// Returns the number of least magnitude that is the same modulo 2^k.
    #[must_use]
    pub const fn least(self, value: i64) -> i64 {
        let unused = match self {
            Self::B32 => 32,
            Self::B40 => 24,
            Self::B64 => 0,
        };
        value << unused >> unused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_widths_are_refused() {
        assert_eq!(WireBits::try_from(40), Ok(WireBits::B40));
        assert_eq!(WireBits::try_from(48), Err(NoSuchWidth(48)));
    }

    #[test]
    fn the_least_number_has_the_same_remainder() {
        for (bits, width) in [(WireBits::B32, 32), (WireBits::B40, 40)] {
            let half = 1_i64 << (width - 1);
            for (value, least) in
                [(0, 0), (half - 1, half - 1), (half, -half), (2 * half + 5, 5), (-half - 1, half - 1)]
            {
                assert_eq!(bits.least(value), least);
            }
        }
        assert_eq!(WireBits::B64.least(i64::MIN), i64::MIN);
    }
}
