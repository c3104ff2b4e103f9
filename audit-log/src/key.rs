//! Ed25519 keys: who signs, and how a signature is checked.

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Says whether `signature` is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}
