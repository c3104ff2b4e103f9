//! One entry and its line in the file.
//!
//! A line is the entry's canonical JSON (fields in this order, integers and strings only), a tab, the
//! signature as hexadecimal digits, and a newline. What is signed is a prefix, so that no other
//! message of the federation can pass for an entry, and the leaf hash.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hash::{LeafHash, from_hex, to_hex};
use crate::key::{PublicKey, Signer};
use crate::key_change::KeyChange;

/// The longest line, newline included: what a reader has to hold in memory.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// A verified entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<B> {
    /// The place in the log, counted from 0.
    pub sequence: u64,
    /// The leaf hash of the entry before.
    pub previous: LeafHash,
    /// Milliseconds since the Unix epoch, by the writer's clock; not necessarily increasing.
    pub time_ms: u64,
    /// What is to be known about the build that wrote it.
    pub stamp: Option<Stamp>,
    /// The writer's new key, in the first entry under it.
    pub key_change: Option<KeyChange>,
    /// What happened.
    pub body: B,
    /// The entry's own leaf hash.
    pub hash: LeafHash,
}

/// A warning about the build that wrote an entry; what a hospital runs writes none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stamp {
    /// A build for tests, whose randomness may be known to anybody.
    #[serde(rename = "not private")]
    NotPrivate,
}

/// The place where the next entry goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) sequence: u64,
    pub(crate) previous: LeafHash,
}

impl Place {
    /// The place of a log's first entry.
    pub(crate) const FIRST: Self = Self { sequence: 0, previous: LeafHash::NONE };

    /// Returns the place after an entry here.
    pub(crate) fn after(self, hash: LeafHash) -> Self {
        Self { sequence: self.sequence + 1, previous: hash }
    }
}

/// The JSON of an entry.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json<B> {
    version: u32,
    algorithm: String,
    sequence: u64,
    previous: LeafHash,
    time_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stamp: Option<Stamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_change: Option<KeyChange>,
    body: B,
}

/// A body that cannot be written to a log.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The body is no JSON.
    #[error("the body cannot be written as JSON")]
    NotJson(#[source] serde_json::Error),
    /// Floating-point numbers have more than one text.
    #[error("the body holds a number that is not an integer")]
    NotAnInteger,
    /// The line would be too long.
    #[error("the entry takes {0} bytes, expected at most {LINE_BYTES_MAX}")]
    TooLong(usize),
}

/// What an entry says beside its body.
#[derive(Debug, Clone)]
pub(crate) struct Heading {
    pub(crate) place: Place,
    pub(crate) time_ms: u64,
    pub(crate) stamp: Option<Stamp>,
    pub(crate) key_change: Option<KeyChange>,
}

/// Encodes an entry and signs it.
pub(crate) fn encode<B: Serialize>(
    heading: Heading,
    body: &B,
    signer: &dyn Signer,
) -> Result<(Vec<u8>, LeafHash), BodyError> {
    if !holds_integers_only(&serde_json::to_value(body).map_err(BodyError::NotJson)?) {
        return Err(BodyError::NotAnInteger);
    }
    let Heading { place: Place { sequence, previous }, time_ms, stamp, key_change } = heading;
    let algorithm = ALGORITHM.to_owned();
    let json = Json { version: VERSION, algorithm, sequence, previous, time_ms, stamp, key_change, body };
    let mut line = serde_json::to_vec(&json).map_err(BodyError::NotJson)?;
    let hash = LeafHash::of(&line);
    let signature = signer.sign(&signed_message(hash));
    line.push(b'\t');
    line.extend_from_slice(to_hex(&signature).as_bytes());
    line.push(b'\n');
    if line.len() > LINE_BYTES_MAX { Err(BodyError::TooLong(line.len())) } else { Ok((line, hash)) }
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// The line does not end in a newline.
    #[error("the line is cut off, or longer than {LINE_BYTES_MAX} bytes")]
    CutOff,
    /// The line is not JSON, tab, signature.
    #[error("expected an entry, a tab and a signature of 128 hexadecimal digits")]
    Layout,
    /// The entry is not the JSON of an entry.
    #[error("the entry cannot be read")]
    Json(#[source] serde_json::Error),
    /// The entry's version or algorithm is not known.
    #[error(
        "the entry's format is {algorithm:?} version {version}, expected {ALGORITHM:?} version {VERSION}"
    )]
    Format {
        /// The entry's version.
        version: u32,
        /// The entry's algorithm.
        algorithm: String,
    },
    /// The same entry has another text.
    #[error("the entry is not written canonically")]
    NotCanonical,
    /// An entry is missing, repeated or in another place.
    #[error("the entry has sequence {0}")]
    Sequence(u64),
    /// The entry follows another one than the line before.
    #[error("the entry does not name the hash of the line before")]
    Chain,
    /// A change of key that the key before did not sign, or that follows another one.
    #[error("the change of key does not follow the key of the line before, or is not signed by it")]
    KeyChange,
    /// The log goes on under another key than the writer's.
    #[error("from this entry on the log is signed by the key {0}, which is not the one that was given")]
    OtherKey(PublicKey),
    /// The signature is not the key's over this entry.
    #[error("the signature does not fit the entry and the key")]
    Signature,
    /// The file could not be read on.
    #[error("reading failed")]
    Read(#[source] std::io::Error),
}

/// Decodes and verifies the line, newline included, that should stand at `place`.
pub(crate) fn decode<B: Serialize + DeserializeOwned>(
    place: Place,
    line: &[u8],
    key: &PublicKey,
) -> Result<Entry<B>, Reason> {
    let line = line.strip_suffix(b"\n").ok_or(Reason::CutOff)?;
    let tab = line.iter().rposition(|&b| b == b'\t').ok_or(Reason::Layout)?;
    let (bytes, signature) = (&line[..tab], &line[tab + 1..]);
    let signature: [u8; 64] = from_hex(signature).ok_or(Reason::Layout)?;
    let json: Json<B> = serde_json::from_slice(bytes).map_err(Reason::Json)?;
    if json.version != VERSION || json.algorithm != ALGORITHM {
        return Err(Reason::Format { version: json.version, algorithm: json.algorithm });
    }
    if json.sequence != place.sequence {
        return Err(Reason::Sequence(json.sequence));
    }
    if json.previous != place.previous {
        return Err(Reason::Chain);
    }
    if let Some(change) = &json.key_change {
        change.check(place, key)?;
    }
    let key = json.key_change.as_ref().map_or(key, |change| &change.to);
    let hash = LeafHash::of(bytes);
    if !key.verifies(&signed_message(hash), &signature) {
        return Err(Reason::Signature);
    }
    if serde_json::to_vec(&json).map_err(Reason::Json)? != bytes {
        return Err(Reason::NotCanonical);
    }
    let Json { sequence, previous, time_ms, stamp, key_change, body, .. } = json;
    Ok(Entry { sequence, previous, time_ms, stamp, key_change, body, hash })
}

fn signed_message(hash: LeafHash) -> Vec<u8> {
    [SIGNATURE_PREFIX, &hash.0].concat()
}

fn holds_integers_only(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => !number.is_f64(),
        Value::Array(items) => items.iter().all(holds_integers_only),
        Value::Object(fields) => fields.values().all(holds_integers_only),
    }
}

const VERSION: u32 = 1;
const ALGORITHM: &str = "sha256-ed25519";
const SIGNATURE_PREFIX: &[u8] = b"fedtwin audit-log entry v1\n";
