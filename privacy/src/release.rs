//! The one thing that may leave a site: bytes, and the proof of what they cost.
//!
//! A [`Release`] is either noised, with as many noisy sums behind it as its study pays for in one attempt,
//! or plain, which only a study with an unbounded entry in the ledger can make. Its bytes leave together
//! with the [`Receipt`] of the same digest and not without.

use fedtwin_plan::{Digest, WireBits};
use zeroize::Zeroize;

use crate::accountant::NoiseBits;
use crate::ledger::{BlockGrant, Receipt, Spend};
use crate::noise::{NoiseError, NoiseSource};
use crate::patient_sum::IntegerSum;
use crate::wire_integers::encode;

/// Noise for one sum, drawn before any patient is read; adding it uses it up.
pub struct Noise {
    m: NoiseBits,
    values: Vec<i64>,
}

impl Noise {
    /// Draws noise for a sum of `len` values.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    pub fn draw(source: &dyn NoiseSource, m: NoiseBits, len: usize) -> Result<Self, NoiseError> {
        let mut values = vec![0; len];
        source.fill(m, &mut values)?;
        Ok(Self { m, values })
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        self.values.zeroize();
    }
}

impl std::fmt::Debug for Noise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Noise")
    }
}

/// The noisy sums behind one release.
#[derive(Debug, PartialEq, Eq)]
pub struct NoisySteps {
    m: NoiseBits,
    steps: u64,
}

impl NoisySteps {
    /// Starts an attempt whose sums all get noise of 2^m.
    #[must_use]
    pub fn new(m: NoiseBits) -> Self {
        Self { m, steps: 0 }
    }

    /// Adds noise to a sum, counts the step, and returns what may be computed with from here on.
    ///
    /// # Panics
    /// When the noise is of another strength or length, which the plan and the model fix.
    #[must_use]
    pub fn add(&mut self, mut noise: Noise, sum: &IntegerSum) -> Vec<i64> {
        assert_eq!((noise.m, noise.values.len()), (self.m, sum.0.len()), "noise is drawn for this sum");
        self.steps += 1;
        for (noisy, value) in noise.values.iter_mut().zip(&sum.0) {
            *noisy = noisy.wrapping_add(*value);
        }
        std::mem::take(&mut noise.values)
    }
}

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
    /// A study with noise releases nothing plain.
    #[error("the study's entry promises noise: nothing else may leave")]
    NoisePromised,
    /// A study without noise has no noisy release.
    #[error("the study's entry promises no noise")]
    NoNoisePromised,
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
    /// Encodes what was computed from an attempt's noisy sums and public values alone.
    ///
    /// # Errors
    /// Refuses other noise, or fewer or more sums, than the grant pays for.
    pub fn noised(
        grant: &BlockGrant,
        steps: &NoisySteps,
        values: &[i64],
        bits: WireBits,
    ) -> Result<Self, ReleaseError> {
        let Spend::Priced { event, .. } = grant.spend() else { return Err(ReleaseError::NoNoisePromised) };
        if steps.m != event.m || steps.steps != event.steps {
            let (found_steps, found_m) = (steps.steps, steps.m.get());
            return Err(ReleaseError::OtherNoise {
                found_steps,
                found_m,
                steps: event.steps,
                m: event.m.get(),
            });
        }
        Ok(Self::new(encode(values, bits)))
    }

    /// Encodes values without noise.
    ///
    /// # Errors
    /// Refuses a study whose entry in the ledger is not unbounded.
    pub fn plain(grant: &BlockGrant, values: &[i64], bits: WireBits) -> Result<Self, ReleaseError> {
        match grant.spend() {
            Spend::Unbounded { .. } => Ok(Self::new(encode(values, bits))),
            Spend::Priced { .. } => Err(ReleaseError::NoisePromised),
        }
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
