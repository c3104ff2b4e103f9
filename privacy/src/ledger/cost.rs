//! Amounts of privacy loss as integers: exact to add, to give back and to replay.

use serde::{Deserialize, Serialize};

/// What something costs; both parts add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Of what the budget's kind adds up, in units of 1e-9, rounded up.
    pub nano: u64,
    /// Of the budget's delta, in parts per million: what Gaussian bounds of sampled steps take.
    pub delta_ppm: u32,
}

impl Cost {
    /// No cost.
    pub const NONE: Self = Self { nano: 0, delta_ppm: 0 };

    /// Adds; a sum beyond every budget stays so.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let delta_ppm = self.delta_ppm.saturating_add(other.delta_ppm);
        Self { nano: self.nano.saturating_add(other.nano), delta_ppm }
    }

    /// Multiplies; a product beyond every budget stays so.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        let delta_ppm = self.delta_ppm.saturating_mul(count);
        Self { nano: self.nano.saturating_mul(count.into()), delta_ppm }
    }

    /// Subtracts a part of this.
    ///
    /// # Panics
    /// If `other` is no part of it, which the ledger's rules exclude.
    #[must_use]
    pub(crate) fn minus(self, other: Self) -> Self {
        let parts = self.nano.checked_sub(other.nano).zip(self.delta_ppm.checked_sub(other.delta_ppm));
        let (nano, delta_ppm) = parts.expect("only a part of a cost is taken from it");
        Self { nano, delta_ppm }
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::NONE, Self::plus)
    }
}

/// The ledger's units in one.
pub(crate) const NANO: f64 = 1e9;

#[expect(clippy::cast_precision_loss, reason = "for epsilons, which are rounded up by more")]
pub(crate) fn to_units(nano: u64) -> f64 {
    nano as f64 / NANO
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "floor is the point; the cast saturates"
)]
pub(crate) fn floor(value: f64) -> u64 {
    value as u64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ceil is the point; the cast saturates"
)]
pub(crate) fn ceil(value: f64) -> u64 {
    value.ceil() as u64
}
