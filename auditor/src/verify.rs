//! Logs and keys, and what others kept of them; nothing else.

use std::fmt;

use fedtwin_audit_log::{FirstBad, Succession, Summary};
use fedtwin_plan::{Digest, SiteName};
use serde::Serialize;

use crate::given::Given;
use crate::keys::KnownKeys;
use crate::ledger::{CheckedLedger, LedgerFileError, owner};
use crate::proof::{self, Inclusion, NotProven};
use crate::views::{self, Continued, OtherView};

/// Logs that are as their writers left them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AllVerified {
    /// The logs.
    pub logs: Vec<Verified>,
}

/// A log that is as its writer left it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verified {
    /// The file, or whose mirror it is.
    pub file: String,
    /// Its kind, and whose it is where it says so.
    pub title: String,
    /// The number of entries.
    pub entries: u64,
    /// The last entry's hash.
    pub head: String,
    /// The Merkle root over all entries.
    pub root: String,
    /// When the site's trainer could run without the kernel's protection, in words.
    pub unprotected: Vec<String>,
    /// Signed heads that it continues.
    pub continues: Vec<Continued>,
    /// Where the writer's key changed.
    pub key_changes: Vec<NewKey>,
    /// The entry that was asked for.
    pub inclusion: Option<Inclusion>,
    /// The ledger, if it is one.
    #[serde(skip)]
    pub ledger: Option<Box<CheckedLedger>>,
}

/// A change of the writer's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewKey {
    /// The first entry under the new key.
    pub entry: u64,
    /// The old key.
    pub from: String,
    /// The new key.
    pub to: String,
    /// Whether the old key did not sign that, because a person said that it is lost.
    pub lost: bool,
}

impl From<&Succession> for NewKey {
    fn from(Succession { sequence, change, .. }: &Succession) -> Self {
        let (from, to) = (change.from.to_string(), change.to.to_string());
        Self { entry: *sequence, from, to, lost: change.is_break() }
    }
}

impl AllVerified {
    /// Holds logs, each verified by itself, beside the signed heads that others kept.
    ///
    /// # Errors
    /// Says what shows that a log is not the one that others saw.
    pub fn beside(mut logs: Vec<Verified>, heads: &[Given], keys: &KnownKeys) -> Result<Self, NotVerified> {
        let ledgers: Vec<_> = logs.iter().filter_map(|log| log.ledger.as_deref()).cloned().collect();
        let mut continued = views::compare(&ledgers, heads, keys)?.into_iter();
        for log in logs.iter_mut().filter(|log| log.ledger.is_some()) {
            log.continues = continued.next().unwrap_or_default();
        }
        Ok(Self { logs })
    }

    /// Proves that an entry, counted from 0, is under the root of the one ledger.
    ///
    /// # Errors
    /// Refuses an entry that is not there, and several ledgers.
    pub fn prove(&mut self, entry: u64) -> Result<(), NotVerified> {
        let inclusion = proof::prove(self.the_ledger()?.0, entry)?;
        for log in self.logs.iter_mut().filter(|log| log.ledger.is_some()) {
            log.inclusion = Some(inclusion.clone());
        }
        Ok(())
    }

    /// Returns the proof of an entry for somebody who has only that, as [`proof::export`].
    ///
    /// # Errors
    /// Refuses an entry that no head includes, and several ledgers.
    pub fn proof(&self, entry: u64) -> Result<String, NotVerified> {
        let (ledger, continues) = self.the_ledger()?;
        Ok(proof::export(ledger, continues, entry)?)
    }

    fn the_ledger(&self) -> Result<(&CheckedLedger, &[Continued]), NotVerified> {
        let ledgers =
            self.logs.iter().filter_map(|log| Some((log.ledger.as_deref()?, log.continues.as_slice())));
        match ledgers.collect::<Vec<_>>()[..] {
            [ledger] => Ok(ledger),
            ref ledgers => Err(NotVerified::SeveralLedgers(ledgers.len())),
        }
    }

    /// Returns the breaks: where a log goes on under a key that the one before did not sign.
    #[must_use]
    pub fn breaks(&self) -> Vec<String> {
        let breaks = |log: &Verified| {
            let words = |lost: &NewKey| {
                let (file, entry) = (&log.file, lost.entry);
                format!(
                    "{file} has a break at entry {entry}: its writer stated there that the old key is lost"
                )
            };
            log.key_changes.iter().filter(|change| change.lost).map(words).collect::<Vec<_>>()
        };
        self.logs.iter().flat_map(breaks).collect()
    }
}

