//! Verification of a whole log, offline: the file and a public key are enough.

use std::io::{BufRead, Read};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::entry::{Entry, LINE_BYTES_MAX, Place, Reason, decode};
use crate::hash::LeafHash;
use crate::key::PublicKey;
use crate::key_change::{Succession, first_key};
use crate::merkle::Frontier;

/// What a verified log amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The number of entries.
    pub entries: u64,
    /// The last entry's hash, or zeros.
    pub head: LeafHash,
    /// The Merkle root over all entries.
    pub root: [u8; 32],
    /// Where the writer's key changed, and to which.
    pub keys: Vec<Succession>,
}

/// The first entry of a log that is not as its writer left it.
#[derive(Debug, thiserror::Error)]
#[error("line {line} (expected entry {sequence}) is bad")]
pub struct FirstBad {
    /// The line, counted from 1.
    pub line: u64,
    /// The sequence of the entry that should stand there.
    pub sequence: u64,
    /// What is wrong with it.
    #[source]
    pub reason: Reason,
}

/// Verifies a log without knowing what its bodies mean.
///
/// `key` is the writer's key now: where it has changed on the way, it vouches for the entries before. A log whose last
/// lines are missing verifies: only its [`checkpoint`](crate::checkpoint) can tell.
///
/// # Errors
/// Names the first bad entry.
pub fn verify(reader: impl BufRead, key: &PublicKey) -> Result<Summary, FirstBad> {
    let bytes = read(reader)?;
    let mut walk = Walk::<Box<RawValue>, _>::toward(&bytes, key)?;
    while walk.next_entry()?.is_some() {}
    walk.check_key(key)?;
    Ok(walk.summary())
}

/// Verifies a log and returns its entries; `key` is the writer's key now.
///
/// # Errors
/// Names the first bad entry, which may also be one whose body has another type.
pub fn entries<B: Serialize + DeserializeOwned>(
    reader: impl BufRead,
    key: &PublicKey,
) -> Result<(Vec<Entry<B>>, Summary), FirstBad> {
    let bytes = read(reader)?;
    let mut walk = Walk::toward(&bytes, key)?;
    let mut entries = Vec::new();
    while let Some(entry) = walk.next_entry()? {
        entries.push(entry);
    }
    walk.check_key(key)?;
    Ok((entries, walk.summary()))
}

fn read(mut reader: impl BufRead) -> Result<Vec<u8>, FirstBad> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn unreadable(error: std::io::Error) -> FirstBad {
    FirstBad { line: 1, sequence: 0, reason: Reason::Read(error) }
}

/// A log that was verified so far and goes on: what its copy elsewhere needs to take in more of it without
/// verifying all again. Holds 32 bytes for each entry.
#[derive(Debug, Clone)]
pub struct Copied {
    key: PublicKey,
    place: Place,
    leaves: Vec<LeafHash>,
    keys: Vec<Succession>,
}

/// Why a log is not continued.
#[derive(Debug, thiserror::Error)]
pub enum NotContinued {
    /// Entries are missing between the copy and what was sent.
    #[error("the copy holds {held} entries, the first one sent is {first}")]
    Gap {
        /// Entries in the copy.
        held: u64,
        /// The first entry that was sent.
        first: u64,
    },
    /// What was sent is not what the copy has in its place.
    #[error("entry {0} is another one than the copy has")]
    Forked(u64),
    /// What was sent does not verify.
    #[error("the entries do not continue the copy")]
    Bad(#[from] FirstBad),
}

impl Copied {
    /// Begins with an empty log, whose first entry will be signed by this key.
    #[must_use]
    pub fn new(key: PublicKey) -> Self {
        Self { key, place: Place::FIRST, leaves: Vec::new(), keys: Vec::new() }
    }

    /// Returns the key that the log's next entry is signed by, or its change of key follows.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// Returns where the writer's key changed.
    #[must_use]
    pub fn keys(&self) -> &[Succession] {
        &self.keys
    }

    /// Returns the leaf hashes of all entries.
    #[must_use]
    pub fn leaves(&self) -> &[LeafHash] {
        &self.leaves
    }

