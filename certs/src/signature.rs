//! Signatures by identity keys: Ed25519 (RFC 8032), with the purpose bound into what is signed.
//!
//! A signature made for one domain (say, plans) never verifies in another (say, checkpoints).

use std::fmt;

use fedtwin_plan::Digest;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

/// A long-lived key that signs plans, ledgers and checkpoints.
///
/// Kept in its encoded form, which is wiped on drop, and unpacked for the time of one signature.
pub struct IdentityKey {
    pkcs8: Zeroizing<Vec<u8>>,
    public: PublicKey,
}

impl IdentityKey {
    /// Reads a key in PKCS#8 form, version 1 or 2.
    ///
    /// # Errors
    /// Refuses anything but an Ed25519 key whose public half, where given, belongs to it.
    pub fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, NotAnIdentityKey> {
        let public = public_half(&unpack(&pkcs8)?);
        Ok(Self { pkcs8, public })
    }

    /// Returns the key in PKCS#8 form.
    pub(crate) fn as_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// Returns the public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message in a domain.
    #[must_use]
    pub fn sign(&self, domain: &str, message: &[u8]) -> Signature {
        self.sign_log(&bound(domain, message))
    }

    /// Signs a log's message, which brings its own prefix.
    pub(crate) fn sign_log(&self, message: &[u8]) -> Signature {
        let pair = unpack(&self.pkcs8).expect("the constructor unpacked the same bytes");
        let signature = pair.sign(message);
        Signature(signature.as_ref().try_into().expect("an Ed25519 signature has 64 bytes"))
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityKey")
    }
}

/// The public half of an identity key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; PUBLIC_KEY_LENGTH]);

impl PublicKey {
    /// Makes a key of its 32 bytes; that they are a point of the curve shows when a signature is verified.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; PUBLIC_KEY_LENGTH]) -> Self {
        Self(bytes)
    }

    /// Returns the key's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LENGTH] {
        &self.0
    }

    /// Returns the SHA-256 of the key's bytes, by which people compare and pin it.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// Verifies that the holder of this key signed the message in the domain.
    ///
    /// # Errors
    /// Refuses every other signature.
    pub fn verify(&self, domain: &str, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let key = UnparsedPublicKey::new(&ED25519, &self.0);
        key.verify(&bound(domain, message), &signature.0).map_err(|_unspecified| BadSignature)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A signature by an identity key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; SIGNATURE_LENGTH]);

impl Signature {
    /// Returns the signature's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SIGNATURE_LENGTH] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Signature {
    type Error = BadSignature;

    fn try_from(bytes: &[u8]) -> Result<Self, BadSignature> {
        bytes.try_into().map(Self).map_err(|_length| BadSignature)
    }
}

/// A signature that the key did not make over this message in this domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not match the message and the signer's key")]
pub struct BadSignature;

/// Bytes that are no identity key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an Ed25519 private key in PKCS#8 form")]
pub struct NotAnIdentityKey;

fn unpack(pkcs8: &[u8]) -> Result<Ed25519KeyPair, NotAnIdentityKey> {
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_rejected| NotAnIdentityKey)
}

fn public_half(pair: &Ed25519KeyPair) -> PublicKey {
    PublicKey(pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes"))
}

/// Prefixes the message with its purpose; the zero byte ends the prefix, because no domain contains one.
fn bound(domain: &str, message: &[u8]) -> Vec<u8> {
    assert!(!domain.contains('\0'), "a signature domain is a constant without zero bytes");
    [b"fedtwin/", domain.as_bytes(), b"/v1\0", message].concat()
}

/// RFC 8032, section 5.1.5.
const PUBLIC_KEY_LENGTH: usize = 32;
/// RFC 8032, section 5.1.6.
const SIGNATURE_LENGTH: usize = 64;

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;

    use super::*;

    fn key() -> IdentityKey {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        IdentityKey::from_pkcs8(Zeroizing::new(pkcs8.as_ref().to_vec())).unwrap()
    }

    #[test]
    fn a_signature_holds_for_one_key_domain_and_message() {
        let (ours, other) = (key(), key());
        let signature = ours.sign("plan", b"message");
        assert_eq!(ours.public().verify("plan", b"message", &signature), Ok(()));
        assert_eq!(ours.public().verify("plan", b"messagf", &signature), Err(BadSignature));
        assert_eq!(ours.public().verify("checkpoint", b"message", &signature), Err(BadSignature));
        assert_eq!(other.public().verify("plan", b"message", &signature), Err(BadSignature));
        let mut bytes = *signature.as_bytes();
        bytes[40] ^= 1;
        let altered = Signature::try_from(&bytes[..]).unwrap();
        assert_eq!(ours.public().verify("plan", b"message", &altered), Err(BadSignature));
        assert!(Signature::try_from(&bytes[..63]).is_err());
    }

    #[test]
    fn debug_output_has_no_key_bytes() {
        assert_eq!(format!("{:?}", key()), "IdentityKey");
    }
}
