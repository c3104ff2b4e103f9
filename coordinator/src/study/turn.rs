//! One input to a study: the transitions between its phases, and what they ask for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fedtwin_plan::numbers::Positive;
use fedtwin_plan::{Digest, SiteName, Timestamp};
use fedtwin_proto::domain::{
    Answer, AttemptKey, Event, Invitation, Notice, SecureNotice, StudyClosed, StudyOutcome,
};
use fedtwin_secagg::coordinator::FromSite;
use fedtwin_secagg::{AttemptPlace, Context};

use super::failure::StudyFailure;
use super::told::Told;
use super::{Base, Effect, Input, Job, Models, OpenAttempt, Phase, join};
use crate::attempt::{self, Attempt, AttemptOutcome, AttemptTerms};
use crate::record::Record;
use crate::secure::SecureTerms;
use crate::study_error::{Misbehaviour, MovedOn, StudyError};

/// The study while it takes one input.
pub(super) struct Turn<'a> {
    pub(super) base: &'a mut Base,
    pub(super) now: Timestamp,
    pub(super) effects: Vec<Effect>,
}

impl Turn<'_> {
    /// Time comes first: an input that arrives after a deadline finds the study moved on.
    pub(super) fn step(&mut self, phase: Phase, input: Input) -> Phase {
        let phase = self.start_if_joined(phase);
        let phase = self.attempt_step(phase, attempt::Input::Tick);
        let phase = self.end_if_measured(phase);
        match input {
            Input::Present(site) if self.base.plan.study.sites.contains(&site) => self.present(phase, site),
            Input::Present(_) => phase,
            Input::Absent(site) => {
                self.base.connected.remove(&site);
                self.attempt_step(phase, attempt::Input::Absent(site))
            }
            Input::Answered(site, answer) => {
                if matches!(phase, Phase::Closed(_)) {
                    self.reject(MovedOn::StudyOver(self.base.plan.study.id.clone()));
                    return phase;
                }
                self.answered(site, answer);
                self.start_if_joined(phase)
            }
            Input::Updated(site, number, update) => match &phase {
                Phase::Running { open, .. } if open.key.attempt == number => {
                    self.attempt_step(phase, attempt::Input::Updated(site, update))
                }
                Phase::Joining { .. }
                | Phase::Running { .. }
                | Phase::Aggregating { .. }
                | Phase::Measuring(_)
                | Phase::Closed(_) => {
                    let study = self.base.plan.study.id.clone();
                    self.reject(MovedOn::AttemptNotOpen { study, attempt: number });
                    phase
                }
            },
            Input::Unusable(site, key, reason) => self.unusable(phase, site, &key, reason),
            Input::Secure(site, key, message) => match &phase {
                Phase::Running { open, .. } if open.key == key => {
                    self.attempt_step(phase, attempt::Input::Secure(site, message))
                }
                Phase::Joining { .. }
                | Phase::Running { .. }
                | Phase::Aggregating { .. }
                | Phase::Measuring(_)
                | Phase::Closed(_) => {
                    // A sum is opened as soon as enough openings are in; the others come later.
                    if !matches!(message, FromSite::Opening(_)) {
                        let AttemptKey { study, attempt, .. } = key;
                        self.reject(MovedOn::AttemptNotOpen { study, attempt });
                    }
                    phase
                }
            },
            Input::Opened(number, result) => match &phase {
                Phase::Running { open, .. } if open.key.attempt == number => {
                    self.attempt_step(phase, attempt::Input::Opened(result))
                }
                Phase::Joining { .. }
                | Phase::Running { .. }
                | Phase::Aggregating { .. }
                | Phase::Measuring(_)
                | Phase::Closed(_) => phase,
            },
            Input::Declined(site, number, reason) => self.declined(phase, site, number, reason),
            Input::Measured(site, key, counts) => self.measured(phase, site, &key, counts),
            Input::Cancelled(reason) => self.cancelled(phase, reason),
            Input::Aggregated(result) => self.aggregated(phase, result),
            Input::Tick => phase,
        }
    }

    fn reject(&mut self, error: impl Into<StudyError>) {
        self.effects.push(Effect::Reject(error.into()));
    }

    fn present(&mut self, phase: Phase, site: SiteName) -> Phase {
        if let Phase::Closed(outcome) = &phase {
            let closed = StudyClosed { study: self.base.plan.study.id.clone(), outcome: outcome.clone() };
            self.effects.push(Effect::Notify(site, Notice::Closed(closed)));
            return phase;
        }
        self.base.connected.insert(site.clone());
        // Always offered anew: a site that restarted has to be told the plan again.
        self.effects.push(Effect::Notify(site.clone(), Notice::Offer(Arc::clone(&self.base.signed))));
        if let Phase::Measuring(mut measurement) = phase {
            self.ask(&mut measurement, site);
            return Phase::Measuring(measurement);
        }
        self.attempt_step(phase, attempt::Input::Present(site))
    }

    fn unusable(&mut self, mut phase: Phase, site: SiteName, key: &AttemptKey, reason: String) -> Phase {
        match &mut phase {
            Phase::Running { open, .. } if open.key == *key && open.members.contains_key(&site) => {
                self.effects.extend(open.told.failure(site, reason).map(Effect::Publish));
            }
            Phase::Joining { .. }
            | Phase::Running { .. }
            | Phase::Aggregating { .. }
            | Phase::Measuring(_)
            | Phase::Closed(_) => {}
        }
        phase
    }

    fn declined(&mut self, phase: Phase, site: SiteName, number: u32, reason: String) -> Phase {
        match phase {
            Phase::Running { ref open, .. } if open.key.attempt == number => {
                self.attempt_step(phase, attempt::Input::Declined(site, reason))
            }
            Phase::Measuring(mut measurement) if measurement.key.attempt == number => {
                if measurement.decline(&site) {
                    self.effects.push(Effect::Publish(Event::SiteFailed { site, reason }));
                }
                self.end_if_measured(Phase::Measuring(measurement))
            }
            Phase::Joining { .. }
            | Phase::Running { .. }
            | Phase::Aggregating { .. }
            | Phase::Measuring(_)
            | Phase::Closed(_) => phase,
        }
    }

    fn answered(&mut self, site: SiteName, answer: Answer) {
        if !self.base.plan.study.sites.contains(&site) {
            self.reject(Misbehaviour::NotInAudience(site));
            return;
        }
        let patients_max = self.base.plan.cohort.patients_max.get();
        let (patients, refused) = match answer {
            Answer::Accepted { patients } if patients > patients_max => {
                self.reject(Misbehaviour::TooManyPatients { declared: patients, patients_max });
                return;
            }
            Answer::Accepted { patients } => (Some(patients), None),
            Answer::Refused { reason } => (None, Some(reason)),
        };
        // A site that restarted answers again.
        if self.base.answers.get(&site) != Some(&patients) {
            let changes = self.base.changes.entry(site.clone()).or_default();
            if *changes >= CHANGES_MAX {
                self.reject(Misbehaviour::ChangesItsAnswer { site, changes: CHANGES_MAX });
                return;
            }
            *changes += 1;
            let study = self.base.plan.study.id.clone();
            let record =
                Record::SiteAnswered { study, site: site.clone(), patients, refused: refused.clone() };
            self.effects.push(Effect::Persist(record));
            self.effects.push(Effect::Publish(Event::SiteAnswered { site: site.clone(), refused }));
            self.base.answers.insert(site, patients);
        }
    }

    fn start_if_joined(&mut self, phase: Phase) -> Phase {
        let everybody = self.base.answers.len() == self.base.plan.study.sites.len();
        match phase {
            Phase::Joining { deadline, model } if everybody || self.now >= deadline => {
                self.next_attempt(0, model.into())
            }
            Phase::Joining { .. }
            | Phase::Running { .. }
            | Phase::Aggregating { .. }
            | Phase::Measuring(_)
            | Phase::Closed(_) => phase,
        }
    }

    /// Begins the attempt after `rounds` finished rounds, or ends the study.
    pub(super) fn next_attempt(&mut self, rounds: u32, models: Models) -> Phase {
        let model = models.global;
        if rounds == self.base.plan.rounds.count.get() {
            let model = models.average.unwrap_or(model);
            return self.close(StudyOutcome::Finished { model });
        }
        let members = self.base.members();
        let sites_min = self.base.plan.rounds.sites_min.size();
        if members.len() < sites_min {
            return self.fail(&StudyFailure::TooFewSites { accepted: members.len(), sites_min });
        }
        if self.base.attempts >= self.base.plan.rounds.attempts_max.get() {
            return self.fail(&StudyFailure::AttemptsUsed { attempts: self.base.attempts, rounds });
        }
        self.base.attempts += 1;
        let (study, round, attempt) = (self.base.plan.study.id.clone(), rounds + 1, self.base.attempts);
        self.effects.push(Effect::Persist(Record::AttemptStarted { study: study.clone(), round, attempt }));
        let sites = members.keys().cloned().collect();
        self.effects.push(Effect::Publish(Event::AttemptStarted { round, attempt, sites }));
        let clip = models.clip.unwrap_or(self.base.plan.clip());
        let terms = AttemptTerms {
            members: members.keys().cloned().collect(),
            sites_min,
            join: join(&self.base.plan),
            collect: self.base.plan.deadline(),
            secure: self.secure_terms(round, attempt, model, clip),
        };
        let stepped = Attempt::begin(terms, &self.base.connected, self.now);
        let key = AttemptKey { study, round, attempt };
        let open = OpenAttempt { key, model, clip, members, told: Told::default() };
        self.after_attempt_step(open, stepped)
    }

    fn secure_terms(&self, round: u32, attempt: u32, model: Digest, clip: Positive) -> Option<SecureTerms> {
        let plan = &self.base.plan;
        // Who is invited shows when the attempt begins.
        let place = AttemptPlace { round, attempt, model, clip, members: BTreeSet::new() };
        let context = Context::of(plan, self.base.signed.digest(), place)?;
        let collect = plan.deadline();
        Some(SecureTerms { context, step: collect.min(SMALL_STEP_MAX), collect })
    }

    fn attempt_step(&mut self, phase: Phase, input: attempt::Input) -> Phase {
        match phase {
            Phase::Running { open, attempt } => self.after_attempt_step(open, attempt.step(input, self.now)),
            Phase::Joining { .. } | Phase::Aggregating { .. } | Phase::Measuring(_) | Phase::Closed(_) => {
                phase
            }
        }
    }

    fn after_attempt_step(
        &mut self,
        mut open: OpenAttempt,
        (attempt, stepped): (Attempt, Vec<attempt::Effect>),
    ) -> Phase {
        self.effects.extend(stepped.into_iter().flat_map(|effect| translate(effect, &mut open)));
        let outcome = match attempt {
            unfinished @ (Attempt::Invite(_) | Attempt::Collect(_) | Attempt::Secure(_)) => {
                return Phase::Running { open, attempt: unfinished };
            }
            Attempt::Closed(outcome) => outcome,
        };
        let OpenAttempt { key, model, clip, members, .. } = open;
        let mut outcome = outcome;
        if !outcome.enough {
            let rounds = key.round - 1;
            self.publish_closed(key, &outcome, None);
            return self.next_attempt(rounds, Models { clip: Some(clip), ..model.into() });
        }
        self.effects.push(Effect::Aggregate(Job {
            key: key.clone(),
            model,
            clip,
            patients: outcome.updates.keys().map(|site| u64::from(members[site])).sum(),
            spools: outcome.updates.values().map(|update| update.path().to_path_buf()).collect(),
            masks: outcome.masks.take(),
        }));
        Phase::Aggregating { key, outcome }
    }

    fn aggregated(&mut self, phase: Phase, result: Result<Models, String>) -> Phase {
        match (phase, result) {
            (Phase::Aggregating { key, outcome }, Ok(models)) => {
                self.publish_closed(key.clone(), &outcome, Some(models));
                self.after_round(key, models)
            }
            (Phase::Aggregating { .. }, Err(reason)) => self.fail(&StudyFailure::Coordinator(reason)),
            (
                other @ (Phase::Joining { .. }
                | Phase::Running { .. }
                | Phase::Measuring(_)
                | Phase::Closed(_)),
                _,
            ) => other,
        }
    }

    /// Ends the study wherever it stands; an aggregation that is under way comes to nothing.
    fn cancelled(&mut self, phase: Phase, reason: String) -> Phase {
        if matches!(phase, Phase::Closed(_)) {
            self.reject(MovedOn::StudyOver(self.base.plan.study.id.clone()));
            return phase;
        }
        // At its deadline a round is summed up before the cancellation is heard; nobody shall do that
        // any more, and the updates go with the phase.
        self.effects.retain(|effect| !matches!(effect, Effect::Aggregate(_)));
        self.fail(&StudyFailure::Cancelled(reason))
    }

    fn fail(&mut self, failure: &StudyFailure) -> Phase {
        self.close(StudyOutcome::Failed { reason: failure.to_string() })
    }

    fn close(&mut self, outcome: StudyOutcome) -> Phase {
        let closed = StudyClosed { study: self.base.plan.study.id.clone(), outcome: outcome.clone() };
        let failure = match &outcome {
            StudyOutcome::Finished { .. } => None,
            StudyOutcome::Failed { reason } => Some(reason.clone()),
        };
        self.effects.push(Effect::Persist(Record::StudyClosed { study: closed.study.clone(), failure }));
        self.effects.extend(
            self.base
                .connected
                .iter()
                .map(|site| Effect::Notify(site.clone(), Notice::Closed(closed.clone()))),
        );
        self.effects.push(Effect::Publish(Event::StudyClosed(closed)));
        Phase::Closed(outcome)
    }

    fn publish_closed(&mut self, key: AttemptKey, outcome: &AttemptOutcome, models: Option<Models>) {
        let AttemptKey { study, round, attempt } = key;
        let updates = outcome.updates.iter().map(|(site, update)| (site.clone(), update.digest)).collect();
        let model = models.map(|models| models.global);
        let average = models.and_then(|models| models.average);
        let clip = models.and_then(|models| models.clip);
        let closed = Record::AttemptClosed { study, round, attempt, updates, model, average, clip };
        self.effects.push(Effect::Persist(closed));
        let included = outcome.updates.keys().cloned().collect();
        let missing = outcome.missing.iter().cloned().collect();
        self.effects.push(Effect::Publish(Event::AttemptClosed { round, attempt, included, missing, model }));
    }
}

