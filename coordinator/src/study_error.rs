//! Why a study does not take what somebody said or asked for, and whose fault that is.

use fedtwin_plan::{SiteName, StudyId};
use fedtwin_proto::domain::AttemptKey;
use fedtwin_secagg::coordinator::MessageError;

/// Why something of a study is not done: the variant says whose fault it is, for whoever sent it and whoever watches.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StudyError {
    /// A site did what a correct one does not.
    #[error("site misbehaved: {0}")]
    SiteMisbehaved(Misbehaviour),
    /// A message of secure aggregation does not count, for one of its own reasons.
    #[error(transparent)]
    Secure(#[from] MessageError),
    /// Nobody's fault: the study moved on while the message was under way.
    #[error(transparent)]
    MovedOn(#[from] MovedOn),
    /// The researcher's: what the study needs of them is missing or refused, in words for them.
    #[error("{0}")]
    Researcher(String),
    /// The coordinator's own: its disk, or a fault of its program, in words for others.
    #[error("{0}")]
    Coordinator(String),
    /// Nobody's fault: somebody who may ended the study before it was open; the text says who.
    #[error("{0}")]
    Cancelled(String),
}

impl From<Misbehaviour> for StudyError {
    fn from(misbehaviour: Misbehaviour) -> Self {
        Self::SiteMisbehaved(misbehaviour)
    }
}

/// What no correct site does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misbehaviour {
    /// It answers a plan that is not for it.
    #[error("site {0} is not in the plan's audience")]
    NotInAudience(SiteName),
    /// It declares more patients than the plan has room for.
    #[error("{declared} patients are more than the plan's patients_max ({patients_max})")]
    TooManyPatients {
        /// What it declares.
        declared: u32,
        /// What the plan allows.
        patients_max: u32,
    },
    /// It accepts and refuses in turns.
    #[error("site {site} has changed its answer {changes} times; its last one counts")]
    ChangesItsAnswer {
        /// The site, by the name in its certificates.
        site: SiteName,
        /// How often it was heard.
        changes: u32,
    },
    /// It sends an update before anybody asked for one.
    #[error("the attempt has not begun; an update waits for its invitation")]
    NotBegun,
    /// It sends shares in an attempt whose updates are not masked.
    #[error("the attempt is without secure aggregation")]
    NotMasked,
    /// It sends an update in an attempt to which it was not invited.
    #[error("the site was not invited to this attempt")]
    NotInvited,
    /// It sends another update than before in one attempt: two agents may share a state folder's copy.
    #[error("another update of this site is part of the attempt already, which stays")]
    AnotherUpdate,
    /// Its counts are not one for each cell of the plan's histogram.
    #[error("{found} counts, expected {expected}")]
    Counts {
        /// What came.
        found: usize,
        /// What the plan's histogram has.
        expected: usize,
    },
    /// It sends other counts than before for one model.
    #[error("other counts of this site are in already, which stay")]
    OtherCounts,
    /// It sends counts that nobody asked for.
    #[error("the site was not asked for metrics")]
    NotAskedForMetrics,
}

/// Where a study is, for whoever speaks to it as it was before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MovedOn {
    /// The study ended.
    #[error("the study {0} is over")]
    StudyOver(StudyId),
    /// Its first model is in the making.
    #[error("the study {0} is being prepared; watch it in a moment")]
    Preparing(StudyId),
    /// The attempt closed, or another one is open.
    #[error("attempt {attempt} of {study} is not open; the next invitation names the one that is")]
    AttemptNotOpen {
        /// The study, by its plan's `study.id`.
        study: StudyId,
        /// The attempt that the message is for.
        attempt: u32,
    },
    /// The attempt closed while the message was on its way to it.
    #[error("the attempt is closed; the next invitation is for another one")]
    AttemptClosed,
    /// The step for vectors is over, or has not begun.
    #[error("no vector of the site is awaited; it takes part again in the next attempt")]
    VectorNotAwaited,
    /// The counts of another model are collected, or none are.
    #[error("metrics of {0} are not wanted now")]
    MetricsNotWanted(AttemptKey),
}
