//! Mirrors of the sites' ledgers: copies that a site cannot take back, and the last checkpoint of each.
//!
//! Entries are verified against the site's identity key and its chain before they are appended, so a
//! mirror holds a prefix of what the site signed. A checkpoint that fits the mirror is cosigned by the
//! coordinator, handed to the other sites, and cosigned by them. What they remember of a ledger beyond its
//! mirror is told to its site, whose own signature is on it: a restored backup is noticed even if this
//! coordinator was restored from one, too.

mod file;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fedtwin_audit_log::cosignature::{cosign, cosigned};
use fedtwin_audit_log::proof::consistency;
use fedtwin_audit_log::{Checkpoint, Copied, NotContinued, PublicKey as LogKey};
use fedtwin_certs::{Credentials, LogSigner, PublicKey};
use fedtwin_plan::{SiteName, Timestamp};
use fedtwin_privacy::ledger::Owner;
use fedtwin_privacy::ledger::witness::{RolledBack, compare, origin};
use fedtwin_proto::domain::{Growth, LedgerEntries, MirrorState, Sighting};
use fedtwin_proto::limits::{KEY_CHANGES_MAX, NOTE_BYTES_MAX, WITNESSED_MAX};

use self::file::{all_keys, append_to, load};
use crate::policy::Policy;
use crate::store::Store;

/// The mirrors of all sites.
#[derive(Clone)]
pub struct Mirrors {
    store: Store,
    credentials: Arc<Credentials>,
    policy: Policy,
    /// Each with a lock of its own: an append waits for the disk, and a site that subscribes twice at once for itself.
    slots: Arc<Mutex<BTreeMap<SiteName, Arc<Mutex<Slot>>>>>,
    /// What sites said last that they remember of those that had not subscribed yet, by who remembers.
    memories: Arc<Mutex<BTreeMap<SiteName, BTreeMap<SiteName, Sighting>>>>,
}

/// Where a site's mirror is, while the coordinator runs.
#[derive(Default)]
struct Slot {
    /// Whom the site showed itself to be.
    subscriber: Option<Subscriber>,
    /// Its mirror; there is none after the disk refused, until the disk is read again.
    mirror: Option<Mirror>,
}

/// A site's verified identity.
#[derive(Clone)]
struct Subscriber {
    key: LogKey,
    certificate: Bytes,
}

/// One site's mirror.
struct Mirror {
    subscriber: Subscriber,
    origin: String,
    copy: Copied,
    /// Bytes on disk.
    bytes: u64,
    /// The last checkpoint that fits the mirror.
    held: Option<Held>,
    /// The largest checkpoint that another site remembers and the mirror does not have, with its size.
    remembered: Option<(u64, String)>,
}

/// A checkpoint and the lines of those who signed it.
#[derive(Debug, Clone)]
struct Held {
    checkpoint: Checkpoint,
    /// The site's own note: text and its signature.
    note: String,
    /// Cosignatures by cosigner.
    cosignatures: BTreeMap<String, String>,
}

/// Why entries were not appended.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The site has not shown its identity key.
    #[error("site {0} has to subscribe before it mirrors its ledger")]
    NotSubscribed(SiteName),
    /// What was sent does not continue the mirror's chain.
    #[error("site misbehaved: the entries do not continue the ledger that it mirrored before")]
    NotContinued(#[source] NotContinued),
    /// The checkpoint is not the site's.
    #[error("site misbehaved: the checkpoint is not one of its ledger")]
    Checkpoint(#[from] fedtwin_audit_log::checkpoint::CheckpointError),
    /// The checkpoint is of other entries than the mirror's.
    #[error("site misbehaved: the checkpoint does not fit the entries that it mirrored")]
    OtherCheckpoint(#[source] RolledBack),
    /// The site has had its share of the disk.
    #[error(
        "the mirror of {site}'s ledger would have more than {entries} entries or {bytes} bytes, all that this \
         coordinator takes of one site: its operator can allow more (policy.mirror_entries_max, mirror_bytes_max)"
    )]
    Full {
        /// The site, by the name in its certificates.
        site: SiteName,
        /// The entries that are taken.
        entries: u64,
        /// The bytes that are taken.
        bytes: u64,
    },
    /// The coordinator's disk.
    #[error("storage: the mirror of {site} cannot be used")]
    Storage {
        /// The site, by the name in its certificates.
        site: SiteName,
        /// Why.
        source: io::Error,
    },
}

impl Mirrors {
    /// Makes the mirrors of a store; the coordinator cosigns with its identity key.
    #[must_use]
    pub fn new(store: Store, credentials: Arc<Credentials>, policy: Policy) -> Self {
        Self { store, credentials, policy, slots: Arc::default(), memories: Arc::default() }
    }

