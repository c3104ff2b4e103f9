//! A log on a [`Disk`].
//!
//! An append writes the entry and fsyncs it, then replaces `<file>.head` (the sequence and hash of the
//! last acknowledged entry) by writing a new one, fsyncing it, renaming, and fsyncing that; only then it returns. So
//! after a crash at any point the head is at most one entry behind, and an incomplete record past the
//! head was never acknowledged: it is removed. Anything else that is wrong is refused, never repaired.
//!
//! A disk that is full fails an append and nothing else: nobody acts on an entry that was not acknowledged, so that the
//! next append removes what is left of it, and goes on once there is room. After any other failure what is on the
//! disk is not known, and the log has to be opened again.

use std::io::{self, BufReader, Read};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::disk::{Disk, Files};
use crate::entry::{Entry, Heading, LINE_BYTES_MAX, Place, Reason, Stamp, encode};
use crate::error::LogError;
use crate::hash::LeafHash;
use crate::key::{PublicKey, Signer};
use crate::key_change::{KeyChange, Old, Succession, first_key, successions};
use crate::merkle::Frontier;
use crate::verify::Walk;

/// An entry that is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The entry's place in the log.
    pub sequence: u64,
    /// The entry's hash.
    pub hash: LeafHash,
}

/// A log, locked for this process, whose bodies are of type `B`.
pub struct LogFile<B> {
    disk: Box<dyn Disk>,
    path: PathBuf,
    signer: Box<dyn Signer + Send>,
    stamp: Option<Stamp>,
    place: Place,
    /// The length of all acknowledged entries.
    bytes: u64,
    frontier: Frontier,
    keys: Vec<Succession>,
    trouble: Option<Trouble>,
    body: PhantomData<fn(&B)>,
}

impl<B: Serialize + DeserializeOwned> LogFile<B> {
    /// Opens or creates a log, locks it, verifies all of it, and returns its entries.
    ///
    /// # Errors
    /// Refuses a log that another process has open, whose entries do not verify with the signer's key,
    /// or which lacks an acknowledged entry.
    pub fn open(path: &Path, signer: Box<dyn Signer + Send>) -> Result<(Self, Vec<Entry<B>>), LogError> {
        Self::open_on(Box::new(Files::open(path)?), path, signer)
    }

    /// Opens a log on another disk; `path` is for messages.
    ///
    /// # Errors
    /// As [`LogFile::open`].
    pub fn open_on(
        disk: Box<dyn Disk>,
        path: &Path,
        signer: Box<dyn Signer + Send>,
    ) -> Result<(Self, Vec<Entry<B>>), LogError> {
        let key = signer.public_key();
        Self::open_under(disk, path, signer, key)
    }

    /// Opens a log that is signed by the key `last` so far, for a writer that has another one: the next entry has to be
    /// that of [`LogFile::change_key`].
    ///
    /// # Errors
    /// As [`LogFile::open`], for the key `last`.
    pub fn open_under(
        mut disk: Box<dyn Disk>,
        path: &Path,
        signer: Box<dyn Signer + Send>,
        last: PublicKey,
    ) -> Result<(Self, Vec<Entry<B>>), LogError> {
        let head = Head::read(disk.as_mut(), path)?;
        let Good { entries, place, frontier, bytes } = read_log(disk.as_mut(), path, &last, head)?;
        check_head(path, &entries, head)?;
        let keys = successions(&entries);
        if let Some(found) = keys.last().map(|last| last.change.to).filter(|found| *found != last) {
            return Err(LogError::OtherKey { path: path.to_owned(), found, own: last });
        }
        let path = path.to_owned();
        let (stamp, trouble, body) = (None, None, PhantomData);
        let mut log = Self { disk, path, signer, stamp, place, bytes, frontier, keys, trouble, body };
        if let Some(last) = entries.last() {
            log.acknowledge(Head { sequence: last.sequence, hash: last.hash })?;
        }
        Ok((log, entries))
    }

    /// Has every further entry carry a stamp.
    #[must_use]
    pub fn stamped(self, stamp: Option<Stamp>) -> Self {
        Self { stamp, ..self }
    }

