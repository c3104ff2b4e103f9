//! Leaf hashes and hexadecimal text.

use std::fmt;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// The RFC 6962 hash of a leaf: SHA-256(0x00 || entry), written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct LeafHash(pub [u8; 32]);

impl LeafHash {
    /// What the first entry names as the one before it.
    pub const NONE: Self = Self([0; 32]);

    /// Hashes an entry's bytes.
    #[must_use]
    pub fn of(entry: &[u8]) -> Self {
        Self(sha256(&[&[LEAF_PREFIX], entry]))
    }
}

impl fmt::Display for LeafHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for LeafHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<LeafHash> for String {
    fn from(hash: LeafHash) -> Self {
        hash.to_string()
    }
}

/// A text that is not 64 lower-case hexadecimal digits.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a hash of 64 lower-case hexadecimal digits")]
pub struct NotAHash;

impl TryFrom<String> for LeafHash {
    type Error = NotAHash;

    fn try_from(text: String) -> Result<Self, NotAHash> {
        from_hex(text.as_bytes()).map(Self).ok_or(NotAHash)
    }
}

/// Hashes the concatenation of `parts`.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let digest = digest(&SHA256, &parts.concat());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

/// Writes bytes as lower-case hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Reads exactly `N` bytes of lower-case hexadecimal digits: one text for each value, so that no bit of a
/// signature can change unnoticed.
pub(crate) fn from_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let value = |digit: u8| DIGITS.iter().position(|&d| d == digit);
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = u8::try_from(value(pair[0])? << 4 | value(pair[1])?).ok()?;
    }
    Some(bytes)
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Domain separation of leaves from inner nodes (RFC 6962, section 2.1).
const LEAF_PREFIX: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_strict() {
        assert_eq!(from_hex(to_hex(&[0, 255, 16]).as_bytes()), Some([0, 255, 16]));
        for bad in ["", "0", "000", "0G", "AB", "é"] {
            assert_eq!(from_hex::<1>(bad.as_bytes()), None, "{bad}");
        }
    }
}
