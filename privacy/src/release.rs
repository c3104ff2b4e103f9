//! The one thing that may leave a site: bytes, and the proof of what they cost.
//!
//! A [`Release`] is made of [`Protected`] values and of the [`Grant`] for values in that state, which only
//! the claim in the ledger gives. Its bytes leave together with the [`Receipt`] of the same digest and not
//! without.

use fedtwin_plan::{Digest, WireBits};

use crate::ledger::Receipt;
use crate::permit::Grant;
use crate::protected::Protected;
use crate::wire_integers::encode;

/// Bytes that are not what the ledger's entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// Other noise than the study pays for.
    #[error(
        "the release is computed from {found_steps} sums with noise 2^{found_m}, the study pays for {steps} with 2^{m}"
    )]
    OtherNoise {
        /// The noisy sums behind the release.
        found_steps: u64,
        /// Their noise.
        found_m: u32,
        /// The noisy sums of one attempt.
        steps: u64,
        /// Their noise.
        m: u32,
    },
    /// A claim on sums over sites lets no update out that everybody can read by itself.
    #[error(
        "the study's entry promises that updates are seen in sums over the sites alone, and this one has no mask"
    )]
    NotMasked,
    /// Stored bytes are not those of the receipt.
    #[error("the stored bytes are not those that were recorded")]
    OtherBytes,
}

/// Bytes that may leave a site, once recorded.
#[derive(PartialEq, Eq)]
pub struct Release {
    bytes: Vec<u8>,
    digest: Digest,
}

impl Release {
    /// Encodes values that a claim lets out:
    ///
    /// ```
    /// use fedtwin_plan::WireBits;
    /// use fedtwin_privacy::{permit::Grant, protected::{Masked, Noised}, release::Release};
    /// use fedtwin_secagg::SiteMask;
    ///
    /// fn of_masked(shared: Grant<Masked<Noised>>, sum: Noised, mask: SiteMask) {
    ///     let _ = Release::of(shared, &sum.masked(mask), WireBits::B64);
    /// }
    /// ```
    ///
    /// and is not made of others:
    ///
    /// ```compile_fail,E0308
    /// use fedtwin_plan::WireBits;
    /// use fedtwin_privacy::{permit::Grant, protected::{Masked, Noised, Plain}, release::Release};
    ///
    /// fn of_a_plain_sum(shared: Grant<Masked<Noised>>, sum: Plain) {
    ///     let _ = Release::of(shared, &sum, WireBits::B64);
    /// }
    /// ```
    ///
    /// # Errors
    /// Refuses values with other noise, or of fewer or more sums, than the claim pays for.
    pub fn of<V: Protected>(grant: Grant<V>, values: &V, bits: WireBits) -> Result<Self, ReleaseError> {
        values.check(&grant.into_claim())?;
        Ok(Self::new(encode(values.values(), bits)))
    }

    /// Takes stored bytes up again, to send them once more within their attempt.
    ///
    /// # Errors
    /// Refuses bytes of another digest than the receipt's.
    pub fn stored(receipt: &Receipt, bytes: Vec<u8>) -> Result<Self, ReleaseError> {
        let release = Self::new(bytes);
        if release.digest == receipt.digest() { Ok(release) } else { Err(ReleaseError::OtherBytes) }
    }

    fn new(bytes: Vec<u8>) -> Self {
        let digest = Digest::of(&bytes);
        Self { bytes, digest }
    }

    /// Returns the digest, by which the ledger records the release.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the bytes, to be stored before they are recorded.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Uses up the release and its receipt and returns the bytes that may leave.
    ///
    /// # Errors
    /// Refuses a receipt of other bytes.
    pub fn send(self, receipt: Receipt) -> Result<Vec<u8>, ReleaseError> {
        if self.digest == receipt.digest() { Ok(self.bytes) } else { Err(ReleaseError::OtherBytes) }
    }
}

impl std::fmt::Debug for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Release({})", self.digest)
    }
}