    /// Takes note of a site's verified identity, and verifies its mirror if this run did not yet.
    ///
    /// # Errors
    /// Refuses a mirror that is not of this key.
    pub fn open(&self, site: &SiteName, key: PublicKey, certificate: Bytes) -> Result<(), MirrorError> {
        let subscriber = Subscriber { key: LogKey(*key.as_bytes()), certificate };
        let slot = Arc::clone(lock(&self.slots).entry(site.clone()).or_default());
        let mut slot = lock(&slot);
        if slot.mirror.as_ref().is_some_and(|mirror| mirror.subscriber.key == subscriber.key) {
            return Ok(());
        }
        slot.mirror = Some(self.load(site, subscriber.clone())?);
        slot.subscriber = Some(subscriber);
        Ok(())
    }

    /// Reads a mirror from disk; whoever calls this has its slot's lock.
    fn load(&self, site: &SiteName, subscriber: Subscriber) -> Result<Mirror, MirrorError> {
        let key = subscriber.key;
        let storage = |source| MirrorError::Storage { site: site.clone(), source };
        // A site with a new key enters it in its next entry, which the mirror's last key has to agree to.
        let last = self.store.ledger_key(site).map_err(storage)?.map(LogKey);
        let loaded = load(&self.store.ledger(site), last.unwrap_or(key)).map_err(storage)?;
        let (copy, bytes) = match loaded.map_err(MirrorError::NotContinued)? {
            (_, 0) => (Copied::new(key), 0),
            other => other,
        };
        self.store.save_ledger_key(site, copy.key()).map_err(storage)?;
        let federation = self.credentials.identity().federation.clone();
        let origin = origin(&Owner { federation, site: site.clone() });
        let note = std::fs::read_to_string(self.store.checkpoint(site)).unwrap_or_default();
        let held = all_keys(&copy).find_map(|key| Held::read(&note, &origin, &key, &copy));
        let mut mirror = Mirror { subscriber, origin, copy, bytes, held, remembered: None };
        for (by, memory) in lock(&self.memories).iter_mut() {
            memory.remove(site).and_then(|sighting| mirror.sighted(by, &sighting));
        }
        Ok(mirror)
    }

    /// Returns the identity key that a site subscribed with.
    ///
    /// # Errors
    /// Refuses a site that has not subscribed.
    pub fn identity(&self, site: &SiteName) -> Result<LogKey, MirrorError> {
        let slot = self.slot(site)?;
        let subscriber = lock(&slot).subscriber.clone();
        subscriber.map(|subscriber| subscriber.key).ok_or_else(|| MirrorError::NotSubscribed(site.clone()))
    }

