//! Mirrors of the sites' ledgers, for auditors: a copy that its site cannot take back.
//!
//! Entries are verified against the site's identity key and its chain before they are appended, so a
//! mirror holds a prefix of what the site signed. Noticing a rolled-back ledger begins here: a site
//! cannot append another entry where the mirror has one.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, BufReader, Write};
use std::sync::{Arc, Mutex, PoisonError};

use fedtwin_audit_log::{FirstBad, PublicKey as LogKey, Summary, verify};
use fedtwin_certs::PublicKey;
use fedtwin_plan::SiteName;

use crate::store::Store;

/// The mirrors of all sites.
#[derive(Clone)]
pub struct Mirrors {
    store: Store,
    keys: Arc<Mutex<HashMap<SiteName, LogKey>>>,
}

/// Why entries were not appended.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The site has not shown its identity key.
    #[error("site {0} has to subscribe before it mirrors its ledger")]
    NotSubscribed(SiteName),
    /// Entries are missing between the mirror and what was sent.
    #[error("the mirror holds {held} entries, the first one sent is {first}")]
    Gap {
        /// Entries in the mirror.
        held: u64,
        /// The first entry that was sent.
        first: u64,
    },
    /// What was sent does not continue the mirror's chain.
    #[error("site misbehaved: the entries do not continue the ledger that it mirrored before")]
    OtherChain(#[source] FirstBad),
    /// The coordinator's disk.
    #[error("storage: the mirror of {site} cannot be used")]
    Storage {
        /// The site.
        site: SiteName,
        /// Why.
        source: io::Error,
    },
}

impl Mirrors {
    /// Makes the mirrors of a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, keys: Arc::default() }
    }

    /// Takes note of a site's verified identity key.
    pub fn open(&self, site: &SiteName, key: PublicKey) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert(site.clone(), LogKey(*key.as_bytes()));
    }

    /// Returns the sites that have a mirror.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn sites(&self) -> io::Result<Vec<SiteName>> {
        self.store.ledgers()
    }

    /// Appends whole entries, of which the first has the sequence number `first`, and returns how many
    /// entries the mirror holds then. Without entries it only tells.
    ///
    /// # Errors
    /// Refuses a gap, and entries that do not continue the chain or are not the site's.
    pub fn append(&self, site: &SiteName, first: u64, entries: &[u8]) -> Result<u64, MirrorError> {
        // One at a time: the lock also keeps two appends of one site apart.
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let key = keys.get(site).ok_or_else(|| MirrorError::NotSubscribed(site.clone()))?;
        let storage = |source| MirrorError::Storage { site: site.clone(), source };
        let path = self.store.ledger(site);
        let before = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(storage(error)),
        };
        let held = check(&before, key)?.entries;
        if entries.is_empty() {
            return Ok(held);
        }
        if first != held {
            return Err(MirrorError::Gap { held, first });
        }
        let after = check(&[before.as_slice(), entries].concat(), key)?.entries;
        let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(storage)?;
        file.write_all(entries).and_then(|()| file.sync_data()).map_err(storage)?;
        Ok(after)
    }
}

fn check(bytes: &[u8], key: &LogKey) -> Result<Summary, MirrorError> {
    verify(BufReader::new(bytes), key).map_err(MirrorError::OtherChain)
}
