//! Key pairs of one attempt, and what two sites derive from theirs.
//!
//! X25519 (RFC 7748); HKDF with SHA-256 (RFC 5869), whose salt binds a key to the attempt's roster and whose info names
//! purpose, sender and recipient; shares are sealed with ChaCha20-Poly1305 (RFC 8439).

use fedtwin_plan::{Digest, SiteName};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};
use zeroize::Zeroizing;

use crate::shamir::{SECRET_BYTES, Secret};

/// An X25519 key pair.
pub(crate) struct KeyPair {
    secret: StaticSecret,
    public: [u8; 32],
}

/// A public key with which no secret can be agreed: every agreement would be known to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WeakKey;

impl KeyPair {
    pub(crate) fn new(secret: &Secret) -> Self {
        let secret = StaticSecret::from(**secret);
        Self { public: PublicKey::from(&secret).to_bytes(), secret }
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        self.public
    }

    /// Agrees with another's public half.
    pub(crate) fn agreed(&self, public: [u8; 32]) -> Result<Agreed, WeakKey> {
        let shared = self.secret.diffie_hellman(&PublicKey::from(public));
        if shared.was_contributory() { Ok(Agreed(shared)) } else { Err(WeakKey) }
    }

    /// Derives one key with another's public half.
    pub(crate) fn agree(&self, public: [u8; 32], use_of_key: &KeyUse<'_>) -> Result<Secret, WeakKey> {
        Ok(self.agreed(public)?.key(use_of_key))
    }
}

/// What two key pairs have in common, of which keys are derived.
pub(crate) struct Agreed(SharedSecret);

impl Agreed {
    pub(crate) fn key(&self, use_of_key: &KeyUse<'_>) -> Secret {
        use_of_key.derive(self.0.as_bytes())
    }
}

/// What a derived key is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyUse<'a> {
    /// The roster.
    pub(crate) binding: &'a Digest,
    /// `mask` or `share`.
    pub(crate) purpose: &'static str,
    /// The sender; of masks, the lower name.
    pub(crate) from: &'a SiteName,
    /// The recipient.
    pub(crate) to: &'a SiteName,
}

impl<'a> KeyUse<'a> {
    /// The mask of two sites, whoever asks.
    pub(crate) fn mask(binding: &'a Digest, one: &'a SiteName, other: &'a SiteName) -> Self {
        Self { binding, purpose: "mask", from: one.min(other), to: one.max(other) }
    }

    /// The envelope of a share.
    pub(crate) fn share(binding: &'a Digest, from: &'a SiteName, to: &'a SiteName) -> Self {
        Self { binding, purpose: "share", from, to }
    }

    fn derive(&self, agreed: &[u8]) -> Secret {
        let info = [
            b"fedtwin/secagg/v1\0".as_slice(),
            self.purpose.as_bytes(),
            b"\0",
            self.from.as_str().as_bytes(),
            b"\0",
            self.to.as_str().as_bytes(),
        ];
        let mut key = Secret::default();
        Salt::new(HKDF_SHA256, &self.binding.0)
            .extract(agreed)
            .expand(&info, SecretLength)
            .and_then(|expanded| expanded.fill(key.as_mut_slice()))
            .expect("32 bytes are within HKDF's limit");
        key
    }
}

struct SecretLength;

impl KeyType for SecretLength {
    fn len(&self) -> usize {
        SECRET_BYTES
    }
}

/// The bytes of two sealed secrets.
pub const SEALED_BYTES: usize = 2 * SECRET_BYTES + 16;

/// Seals two secrets with a key that is used for nothing else, so that the nonce may be zero.
pub(crate) fn seal(key: &Secret, secrets: [&Secret; 2]) -> [u8; SEALED_BYTES] {
    let mut sealed = [0; SEALED_BYTES];
    let (text, tag) = sealed.split_at_mut(2 * SECRET_BYTES);
    text[..SECRET_BYTES].copy_from_slice(secrets[0].as_slice());
    text[SECRET_BYTES..].copy_from_slice(secrets[1].as_slice());
    let found = sealing(key).seal_in_place_separate_tag(zero_nonce(), Aad::empty(), text);
    tag.copy_from_slice(found.expect("64 bytes are within the cipher's limit").as_ref());
    sealed
}

/// Opens what [`seal`] sealed; nothing if anything differs.
pub(crate) fn unseal(key: &Secret, sealed: &[u8; SEALED_BYTES]) -> Option<[Secret; 2]> {
    let mut bytes = Zeroizing::new(*sealed);
    let text = sealing(key).open_in_place(zero_nonce(), Aad::empty(), bytes.as_mut_slice()).ok()?;
    let (first, second) = text.split_at(SECRET_BYTES);
    let secret = |bytes: &[u8]| bytes.try_into().map(Secret::new).expect("the halves have 32 bytes");
    Some([secret(first), secret(second)])
}

fn sealing(key: &Secret) -> LessSafeKey {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_slice()).expect("the key has 32 bytes");
    LessSafeKey::new(key)
}

fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SiteName {
        text.parse().unwrap()
    }

    fn pair(byte: u8) -> KeyPair {
        KeyPair::new(&Secret::new([byte; 32]))
    }

    #[test]
    fn public_keys_match_rfc_7748() {
        // Section 6.1, Bob's.
        let bytes = |text: &str| text.parse::<Digest>().unwrap().0;
        let secret = bytes("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        let public = bytes("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        assert_eq!(KeyPair::new(&Secret::new(secret)).public(), public);
    }

    #[test]
    fn both_ends_derive_one_key_for_each_use() {
        let (north, south, binding) = (name("north"), name("south"), Digest::of(b"roster"));
        let (ours, theirs) = (pair(1), pair(2));
        let at_north = ours.agree(theirs.public(), &KeyUse::mask(&binding, &north, &south)).unwrap();
        let at_south = theirs.agree(ours.public(), &KeyUse::mask(&binding, &south, &north)).unwrap();
        assert_eq!(at_north, at_south);
        let there = ours.agree(theirs.public(), &KeyUse::share(&binding, &north, &south)).unwrap();
        let back = ours.agree(theirs.public(), &KeyUse::share(&binding, &south, &north)).unwrap();
        let other = Digest::of(b"another roster");
        let elsewhere = ours.agree(theirs.public(), &KeyUse::mask(&other, &north, &south)).unwrap();
        for key in [&there, &back, &elsewhere] {
            assert_ne!(key, &at_north);
        }
        assert_ne!(there, back);
    }

    #[test]
    fn a_key_of_low_order_is_refused() {
        let (north, south, binding) = (name("north"), name("south"), Digest::of(b"roster"));
        let found = pair(1).agree([0; 32], &KeyUse::mask(&binding, &north, &south));
        assert_eq!(found.err(), Some(WeakKey));
    }

    #[test]
    fn a_changed_envelope_does_not_open() {
        let (key, secrets) = (Secret::new([3; 32]), [Secret::new([4; 32]), Secret::new([5; 32])]);
        let sealed = seal(&key, [&secrets[0], &secrets[1]]);
        assert_eq!(unseal(&key, &sealed), Some(secrets));
        for place in 0..SEALED_BYTES {
            let mut changed = sealed;
            changed[place] ^= 1;
            assert_eq!(unseal(&key, &changed), None, "{place}");
        }
        assert_eq!(unseal(&Secret::new([6; 32]), &sealed), None);
    }
}
