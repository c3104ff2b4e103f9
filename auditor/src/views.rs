//! What others kept of a ledger, beside the ledger itself: signed heads, copies and proofs.
//!
//! A ledger that was rolled back verifies entry by entry, and so does one of two that a site shows to different
//! readers. What gives both away is any head that the site signed and somebody else kept: a ledger either
//! continues it, or is too short, or is another one.

use fedtwin_audit_log::checkpoint::{Checkpoint, CheckpointError};
use fedtwin_audit_log::cosignature::cosigned;
use fedtwin_audit_log::proof::consistency;
use fedtwin_plan::Digest;
use fedtwin_privacy::ledger::witness::{self, RolledBack, origin};
use serde::Serialize;

use crate::given::Given;
use crate::keys::KnownKeys;
use crate::ledger::CheckedLedger;

/// A head that a ledger continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Continued {
    /// The file that it is in, or that the coordinator keeps it.
    pub file: String,
    /// The number of entries.
    pub entries: u64,
    /// The Merkle root over them.
    pub root: String,
    /// Who cosigned it, of those whose certificates were given.
    pub cosigned: Vec<Cosigned>,
    /// The proof of RFC 6962, section 2.1.2, that the ledger's root continues this one.
    pub consistency: Vec<String>,
    /// The note, for a proof against it.
    #[serde(skip)]
    pub note: String,
}

/// A verified cosignature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cosigned {
    /// The cosigner.
    pub name: String,
    /// When it saw the head, in seconds since the Unix epoch.
    pub time_s: u64,
}

/// Why a ledger is not the one that others saw.
#[derive(Debug, thiserror::Error)]
pub enum OtherView {
    /// A note is about a ledger that was not given.
    #[error("{file} is a checkpoint of {origin:?}, and no such ledger was given")]
    OtherLog {
        /// The file, as it was named when it was given.
        file: String,
        /// Its first line.
        origin: String,
    },
    /// No key is the site's.
    #[error("no key to verify {file} with: give --ca and --identity of {origin}'s site, or --key")]
    NoKey {
        /// The file, as it was named when it was given.
        file: String,
        /// What it is a checkpoint of.
        origin: String,
    },
    /// A note is not the site's.
    #[error("{file} is not a checkpoint that the site signed")]
    NotSigned {
        /// The file, as it was named when it was given.
        file: String,
        /// Why.
        source: CheckpointError,
    },
    /// The ledger is shorter than what its site signed.
    #[error(
        "{ledger} was rolled back: it has {found} entries, and its site signed {signed} of them ({file}{witnesses}): \
         entries {found} to {last} are missing"
    )]
    Shorter {
        /// The ledger, as its file was named.
        ledger: String,
        /// Its entries.
        found: u64,
        /// The entries of the checkpoint.
        signed: u64,
        /// The last of them.
        last: u64,
        /// The checkpoint.
        file: String,
        /// Who cosigned it.
        witnesses: String,
    },
    /// The ledger is another than its site signed.
    #[error(
        "{ledger} is a split view: its first {signed} entries are not those of the checkpoint that its site signed \
         ({file}{witnesses})"
    )]
    Forked {
        /// The ledger, as its file was named.
        ledger: String,
        /// The entries of the checkpoint.
        signed: u64,
        /// The checkpoint.
        file: String,
        /// Who cosigned it.
        witnesses: String,
    },
    /// Two copies differ.
    #[error("{first} and {second} are a split view: the site signed two different entries {entry}")]
    Copies {
        /// One copy.
        first: String,
        /// The other.
        second: String,
        /// The first entry that differs.
        entry: usize,
    },
}

