//! A writer's new key: the first entry under it says which key it follows, and the old one signs that.
//!
//! The old key signs the entry's place and the new key, the new key signs the entry. So an entry binds both ways: who
//! believes the old key hears of the new one, and the new key vouches for all entries before. Where the old key was lost
//! there is no first signature. Such a *break* verifies, because nobody can mend it, and whoever verifies is told of it.

use std::io::{self, BufRead, Read};

use serde::{Deserialize, Serialize};

use crate::entry::{Entry, LINE_BYTES_MAX, Place, Reason};
use crate::hash::{LeafHash, from_hex, to_hex};
use crate::key::{PublicKey, Signer};

/// The key that a log was signed by until now.
#[derive(Clone, Copy)]
pub enum Old<'a> {
    /// Its holder signs the change.
    Signs(&'a dyn Signer),
    /// Nobody has it any more.
    Lost(PublicKey),
}

/// What an entry says that is signed by another key than the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyChange {
    /// The key of the entries before.
    pub from: PublicKey,
    /// The key of this entry and those after it.
    pub to: PublicKey,
    /// The old key's signature over the place and the new key; absent where the old key was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endorsement: Option<Endorsement>,
}

/// The old key's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Endorsement([u8; 64]);

impl KeyChange {
    /// Returns the change as the old key's holder signs it.
    pub(crate) fn endorsed(from: &dyn Signer, to: PublicKey, place: Place) -> Self {
        let lost = Self::lost(from.public_key(), to);
        let endorsement = Endorsement(from.sign(&lost.message(place)));
        Self { endorsement: Some(endorsement), ..lost }
    }

    /// Returns the change where nobody has the old key any more.
    pub(crate) fn lost(from: PublicKey, to: PublicKey) -> Self {
        Self { from, to, endorsement: None }
    }

    /// Says whether the old key's holder did not sign it.
    #[must_use]
    pub fn is_break(&self) -> bool {
        self.endorsement.is_none()
    }

    /// Checks that it follows `key` at its place, under that key's signature unless it is a break.
    pub(crate) fn check(&self, place: Place, key: &PublicKey) -> Result<(), Reason> {
        let signed =
            self.endorsement.is_none_or(|Endorsement(bytes)| key.verifies(&self.message(place), &bytes));
        if self.from == *key && self.to != self.from && signed { Ok(()) } else { Err(Reason::KeyChange) }
    }

    fn message(&self, place: Place) -> Vec<u8> {
        let Place { sequence, previous } = place;
        [MESSAGE_PREFIX, &sequence.to_be_bytes(), &previous.0, &self.from.0, &self.to.0].concat()
    }
}

/// A change of key with its place: all that it takes to believe the new key, for somebody who has only heads of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Succession {
    /// The place of the entry in the log.
    pub sequence: u64,
    /// The leaf hash of the entry before.
    pub previous: LeafHash,
    /// The change.
    pub change: KeyChange,
}

impl Succession {
    pub(crate) fn new(place: Place, change: KeyChange) -> Self {
        Self { sequence: place.sequence, previous: place.previous, change }
    }
}

/// Returns where the key changed in these entries.
pub(crate) fn successions<B>(entries: &[Entry<B>]) -> Vec<Succession> {
    let succession = |entry: &Entry<B>| {
        let place = Place { sequence: entry.sequence, previous: entry.previous };
        entry.key_change.clone().map(|change| Succession::new(place, change))
    };
    entries.iter().filter_map(succession).collect()
}

/// Says whether each key signed that the next one follows, from `first` to `last`.
#[must_use]
pub fn succeeds(first: &PublicKey, last: &PublicKey, changes: &[Succession]) -> bool {
    let step = |key: PublicKey, succession: &Succession| {
        let Succession { sequence, previous, change } = succession;
        let place = Place { sequence: *sequence, previous: *previous };
        let follows = change.from == key && !change.is_break() && change.check(place, &key).is_ok();
        if follows { change.to } else { key }
    };
    changes.iter().fold(*first, step) == *last
}

/// Returns the key of a log's first entry, whose writer has the key `last` now: what the log's first change of key says,
/// or `last`. Nothing is verified by that; a walk over the log is what does.
///
/// # Errors
/// Returns the reader's errors.
pub fn first_key(mut reader: impl BufRead, last: &PublicKey) -> io::Result<PublicKey> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)? == 0 {
            return Ok(*last);
        }
        let json = line.iter().rposition(|&byte| byte == b'\t').map_or(&line[..], |tab| &line[..tab]);
        if let Ok(Changed { key_change: Some(change) }) = serde_json::from_slice(json) {
            return Ok(change.from);
        }
    }
}

/// What is of interest before anything is verified.
#[derive(Deserialize)]
struct Changed {
    #[serde(default)]
    key_change: Option<KeyChange>,
}

impl From<Endorsement> for String {
    fn from(endorsement: Endorsement) -> Self {
        to_hex(&endorsement.0)
    }
}

impl TryFrom<String> for Endorsement {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        from_hex(text.as_bytes()).map(Self).ok_or("expected a signature of 128 lower-case hexadecimal digits")
    }
}

const MESSAGE_PREFIX: &[u8] = b"fedtwin audit-log key change v1\n";
