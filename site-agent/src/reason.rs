//! What others may know of why this site refuses a study or has nothing to send: sealed, and made here alone.
//!
//! Whatever goes wrong has two texts. The whole chain of causes, with files, lines and limits, is for this site's own
//! log. Outside, and in the ledger, which has copies outside, stands a [`PublicReason`]. It is one of the cases of
//! `Why`, whose fields are names that the plan contains and numbers that are public: no text of another origin has a
//! place in it. A case that depends on patients' data has no field at all.
//!
//! Each error of this crate that may end a study or an attempt is turned into a reason by a match without a rest, so
//! that a new error cannot be forgotten here. Left out on purpose: any way from a text to a reason.

#[cfg(test)]
mod tests;

use fedtwin_cohort::{Mismatch, RecordKind, Values};
use fedtwin_plan::cohort_need::{DataNeed, TableNeed};
use fedtwin_plan::outcome::OutcomeKind;
use fedtwin_plan::{CohortName, Digest, SiteName, StudyId, Timestamp};
use fedtwin_privacy::ledger::{Attempt, Ledger, LedgerError, Round, Violation};
use fedtwin_proto::domain::as_reason;
use fedtwin_secagg::site::StepError as NotHidden;

use crate::attempt_error::{AttemptError, NotBegun};
use crate::policy::PlanLine;
use crate::secure::SecureError;
use crate::session::{NotWhole, OfferError, SessionError};
use crate::witnessing::WitnessError;

/// A reason that may leave the hospital.
#[derive(Debug, Clone, PartialEq)]
pub struct PublicReason {
    why: Why,
}

/// All that can be said.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum Why {
    #[error("this site's policy does not allow what the plan asks for: {0}")]
    Policy(PlanLine),
    #[error("{0} takes part, whose identity key this site has not pinned")]
    NotPinned(SiteName),
    #[error("{0} takes part, whose identity key does not count any more")]
    PeerRevoked(SiteName),
    #[error("this site has no cohort {0}")]
    NoCohort(CohortName),
    #[error("the cohort is not open to studies at this site at the moment")]
    NotOpen,
    #[error("the cohort has {declared} patients, the plan has room for {room}")]
    TooManyPatients { declared: u32, room: u32 },
    #[error("the cohort does not fit the plan: {0}")]
    Misfit(Misfit),
    #[error("the plan's calibration is out of range")]
    Calibration,
    #[error("the plan claims epsilon {claimed:.6}, this site's accountant finds {found:.6} at delta {delta}")]
    Claim { claimed: f64, found: f64, delta: f64 },
    // Budgets, unlike what is in a cohort, are for researchers to plan with.
    #[error("{0}")]
    Ledger(Violation),
    #[error("{0}")]
    NotWhole(NotWhole),
    #[error("the site's ledger cannot be used; its log says why")]
    LedgerUnusable,
    #[error("the site's disk is full: nothing can be entered in its ledger before people there make room")]
    DiskFull,
    #[error("the site cannot take part at the moment; its log says why")]
    NotNow,
    #[error("this site does not take part in the study")]
    NotTakingPart,
    #[error("the coordinator asks for a clip that the plan does not allow")]
    OtherClip,
    #[error("the plan asks for no metrics after round {0}")]
    NotMeasured(u32),
    #[error("a call to the coordinator failed, or its answer was not one")]
    Call,
    #[error("the attempt closed before this site could begin with it")]
    TooLate,
    #[error("secure aggregation: {0}")]
    NotHidden(NotHidden),
    #[error("secure aggregation: fewer sites take part than this one hides among")]
    TooFewSites,
    #[error("this site's policy does not say whom it hides among")]
    NoPeers,
    #[error(
        "this site restarted in the middle of an attempt under secure aggregation, and has its keys no more"
    )]
    KeysLost,
    #[error("the site could not compute its update; its log says why")]
    Failed,
}