    /// Returns the sites that have a mirror.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn sites(&self) -> io::Result<Vec<SiteName>> {
        self.store.ledgers()
    }

    /// Appends entries and takes in their checkpoint; durable on return. Entries that the mirror has are
    /// compared, so that two studies of one site may send the same. Without entries it only tells.
    ///
    /// # Errors
    /// Refuses a gap, entries that do not continue the chain, and what the site did not sign.
    pub fn append(
        &self,
        site: &SiteName,
        sent: &LedgerEntries,
        now: Timestamp,
    ) -> Result<MirrorState, MirrorError> {
        let slot = self.slot(site)?;
        let mut slot = lock(&slot);
        let mirror = self.loaded(site, &mut slot)?;
        let storage = |source| MirrorError::Storage { site: site.clone(), source };
        self.check_room(site, mirror, &sent.entries)?;
        let known_changes = mirror.copy.keys().len();
        let new = mirror.copy.extend(sent.first, &sent.entries).map_err(MirrorError::NotContinued)?;
        if let Err(source) = append_to(&self.store.ledger(site), new) {
            // The mirror in memory has what the disk does not: whoever comes next reads the disk again.
            slot.mirror = None;
            return Err(MirrorError::Storage { site: site.clone(), source });
        }
        mirror.bytes += new.len() as u64;
        self.note_new_keys(site, &mirror.copy, known_changes).map_err(storage)?;
        if let Some(note) = &sent.checkpoint {
            let (checkpoint, note) = Checkpoint::open_note(note, &mirror.origin, &mirror.subscriber.key)?;
            compare(mirror.copy.leaves(), &checkpoint).map_err(MirrorError::OtherCheckpoint)?;
            if mirror.held.as_ref().is_none_or(|held| held.checkpoint.size() < checkpoint.size()) {
                let (name, line) = self.cosign(&checkpoint, now);
                let held = Held { checkpoint, note, cosignatures: [(name, line)].into() };
                self.store.save_checkpoint(site, &held.text()).map_err(storage)?;
                mirror.held = Some(held);
            }
        }
        let remembered = mirror.remembered.iter().map(|(_, note)| note.clone());
        let notes = mirror.held.iter().map(Held::text).chain(remembered);
        Ok(MirrorState { entries: mirror.copy.leaves().len() as u64, checkpoints: notes.collect() })
    }

    /// Takes in what a site remembers of others' ledgers, and returns what became of those since.
    ///
    /// # Errors
    /// Fails where the disk does.
    pub fn witness(&self, by: &SiteName, sightings: Vec<Sighting>) -> Result<Vec<Growth>, MirrorError> {
        let key = self.identity(by)?;
        let federation = &self.credentials.identity().federation;
        let cosigner = format!("{federation}/site/{by}");
        let (mut seen, mut unknown) = (HashMap::new(), BTreeMap::new());
        for sighting in sightings {
            let slot = self.slot(&sighting.site);
            let mut slot = slot.as_ref().ok().map(|slot| lock(slot));
            let Some(mirror) = slot.as_mut().and_then(|slot| slot.mirror.as_mut()) else {
                unknown.insert(sighting.site.clone(), sighting);
                continue;
            };
            let Some(checkpoint) = mirror.sighted(by, &sighting) else { continue };
            if let Some(held) = &mut mirror.held
                && held.take_cosignature(&checkpoint, &sighting.cosignature, (&cosigner, &key))
            {
                let storage = |source| MirrorError::Storage { site: sighting.site.clone(), source };
                self.store.save_checkpoint(&sighting.site, &held.text()).map_err(storage)?;
            }
            seen.insert(sighting.site, checkpoint.size());
        }
        lock(&self.memories).insert(by.clone(), unknown);
        let slots = lock(&self.slots).clone();
        let seen = |site| seen.get(site).copied().unwrap_or_default();
        let grown = witnessed(&slots, by)
            .filter_map(|(site, slot)| lock(slot).mirror.as_ref()?.growth(site, seen(site)));
        Ok(grown.collect())
    }

    /// Returns the last checkpoint of a site's ledger, with its cosignatures.
    #[must_use]
    pub fn checkpoint(&self, site: &SiteName) -> Option<String> {
        std::fs::read_to_string(self.store.checkpoint(site)).ok()
    }

    /// Refuses what does not fit, repeats included: one message is small beside a mirror.
    fn check_room(&self, site: &SiteName, mirror: &Mirror, entries: &[u8]) -> Result<(), MirrorError> {
        let Policy { mirror_entries_max, mirror_bytes_max, .. } = self.policy;
        let lines = entries.iter().filter(|&&byte| byte == b'\n').count();
        let count = (mirror.copy.leaves().len() + lines) as u64;
        if entries.is_empty()
            || (count <= mirror_entries_max && mirror.bytes + entries.len() as u64 <= mirror_bytes_max)
        {
            return Ok(());
        }
        Err(MirrorError::Full { site: site.clone(), entries: mirror_entries_max, bytes: mirror_bytes_max })
    }

    /// Takes note of the key that a mirror is signed by now, and tells people where nobody vouches for it.
    fn note_new_keys(&self, site: &SiteName, copy: &Copied, known: usize) -> io::Result<()> {
        let Some(new) = copy.keys().get(known..).filter(|new| !new.is_empty()) else { return Ok(()) };
        for broken in new.iter().filter(|succession| succession.change.is_break()) {
            let entry = broken.sequence;
            tracing::error!(%site, entry, "a ledger goes on under a key that the one before did not sign: ask people there");
        }
        self.store.save_ledger_key(site, copy.key())
    }

    fn cosign(&self, checkpoint: &Checkpoint, now: Timestamp) -> (String, String) {
        let signer = LogSigner(Arc::clone(&self.credentials));
        let name = self.credentials.identity().cosigner();
        let line = cosign(checkpoint, &name, &signer, now.0 / 1000);
        (name, line)
    }

    fn slot(&self, site: &SiteName) -> Result<Arc<Mutex<Slot>>, MirrorError> {
        let slot = lock(&self.slots).get(site).cloned();
        slot.ok_or_else(|| MirrorError::NotSubscribed(site.clone()))
    }

    /// Returns a slot's mirror, read from disk again where the disk had refused.
    fn loaded<'a>(&self, site: &SiteName, slot: &'a mut Slot) -> Result<&'a mut Mirror, MirrorError> {
        let Slot { subscriber, mirror } = slot;
        match (mirror, subscriber) {
            (Some(mirror), _) => Ok(mirror),
            (mirror @ None, Some(subscriber)) => Ok(mirror.insert(self.load(site, subscriber.clone())?)),
            (None, None) => Err(MirrorError::NotSubscribed(site.clone())),
        }
    }
}