fn translate(effect: attempt::Effect, open: &mut OpenAttempt) -> Vec<Effect> {
    match effect {
        attempt::Effect::Invite(site, closes_in, members) => {
            let (key, model, clip) = (open.key.clone(), open.model, open.clip);
            let invitation = Invitation { key, model, closes_in, clip, members };
            vec![Effect::Notify(site, Notice::Invitation(invitation))]
        }
        attempt::Effect::Tell(site, step) => {
            let notice = SecureNotice { key: open.key.clone(), step };
            vec![Effect::Notify(site, Notice::Secure(notice))]
        }
        attempt::Effect::Open(reconstruction) => vec![Effect::Open(open.key.attempt, reconstruction)],
        attempt::Effect::Fail(reason) => vec![Effect::Publish(Event::AttemptFailed { reason })],
        attempt::Effect::Accept(site, bytes) => {
            let received = open.told.received(site, bytes).map(Effect::Publish);
            [Effect::Accept].into_iter().chain(received).collect()
        }
        attempt::Effect::Reject(site, error) => {
            let failed = open.told.failure(site, error.to_string()).map(Effect::Publish);
            [Effect::Reject(error)].into_iter().chain(failed).collect()
        }
        attempt::Effect::Decline(site, reason) => {
            open.told.failure(site, reason).map(Effect::Publish).into_iter().collect()
        }
    }
}

/// A site that changes its mind more often is broken, and each change is a line of the audit log.
const CHANGES_MAX: u32 = 16;

/// Longer than any site needs for a message of some kilobytes and a few signatures.
const SMALL_STEP_MAX: Duration = Duration::from_secs(20);
