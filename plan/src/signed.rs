//! Signed plans: the exact bytes that a researcher signed, verified before they are parsed.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// Separates signatures of plans from all others that the same key makes.
pub const PLAN_DOMAIN: &str = "plan";

/// A plan's bytes with the signature and the signer's certificate; nothing in it is trusted yet.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedPlan {
    /// The TOML text as signed.
    pub text: Vec<u8>,
    /// Ed25519 over the domain's prefix and the text.
    pub signature: Vec<u8>,
    /// The signer's identity certificate, DER.
    pub certificate: Vec<u8>,
}

impl SignedPlan {
    /// Returns the plan's digest, by which ledgers and logs name it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.text)
    }
}

impl std::fmt::Debug for SignedPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedPlan").field("digest", &self.digest()).finish_non_exhaustive()
    }
}

/// Largest plan text accepted, in bytes: a thousand features fit many times.
pub const PLAN_BYTES_MAX: usize = 1 << 20;
