//! One study at this site, from offer to end, as a synchronous state machine: what it is told and what it asks for.
//!
//! An attempt goes: fetch the model and agree on masks, which depends on public values alone and is declined at once
//! where it fails; begin, in the ledger; compute, until the slot's end; then leave, as an update or as the one decline
//! that every failure has. What happens in between is told to nobody: a notice that comes meanwhile waits for the
//! slot's end, and so does the study's end.
//!
//! No `await`, no clock, no randomness of its own: [`crate::study_task`] performs the [`Effect`]s.

mod attempt;
mod stage;

use std::sync::Arc;
use std::time::Duration;

use fedtwin_certs::PlanSigner;
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{Digest, Plan, StudyId, Timestamp};
use fedtwin_privacy::ledger::Purpose;
use fedtwin_privacy::random::RandomSource;
use fedtwin_privacy::release::Release;
use fedtwin_proto::domain::{AttemptKey, Invitation, SecureMessage, SecureNotice, StudyOutcome};

use self::stage::{Invited, Stage};
use crate::attempt_error::AttemptError;
use crate::client::CallError;
use crate::computation::Computation;
use crate::reason::PublicReason;
use crate::session::door::Outgoing;
use crate::session::{Accepted, Session};
use crate::slot::Pace;
use crate::witnessing::WitnessError;

/// What the study works with: the site's session, fresh randomness, and the time.
pub struct Desk<'a> {
    /// Policy and ledger.
    pub session: &'a mut Session,
    /// Fresh from the operating system.
    pub random: &'a mut dyn RandomSource,
    /// The moment of this step.
    pub now: Moment,
}

/// The time: by the calendar for the ledger, and by a clock that only goes forward for waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// By the calendar.
    pub time: Timestamp,
    /// Since some moment before the study.
    pub passed: Duration,
}

/// What the study is told.
pub enum Input {
    /// The coordinator offers the verified plan of this signer.
    Offered(Box<Plan>, PlanSigner, SignedPlan),
    /// It invites to an attempt, or asks for metrics of the model that an attempt made.
    Invited(Purpose, Invitation),
    /// It passes on a message of an attempt under secure aggregation.
    Secure(SecureNotice),
    /// It says that the study is over.
    Closed(StudyOutcome),
    /// A model was fetched and checked, or cannot be had.
    Fetched(Digest, Result<Arc<Vec<f32>>, CallError>),
    /// An attempt's work was done, or failed, at this moment.
    Computed((Purpose, AttemptKey), Duration, Result<Release, AttemptError>),
    /// A call for an attempt succeeded, or failed.
    Called(AttemptKey, Result<(), WitnessError>),
    /// Time passes.
    Tick,
}

/// What the study asks for, in order.
pub enum Effect {
    /// Answer the plan: take part with so many declared patients, or refuse.
    Answer(Result<u32, PublicReason>),
    /// Start a trainer, in place of one that is there, and have it load the cohort; say nothing of how that goes.
    Load(Box<Accepted>),
    /// End the trainer: this site takes no further part.
    Unload,
    /// Fetch a model.
    Fetch(Digest),
    /// Compute an attempt's update or metrics.
    Compute(Box<Computation>),
    /// Score a model along the way, for this site's own eyes; say nothing of how that goes.
    Score(u32, Arc<Vec<f32>>),
    /// Make a call for an attempt; the ledger's entries go before an update.
    Call(AttemptKey, Call),
    /// Send the ledger's entries, then say that an attempt has no update from here.
    Decline(AttemptKey, PublicReason),
    /// Send the ledger's entries and look at the others' checkpoints.
    Exchange,
    /// The study is over; score its final model, if it has one, for this site's own eyes.
    Over(Option<Digest>),
}

/// A call that is tried again while it does not arrive.
#[derive(Debug, Clone)]
pub enum Call {
    /// An update or metrics, once the coordinator holds the ledger's entries that pay for them.
    Send(Outgoing),
    /// A message of secure aggregation.
    Secure(SecureMessage),
}

/// The study.
pub struct Study {
    id: StudyId,
    /// Rounds between two scores of the model along the way; 0 is never.
    score_every_rounds: u32,
    taking_part: Option<TakingPart>,
    stage: Stage,
    /// The last attempt of which all is done that this site has to do. A coordinator that asks again, as after a lost
    /// connection, has it already; one that this agent forgot by a restart is sent again.
    finished: Option<(Purpose, AttemptKey)>,
    /// What waits until the attempt at hand has left.
    next: Option<Invited>,
    closing: Option<StudyOutcome>,
}