    /// Verifies whole entries of which the first has the sequence number `first`, takes in those that are
    /// new, and returns their bytes. Entries that the copy has already must be the same.
    ///
    /// # Errors
    /// Refuses a gap and entries that are others; changes nothing then.
    pub fn extend<'a>(&mut self, first: u64, entries: &'a [u8]) -> Result<&'a [u8], NotContinued> {
        let held = self.leaves.len() as u64;
        let known = usize::try_from(first).ok().and_then(|first| self.leaves.get(first..));
        let known = known.ok_or(NotContinued::Gap { held, first })?;
        let mut rest = entries;
        for (sequence, leaf) in (first..).zip(known) {
            if rest.is_empty() {
                return Ok(rest);
            }
            let end = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at(end);
            let entry = line.iter().rposition(|&byte| byte == b'\t').map(|tab| &line[..tab]);
            if entry.map(LeafHash::of) != Some(*leaf) {
                return Err(NotContinued::Forked(sequence));
            }
            rest = after;
        }
        let mut walk = Walk::<Box<RawValue>, _>::new(rest, self.key);
        walk.place = self.place;
        let mut added = Vec::new();
        while let Some(entry) = walk.next_entry()? {
            added.push(entry.hash);
        }
        (self.place, self.key) = (walk.place, walk.key);
        self.keys.append(&mut walk.keys);
        self.leaves.extend(added);
        Ok(rest)
    }
}

impl<'a, B: Serialize + DeserializeOwned> Walk<B, &'a [u8]> {
    /// Begins a walk over a log whose writer has this key now.
    fn toward(bytes: &'a [u8], key: &PublicKey) -> Result<Self, FirstBad> {
        Ok(Self::new(bytes, first_key(bytes, key).map_err(unreadable)?))
    }
}

/// A walk over a log, entry by entry.
pub(crate) struct Walk<B, R> {
    reader: R,
    key: PublicKey,
    place: Place,
    frontier: Frontier,
    keys: Vec<Succession>,
    line: Vec<u8>,
    /// The bytes of all entries so far.
    bytes: u64,
    body: std::marker::PhantomData<fn() -> B>,
}

impl<B: Serialize + DeserializeOwned, R: BufRead> Walk<B, R> {
    pub(crate) fn new(reader: R, key: PublicKey) -> Self {
        Self {
            reader,
            key,
            place: Place::FIRST,
            frontier: Frontier::default(),
            keys: Vec::new(),
            line: Vec::new(),
            bytes: 0,
            body: std::marker::PhantomData,
        }
    }

    /// Returns the next entry, or nothing at the end.
    pub(crate) fn next_entry(&mut self) -> Result<Option<Entry<B>>, FirstBad> {
        let sequence = self.place.sequence;
        let bad = |reason| FirstBad { line: sequence + 1, sequence, reason };
        self.line.clear();
        let mut bounded = self.reader.by_ref().take(LINE_BYTES_MAX as u64);
        let read = bounded.read_until(b'\n', &mut self.line).map_err(|e| bad(Reason::Read(e)))?;
        if read == 0 {
            return Ok(None);
        }
        let entry: Entry<B> = decode(self.place, &self.line, &self.key).map_err(bad)?;
        if let Some(change) = &entry.key_change {
            self.keys.push(Succession::new(self.place, change.clone()));
            self.key = change.to;
        }
        self.place = self.place.after(entry.hash);
        self.frontier.push(entry.hash);
        self.bytes += read as u64;
        Ok(Some(entry))
    }

    pub(crate) fn summary(&self) -> Summary {
        let (entries, head) = (self.place.sequence, self.place.previous);
        Summary { entries, head, root: self.frontier.root(), keys: self.keys.clone() }
    }

    /// Checks that the log ends under the writer's key.
    pub(crate) fn check_key(&self, key: &PublicKey) -> Result<(), FirstBad> {
        match self.keys.last() {
            Some(last) if self.key != *key => {
                let (line, sequence, reason) = (last.sequence + 1, last.sequence, Reason::OtherKey(self.key));
                Err(FirstBad { line, sequence, reason })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Returns the place after the last good entry, the tree so far, and the bytes so far.
    pub(crate) fn end(self) -> (Place, Frontier, u64) {
        (self.place, self.frontier, self.bytes)
    }
}
