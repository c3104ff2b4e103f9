//! Signed heads of a log in the C2SP formats `tlog-checkpoint` and `signed-note`, and proofs against them in
//! the format `tlog-proof`.
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

use crate::hash::LeafHash;
use crate::key::{PublicKey, Signer};
use crate::merkle::Frontier;
use crate::note::{Algorithm, NAME_BYTES_MAX, is_name, line, signatures};
use crate::proof::Tree;

/// A log's size and root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    tree: Tree,
}

/// A checkpoint that cannot be made or trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The origin is empty, too long, or holds a character that the format does not allow.
    #[error("the origin is not 1 to {NAME_BYTES_MAX} printable ASCII characters without spaces and +")]
    Origin,
    /// The text is not a checkpoint of the expected origin.
    #[error("expected a checkpoint of this origin: origin, size, root, an empty line and a signature")]
    Layout,
    /// The text has no valid signature of the expected key.
    #[error("the checkpoint is not signed by the expected key")]
    Signature,
    /// The text is not a proof, or proves something else.
    #[error("expected a proof of this entry: header, index, hashes, an empty line and the checkpoint")]
    Proof,
}

impl Checkpoint {
    /// Makes the checkpoint of a tree.
    ///
    /// # Errors
    /// Refuses an origin that cannot stand in a checkpoint.
    pub fn new(origin: &str, tree: &Frontier) -> Result<Self, CheckpointError> {
        if !is_name(origin) {
            return Err(CheckpointError::Origin);
        }
        let tree = Tree { size: tree.size(), root: tree.root() };
        Ok(Self { origin: origin.to_owned(), tree })
    }

    /// Returns the log's size and root.
    #[must_use]
    pub fn tree(&self) -> Tree {
        self.tree
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size
    }

    /// Returns the Merkle root over them.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        self.tree.root
    }

    /// Writes and signs the checkpoint.
    #[must_use]
    pub fn sign(&self, signer: &dyn Signer) -> String {
        let text = self.text();
        let signature = signer.sign(text.as_bytes());
        format!("{text}\n{}", line(&self.origin, &signer.public_key(), Algorithm::Ed25519, &signature))
    }

    /// Reads a signed checkpoint of `origin` and verifies it with `key`.
    ///
    /// Signatures of other keys, such as witnesses', are ignored.
    ///
    /// # Errors
    /// Refuses a text that is not a checkpoint of this origin, or not signed by this key.
    pub fn open(note: &str, origin: &str, key: &PublicKey) -> Result<Self, CheckpointError> {
        Self::open_note(note, origin, key).map(|(checkpoint, _note)| checkpoint)
    }

    /// Does what [`Checkpoint::open`] does, and returns the note without what others added to it.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open_note(note: &str, origin: &str, key: &PublicKey) -> Result<(Self, String), CheckpointError> {
        let (text, lines) = note.split_once("\n\n").ok_or(CheckpointError::Layout)?;
        let checkpoint = Self::parse(text).filter(|c| c.origin == origin).ok_or(CheckpointError::Layout)?;
        let text = checkpoint.text();
        let mut signed = signatures(lines, origin, key, Algorithm::Ed25519);
        let signature = signed.find(|signature| key.verifies(text.as_bytes(), signature));
        let signature = signature.ok_or(CheckpointError::Signature)?;
        let note = format!("{text}\n{}", line(origin, key, Algorithm::Ed25519, &signature));
        Ok((checkpoint, note))
    }

    pub(crate) fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.tree.size, STANDARD.encode(self.tree.root))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let parsed = Self {
            origin: origin.to_owned(),
            tree: Tree { size: size.parse().ok()?, root: STANDARD.decode(root).ok()?.try_into().ok()? },
        };
        // One text for each checkpoint: no leading zeros or plus signs, and no extension lines.
        (lines.next().is_none() && parsed.text().strip_suffix('\n') == Some(text)).then_some(parsed)
    }
}

/// Writes the proof that a checkpoint's log holds an entry, for people to keep: the entry's place, the
/// hashes of [`inclusion`](crate::proof::inclusion), and the checkpoint's note.
#[must_use]
pub fn write_proof(index: u64, proof: &[[u8; 32]], note: &str) -> String {
    let hashes: String = proof.iter().map(|hash| STANDARD.encode(hash) + "\n").collect();
    format!("{PROOF_HEADER}\nindex {index}\n{hashes}\n{note}")
}

/// Verifies such a proof of `leaf` with the log's key, and returns the entry's place and the checkpoint.
///
/// # Errors
/// Refuses another layout, another log, and a proof that does not hold.
pub fn open_proof(
    text: &str,
    leaf: LeafHash,
    origin: &str,
    key: &PublicKey,
) -> Result<(u64, Checkpoint), CheckpointError> {
    let parts = text.strip_prefix(PROOF_HEADER).and_then(|text| text.strip_prefix("\nindex "));
    let (proof, note) = parts.and_then(|text| text.split_once("\n\n")).ok_or(CheckpointError::Proof)?;
    let mut lines = proof.split('\n');
    let index = lines.next().and_then(|text| Some((text, text.parse::<u64>().ok()?)));
    let index = index.filter(|(text, index)| index.to_string() == *text);
    let (_, index) = index.ok_or(CheckpointError::Proof)?;
    let hash = |line: &str| STANDARD.decode(line).ok()?.try_into().ok();
    let hashes: Vec<_> = lines.map(hash).collect::<Option<_>>().ok_or(CheckpointError::Proof)?;
    let checkpoint = Checkpoint::open(note, origin, key)?;
    let holds = checkpoint.tree.includes(leaf, index, &hashes);
    if holds { Ok((index, checkpoint)) } else { Err(CheckpointError::Proof) }
}

const PROOF_HEADER: &str = "c2sp.org/tlog-proof@v1";

#[cfg(test)]
mod tests {
    use ring::signature::Ed25519KeyPair;

    use super::*;
    use crate::proof::inclusion;

    /// The example of the `tlog-checkpoint` specification (c2sp.org/tlog-checkpoint) gives no key, but
    /// its text must survive parsing.
    #[test]
    fn the_specifications_example_parses() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        let checkpoint = Checkpoint::parse(text).unwrap();
        assert_eq!(
            (checkpoint.origin.as_str(), checkpoint.size()),
            ("example.com/behind-the-sofa", 20_852_163)
        );
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
    fn proofs_are_read_back_and_every_flipped_bit_is_noticed() {
        let signer = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let key = Signer::public_key(&signer);
        let leaves: Vec<_> = (0..5).map(|i| LeafHash::of(&[i])).collect();
        let note = Checkpoint::new("north/va", &tree(5)).unwrap().sign(&signer);
        let text = write_proof(3, &inclusion(&leaves, 3).unwrap(), &note);
        let open = |text: &str| open_proof(text, leaves[3], "north/va", &key);
        assert_eq!(open(&text).unwrap().0, 3);
        assert!(open_proof(&text, leaves[2], "north/va", &key).is_err());
        for (at, bit) in (0..text.len() - 1).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(open(&changed).is_err(), "byte {at}, bit {bit}");
        }
    }

    #[test]
    fn origins_are_checked() {
        for bad in ["", "a b", "a+b", "a\nb", "\u{e9}", &"a".repeat(201)] {
            assert_eq!(Checkpoint::new(bad, &tree(1)), Err(CheckpointError::Origin), "{bad}");
        }
    }
}