/// What a site has that accepted the plan.
struct TakingPart {
    accepted: Accepted,
    /// The plan's digest.
    digest: Digest,
    pace: Pace,
}

impl Study {
    /// Begins, with nothing known of the study but its name.
    #[must_use]
    pub fn new(id: StudyId, score_every_rounds: u32) -> Self {
        let (stage, finished) = (Stage::Idle, None);
        Self { id, score_every_rounds, taking_part: None, stage, finished, next: None, closing: None }
    }

    /// Returns when there is something to do without any input, by the clock of [`Moment::passed`].
    #[must_use]
    pub fn wakes(&self) -> Option<Duration> {
        self.stage.wakes()
    }

    /// Returns the terms on which this site takes part.
    #[must_use]
    pub fn accepted(&self) -> Option<&Accepted> {
        self.taking_part.as_ref().map(|taking_part| &taking_part.accepted)
    }

    /// Takes an input and returns what is to be done.
    pub fn step(&mut self, desk: &mut Desk<'_>, input: Input) -> Vec<Effect> {
        // What was ready before the slot's end counts, even if it is taken up after it.
        let mut effects = if matches!(input, Input::Computed(..)) { Vec::new() } else { self.tick(desk) };
        effects.extend(match input {
            Input::Offered(plan, signer, signed) => self.offered(desk, *plan, &signer, &signed),
            Input::Invited(purpose, invitation) => {
                let closes = desk.now.passed + invitation.closes_in;
                self.invited(desk, Invited { purpose, invitation, closes })
            }
            Input::Secure(notice) => self.secure(desk, notice),
            Input::Closed(outcome) => self.closed(desk, outcome),
            Input::Fetched(model, weights) => self.fetched(desk, &model, weights),
            Input::Computed((purpose, key), ready, result) => {
                self.computed(desk, (purpose, &key), ready, result)
            }
            Input::Called(key, result) => self.called(desk, &key, result),
            Input::Tick => Vec::new(),
        });
        effects
    }

    /// Decides on the plan and reserves its cost; the answer does not wait for the cohort.
    fn offered(
        &mut self,
        desk: &mut Desk<'_>,
        plan: Plan,
        signer: &PlanSigner,
        signed: &SignedPlan,
    ) -> Vec<Effect> {
        let taking_part = self.taking_part.as_ref().filter(|_| desk.session.takes_part(&self.id));
        if let Some(TakingPart { accepted, .. }) = taking_part {
            return vec![Effect::Answer(Ok(accepted.patients)), Effect::Exchange];
        }
        let mut effects: Vec<_> = self.end_if_dropped(desk).into_iter().collect();
        effects.extend(match desk.session.offered(plan, signer, signed, desk.now.time) {
            Ok(accepted) => {
                tracing::info!(study = %self.id, "taking part");
                let (patients, load) = (accepted.patients, Effect::Load(Box::new(accepted.clone())));
                let pace = Pace::of(&accepted.plan);
                self.taking_part = Some(TakingPart { accepted, digest: signed.digest(), pace });
                vec![Effect::Answer(Ok(patients)), load, Effect::Exchange]
            }
            Err(refusal) => {
                let reason = fedtwin_daemon::program::describe(&refusal);
                tracing::warn!(study = %self.id, %reason, "a study was refused");
                vec![Effect::Answer(Err(PublicReason::from(&refusal))), Effect::Exchange]
            }
        });
        effects
    }

    /// Ends the study, once the attempt that reads data has left.
    fn closed(&mut self, desk: &mut Desk<'_>, outcome: StudyOutcome) -> Vec<Effect> {
        if self.stage.is_working() {
            self.closing = Some(outcome);
            return Vec::new();
        }
        self.stage = Stage::Over;
        let model = match &outcome {
            StudyOutcome::Finished { model } => Some(*model),
            StudyOutcome::Failed { reason } => {
                tracing::warn!(study = %self.id, %reason, "the study failed");
                None
            }
        };
        // The ledger's entry does not wait for scores, whose time depends on patients.
        if let Err(error) = desk.session.closed(&self.id, model.is_some(), desk.now.time) {
            let error = fedtwin_daemon::program::describe(&error);
            tracing::error!(study = %self.id, %error, "the study's end is not in the ledger");
        }
        vec![Effect::Exchange, Effect::Over(model.filter(|_| self.taking_part.is_some()))]
    }
}
