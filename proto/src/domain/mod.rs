//! Validated messages: what the wire can say, as types that cannot hold anything else.

mod attempt;
mod event;
mod ledger;
mod metrics;
mod secure;
mod study;

pub use attempt::{AttemptDeclined, AttemptKey, Invitation, UpdateHeader};
pub use event::{Event, StudyEvent};
pub use ledger::{Growth, LedgerEntries, MirrorState, Sighting};
pub use metrics::{Counts, MetricsReleased};
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

/// Makes any text fit to be sent as a reason: one line, of bounded length, and never empty.
///
/// Every reason goes through it on its way to the wire, so that no text that a peer would have to refuse as
/// malformed can be sent, whoever wrote it.
#[must_use]
pub fn as_reason(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return "no reason is given".to_owned();
    }
    let end = line.floor_char_boundary(crate::limits::REASON_BYTES_MAX);
    line[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use fedtwin_plan::{SiteName, StudyId, Timestamp};

    use super::*;
    use crate::wire;

    const AWKWARD: [&str; 6] = [
        "",
        " \n\t ",
        "cannot write the new model\n  because: No space left on device (os error 28)",
        "tab\tbell\u{7}next line\u{85}separator\u{2028}end",
        "\u{1f600} four bytes",
        "plain",
    ];

    /// Whatever a reason is made of, the other end takes it.
    #[test]
    fn no_reason_is_malformed_at_the_other_end() {
        let long = "\u{e9}\n".repeat(crate::limits::REASON_BYTES_MAX);
        let (study, site): (StudyId, SiteName) = ("s".parse().unwrap(), "va".parse().unwrap());
        for text in AWKWARD.into_iter().chain([long.as_str()]) {
            let text = text.to_owned();
            let outcome = StudyOutcome::Failed { reason: text.clone() };
            let closed = StudyClosed { study: study.clone(), outcome };
            let taken = StudyClosed::try_from(wire::StudyClosed::from(closed.clone())).unwrap();
            let StudyOutcome::Failed { reason } = taken.outcome else { panic!("the study failed") };
            assert!(!reason.is_empty() && reason.lines().count() == 1, "{reason:?}");
            let answer = Answer::Refused { reason: text.clone() };
            let answer = PlanAnswer { study: study.clone(), answer };
            assert!(PlanAnswer::try_from(wire::PlanAnswer::from(answer)).is_ok());
            let declined = AttemptDeclined { study: study.clone(), attempt: 1, reason: text.clone() };
            assert!(AttemptDeclined::try_from(wire::AttemptDeclined::from(declined)).is_ok());
            for event in [
                Event::SiteAnswered { site: site.clone(), refused: Some(text.clone()) },
                Event::SiteFailed { site: site.clone(), reason: text.clone() },
                Event::AttemptFailed { reason: text.clone() },
                Event::StudyClosed(closed.clone()),
            ] {
                let refuses = matches!(&event, Event::SiteAnswered { .. });
                let sent = StudyEvent { number: 7, time: Timestamp(1), event };
                let taken = StudyEvent::try_from(wire::StudyEvent::from(sent)).unwrap();
                assert_eq!(taken.number, 7);
                let says_no = matches!(taken.event, Event::SiteAnswered { refused: Some(_), .. });
                assert_eq!(says_no, refuses, "an empty reason is no acceptance");
            }
        }
    }
}
