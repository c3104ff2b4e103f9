//! What a claim lets out: the one place where a ledger's entry becomes a state that values must be in.

use fedtwin_plan::plan::Mode;
use fedtwin_secagg::SiteMask;

use crate::accountant::GaussianEvent;
use crate::ledger::{BlockGrant, Spend};
use crate::protected::{Masked, Noised, Plain, Protected};
use crate::release::ReleaseError;
use crate::steps::NoisySteps;

/// What an attempt may release.
pub enum Permit {
    /// Sums as they are: no cost bounds the study.
    Plain(Grant<Plain>),
    /// Noised sums, which everybody may see.
    Noised(Grant<Noised>),
    /// Sums without noise under a mask.
    MaskedPlain(Grant<Masked<Plain>>, SiteMask),
    /// Noised sums under a mask.
    MaskedNoised(Grant<Masked<Noised>>, SiteMask),
}

/// A claim on values in one state; making a release uses it up.
pub struct Grant<V: Protected>(V::Claim);

impl Permit {
    /// Reads what the grant's claim lets out, under the mask of the attempt where it has one.
    ///
    /// A mask that a claim does not ask for only hides more. Where one share of the noise counts, the site's
    /// own pays for everything, so that such a claim asks for none.
    ///
    /// # Errors
    /// Refuses an attempt without a mask if the claim is on sums over the sites.
    pub fn of(grant: &BlockGrant, mask: Option<SiteMask>) -> Result<Self, ReleaseError> {
        match (grant.spend(), mask) {
            (Spend::Priced { event, .. }, Some(mask)) => Ok(Self::MaskedNoised(Grant(*event), mask)),
            (Spend::Unbounded { .. }, Some(mask)) => Ok(Self::MaskedPlain(Grant(()), mask)),
            (Spend::Priced { event, .. }, None) if event.noise_shares.get() == 1 => {
                Ok(Self::Noised(Grant(*event)))
            }
            (Spend::Unbounded { reason }, None) if reason != Mode::SumsOnly.as_str() => {
                Ok(Self::Plain(Grant(())))
            }
            (Spend::Priced { .. } | Spend::Unbounded { .. }, None) => Err(ReleaseError::NotMasked),
        }
    }
}

impl<V: Protected<Claim = GaussianEvent>> Grant<V> {
    /// Starts the attempt's sums, with the noise that the claim pays for.
    #[must_use]
    pub fn steps(&self) -> NoisySteps {
        NoisySteps::new(self.0.m)
    }
}

impl<V: Protected> Grant<V> {
    pub(crate) fn into_claim(self) -> V::Claim {
        self.0
    }
}
