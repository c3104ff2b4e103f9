//! What a researcher sees of a study while it runs.

use fedtwin_plan::{Digest, SiteName, Timestamp};

use super::metrics::MetricsReleased;
use super::study::StudyClosed;
use super::{Malformed, as_reason, digest_bytes, name, names, optional_digest};
use crate::wire;

/// Something that happened in a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyEvent {
    /// Its place in the study's history, from 0; what is missing in between is kept no more.
    pub number: u64,
    /// When the coordinator saw it.
    pub time: Timestamp,
    /// What it was.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A site accepted the plan, or refused it with a reason.
    SiteAnswered {
        /// The site, by the name in its certificates.
        site: SiteName,
        /// Why it refused.
        refused: Option<String>,
    },
    /// An attempt began.
    AttemptStarted {
        /// The round, from 1.
        round: u32,
        /// The attempt, from 1 over the study.
        attempt: u32,
        /// The invited sites.
        sites: Vec<SiteName>,
    },
    /// A complete, verified update came.
    UpdateReceived {
        /// The site, by the name in its certificates.
        site: SiteName,
        /// The update's length.
        bytes: u64,
    },
    /// A site sent something unusable, or said that it cannot take part in the attempt.
    SiteFailed {
        /// The site, by the name in its certificates.
        site: SiteName,
        /// What happened.
        reason: String,
    },
    /// Secure aggregation opened nothing in an attempt.
    AttemptFailed {
        /// Why.
        reason: String,
    },
    /// An attempt closed.
    AttemptClosed {
        /// The round, from 1.
        round: u32,
        /// The attempt, from 1 over the study.
        attempt: u32,
        /// The sites whose updates are in the new model.
        included: Vec<SiteName>,
        /// The invited sites whose updates are not.
        missing: Vec<SiteName>,
        /// The new model; absent where too few updates came and the attempt was dropped.
        model: Option<Digest>,
    },
    /// Noised counts of a model's scores were released.
    MetricsReleased(MetricsReleased),
    /// The study ended.
    StudyClosed(StudyClosed),
}

impl TryFrom<wire::StudyEvent> for StudyEvent {
    type Error = Malformed;

    fn try_from(wire: wire::StudyEvent) -> Result<Self, Malformed> {
        let time = Timestamp(wire.time_ms);
        let event = match wire.event.ok_or_else(|| Malformed::new("event", "is missing"))? {
            wire::study_event::Event::SiteAnswered(e) => Event::SiteAnswered {
                site: name("site", &e.site)?,
                refused: Some(e.refused).filter(|reason| !reason.is_empty()),
            },
            wire::study_event::Event::AttemptStarted(e) => {
                Event::AttemptStarted { round: e.round, attempt: e.attempt, sites: names("sites", &e.sites)? }
            }
            wire::study_event::Event::UpdateReceived(e) => {
                Event::UpdateReceived { site: name("site", &e.site)?, bytes: e.bytes }
            }
            wire::study_event::Event::SiteFailed(e) => {
                Event::SiteFailed { site: name("site", &e.site)?, reason: e.reason }
            }
            wire::study_event::Event::AttemptFailed(e) => Event::AttemptFailed { reason: e.reason },
            wire::study_event::Event::AttemptClosed(e) => Event::AttemptClosed {
                round: e.round,
                attempt: e.attempt,
                included: names("included", &e.included)?,
                missing: names("missing", &e.missing)?,
                model: optional_digest("model", &e.model)?,
            },
            wire::study_event::Event::MetricsReleased(e) => Event::MetricsReleased(e.try_into()?),
            wire::study_event::Event::StudyClosed(e) => Event::StudyClosed(e.try_into()?),
        };
        Ok(Self { number: wire.number, time, event })
    }
}

impl From<StudyEvent> for wire::StudyEvent {
    fn from(event: StudyEvent) -> Self {
        let texts = |sites: Vec<SiteName>| sites.into_iter().map(String::from).collect();
        let wire = match event.event {
            Event::SiteAnswered { site, refused } => {
                wire::study_event::Event::SiteAnswered(wire::SiteAnswered {
                    site: site.into(),
                    refused: refused.as_deref().map(as_reason).unwrap_or_default(),
                })
            }
            Event::AttemptStarted { round, attempt, sites } => {
                wire::study_event::Event::AttemptStarted(wire::AttemptStarted {
                    round,
                    attempt,
                    sites: texts(sites),
                })
            }
            Event::UpdateReceived { site, bytes } => {
                wire::study_event::Event::UpdateReceived(wire::UpdateReceived { site: site.into(), bytes })
            }
            Event::SiteFailed { site, reason } => wire::study_event::Event::SiteFailed(wire::SiteFailed {
                site: site.into(),
                reason: as_reason(&reason),
            }),
            Event::AttemptFailed { reason } => {
                wire::study_event::Event::AttemptFailed(wire::AttemptFailed { reason: as_reason(&reason) })
            }
            Event::AttemptClosed { round, attempt, included, missing, model } => {
                wire::study_event::Event::AttemptClosed(wire::AttemptClosed {
                    round,
                    attempt,
                    included: texts(included),
                    missing: texts(missing),
                    model: model.as_ref().map(digest_bytes).unwrap_or_default(),
                })
            }
            Event::MetricsReleased(released) => wire::study_event::Event::MetricsReleased(released.into()),
            Event::StudyClosed(closed) => wire::study_event::Event::StudyClosed(closed.into()),
        };
        Self { number: event.number, time_ms: event.time.0, event: Some(wire) }
    }
}
