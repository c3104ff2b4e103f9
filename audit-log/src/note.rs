//! Signature lines of the C2SP format `signed-note`: an em dash, a key's name, and in base64 the key's
//! identifier and a signature.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::hash::sha256;
use crate::key::PublicKey;

/// What kind of signature a line holds; its number is part of the key's identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// Ed25519 over the text.
    Ed25519 = 1,
    /// Ed25519 over a time and the text: what a cosigner writes.
    Cosignature = 4,
}

/// Writes a signature line, newline included.
pub(crate) fn line(name: &str, key: &PublicKey, algorithm: Algorithm, signature: &[u8]) -> String {
    let bytes = [&key_id(name, key, algorithm), signature].concat();
    format!("{DASH} {name} {}\n", STANDARD.encode(bytes))
}

/// Returns the signatures that lines claim to be of this key.
pub(crate) fn signatures<'a>(
    lines: &'a str,
    name: &'a str,
    key: &PublicKey,
    algorithm: Algorithm,
) -> impl Iterator<Item = Vec<u8>> + 'a {
    let id = key_id(name, key, algorithm);
    lines.lines().filter_map(move |line| {
        let (line_name, text) = line.strip_prefix(DASH)?.strip_prefix(' ')?.split_once(' ')?;
        let bytes = STANDARD.decode(text).ok().filter(|_| line_name == name)?;
        let (first, signature) = bytes.split_first_chunk()?;
        (*first == id).then(|| signature.to_vec())
    })
}

/// Says whether a text can name a key or a log: printable ASCII without spaces and plus signs.
pub(crate) fn is_name(name: &str) -> bool {
    let printable = name.bytes().all(|b| b.is_ascii_graphic() && b != b'+');
    (1..=NAME_BYTES_MAX).contains(&name.len()) && printable
}

/// The first bytes of SHA-256(name || newline || algorithm || key).
fn key_id(name: &str, key: &PublicKey, algorithm: Algorithm) -> [u8; 4] {
    let digest = sha256(&[name.as_bytes(), b"\n", &[algorithm as u8], &key.0]);
    [digest[0], digest[1], digest[2], digest[3]]
}

/// The longest name of a key or a log, in bytes; federation and site names are far shorter.
pub(crate) const NAME_BYTES_MAX: usize = 200;

/// U+2014, which begins each signature line.
const DASH: char = '\u{2014}';

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and key id of Go's package golang.org/x/mod/sumdb/note:
    /// PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW.
    #[test]
    fn key_ids_match_the_reference_implementation() {
        let key = STANDARD.decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
        let key = PublicKey(key[1..].try_into().unwrap());
        assert_eq!(key_id("PeterNeumann", &key, Algorithm::Ed25519), [0xc7, 0x4f, 0x20, 0xa3]);
    }
}
