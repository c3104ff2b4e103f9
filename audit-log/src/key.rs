//! Ed25519 keys: who signs, and how a signature is checked.

use std::fmt;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::hash::{from_hex, to_hex};

/// Holds an Ed25519 key and signs with it.
pub trait Signer {
    /// Signs a message.
    fn sign(&self, message: &[u8]) -> [u8; 64];

    /// Returns the key that verifies the signatures.
    fn public_key(&self) -> PublicKey;
}

impl Signer for Ed25519KeyPair {
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(Self::sign(self, message).as_ref());
        bytes
    }

    fn public_key(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(KeyPair::public_key(self).as_ref());
        PublicKey(bytes)
    }
}

/// An Ed25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for PublicKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        from_hex(text.as_bytes()).map(Self).ok_or("expected a key of 64 lower-case hexadecimal digits")
    }
}

impl PublicKey {
    /// Says whether `signature` is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}