/// How a cohort does not fit a plan: in the plan's words, and never in the cohort's.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum Misfit {
    #[error("it expects a table, the cohort has images")]
    NoTable,
    #[error("it expects images, the cohort has a table")]
    NoImages,
    #[error("it predicts another outcome than the cohort has")]
    Outcome,
    #[error("it predicts an outcome that is {0}, the cohort's is of another kind")]
    OutcomeKind(OutcomeKind),
    #[error("it expects a column {0}, which the cohort does not have")]
    NoFeature(PlanFeature),
    #[error("column {0}: the plan expects numbers, the cohort has categories")]
    NoNumbers(PlanFeature),
    #[error("column {0}: the plan expects categories, the cohort has numbers")]
    NoCategories(PlanFeature),
    #[error("column {0}: the cohort has another unit than the plan")]
    Unit(PlanFeature),
    #[error("column {0}: none of the cohort's plausible values is in the plan's range")]
    Range(PlanFeature),
    #[error("column {0}: the cohort has a category that the plan does not name")]
    Category(PlanFeature),
    #[error("it expects slices of at most {height} x {width}, the cohort declares larger ones")]
    Slices { height: u32, width: u32 },
}

/// A feature's name, as the plan has it.
#[derive(Debug, Clone, PartialEq)]
struct PlanFeature(Option<String>);

impl PlanFeature {
    /// Takes a name that the plan contains; of any other nothing is said.
    fn of(need: &DataNeed, name: &str) -> Self {
        let DataNeed::Table(TableNeed { features, .. }) = need else { return Self(None) };
        Self(features.get_key_value(name).map(|(name, _)| name.clone()))
    }
}

impl std::fmt::Display for PlanFeature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(name) => write!(f, "{name:?}"),
            None => f.write_str("of another name"),
        }
    }
}

impl std::fmt::Display for PublicReason {
    /// Writes what a message may hold: one line of bounded length.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&as_reason(&self.why.to_string()))
    }
}

impl PublicReason {
    /// Enters in the ledger that a study was refused.
    ///
    /// # Errors
    /// Fails when the disk does.
    pub(crate) fn enter_study(
        &self,
        ledger: &mut Ledger,
        (study, plan): (&StudyId, Digest),
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        ledger.refuse(study, plan, &self.to_string(), now)
    }

    /// Enters in the ledger that an attempt was refused.
    ///
    /// # Errors
    /// Fails when the disk does.
    pub(crate) fn enter_attempt(
        &self,
        ledger: &mut Ledger,
        (study, key): (&StudyId, (Round, Attempt)),
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        ledger.refuse_attempt(study, key, &self.to_string(), now)
    }
}

impl From<&OfferError> for PublicReason {
    fn from(refusal: &OfferError) -> Self {
        let why = match refusal {
            OfferError::Denied(denied) => Why::Policy(denied.line),
            OfferError::NotPinned(site) => Why::NotPinned(site.clone()),
            OfferError::PeerRevoked { site, source: _ } => Why::PeerRevoked(site.clone()),
            OfferError::NoCohort(name) => Why::NoCohort(name.clone()),
            OfferError::NotOpen(_) => Why::NotOpen,
            &OfferError::TooManyPatients { declared, room } => Why::TooManyPatients { declared, room },
            OfferError::Misfit { mismatch, need } => Why::Misfit(misfit(mismatch, need)),
            OfferError::Storage(_) => Why::NotNow,
            OfferError::NoEpsilon | OfferError::Calibration(_) => Why::Calibration,
            &OfferError::Claim { claimed, found, delta } => Why::Claim { claimed, found, delta },
            OfferError::Ledger(error) => ledger(error),
            OfferError::NotWhole(not_whole) => Why::NotWhole(*not_whole),
            OfferError::Budgets(_) | OfferError::Closings(_) => Why::LedgerUnusable,
            OfferError::Before(reason) => return reason.clone(),
        };
        Self { why }
    }
}