/// Why a log is not verified.
#[derive(Debug, thiserror::Error)]
pub enum NotVerified {
    /// A site's ledger is altered or breaks its rules.
    #[error(transparent)]
    Ledger(#[from] LedgerFileError),
    /// Another log is altered.
    #[error("{file} is not as its writer left it")]
    Bad {
        /// The file, as it was named when it was given.
        file: String,
        /// Which entry, and why.
        source: FirstBad,
    },
    /// No key is the site's.
    #[error("no key to verify {file} with: give --ca and --identity of its writer (site {site}), or --key")]
    NoKey {
        /// The file, as it was named when it was given.
        file: String,
        /// Whose ledger it is.
        site: SiteName,
    },
    /// The log does not say whose it is.
    #[error("{0} does not say whose log it is: give one key, by --key or by --ca and --identity")]
    NotOneKey(String),
    /// The log is not the one that others saw.
    #[error(transparent)]
    OtherView(#[from] OtherView),
    /// An entry is not proven.
    #[error(transparent)]
    NotProven(#[from] NotProven),
    /// There are several ledgers.
    #[error("a proof is about one ledger or entry; {0} were named")]
    SeveralLedgers(usize),
}

/// Verifies a site's ledger with its rules, or any other log's chain and signatures; `file` is for messages.
///
/// # Errors
/// Names the first bad entry.
pub fn verify(file: &str, bytes: &[u8], keys: &KnownKeys) -> Result<Verified, NotVerified> {
    if owner(bytes).is_some() {
        return Verified::of(CheckedLedger::parse(file, bytes, keys)?);
    }
    let key = keys.only().ok_or_else(|| NotVerified::NotOneKey(file.to_owned()))?;
    let summary = fedtwin_audit_log::verify(bytes, &key)
        .map_err(|source| NotVerified::Bad { file: file.to_owned(), source })?;
    Ok(Verified::new(file.to_owned(), "log".to_owned(), summary, None))
}

impl Verified {
    /// States what is verified of a ledger.
    ///
    /// # Errors
    /// Refuses a ledger for which no key was at hand.
    pub fn of(ledger: CheckedLedger) -> Result<Self, NotVerified> {
        let Some(summary) = ledger.verified.clone() else {
            return Err(NotVerified::NoKey { file: ledger.name, site: ledger.owner.site });
        };
        let title = format!("ledger of site {} in {}", ledger.owner.site, ledger.owner.federation);
        Ok(Self::new(ledger.name.clone(), title, summary, Some(Box::new(ledger))))
    }

    fn new(file: String, title: String, summary: Summary, ledger: Option<Box<CheckedLedger>>) -> Self {
        let Summary { entries, head, root, keys } = summary;
        let (head, root) = (head.to_string(), Digest(root).to_string());
        let spans = ledger.iter().flat_map(|ledger| ledger.state.unprotected());
        let unprotected = spans.map(ToString::to_string).collect();
        let (continues, key_changes) = (Vec::new(), keys.iter().map(NewKey::from).collect());
        Self {
            file,
            title,
            entries,
            head,
            root,
            unprotected,
            continues,
            key_changes,
            inclusion: None,
            ledger,
        }
    }
}

impl fmt::Display for AllVerified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, log) in self.logs.iter().enumerate() {
            if i > 0 {
                f.write_str("\n\n")?;
            }
            log.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, entries, head, root, unprotected, continues, key_changes, inclusion, .. } = self;
        write!(f, "{title}: verified\nentries  {entries}\nhead     {head}\nroot     {root}")?;
        for span in unprotected {
            write!(f, "\n{span}")?;
        }
        for NewKey { entry, from, to, lost } in key_changes {
            let how = if *lost { "a BREAK: the old key is said to be lost" } else { "signed by both" };
            write!(f, "\nthe key changed at entry {entry} from {from} to {to}, {how}")?;
        }
        for Continued { file, entries, cosigned, .. } in continues {
            write!(f, "\ncontinues the signed head of {entries} entries in {file}")?;
            for cosigner in cosigned {
                write!(f, ", cosigned by {}", cosigner.name)?;
            }
        }
        match inclusion {
            None => Ok(()),
            Some(Inclusion { entry, leaf, proof }) => {
                write!(f, "\nentry {entry} ({leaf}) is under this root, by {} hashes", proof.len())
            }
        }
    }
}
