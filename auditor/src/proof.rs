//! Proofs that one entry is in a ledger, for somebody who is not to see the others.

use std::fmt;

use fedtwin_audit_log::LeafHash;
use fedtwin_audit_log::checkpoint::{CheckpointError, open_proof, write_proof};
use fedtwin_audit_log::proof::inclusion;
use fedtwin_certs::{Identity, Role};
use fedtwin_plan::Digest;
use serde::Serialize;

use crate::keys::KnownKeys;
use crate::ledger::{CheckedLedger, json_of};
use crate::views::Continued;

/// That an entry is under a ledger's root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inclusion {
    /// The entry, from 0.
    pub entry: u64,
    /// Its leaf hash.
    pub leaf: String,
    /// The proof of RFC 6962, section 2.1.1, that it is under the ledger's root.
    pub proof: Vec<String>,
}

/// What a proof shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proven {
    /// The ledger.
    pub origin: String,
    /// The entry's place in it.
    pub entry: u64,
    /// The entries that its site had signed when the proof was made.
    pub of: u64,
}

impl fmt::Display for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, entry, of } = self;
        write!(f, "proven: this is entry {entry} of {origin}, whose site signed {of} entries")
    }
}

/// Why nothing is proven.
#[derive(Debug, thiserror::Error)]
pub enum NotProven {
    /// The ledger is shorter.
    #[error("{ledger} has {entries} entries, counted from 0, and no entry {entry}")]
    NoEntry {
        /// The ledger, as its file was named.
        ledger: String,
        /// Its entries.
        entries: usize,
        /// What was asked for.
        entry: u64,
    },
    /// No signed head includes the entry.
    #[error("a proof that others can check needs a --checkpoint of more than {0} entries")]
    NoHead(u64),
    /// The proof is of no site's ledger.
    #[error("{0} is not a proof about a site's ledger")]
    NotAProof(String),
    /// No key is the site's.
    #[error("no key to verify {file} with: give --ca and --identity of {origin}'s site, or --key")]
    NoKey {
        /// The proof.
        file: String,
        /// The ledger.
        origin: String,
    },
    /// The proof does not hold.
    #[error("{file} does not prove that this entry is in {origin}")]
    Refuted {
        /// The proof.
        file: String,
        /// The ledger.
        origin: String,
        /// Why.
        source: CheckpointError,
    },
}

/// Proves that an entry is under a ledger's root.
///
/// # Errors
/// Refuses an entry that is not there.
pub fn prove(ledger: &CheckedLedger, entry: u64) -> Result<Inclusion, NotProven> {
    let place = usize::try_from(entry).unwrap_or(usize::MAX);
    let proof = inclusion(&ledger.leaves, place).zip(ledger.leaves.get(place));
    let (proof, leaf) = proof.ok_or_else(|| NotProven::NoEntry {
        ledger: ledger.name.clone(),
        entries: ledger.leaves.len(),
        entry,
    })?;
    let proof = proof.into_iter().map(|hash| Digest(hash).to_string()).collect();
    Ok(Inclusion { entry, leaf: leaf.to_string(), proof })
}

/// Returns the proof in the C2SP format `tlog-proof`, against the largest head that the ledger continues.
///
/// # Errors
/// Refuses an entry that no head includes.
pub fn export(ledger: &CheckedLedger, heads: &[Continued], entry: u64) -> Result<String, NotProven> {
    let head = heads.iter().max_by_key(|head| head.entries).filter(|head| head.entries > entry);
    let head = head.ok_or(NotProven::NoHead(entry))?;
    let size = usize::try_from(head.entries).expect("the ledger continues the head");
    let place = usize::try_from(entry).expect("an entry below the head's is in the ledger");
    let proof = inclusion(&ledger.leaves[..size], place).expect("the head includes the entry");
    Ok(write_proof(entry, &proof, &head.note))
}

/// Verifies the proof in `file` of one entry, whose line alone is given.
///
/// # Errors
/// Refuses a proof of another entry or ledger, or of an altered one.
pub fn verify_entry(
    line: &[u8],
    (file, proof): (&str, &[u8]),
    keys: &KnownKeys,
) -> Result<Proven, NotProven> {
    let leaf = LeafHash::of(json_of(line.strip_suffix(b"\n").unwrap_or(line)));
    let not_a_proof = || NotProven::NotAProof(file.to_owned());
    let text = str::from_utf8(proof).map_err(|_not_text| not_a_proof())?;
    let origin = text.split_once("\n\n").and_then(|(_, note)| note.lines().next());
    let origin = origin.ok_or_else(not_a_proof)?.to_owned();
    let site = site_of(&origin).ok_or_else(not_a_proof)?;
    let mut opened = keys.all_of(&site).map(|key| open_proof(text, leaf, &origin, &key));
    let first = opened.next();
    let first = first.ok_or_else(|| NotProven::NoKey { file: file.to_owned(), origin: origin.clone() })?;
    match first.or_else(|refused| opened.find_map(Result::ok).ok_or(refused)) {
        Ok((entry, checkpoint)) => Ok(Proven { origin, entry, of: checkpoint.size() }),
        Err(source) => Err(NotProven::Refuted { file: file.to_owned(), origin, source }),
    }
}

/// Returns whose ledger has this origin.
fn site_of(origin: &str) -> Option<Identity> {
    let (federation, rest) = origin.split_once('/')?;
    let name = rest.strip_suffix("/ledger")?;
    Some(Identity { federation: federation.parse().ok()?, role: Role::Site, name: name.parse().ok()? })
}