/// Compares ledgers with each signed head and with each other, and returns what each continues.
///
/// # Errors
/// Names the ledger that was rolled back or shown to others in another form, and how that is known.
pub fn compare(
    ledgers: &[CheckedLedger],
    heads: &[Given],
    keys: &KnownKeys,
) -> Result<Vec<Vec<Continued>>, OtherView> {
    copies(ledgers)?;
    let mut continued = vec![Vec::new(); ledgers.len()];
    for Given { name: file, text: note } in heads {
        let name = note.lines().next().unwrap_or_default().to_owned();
        let mut known = false;
        for (ledger, continued) in ledgers.iter().zip(&mut continued) {
            if origin(&ledger.owner) == name {
                known = true;
                continued.push(head(ledger, file, note, keys)?);
            }
        }
        if !known {
            return Err(OtherView::OtherLog { file: file.clone(), origin: name });
        }
    }
    for (ledger, continued) in ledgers.iter().zip(&mut continued) {
        // A mirror without a key is shown as not verified, and so is what is kept beside it.
        if let Some(note) = ledger.note.as_ref().filter(|_| ledger.verified.is_some()) {
            continued.push(head(ledger, "the coordinator's checkpoint", note, keys)?);
        }
    }
    Ok(continued)
}

fn head(ledger: &CheckedLedger, file: &str, note: &str, keys: &KnownKeys) -> Result<Continued, OtherView> {
    let origin = origin(&ledger.owner);
    // A head from before a change of key is signed by the old one.
    let identity = ledger.identity();
    let before = ledger.key_changes().iter().map(|succession| succession.change.from);
    let mut opened = keys.all_of(&identity).chain(before).map(|key| Checkpoint::open(note, &origin, &key));
    let first = opened.next();
    let first = first.ok_or_else(|| OtherView::NoKey { file: file.to_owned(), origin: origin.clone() })?;
    let checkpoint = first.or_else(|refused| opened.find_map(Result::ok).ok_or(refused));
    let checkpoint = checkpoint.map_err(|source| OtherView::NotSigned { file: file.to_owned(), source })?;
    let cosigned = cosigners(&checkpoint, note, keys);
    let witnesses = match cosigned.as_slice() {
        [] => String::new(),
        names => {
            let names: Vec<_> = names.iter().map(|cosigned| cosigned.name.as_str()).collect();
            format!(", cosigned by {}", names.join(", "))
        }
    };
    let (name, path) = (ledger.name.clone(), file.to_owned());
    match witness::compare(&ledger.leaves, &checkpoint) {
        Ok(()) => {}
        Err(RolledBack::Shorter { found, signed }) => {
            let last = signed - 1;
            return Err(OtherView::Shorter { ledger: name, found, signed, last, file: path, witnesses });
        }
        Err(RolledBack::Forked { signed }) => {
            return Err(OtherView::Forked { ledger: name, signed, file: path, witnesses });
        }
    }
    let size = usize::try_from(checkpoint.size()).expect("the ledger has as many leaves");
    let proof = consistency(&ledger.leaves, size).expect("the ledger has as many leaves");
    Ok(Continued {
        file: path,
        entries: checkpoint.size(),
        root: Digest(checkpoint.root()).to_string(),
        cosigned,
        consistency: proof.into_iter().map(|hash| Digest(hash).to_string()).collect(),
        note: note.to_owned(),
    })
}

/// Returns who cosigned, among those whose keys are known by name.
fn cosigners(checkpoint: &Checkpoint, note: &str, keys: &KnownKeys) -> Vec<Cosigned> {
    let witness =
        |(name, key): (String, _)| Some(Cosigned { time_s: cosigned(checkpoint, note, &name, &key)?, name });
    keys.cosigners().filter_map(witness).collect()
}

/// Compares copies of one site's ledger: one has to continue the other.
fn copies(ledgers: &[CheckedLedger]) -> Result<(), OtherView> {
    for (i, first) in ledgers.iter().enumerate() {
        for second in ledgers[i + 1..].iter().filter(|second| second.owner == first.owner) {
            if let Some(entry) = first.leaves.iter().zip(&second.leaves).position(|(a, b)| a != b) {
                let (first, second) = (first.name.clone(), second.name.clone());
                return Err(OtherView::Copies { first, second, entry });
            }
        }
    }
    Ok(())
}
