//! Cosignatures of checkpoints in the C2SP format `tlog-cosignature` (version 1): who saw which state of
//! somebody else's log, and when.
//!
//! A cosigner has checked that the checkpoint continues all that it saw of the log before, and says that it
//! is the largest.

use crate::checkpoint::Checkpoint;
use crate::key::{PublicKey, Signer};
use crate::note::{Algorithm, line, signatures};

/// Cosigns a checkpoint and returns the line for its note; `name` is the cosigner's.
///
/// The time is in seconds since the Unix epoch.
#[must_use]
pub fn cosign(checkpoint: &Checkpoint, name: &str, signer: &dyn Signer, time_s: u64) -> String {
    let signature = signer.sign(&message(checkpoint, time_s));
    let bytes = [&time_s.to_be_bytes()[..], &signature].concat();
    line(name, &signer.public_key(), Algorithm::Cosignature, &bytes)
}

/// Returns when, in seconds since the Unix epoch, a cosigner last cosigned a checkpoint according to its
/// note; nothing if it did not.
#[must_use]
pub fn cosigned(checkpoint: &Checkpoint, note: &str, name: &str, key: &PublicKey) -> Option<u64> {
    let (_, lines) = note.split_once("\n\n")?;
    let times = signatures(lines, name, key, Algorithm::Cosignature).filter_map(|bytes| {
        let (time, signature) = bytes.split_first_chunk()?;
        let time_s = u64::from_be_bytes(*time);
        key.verifies(&message(checkpoint, time_s), signature).then_some(time_s)
    });
    times.max()
}

/// What is signed: two lines and the checkpoint's text.
fn message(checkpoint: &Checkpoint, time_s: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time_s}\n{}", checkpoint.text()).into_bytes()
}

#[cfg(test)]
mod tests {
    use ring::signature::Ed25519KeyPair;

    use super::*;
    use crate::hash::LeafHash;
    use crate::merkle::Frontier;

    fn signer(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn checkpoint(leaves: u8) -> Checkpoint {
        let mut tree = Frontier::default();
        (0..leaves).for_each(|i| tree.push(LeafHash::of(&[i])));
        Checkpoint::new("north/va/ledger", &tree).unwrap()
    }

    /// The example of the specification: key and name of the cosigner stand there, and the time.
    #[test]
    fn the_message_is_that_of_the_specification() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let checkpoint = Checkpoint::parse(text.strip_suffix('\n').unwrap()).unwrap();
        let expected = format!("cosignature/v1\ntime 1679315147\n{text}");
        assert_eq!(message(&checkpoint, 1_679_315_147), expected.into_bytes());
    }

    #[test]
    fn cosignatures_stand_beside_the_logs_own_signature() {
        let (log, witness) = (signer(7), signer(8));
        let checkpoint = checkpoint(5);
        let note = checkpoint.sign(&log) + &cosign(&checkpoint, "north/site/vb", &witness, 1_700_000_000);
        let key = Signer::public_key(&witness);
        assert_eq!(cosigned(&checkpoint, &note, "north/site/vb", &key), Some(1_700_000_000));
        let opened = Checkpoint::open(&note, "north/va/ledger", &Signer::public_key(&log));
        assert_eq!(opened, Ok(checkpoint.clone()));
        let other = Signer::public_key(&log);
        assert_eq!(cosigned(&checkpoint, &note, "north/site/vb", &other), None);
        assert_eq!(cosigned(&checkpoint, &note, "north/site/vc", &key), None);
        assert_eq!(cosigned(&self::checkpoint(6), &note, "north/site/vb", &key), None);
        let later = note.clone() + &cosign(&checkpoint, "north/site/vb", &witness, 1_800_000_000);
        assert_eq!(cosigned(&checkpoint, &later, "north/site/vb", &key), Some(1_800_000_000));
    }

    #[test]
    fn every_flipped_bit_of_a_cosignature_is_noticed() {
        let (checkpoint, witness) = (checkpoint(3), signer(8));
        let line = cosign(&checkpoint, "w", &witness, 1_700_000_000);
        let key = Signer::public_key(&witness);
        for (at, bit) in (0..line.len() - 1).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut bytes = line.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let note = format!("x\n\n{changed}");
            assert_eq!(cosigned(&checkpoint, &note, "w", &key), None, "byte {at}, bit {bit}");
        }
    }
}
