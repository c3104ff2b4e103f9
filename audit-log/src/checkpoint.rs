//! Signed heads of a log in the C2SP formats `tlog-checkpoint` and `signed-note`.
//!
//! ```text
//! federation/va/ledger
//! 42
//! <base64 of the root>
//!
//! — federation/va/ledger <base64 of key id and signature>
//! ```
//! The origin is also the name of the key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::hash::sha256;
use crate::key::{PublicKey, Signer};
use crate::merkle::Frontier;

/// The longest origin, in bytes; federation and site names are far shorter.
pub const ORIGIN_BYTES_MAX: usize = 200;

/// A log's size and root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: [u8; 32],
}

/// A checkpoint that cannot be made or trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The origin is empty, too long, or holds a character that the format does not allow.
    #[error("the origin is not 1 to {ORIGIN_BYTES_MAX} printable ASCII characters without spaces and +")]
    Origin,
    /// The text is not a checkpoint of the expected origin.
    #[error("expected a checkpoint of this origin: origin, size, root, an empty line and a signature")]
    Layout,
    /// The text has no valid signature of the expected key.
    #[error("the checkpoint is not signed by the expected key")]
    Signature,
}

impl Checkpoint {
    /// Makes the checkpoint of a tree.
    ///
    /// # Errors
    /// Refuses an origin that cannot stand in a checkpoint.
    pub fn new(origin: &str, tree: &Frontier) -> Result<Self, CheckpointError> {
        let printable = origin.bytes().all(|b| b.is_ascii_graphic() && b != b'+');
        if origin.is_empty() || origin.len() > ORIGIN_BYTES_MAX || !printable {
            return Err(CheckpointError::Origin);
        }
        Ok(Self { origin: origin.to_owned(), size: tree.size(), root: tree.root() })
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the Merkle root over them.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        self.root
    }

    /// Writes and signs the checkpoint.
    #[must_use]
    pub fn sign(&self, signer: &dyn Signer) -> String {
        let text = self.text();
        let mut signature = key_id(&self.origin, &signer.public_key()).to_vec();
        signature.extend_from_slice(&signer.sign(text.as_bytes()));
        format!("{text}\n{DASH} {} {}\n", self.origin, STANDARD.encode(signature))
    }

    /// Reads a signed checkpoint of `origin` and verifies it with `key`.
    ///
    /// Signatures of other keys, such as witnesses', are ignored.
    ///
    /// # Errors
    /// Refuses a text that is not a checkpoint of this origin, or not signed by this key.
    pub fn open(note: &str, origin: &str, key: &PublicKey) -> Result<Self, CheckpointError> {
        let (text, signatures) = note.split_once("\n\n").ok_or(CheckpointError::Layout)?;
        let checkpoint = Self::parse(text).filter(|c| c.origin == origin).ok_or(CheckpointError::Layout)?;
        let text = checkpoint.text();
        let id = key_id(origin, key);
        let signed = signatures.lines().filter_map(|line| signature_of(line, origin)).any(|bytes| {
            bytes
                .split_first_chunk()
                .is_some_and(|(first, rest)| *first == id && key.verifies(text.as_bytes(), rest))
        });
        if signed { Ok(checkpoint) } else { Err(CheckpointError::Signature) }
    }

    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let parsed = Self {
            origin: origin.to_owned(),
            size: size.parse().ok()?,
            root: STANDARD.decode(root).ok()?.try_into().ok()?,
        };
        // One text for each checkpoint: no leading zeros or plus signs, and no extension lines.
        (lines.next().is_none() && parsed.text().strip_suffix('\n') == Some(text)).then_some(parsed)
    }
}

/// Returns the key id and signature in a line of the key called `name`.
fn signature_of(line: &str, name: &str) -> Option<Vec<u8>> {
    let (line_name, signature) = line.strip_prefix(DASH)?.strip_prefix(' ')?.split_once(' ')?;
    if line_name == name { STANDARD.decode(signature).ok() } else { None }
}

/// The key id of `signed-note`: the first bytes of SHA-256(name || newline || 0x01 || key).
fn key_id(name: &str, key: &PublicKey) -> [u8; 4] {
    let digest = sha256(&[name.as_bytes(), b"\n", &[ED25519_TYPE], &key.0]);
    [digest[0], digest[1], digest[2], digest[3]]
}

/// U+2014, which begins each signature line.
const DASH: char = '\u{2014}';

/// The signature type of Ed25519 in `signed-note`.
const ED25519_TYPE: u8 = 1;

#[cfg(test)]
mod tests {
    use ring::signature::Ed25519KeyPair;

    use super::*;
    use crate::hash::LeafHash;

    /// The example of the `tlog-checkpoint` specification (c2sp.org/tlog-checkpoint) gives no key, but
    /// its text must survive parsing.
    #[test]
    fn the_specifications_example_parses() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        let checkpoint = Checkpoint::parse(text).unwrap();
        assert_eq!(
            (checkpoint.origin.as_str(), checkpoint.size),
            ("example.com/behind-the-sofa", 20_852_163)
        );
    }

    /// The key and key id of Go's package golang.org/x/mod/sumdb/note: PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW.
    #[test]
    fn key_ids_match_the_reference_implementation() {
        let key = STANDARD.decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
        let key = PublicKey(key[1..].try_into().unwrap());
        assert_eq!(key_id("PeterNeumann", &key), [0xc7, 0x4f, 0x20, 0xa3]);
    }

    fn tree(leaves: u8) -> Frontier {
        let mut tree = Frontier::default();
        (0..leaves).for_each(|i| tree.push(LeafHash::of(&[i])));
        tree
    }

    #[test]
    fn checkpoints_open_with_their_key_and_origin_only() {
        let signer = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
        let checkpoint = Checkpoint::new("north/va", &tree(5)).unwrap();
        let note = checkpoint.sign(&signer);
        let key = Signer::public_key(&signer);
        assert_eq!(Checkpoint::open(&note, "north/va", &key), Ok(checkpoint.clone()));
        let witnessed = format!("{note}\u{2014} witness AAAA\n");
        assert_eq!(Checkpoint::open(&witnessed, "north/va", &key), Ok(checkpoint.clone()));
        let refused = Err(CheckpointError::Signature);
        assert_eq!(Checkpoint::open(&note, "north/va", &Signer::public_key(&other)), refused);
        assert_eq!(Checkpoint::open(&checkpoint.sign(&other), "north/va", &key), refused);
        assert_eq!(Checkpoint::open(&note, "north/vb", &key), Err(CheckpointError::Layout));
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else {
                continue;
            };
            assert!(Checkpoint::open(&changed, "north/va", &key).is_err(), "byte {at}");
        }
    }

    #[test]
    fn origins_are_checked() {
        for bad in ["", "a b", "a+b", "a\nb", "\u{e9}", &"a".repeat(201)] {
            assert_eq!(Checkpoint::new(bad, &tree(1)), Err(CheckpointError::Origin), "{bad}");
        }
    }
}
