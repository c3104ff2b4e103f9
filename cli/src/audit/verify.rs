//! `fedtwin audit verify`: a log and a key, nothing else.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use fedtwin_audit_log::{FirstBad, Summary, verify};
use fedtwin_plan::SiteName;

use super::keys::Keys;
use super::ledger::{Ledger, LedgerRefused, owner};

/// A log that is as its writer left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Its kind, and whose it is where it says so.
    pub title: String,
    /// What it amounts to.
    pub summary: Summary,
}

/// Why a log is not verified.
#[derive(Debug, thiserror::Error)]
pub enum NotVerified {
    /// The file cannot be read.
    #[error("{file} cannot be read")]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A site's ledger is altered or breaks its rules.
    #[error(transparent)]
    Ledger(#[from] LedgerRefused),
    /// Another log is altered.
    #[error("{file} is not as its writer left it")]
    Bad {
        /// The file.
        file: PathBuf,
        /// Which entry, and why.
        source: FirstBad,
    },
    /// No key is the site's.
    #[error("no key to verify {file} with: give --ca and --identity of its writer (site {site}), or --key")]
    NoKey {
        /// The file.
        file: PathBuf,
        /// Whose ledger it is.
        site: SiteName,
    },
    /// The log does not say whose it is.
    #[error("{0} does not say whose log it is: give one key, by --key or by --ca and --identity")]
    NotOneKey(PathBuf),
}

/// Verifies a site's ledger with its rules, or any other log's chain and signatures.
///
/// # Errors
/// Names the first bad entry.
pub fn verify_file(file: &Path, keys: &Keys) -> Result<Verified, NotVerified> {
    let bytes = std::fs::read(file).map_err(|source| NotVerified::Io { file: file.to_owned(), source })?;
    match owner(&bytes) {
        Some(owner) => {
            let ledger = Ledger::parse(&file.display().to_string(), &bytes, keys)?;
            let title = format!("ledger of site {} in {}", owner.site, owner.federation);
            let no_key = || NotVerified::NoKey { file: file.to_owned(), site: owner.site };
            let summary = ledger.verified.ok_or_else(no_key)?;
            Ok(Verified { title, summary })
        }
        None => {
            let key = keys.only().ok_or_else(|| NotVerified::NotOneKey(file.to_owned()))?;
            let summary = verify(bytes.as_slice(), &key)
                .map_err(|source| NotVerified::Bad { file: file.to_owned(), source })?;
            Ok(Verified { title: "log".to_owned(), summary })
        }
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { entries, head, root } = &self.summary;
        writeln!(f, "{}: verified", self.title)?;
        writeln!(f, "entries  {entries}")?;
        writeln!(f, "head     {head}")?;
        f.write_str("root     ")?;
        root.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
