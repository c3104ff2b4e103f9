//! Messages of one attempt at a round.

use std::collections::BTreeSet;
use std::time::Duration;

use fedtwin_plan::numbers::Positive;
use fedtwin_plan::{Digest, SiteName, StudyId};

use super::{Malformed, as_reason, digest, digest_bytes, name, names, reason};
use crate::wire;

/// What names an attempt: stored bytes, charges and noise belong to exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptKey {
    /// The study, by its plan's `study.id`.
    pub study: StudyId,
    /// The round, counted from 1.
    pub round: u32,
    /// The attempt, counted from 1 over the whole study.
    pub attempt: u32,
}

impl AttemptKey {
    pub(crate) fn new(study: &str, round: u32, attempt: u32) -> Result<Self, Malformed> {
        if round == 0 || attempt < round {
            return Err(Malformed::new("attempt", "is below the round, or the round is 0"));
        }
        Ok(Self { study: name("study", study)?, round, attempt })
    }
}

impl std::fmt::Display for AttemptKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} round {} attempt {}", self.study, self.round, self.attempt)
    }
}

/// Asks a site for its update.
#[derive(Debug, Clone, PartialEq)]
pub struct Invitation {
    /// The attempt.
    pub key: AttemptKey,
    /// The global model to start from.
    pub model: Digest,
    /// Time until the attempt closes.
    pub closes_in: Duration,
    /// The round's clip, which the plan has to allow.
    pub clip: Positive,
    /// The sites that are invited, under secure aggregation; none without.
    pub members: BTreeSet<SiteName>,
}

impl TryFrom<wire::Invitation> for Invitation {
    type Error = Malformed;

    fn try_from(wire: wire::Invitation) -> Result<Self, Malformed> {
        Ok(Self {
            key: AttemptKey::new(&wire.study, wire.round, wire.attempt)?,
            model: digest("model", &wire.model)?,
            closes_in: Duration::from_millis(wire.closes_in_ms),
            clip: wire.clip.try_into().map_err(|error| Malformed::new("clip", error))?,
            members: names("members", &wire.members)?.into_iter().collect(),
        })
    }
}

impl From<Invitation> for wire::Invitation {
    fn from(invitation: Invitation) -> Self {
        Self {
            study: invitation.key.study.into(),
            round: invitation.key.round,
            attempt: invitation.key.attempt,
            model: digest_bytes(&invitation.model),
            closes_in_ms: u64::try_from(invitation.closes_in.as_millis()).unwrap_or(u64::MAX),
            clip: invitation.clip.get(),
            members: invitation.members.into_iter().map(String::from).collect(),
        }
    }
}

/// Announces an update; its chunks follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateHeader {
    /// The attempt.
    pub key: AttemptKey,
    /// Bytes of all chunks together.
    pub length: u64,
    /// Digest of all chunks together.
    pub digest: Digest,
}

impl TryFrom<wire::UpdateHeader> for UpdateHeader {
    type Error = Malformed;

    fn try_from(wire: wire::UpdateHeader) -> Result<Self, Malformed> {
        Ok(Self {
            key: AttemptKey::new(&wire.study, wire.round, wire.attempt)?,
            length: wire.length,
            digest: digest("digest", &wire.digest)?,
        })
    }
}

impl From<UpdateHeader> for wire::UpdateHeader {
    fn from(header: UpdateHeader) -> Self {
        Self {
            study: header.key.study.into(),
            round: header.key.round,
            attempt: header.key.attempt,
            length: header.length,
            digest: digest_bytes(&header.digest),
        }
    }
}

/// Tells that a site will send no update for an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptDeclined {
    /// The study, by its plan's `study.id`.
    pub study: StudyId,
    /// The attempt, counted from 1 over the whole study.
    pub attempt: u32,
    /// Why, for people; holds nothing that depends on patients.
    pub reason: String,
}

impl TryFrom<wire::AttemptDeclined> for AttemptDeclined {
    type Error = Malformed;

    fn try_from(wire: wire::AttemptDeclined) -> Result<Self, Malformed> {
        Ok(Self {
            study: name("study", &wire.study)?,
            attempt: wire.attempt,
            reason: reason("reason", wire.reason)?,
        })
    }
}

impl From<AttemptDeclined> for wire::AttemptDeclined {
    fn from(declined: AttemptDeclined) -> Self {
        Self { study: declined.study.into(), attempt: declined.attempt, reason: as_reason(&declined.reason) }
    }
}