impl From<&SessionError> for PublicReason {
    fn from(error: &SessionError) -> Self {
        Self { why: session(error) }
    }
}

impl From<&NotBegun> for PublicReason {
    fn from(error: &NotBegun) -> Self {
        let why = match error {
            NotBegun::NotTakingPart => Why::NotTakingPart,
            NotBegun::OtherClip(_) => Why::OtherClip,
            NotBegun::TooLate => Why::TooLate,
            NotBegun::Session(error) => session(error),
            NotBegun::Model(_) => Why::Call,
            NotBegun::Call(error) => witness(error),
            NotBegun::Secure(error) => secure(error),
            NotBegun::NoPeers => Why::NoPeers,
            NotBegun::KeysLost => Why::KeysLost,
        };
        Self { why }
    }
}

impl From<&AttemptError> for PublicReason {
    /// One reason for all: after an attempt began, what went wrong may depend on patients.
    fn from(_whatever: &AttemptError) -> Self {
        Self { why: Why::Failed }
    }
}

fn session(error: &SessionError) -> Why {
    match error {
        SessionError::NotTakingPart(_) => Why::NotTakingPart,
        SessionError::NotMeasured(round) => Why::NotMeasured(*round),
        SessionError::Ledger(error) => ledger(error),
        SessionError::NotWhole(not_whole) => Why::NotWhole(*not_whole),
        SessionError::Closings(_) | SessionError::Kept(_) => Why::LedgerUnusable,
        SessionError::Release(_) | SessionError::Storage(_) => Why::Failed,
    }
}

fn ledger(error: &LedgerError) -> Why {
    match error {
        LedgerError::Refused(violation) => Why::Ledger(violation.clone()),
        LedgerError::Log(log) if log.is_full() => Why::DiskFull,
        LedgerError::Log(_)
        | LedgerError::Inconsistent { .. }
        | LedgerError::AnotherKey(_)
        | LedgerError::SameKey
        | LedgerError::Empty
        | LedgerError::Foreign(_) => Why::LedgerUnusable,
    }
}

fn witness(error: &WitnessError) -> Why {
    match error {
        WitnessError::Call(_) => Why::Call,
        WitnessError::NotWhole(not_whole) => Why::NotWhole(*not_whole),
        WitnessError::Storage(_) | WitnessError::Kept(_) => Why::LedgerUnusable,
    }
}

fn secure(error: &SecureError) -> Why {
    match error {
        // How many this site hides among is its own.
        SecureError::Refused(NotHidden::TooFew { .. }) => Why::TooFewSites,
        SecureError::Refused(refusal) => Why::NotHidden(refusal.clone()),
        SecureError::Randomness(_) => Why::Failed,
    }
}

fn misfit(mismatch: &Mismatch, need: &DataNeed) -> Misfit {
    let feature = |name: &str| PlanFeature::of(need, name);
    match mismatch {
        Mismatch::Kind { plan: RecordKind::Table, cohort: _ } => Misfit::NoTable,
        Mismatch::Kind { plan: RecordKind::Images, cohort: _ } => Misfit::NoImages,
        Mismatch::Outcome { .. } => Misfit::Outcome,
        &Mismatch::OutcomeKind { plan, .. } => Misfit::OutcomeKind(plan),
        Mismatch::Feature { plan, .. } => Misfit::NoFeature(feature(plan)),
        Mismatch::Values { feature: name, plan: Values::Numbers, .. } => Misfit::NoNumbers(feature(name)),
        Mismatch::Values { feature: name, plan: Values::Categories, .. } => {
            Misfit::NoCategories(feature(name))
        }
        Mismatch::Unit { feature: name, .. } => Misfit::Unit(feature(name)),
        Mismatch::Range { feature: name, .. } => Misfit::Range(feature(name)),
        Mismatch::Category { feature: name, .. } => Misfit::Category(feature(name)),
        &Mismatch::SliceSize { plan: [height, width], .. } => Misfit::Slices { height, width },
    }
}
