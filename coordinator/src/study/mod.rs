//! A study from its offer to its end: a synchronous state machine around the rounds.
//!
//! Joining (sites answer the plan) → running (attempts at a round) ⇄ aggregating (→ measuring) → closed.

mod failure;
mod measurement;
mod measuring;
mod told;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fedtwin_plan::numbers::Positive;
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{Digest, Plan, ResearcherName, SiteName, Timestamp};
use fedtwin_proto::domain::{Answer, AttemptKey, Event, Notice, StudyOutcome};
use fedtwin_secagg::coordinator::{FromSite, Reconstruction, Unmasking, UnmaskingError};
use fedtwin_secagg::mask::Masks;

use self::measurement::Measurement;
use self::told::Told;
use self::turn::Turn;
use crate::attempt::{Attempt, AttemptOutcome};
use crate::record::Record;
use crate::spool::Update;
use crate::study_error::StudyError;

/// A study in one of its phases.
#[derive(Debug)]
pub struct Study {
    base: Base,
    phase: Phase,
}

/// What every phase needs.
#[derive(Debug)]
struct Base {
    plan: Plan,
    signed: Arc<SignedPlan>,
    connected: BTreeSet<SiteName>,
    /// Who answered: the declared patients of a member, or nothing for a refusal.
    answers: BTreeMap<SiteName, Option<u32>>,
    /// How often each site changed its answer in this run: each time costs a line of the audit log.
    changes: BTreeMap<SiteName, u32>,
    attempts: u32,
}

#[derive(Debug)]
enum Phase {
    Joining { deadline: Timestamp, model: Digest },
    Running { open: OpenAttempt, attempt: Attempt },
    Aggregating { key: AttemptKey, outcome: AttemptOutcome },
    Measuring(Measurement),
    Closed(StudyOutcome),
}

/// What stays the same during an attempt.
#[derive(Debug)]
struct OpenAttempt {
    key: AttemptKey,
    model: Digest,
    clip: Positive,
    /// The declared patients of each member when the attempt began: the mean's weights, which an answer
    /// given later must not move.
    members: BTreeMap<SiteName, u32>,
    told: Told,
}

/// What can happen to a study.
#[derive(Debug)]
pub enum Input {
    /// A site's connection is open.
    Present(SiteName),
    /// A site's connection is lost.
    Absent(SiteName),
    /// A site accepted or refused the plan.
    Answered(SiteName, Answer),
    /// A site sent a complete, verified update.
    Updated(SiteName, u32, Update),
    /// What a site sent for an attempt was no update, and why.
    Unusable(SiteName, AttemptKey, String),
    /// A site's message under secure aggregation.
    Secure(SiteName, AttemptKey, FromSite),
    /// A site will send no update for an attempt.
    Declined(SiteName, u32, String),
    /// A site released noised counts of a model's scores.
    Measured(SiteName, AttemptKey, Vec<i64>),
    /// Somebody who may ends the study; the text says who.
    Cancelled(String),
    /// What came of an [`Effect::Open`] of the attempt with that number.
    Opened(u32, Result<Unmasking, UnmaskingError>),
    /// The round's updates became a model, or could not.
    Aggregated(Result<Models, String>),
    /// Time passed.
    Tick,
}

impl Input {
    /// Says whether a correct site may say this to a study that is over: the last round's sum is opened as soon as
    /// enough openings are in.
    #[must_use]
    pub fn may_come_late(&self) -> bool {
        matches!(self, Self::Secure(_, _, FromSite::Opening(_)) | Self::Declined(..))
    }
}

/// What the driver must do, in order.
#[derive(Debug)]
pub enum Effect {
    /// Append to the audit log, and have it on disk, before anything that follows.
    Persist(Record),
    /// Tell a site.
    Notify(SiteName, Notice),
    /// Tell whoever watches.
    Publish(Event),
    /// The update that was just given is part of its attempt.
    Accept,
    /// What was just given does not count.
    Reject(StudyError),
    /// Find the masks of an attempt's sum, off the driver's task, for [`Input::Opened`].
    Open(u32, Box<Reconstruction>),
    /// Make the next global model of these updates.
    Aggregate(Job),
}

/// Which updates to aggregate, on which model.
#[derive(Debug)]
pub struct Job {
    /// The round, counted from 1: the optimiser's step.
    pub key: AttemptKey,
    /// The model that the updates refer to.
    pub model: Digest,
    /// The clip of the gradients in them.
    pub clip: Positive,
    /// Declared patients of the sites whose updates are in.
    pub patients: u64,
    /// The updates' files.
    pub spools: Vec<std::path::PathBuf>,
    /// The masks that are left in their sum, under secure aggregation.
    pub masks: Option<Masks>,
}

/// What a round begins with or comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Models {
    /// The global model.
    pub global: Digest,
    /// The averaged model, after the last round of a study that has one.
    pub average: Option<Digest>,
    /// The next round's clip, where the plan's adapts and a round was done.
    pub clip: Option<Positive>,
}

