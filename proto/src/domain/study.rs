//! Messages that open and close a study.

use std::sync::Arc;

use fedtwin_plan::signed::{PLAN_BYTES_MAX, SignedPlan};
use fedtwin_plan::{Digest, StudyId};

use super::attempt::Invitation;
use super::secure::SecureNotice;
use super::{Malformed, as_reason, digest_bytes, name, optional_digest, reason};
use crate::wire;

/// What the coordinator tells a site.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// A plan to accept or refuse; the signature is not yet verified. All sites are offered the same one.
    Offer(Arc<SignedPlan>),
    /// An attempt to take part in.
    Invitation(Invitation),
    /// Metrics to release, of the model that an attempt made.
    Measurement(Invitation),
    /// The next message of an attempt under secure aggregation.
    Secure(SecureNotice),
    /// A study has ended.
    Closed(StudyClosed),
}

impl TryFrom<wire::Notice> for Notice {
    type Error = Malformed;

    fn try_from(wire: wire::Notice) -> Result<Self, Malformed> {
        match wire.notice.ok_or_else(|| Malformed::new("notice", "is missing"))? {
            wire::notice::Notice::Offer(plan) => signed_plan(plan).map(|plan| Self::Offer(Arc::new(plan))),
            wire::notice::Notice::Invitation(invitation) => invitation.try_into().map(Self::Invitation),
            wire::notice::Notice::Measurement(invitation) => invitation.try_into().map(Self::Measurement),
            wire::notice::Notice::Secure(notice) => notice.try_into().map(Self::Secure),
            wire::notice::Notice::Closed(closed) => closed.try_into().map(Self::Closed),
        }
    }
}

impl From<Notice> for wire::Notice {
    fn from(notice: Notice) -> Self {
        let notice = match notice {
            Notice::Offer(plan) => wire::notice::Notice::Offer(Arc::unwrap_or_clone(plan).into()),
            Notice::Invitation(invitation) => wire::notice::Notice::Invitation(invitation.into()),
            Notice::Measurement(invitation) => wire::notice::Notice::Measurement(invitation.into()),
            Notice::Secure(notice) => wire::notice::Notice::Secure(notice.into()),
            Notice::Closed(closed) => wire::notice::Notice::Closed(closed.into()),
        };
        Self { notice: Some(notice) }
    }
}

/// Takes a signed plan off the wire, bounded in length and not yet verified.
fn signed_plan(wire: wire::SignedPlan) -> Result<SignedPlan, Malformed> {
    if wire.text.len() > PLAN_BYTES_MAX {
        return Err(Malformed::new("text", "is longer than a plan may be"));
    }
    Ok(SignedPlan {
        text: wire.text.to_vec(),
        signature: wire.signature.to_vec(),
        certificate: wire.certificate.to_vec(),
    })
}

impl TryFrom<wire::SignedPlan> for SignedPlan {
    type Error = Malformed;

    fn try_from(wire: wire::SignedPlan) -> Result<Self, Malformed> {
        signed_plan(wire)
    }
}

impl From<SignedPlan> for wire::SignedPlan {
    fn from(plan: SignedPlan) -> Self {
        Self {
            text: plan.text.into(),
            signature: plan.signature.into(),
            certificate: plan.certificate.into(),
        }
    }
}

/// A site's answer to an offered plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanAnswer {
    /// The study, by its plan's `study.id`.
    pub study: StudyId,
    /// Yes or no.
    pub answer: Answer,
}

/// Yes or no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The site takes part.
    Accepted {
        /// Its cohort's declared, public size.
        patients: u32,
    },
    /// The site does not take part.
    Refused {
        /// Why, for people.
        reason: String,
    },
}

impl TryFrom<wire::PlanAnswer> for PlanAnswer {
    type Error = Malformed;

    fn try_from(wire: wire::PlanAnswer) -> Result<Self, Malformed> {
        let answer = match wire.answer.ok_or_else(|| Malformed::new("answer", "is missing"))? {
            wire::plan_answer::Answer::Accepted(wire::PlanAccepted { patients: 0 }) => {
                return Err(Malformed::new("patients", "is 0"));
            }
            wire::plan_answer::Answer::Accepted(wire::PlanAccepted { patients }) => {
                Answer::Accepted { patients }
            }
            wire::plan_answer::Answer::Refused(text) => Answer::Refused { reason: reason("refused", text)? },
        };
        Ok(Self { study: name("study", &wire.study)?, answer })
    }
}

impl From<PlanAnswer> for wire::PlanAnswer {
    fn from(answer: PlanAnswer) -> Self {
        let wire = match answer.answer {
            Answer::Accepted { patients } => {
                wire::plan_answer::Answer::Accepted(wire::PlanAccepted { patients })
            }
            Answer::Refused { reason } => wire::plan_answer::Answer::Refused(as_reason(&reason)),
        };
        Self { study: answer.study.into(), answer: Some(wire) }
    }
}

/// A study has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyClosed {
    /// The study, by its plan's `study.id`.
    pub study: StudyId,
    /// How.
    pub outcome: StudyOutcome,
}

/// How a study ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StudyOutcome {
    /// All rounds were done.
    Finished {
        /// The final model.
        model: Digest,
    },
    /// It could not be finished.
    Failed {
        /// Why, for people.
        reason: String,
    },
}

impl StudyOutcome {
    /// Returns the final model, if there is one.
    #[must_use]
    pub fn model(&self) -> Option<Digest> {
        match self {
            Self::Finished { model } => Some(*model),
            Self::Failed { .. } => None,
        }
    }
}

impl TryFrom<wire::StudyClosed> for StudyClosed {
    type Error = Malformed;

    fn try_from(wire: wire::StudyClosed) -> Result<Self, Malformed> {
        let outcome = match optional_digest("model", &wire.model)? {
            Some(model) => StudyOutcome::Finished { model },
            None => StudyOutcome::Failed { reason: reason("failure", wire.failure)? },
        };
        Ok(Self { study: name("study", &wire.study)?, outcome })
    }
}

impl From<StudyClosed> for wire::StudyClosed {
    fn from(closed: StudyClosed) -> Self {
        let (model, failure) = match closed.outcome {
            StudyOutcome::Finished { model } => (digest_bytes(&model), String::new()),
            StudyOutcome::Failed { reason } => (bytes::Bytes::new(), as_reason(&reason)),
        };
        Self { study: closed.study.into(), model, failure }
    }
}
