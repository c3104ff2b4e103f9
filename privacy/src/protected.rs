//! The states in which values may leave a site: plain, noised, or masked.
//!
//! A claim in the ledger says which of them it lets out. What is computed from noisy sums and public values
//! alone is as noised as they are; nothing here can tell from what else it was computed.

use fedtwin_secagg::SiteMask;

use crate::accountant::{GaussianEvent, NoiseBits};
use crate::release::ReleaseError;

/// Values in a state in which a claim may let them out.
pub trait Protected {
    /// What the claim says of them.
    type Claim;

    /// Holds the values to their claim.
    ///
    /// # Errors
    /// Refuses values with other noise, or of fewer or more sums, than the claim pays for.
    fn check(&self, claim: &Self::Claim) -> Result<(), ReleaseError>;

    /// Returns the values, in grid units.
    fn values(&self) -> &[i64];
}

/// Values without noise: for a study that no cost bounds.
pub struct Plain(Vec<i64>);

impl Plain {
    pub(crate) fn new(values: Vec<i64>) -> Self {
        Self(values)
    }

    /// Adds the mask, which is used up.
    ///
    /// # Panics
    /// When the mask is of a vector of another length, which the plan fixes.
    #[must_use]
    pub fn masked(mut self, mask: SiteMask) -> Masked<Self> {
        mask.add_to(&mut self.0);
        Masked(self)
    }
}

impl Protected for Plain {
    type Claim = ();

    fn check(&self, (): &()) -> Result<(), ReleaseError> {
        Ok(())
    }

    fn values(&self) -> &[i64] {
        &self.0
    }
}

/// Values of noisy sums.
pub struct Noised {
    values: Vec<i64>,
    m: NoiseBits,
    steps: u64,
}

impl Noised {
    /// Takes what was computed from so many sums with noise of 2^m.
    pub(crate) fn new(values: Vec<i64>, m: NoiseBits, steps: u64) -> Self {
        Self { values, m, steps }
    }

    /// Adds the mask, which is used up.
    ///
    /// # Panics
    /// When the mask is of a vector of another length, which the plan fixes.
    #[must_use]
    pub fn masked(mut self, mask: SiteMask) -> Masked<Self> {
        mask.add_to(&mut self.values);
        Masked(self)
    }
}

impl Protected for Noised {
    type Claim = GaussianEvent;

    fn check(&self, claim: &GaussianEvent) -> Result<(), ReleaseError> {
        if (self.m, self.steps) == (claim.m, claim.steps) {
            return Ok(());
        }
        Err(ReleaseError::OtherNoise {
            found_steps: self.steps,
            found_m: self.m.get(),
            steps: claim.steps,
            m: claim.m.get(),
        })
    }

    fn values(&self) -> &[i64] {
        &self.values
    }
}

/// Values under a site's mask: what others see of them is the sum over the sites.
///
/// A second mask would not come off in the sum:
///
/// ```compile_fail,E0599
/// use fedtwin_privacy::protected::{Masked, Noised};
/// use fedtwin_secagg::SiteMask;
///
/// fn mask_again(masked: Masked<Noised>, mask: SiteMask) {
///     masked.masked(mask);
/// }
/// ```
pub struct Masked<V>(V);

impl<V: Protected> Protected for Masked<V> {
    type Claim = V::Claim;

    fn check(&self, claim: &V::Claim) -> Result<(), ReleaseError> {
        self.0.check(claim)
    }

    fn values(&self) -> &[i64] {
        self.0.values()
    }
}