impl From<Digest> for Models {
    fn from(global: Digest) -> Self {
        Self { global, average: None, clip: None }
    }
}

/// Where a study stood when the coordinator was stopped, from its audit log.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Who answered.
    pub answers: BTreeMap<SiteName, Option<u32>>,
    /// Attempts begun.
    pub attempts: u32,
    /// Rounds done.
    pub rounds: u32,
    /// The models after them.
    pub models: Models,
    /// The last round whose model's metrics were released.
    pub measured: u32,
}

impl Progress {
    /// Returns where a study stands that was just opened.
    #[must_use]
    pub fn begin(model: Digest) -> Self {
        Self { answers: BTreeMap::new(), attempts: 0, rounds: 0, models: model.into(), measured: 0 }
    }
}

impl Base {
    fn new(plan: Plan, signed: SignedPlan, answers: BTreeMap<SiteName, Option<u32>>, attempts: u32) -> Self {
        let signed = Arc::new(signed);
        Self { plan, signed, connected: BTreeSet::new(), answers, changes: BTreeMap::new(), attempts }
    }

    /// Returns the declared patients of each site that accepted the plan.
    fn members(&self) -> BTreeMap<SiteName, u32> {
        let answers = self.answers.iter();
        answers.filter_map(|(site, patients)| Some((site.clone(), (*patients)?))).collect()
    }
}

impl Study {
    /// Offers a new study, whose first model is stored.
    #[must_use]
    pub fn offer(
        plan: Plan,
        signed: SignedPlan,
        opener: ResearcherName,
        model: Digest,
        now: Timestamp,
    ) -> (Self, Vec<Effect>) {
        let phase = Phase::Joining { deadline: now + join(&plan), model };
        let (study, digest) = (plan.study.id.clone(), signed.digest());
        let opened = Record::StudyOpened { study, plan: digest, model, opener };
        let base = Base::new(plan, signed, BTreeMap::new(), 0);
        (Self { base, phase }, vec![Effect::Persist(opened)])
    }

    /// Continues a study after the coordinator was stopped. The attempt that was open then is lost.
    #[must_use]
    pub fn resume(plan: Plan, signed: SignedPlan, progress: Progress, now: Timestamp) -> (Self, Vec<Effect>) {
        let Progress { answers, attempts, rounds, models, measured } = progress;
        let mut base = Base::new(plan, signed, answers, attempts);
        let mut turn = Turn { base: &mut base, now, effects: Vec::new() };
        let phase = if attempts == 0 {
            Phase::Joining { deadline: now + join(&turn.base.plan), model: models.global }
        } else {
            turn.after_restart(rounds, models, measured)
        };
        let effects = turn.effects;
        (Self { base, phase }, effects)
    }

    /// Returns the plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.base.plan
    }

    /// Returns the attempt whose updates are wanted now.
    #[must_use]
    pub fn open_attempt(&self) -> Option<&AttemptKey> {
        match &self.phase {
            Phase::Running { open, .. } => Some(&open.key),
            Phase::Joining { .. } | Phase::Aggregating { .. } | Phase::Measuring(_) | Phase::Closed(_) => {
                None
            }
        }
    }

    /// Says whether a site's update is wanted in this attempt: it is open, and the site was a member when it began.
    #[must_use]
    pub fn awaits(&self, site: &SiteName, key: &AttemptKey) -> bool {
        match &self.phase {
            Phase::Running { open, .. } => open.key == *key && open.members.contains_key(site),
            Phase::Joining { .. } | Phase::Aggregating { .. } | Phase::Measuring(_) | Phase::Closed(_) => {
                false
            }
        }
    }

    /// Returns how the study ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<&StudyOutcome> {
        match &self.phase {
            Phase::Closed(outcome) => Some(outcome),
            Phase::Joining { .. }
            | Phase::Running { .. }
            | Phase::Aggregating { .. }
            | Phase::Measuring(_) => None,
        }
    }

    /// Returns when the study wants an [`Input::Tick`].
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Joining { deadline, .. } => Some(*deadline),
            Phase::Running { attempt, .. } => attempt.deadline(),
            Phase::Measuring(measurement) => Some(measurement.deadline),
            Phase::Aggregating { .. } | Phase::Closed(_) => None,
        }
    }

    /// Takes one input.
    #[must_use]
    pub fn step(self, input: Input, now: Timestamp) -> (Self, Vec<Effect>) {
        let Self { mut base, phase } = self;
        let mut turn = Turn { base: &mut base, now, effects: Vec::new() };
        let phase = turn.step(phase, input);
        let effects = turn.effects;
        (Self { base, phase }, effects)
    }
}

fn join(plan: &Plan) -> Duration {
    Duration::from_secs(plan.rounds.join_s.get().into())
}
