//! Verification of a whole log, offline: the file and a public key are enough.

use std::io::{BufRead, Read};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::entry::{Entry, LINE_BYTES_MAX, Place, Reason, decode};
use crate::hash::LeafHash;
use crate::key::PublicKey;
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
/// A log whose last lines are missing verifies: only its [`checkpoint`](crate::checkpoint) can tell.
///
/// # Errors
/// Names the first bad entry.
pub fn verify(reader: impl BufRead, key: &PublicKey) -> Result<Summary, FirstBad> {
    let mut walk = Walk::<Box<RawValue>, _>::new(reader, *key);
    while walk.next_entry()?.is_some() {}
    Ok(walk.summary())
}

/// Verifies a log and returns its entries.
///
/// # Errors
/// Names the first bad entry, which may also be one whose body has another type.
pub fn entries<B: Serialize + DeserializeOwned>(
    reader: impl BufRead,
    key: &PublicKey,
) -> Result<(Vec<Entry<B>>, Summary), FirstBad> {
    let mut walk = Walk::new(reader, *key);
    let mut entries = Vec::new();
    while let Some(entry) = walk.next_entry()? {
        entries.push(entry);
    }
    Ok((entries, walk.summary()))
}

/// A walk over a log, entry by entry.
pub(crate) struct Walk<B, R> {
    reader: R,
    key: PublicKey,
    place: Place,
    frontier: Frontier,
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
        self.place = self.place.after(entry.hash);
        self.frontier.push(entry.hash);
        self.bytes += read as u64;
        Ok(Some(entry))
    }

    pub(crate) fn summary(&self) -> Summary {
        Summary { entries: self.place.sequence, head: self.place.previous, root: self.frontier.root() }
    }

    /// Returns the place after the last good entry, the tree so far, and the bytes so far.
    pub(crate) fn end(self) -> (Place, Frontier, u64) {
        (self.place, self.frontier, self.bytes)
    }
}