    /// Appends an entry and returns once it is on the disk.
    ///
    /// # Errors
    /// Refuses a body that cannot be written, and every entry while the disk is full. After another failure of the
    /// disk, refuses all further entries.
    pub fn append(&mut self, body: &B, time_ms: u64) -> Result<Appended, LogError> {
        self.add(body, time_ms, None)
    }

    /// Appends the first entry under this writer's key, which follows the log's last one: `old` signs that, or was lost,
    /// and then the entry is a break that everybody who verifies is told of.
    ///
    /// # Errors
    /// As [`LogFile::append`].
    pub fn change_key(&mut self, old: Old<'_>, body: &B, time_ms: u64) -> Result<Appended, LogError> {
        let own = self.signer.public_key();
        let change = match old {
            Old::Signs(old) => KeyChange::endorsed(old, own, self.place),
            Old::Lost(old) => KeyChange::lost(old, own),
        };
        self.add(body, time_ms, Some(change))
    }

    fn add(&mut self, body: &B, time_ms: u64, key_change: Option<KeyChange>) -> Result<Appended, LogError> {
        self.recover()?;
        let (place, stamp, succession) = (self.place, self.stamp, key_change.clone());
        let heading = Heading { place, time_ms, stamp, key_change };
        let (line, hash) = encode(heading, body, self.signer.as_ref())?;
        let sequence = self.place.sequence;
        let written = self.write(&line, Head { sequence, hash });
        self.settle(written)?;
        self.keys.extend(succession.map(|change| Succession::new(place, change)));
        self.place = self.place.after(hash);
        self.bytes += line.len() as u64;
        self.frontier.push(hash);
        Ok(Appended { sequence, hash })
    }

    fn write(&mut self, line: &[u8], head: Head) -> Result<(), LogError> {
        self.disk.append(line).map_err(|e| storage("writing", &self.path, e))?;
        self.disk.sync().map_err(|e| storage("syncing", &self.path, e))?;
        self.acknowledge(head)
    }

    /// Removes what a full disk left of an entry that was not acknowledged.
    fn recover(&mut self) -> Result<(), LogError> {
        match self.trouble {
            None => return Ok(()),
            Some(Trouble::Unknown) => return Err(LogError::Poisoned(self.path.clone())),
            Some(Trouble::Full) => {}
        }
        let repaired = self.repair();
        self.settle(repaired)
    }

    fn repair(&mut self) -> Result<(), LogError> {
        self.disk.truncate(self.bytes).map_err(|e| storage("repairing", &self.path, e))?;
        match self.place.sequence.checked_sub(1) {
            Some(sequence) => self.acknowledge(Head { sequence, hash: self.place.previous }),
            // There is no head of an empty log, and the first one replaces whatever is there.
            None => Ok(()),
        }
    }

    fn settle(&mut self, result: Result<(), LogError>) -> Result<(), LogError> {
        self.trouble = result.as_ref().err().map(Trouble::of);
        result
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.place.sequence
    }

    /// Returns the last entry's hash, or zeros.
    #[must_use]
    pub fn head(&self) -> LeafHash {
        self.place.previous
    }

    /// Returns where the writer's key changed.
    #[must_use]
    pub fn keys(&self) -> &[Succession] {
        &self.keys
    }

    /// Signs the log's size and root under the name `origin`, for others to keep.
    ///
    /// # Errors
    /// Refuses an origin that cannot stand in a checkpoint.
    pub fn checkpoint(&self, origin: &str) -> Result<String, CheckpointError> {
        Ok(Checkpoint::new(origin, &self.frontier)?.sign(self.signer.as_ref()))
    }

    fn acknowledge(&mut self, head: Head) -> Result<(), LogError> {
        let text = serde_json::to_vec(&head).expect("a head is an integer and a hash");
        self.disk.replace_head(&text).map_err(|e| storage("replacing the head of", &self.path, e))
    }
}

/// Why the last append failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// The disk had no room: what is on it is known but for one record.
    Full,
    /// Whatever else: what was written may be there or not.
    Unknown,
}

impl Trouble {
    fn of(error: &LogError) -> Self {
        let is_full = |source: &io::Error| {
            matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        };
        if matches!(error, LogError::Storage { source, .. } if is_full(source)) {
            Self::Full
        } else {
            Self::Unknown
        }
    }
}

