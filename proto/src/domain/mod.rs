//! Validated messages: what the wire can say, as types that cannot hold anything else.

mod event;
mod ledger;
mod metrics;
mod round;
mod secure;
mod study;

pub use event::{Event, StudyEvent};
pub use ledger::{Growth, LedgerEntries, MirrorState, Sighting};
pub use metrics::{Counts, MetricsReleased};
pub use round::{Invitation, RoundDeclined, RoundKey, UpdateHeader};
pub use secure::{SecureMessage, SecureNotice, SecureStep};
pub use study::{Answer, Notice, PlanAnswer, StudyClosed, StudyOutcome};

use fedtwin_plan::Digest;

/// A message that no correct peer sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed message: {field} {expected}")]
pub struct Malformed {
    /// The field's name in the protobuf definition.
    pub field: &'static str,
    /// What was expected.
    pub expected: String,
}

impl Malformed {
    pub(crate) fn new(field: &'static str, expected: impl ToString) -> Self {
        Self { field, expected: expected.to_string() }
    }
}

impl From<Malformed> for tonic::Status {
    fn from(malformed: Malformed) -> Self {
        Self::invalid_argument(malformed.to_string())
    }
}

pub(crate) fn name<T: std::str::FromStr<Err: ToString>>(
    field: &'static str,
    text: &str,
) -> Result<T, Malformed> {
    text.parse().map_err(|e: T::Err| Malformed::new(field, e))
}

pub(crate) fn names<T: std::str::FromStr<Err: ToString>>(
    field: &'static str,
    texts: &[String],
) -> Result<Vec<T>, Malformed> {
    texts.iter().map(|text| name(field, text)).collect()
}

/// Reads a SHA-256 digest from a message's bytes.
///
/// # Errors
/// Refuses any other length.
pub fn digest(field: &'static str, bytes: &[u8]) -> Result<Digest, Malformed> {
    Digest::try_from(bytes).map_err(|_other_length| Malformed::new(field, "is not 32 bytes long"))
}

/// Reads a digest that may be absent, as empty bytes say.
pub(crate) fn optional_digest(field: &'static str, bytes: &[u8]) -> Result<Option<Digest>, Malformed> {
    if bytes.is_empty() { Ok(None) } else { digest(field, bytes).map(Some) }
}

pub(crate) fn digest_bytes(digest: &Digest) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(&digest.0)
}

pub(crate) fn reason(field: &'static str, text: String) -> Result<String, Malformed> {
    if text.len() <= crate::limits::REASON_BYTES_MAX && !text.chars().any(char::is_control) {
        Ok(text)
    } else {
        Err(Malformed::new(field, "is too long or holds control characters"))
    }
}

/// Makes any text fit to be sent as a reason.
#[must_use]
pub fn as_reason(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut end = clean.len().min(crate::limits::REASON_BYTES_MAX);
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    clean[..end].to_owned()
}
