//! A site's ledger as an auditor has it: a file or a mirror, verified where there is a key.

use fedtwin_audit_log::merkle::Frontier;
use fedtwin_audit_log::{FirstBad, LeafHash, Stamp, Succession, Summary, entries};
use fedtwin_certs::{Identity, Role};
use fedtwin_privacy::ledger::{Body, LedgerState, Owner, Violation};
use serde::Deserialize;

use crate::keys::KnownKeys;

/// A ledger whose entries keep the rules.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedLedger {
    /// The file, or whose mirror it is, for messages.
    pub name: String,
    /// Whose it is, as its first entry says.
    pub owner: Owner,
    /// What its entries amount to.
    pub state: LedgerState,
    /// The leaf hash of each entry.
    pub leaves: Vec<LeafHash>,
    /// What was verified of it; absent where no key was at hand.
    pub verified: Option<Summary>,
    /// The last signed head that the coordinator keeps beside a mirror, with its cosignatures.
    pub note: Option<String>,
}

/// Why a ledger is not shown.
#[derive(Debug, thiserror::Error)]
pub enum LedgerFileError {
    /// The text does not begin as a ledger does.
    #[error("{0} does not begin like a site's ledger")]
    NotALedger(String),
    /// An entry is not as its writer left it.
    #[error("{file} is not as its site wrote it")]
    Bad {
        /// The file, as it was named when it was given.
        file: String,
        /// Which entry, and why.
        source: FirstBad,
    },
    /// An entry cannot be read.
    #[error("{file}: line {line} (entry {sequence}) is no ledger entry")]
    Unreadable {
        /// The file, as it was named when it was given.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The entry, from 0.
        sequence: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// An entry breaks a rule.
    #[error("{file}: line {line} (entry {sequence}) breaks a rule of the ledger")]
    Rule {
        /// The file, as it was named when it was given.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The entry, from 0.
        sequence: u64,
        /// The rule.
        source: Violation,
    },
}

/// What an entry's line has of interest before anything is verified.
#[derive(Deserialize)]
struct Unverified {
    stamp: Option<Stamp>,
    body: Body,
}

impl CheckedLedger {
    /// Verifies a ledger with its owner's key, where there is one, and replays it.
    ///
    /// # Errors
    /// Names the first entry that is altered or breaks a rule; `file` is for messages.
    pub fn parse(file: &str, bytes: &[u8], keys: &KnownKeys) -> Result<Self, LedgerFileError> {
        let owner = owner(bytes).ok_or_else(|| LedgerFileError::NotALedger(file.to_owned()))?;
        // With certificates of the old key and the new one, the one that the ledger ends under decides.
        let mut tried =
            keys.all_of(&identity(&owner)).map(|key| (key, entries::<Body>(bytes, &key))).collect::<Vec<_>>();
        let good = tried.iter().position(|(_, read)| read.is_ok()).or(tried.len().checked_sub(1));
        let (bodies, verified): (Vec<_>, _) = match good.map(|place| tried.swap_remove(place)) {
            Some((_, read)) => {
                let (entries, summary) =
                    read.map_err(|source| LedgerFileError::Bad { file: file.to_owned(), source })?;
                (entries.into_iter().map(|entry| (entry.body, entry.stamp)).collect(), Some(summary))
            }
            None => (unverified(file, bytes)?, None),
        };
        let leaves = lines(bytes).map(LeafHash::of).collect();
        let replayed = LedgerState::replay(bodies.iter().map(|(body, stamp)| (body, *stamp)));
        let state = replayed.map_err(|(sequence, source)| LedgerFileError::Rule {
            file: file.to_owned(),
            line: sequence + 1,
            sequence,
            source,
        })?;
        Ok(Self { name: file.to_owned(), owner, state, leaves, verified, note: None })
    }

    /// Returns where the site's identity key changed, in a ledger that was verified.
    #[must_use]
    pub fn key_changes(&self) -> &[Succession] {
        self.verified.as_ref().map_or(&[], |summary| &summary.keys)
    }

    /// Returns who signs the ledger.
    #[must_use]
    pub fn identity(&self) -> Identity {
        identity(&self.owner)
    }

    /// Returns the Merkle root over all entries.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        let mut tree = Frontier::default();
        self.leaves.iter().for_each(|leaf| tree.push(*leaf));
        tree.root()
    }

    /// Says that the signatures were not verified, where they were not.
    #[must_use]
    pub fn caution(&self) -> Option<String> {
        let site = &self.owner.site;
        let caution = || {
            format!("The signatures of {site} are not verified: that takes --ca and --identity, or --key.")
        };
        self.verified.is_none().then(caution)
    }
}

fn identity(owner: &Owner) -> Identity {
    let name = owner.site.clone().into();
    Identity { federation: owner.federation.clone(), role: Role::Site, name }
}

/// Returns whose ledger a text claims to be, unless it is another kind of log.
pub(crate) fn owner(bytes: &[u8]) -> Option<Owner> {
    let first = lines(bytes).next()?;
    match serde_json::from_slice(first).ok()? {
        Unverified { body: Body::Opened(owner), .. } => Some(owner),
        Unverified {
            body:
                Body::BudgetOpened(_)
                | Body::BudgetRaised(_)
                | Body::StudyReserved(_)
                | Body::BlockOpened(_)
                | Body::AttemptBegun(_)
                | Body::Released(_)
                | Body::AttemptRefused(_)
                | Body::StudyClosed(_)
                | Body::StudyRefused(_)
                | Body::KeyChanged(_)
                | Body::Trainer(_)
                | Body::MirrorConfirmed(_),
            ..
        } => None,
    }
}

fn unverified(file: &str, bytes: &[u8]) -> Result<Vec<(Body, Option<Stamp>)>, LedgerFileError> {
    let body = |(sequence, line)| match serde_json::from_slice::<Unverified>(line) {
        Ok(entry) => Ok((entry.body, entry.stamp)),
        Err(source) => {
            Err(LedgerFileError::Unreadable { file: file.to_owned(), line: sequence + 1, sequence, source })
        }
    };
    (0..).zip(lines(bytes)).map(body).collect()
}

/// Returns the JSON of each line, without the signature that follows a tab.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|&byte| byte == b'\n');
    lines.map(json_of)
}

/// Returns the JSON of a line.
pub(crate) fn json_of(line: &[u8]) -> &[u8] {
    line.rsplitn(2, |&byte| byte == b'\t').last().unwrap_or(line)
}