/// The last acknowledged entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    sequence: u64,
    hash: LeafHash,
}

impl Head {
    /// Reads the head beside the log; there is none before the first entry.
    fn read(disk: &mut dyn Disk, log: &Path) -> Result<Option<Self>, LogError> {
        let Some(text) = disk.head().map_err(|e| storage("reading the head of", log, e))? else {
            return Ok(None);
        };
        let differs = |_not_a_head| LogError::HeadDiffers { head: head_path(log) };
        serde_json::from_slice(&text).map(Some).map_err(differs)
    }
}

/// The good entries of a log.
struct Good<B> {
    entries: Vec<Entry<B>>,
    place: Place,
    frontier: Frontier,
    bytes: u64,
}

/// Reads and verifies all entries, and removes an incomplete last record that was never acknowledged.
fn read_log<B: Serialize + DeserializeOwned>(
    disk: &mut dyn Disk,
    path: &Path,
    key: &PublicKey,
    head: Option<Head>,
) -> Result<Good<B>, LogError> {
    let reading = |e| storage("reading", path, e);
    let first = first_key(BufReader::new(disk.read(0).map_err(reading)?), key).map_err(reading)?;
    let mut walk = Walk::new(BufReader::new(disk.read(0).map_err(reading)?), first);
    let mut entries = Vec::new();
    let bad = loop {
        match walk.next_entry() {
            Ok(Some(entry)) => entries.push(entry),
            Ok(None) => break None,
            Err(bad) => break Some(bad),
        }
    };
    let (place, frontier, good_bytes) = walk.end();
    if let Some(bad) = bad {
        let acknowledged = head.is_some_and(|head| head.sequence >= place.sequence);
        if !is_last_record(disk, good_bytes).map_err(|e| storage("reading", path, e))? {
            return Err(LogError::Altered { path: path.to_owned(), source: bad });
        }
        if !acknowledged {
            disk.truncate(good_bytes).map_err(|e| storage("repairing", path, e))?;
        } else if matches!(bad.reason, Reason::CutOff) {
            return Err(lost(path, place.sequence, head));
        } else {
            return Err(LogError::Altered { path: path.to_owned(), source: bad });
        }
    }
    Ok(Good { entries, place, frontier, bytes: good_bytes })
}

/// Says whether the bytes from `start` on are one record at most: what a crash in the middle of an
/// append can leave (the tail of a record may reach the disk before its beginning).
fn is_last_record(disk: &mut dyn Disk, start: u64) -> io::Result<bool> {
    let mut tail = Vec::new();
    disk.read(start)?.take(LINE_BYTES_MAX as u64 + 1).read_to_end(&mut tail)?;
    let newline = tail.iter().position(|&b| b == b'\n');
    Ok(tail.len() <= LINE_BYTES_MAX && newline.is_none_or(|at| at + 1 == tail.len()))
}

/// Checks that the log has all acknowledged entries and at most one more.
fn check_head<B>(path: &Path, entries: &[Entry<B>], head: Option<Head>) -> Result<(), LogError> {
    let found = entries.len() as u64;
    let differs = || LogError::HeadDiffers { head: head_path(path) };
    let acknowledged = head.map_or(0, |head| head.sequence.saturating_add(1));
    if found < acknowledged {
        return Err(lost(path, found, head));
    }
    if found - acknowledged > 1 {
        return Err(differs());
    }
    let Some(head) = head else { return Ok(()) };
    let same = |entry: &Entry<B>| entry.sequence != head.sequence || entry.hash == head.hash;
    if entries.iter().rev().take(2).all(same) { Ok(()) } else { Err(differs()) }
}

fn lost(path: &Path, found: u64, head: Option<Head>) -> LogError {
    let acknowledged = head.map_or(0, |head| head.sequence);
    LogError::EntriesLost { path: path.to_owned(), found, acknowledged }
}

fn storage(action: &'static str, path: &Path, source: io::Error) -> LogError {
    LogError::Storage { action, path: path.to_owned(), source }
}

fn head_path(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".head");
    name.into()
}