impl Mirror {
    /// Opens another site's memory of this ledger; what the mirror does not have is kept for its site.
    fn sighted(&mut self, by: &SiteName, sighting: &Sighting) -> Option<Checkpoint> {
        let site = &sighting.site;
        let before = self.copy.keys().iter().map(|succession| succession.change.from);
        let mut keys = before.chain([self.subscriber.key]);
        let opened =
            keys.find_map(|key| Checkpoint::open_note(&sighting.checkpoint, &self.origin, &key).ok());
        let Some((checkpoint, note)) = opened else {
            tracing::warn!(%by, %site, "a remembered checkpoint is not one that the site signed");
            return None;
        };
        if let Err(missing) = compare(self.copy.leaves(), &checkpoint) {
            tracing::error!(%by, %site, %missing, "another site remembers more of a ledger than its mirror has");
            let remembered = self.remembered.take().filter(|(size, _)| *size >= checkpoint.size());
            self.remembered = remembered.or(Some((checkpoint.size(), note)));
        }
        Some(checkpoint)
    }

    /// Returns the last checkpoint, with a proof that it continues one of `seen` entries, if it is larger.
    fn growth(&self, site: &SiteName, seen: u64) -> Option<Growth> {
        let held = self.held.as_ref().filter(|held| held.checkpoint.size() > seen)?;
        let leaves = self.copy.leaves().get(..usize::try_from(held.checkpoint.size()).ok()?)?;
        let proof = consistency(leaves, usize::try_from(seen).ok()?)?;
        let (certificate, checkpoint) = (self.subscriber.certificate.clone(), held.text());
        let newest = self.copy.keys().iter().rev().take(KEY_CHANGES_MAX).rev();
        let key_changes = newest.filter_map(|change| serde_json::to_string(change).ok()).collect();
        Some(Growth { site: site.clone(), certificate, checkpoint, proof, key_changes })
    }
}

impl Held {
    /// Reads a stored checkpoint; one that does not fit the mirror is as good as none.
    fn read(text: &str, origin: &str, key: &LogKey, copy: &Copied) -> Option<Self> {
        let (checkpoint, note) = Checkpoint::open_note(text, origin, key).ok()?;
        compare(copy.leaves(), &checkpoint).ok()?;
        let lines = text.split_once("\n\n")?.1.lines().filter(|line| !note.contains(line));
        let named = |line: &str| Some((line.split(' ').nth(1)?.to_owned(), format!("{line}\n")));
        Some(Self { checkpoint, cosignatures: lines.filter_map(named).collect(), note })
    }

    fn text(&self) -> String {
        self.cosignatures.values().fold(self.note.clone(), |text, line| text + line)
    }

    /// Adds a cosignature of this very checkpoint, or replaces the cosigner's earlier one; says whether the
    /// text changed.
    fn take_cosignature(
        &mut self,
        checkpoint: &Checkpoint,
        line: &str,
        (name, key): (&str, &LogKey),
    ) -> bool {
        let known = self.cosignatures.contains_key(name);
        let room = known || self.cosignatures.len() < WITNESSED_MAX;
        let short = line.len() <= COSIGNATURE_BYTES_MAX && line.lines().count() == 1 && line.ends_with('\n');
        let signed = cosigned(checkpoint, &format!("\n\n{line}"), name, key).is_some();
        if !(room && short && signed && *checkpoint == self.checkpoint) {
            return false;
        }
        self.cosignatures.insert(name.to_owned(), line.to_owned()).as_deref() != Some(line)
    }
}

/// Returns whose ledgers a site witnesses: of those who follow it in the ring of all names, as many as it can remember. So
/// each ledger has as many witnesses, however many sites there are.
fn witnessed<'a, T>(
    sites: &'a BTreeMap<SiteName, T>,
    by: &SiteName,
) -> impl Iterator<Item = (&'a SiteName, &'a T)> {
    let after = sites.range::<SiteName, _>((Bound::Excluded(by), Bound::Unbounded));
    after.chain(sites.range::<SiteName, _>(..by)).take(WITNESSED_MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked had not taken in yet what the disk does not have.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A cosigner's name, its key's identifier, a time and a signature; as many as [`WITNESSED_MAX`] fit a note.
const COSIGNATURE_BYTES_MAX: usize = 240;

/// The site's own note, the coordinator's cosignature and those of all witnesses fit one note.
const _: () = assert!((WITNESSED_MAX + 4) * COSIGNATURE_BYTES_MAX <= NOTE_BYTES_MAX);
