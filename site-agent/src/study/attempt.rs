//! How an attempt goes from one stage to the next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fedtwin_daemon::program;
use fedtwin_plan::Digest;
use fedtwin_privacy::ledger::{FAILURES_MAX, Purpose};
use fedtwin_privacy::permit::Permit;
use fedtwin_privacy::release::Release;
use fedtwin_proto::domain::{AttemptKey, SecureNotice};
use fedtwin_secagg::SiteMask;

use super::stage::{Calling, Invited, Preparing, Product, Sending, Stage, Working};
use super::{Call, Desk, Effect, Study, TakingPart};
use crate::attempt_error::{AttemptError, NotBegun};
use crate::client::CallError;
use crate::computation::Computation;
use crate::local_training::TrainingError;
use crate::reason::PublicReason;
use crate::secure::{self, Next, SecureAttempt};
use crate::session::Work;
use crate::slot::Due;
use crate::witnessing::WitnessError;

impl Study {
    /// Takes an invitation: at once, unless an attempt reads data, which nothing interrupts.
    pub(super) fn invited(&mut self, desk: &mut Desk<'_>, invited: Invited) -> Vec<Effect> {
        let (purpose, key) = (invited.purpose, &invited.invitation.key);
        let finished = self.finished.as_ref().is_some_and(|(of, last)| (*of, last) == (purpose, key));
        if finished || self.stage.is_at(purpose, key) {
            return Vec::new();
        }
        match self.stage {
            Stage::Over => return Vec::new(),
            // Only the newest can still be open when this one has left.
            Stage::Working(_) => {
                self.next = Some(invited);
                return Vec::new();
            }
            Stage::Idle | Stage::Preparing(_) | Stage::Sending(_) => self.stage = Stage::Idle,
        }
        let (key, model) = (invited.invitation.key.clone(), invited.invitation.model);
        let Some(TakingPart { accepted, .. }) = &self.taking_part else {
            return self.decline(desk, &key, &NotBegun::NotTakingPart);
        };
        let clip = invited.invitation.clip;
        if !accepted.plan.allows_clip(clip) {
            return self.decline(desk, &key, &NotBegun::OtherClip(clip.get()));
        }
        let preparing = Preparing { invited, weights: None, secure: None, calling: None };
        self.stage = Stage::Preparing(Box::new(preparing));
        vec![Effect::Fetch(model)]
    }

    /// Takes the attempt's model; under secure aggregation, the sites agree on masks next.
    pub(super) fn fetched(
        &mut self,
        desk: &mut Desk<'_>,
        model: &Digest,
        weights: Result<Arc<Vec<f32>>, CallError>,
    ) -> Vec<Effect> {
        let Stage::Preparing(preparing) = &mut self.stage else { return Vec::new() };
        let invitation = &preparing.invited.invitation;
        if invitation.model != *model || preparing.weights.is_some() {
            return Vec::new();
        }
        let (key, purpose) = (invitation.key.clone(), preparing.invited.purpose);
        match weights {
            Ok(weights) => preparing.weights = Some(weights),
            Err(error) => return self.decline(desk, &key, &error.into()),
        }
        let taking_part = self.taking_part.as_ref().filter(|_| purpose == Purpose::Training);
        let context = taking_part.map_or(Ok(None), |taking_part| {
            secure::context(&taking_part.accepted.plan, taking_part.digest, invitation)
        });
        let context = match context {
            Ok(Some(context)) => context,
            Ok(None) => return self.begin(desk, None),
            Err(error) => return self.decline(desk, &key, &error.into()),
        };
        let Some(me) = desk.session.secure_me() else { return self.decline(desk, &key, &NotBegun::NoPeers) };
        match SecureAttempt::join(key.clone(), context, &me, desk.random) {
            Ok((attempt, advert)) => {
                preparing.secure = Some(attempt);
                let call = Call::Secure(advert);
                preparing.calling = Some(Calling::new(call.clone(), false));
                vec![Effect::Call(key, call)]
            }
            Err(error) => self.decline(desk, &key, &error.into()),
        }
    }

    /// Takes a message of the attempt at hand.
    pub(super) fn secure(&mut self, desk: &mut Desk<'_>, notice: SecureNotice) -> Vec<Effect> {
        let SecureNotice { key, step } = notice;
        let attempt = match &mut self.stage {
            Stage::Preparing(preparing) if preparing.invited.invitation.key == key => &mut preparing.secure,
            Stage::Sending(sending) if sending.key == key => &mut sending.secure,
            Stage::Working(working) if working.key == key && working.early.len() < EARLY_MAX => {
                working.early.push_back(step);
                return Vec::new();
            }
            // Of an attempt that is over for this site.
            Stage::Preparing(_) | Stage::Sending(_) | Stage::Working(_) | Stage::Idle | Stage::Over => {
                return Vec::new();
            }
        };
        let Some(attempt) = attempt else { return Vec::new() };
        match attempt.step(step) {
            Ok(Next::Nothing) => Vec::new(),
            Ok(Next::Send(message)) => self.call(key, Call::Secure(message), false),
            Ok(Next::Open(message)) => self.call(key, Call::Secure(message), true),
            Ok(Next::Mask(mask)) => self.begin(desk, Some(mask)),
            Err(error) => self.decline(desk, &key, &error.into()),
        }
    }

    fn call(&mut self, key: AttemptKey, call: Call, last: bool) -> Vec<Effect> {
        let calling = Some(Calling::new(call.clone(), last));
        match &mut self.stage {
            Stage::Preparing(preparing) => preparing.calling = calling,
            Stage::Sending(sending) => sending.calling = calling,
            Stage::Idle | Stage::Working(_) | Stage::Over => {}
        }
        vec![Effect::Call(key, call)]
    }

    /// Takes a call's outcome.
    pub(super) fn called(
        &mut self,
        desk: &mut Desk<'_>,
        key: &AttemptKey,
        result: Result<(), WitnessError>,
    ) -> Vec<Effect> {
        let Some(calling) = self.stage.calling() else { return Vec::new() };
        let last = calling.last;
        match result {
            Err(WitnessError::Call(CallError::Unreachable(status))) => {
                tracing::warn!(%key, %status, "a message did not arrive; sending the same bytes again");
                calling.again = Some(desk.now.passed + AGAIN_AFTER);
                Vec::new()
            }
            Err(error) => match self.stage {
                Stage::Preparing(_) => self.decline(desk, key, &error.into()),
                Stage::Idle | Stage::Working(_) | Stage::Sending(_) | Stage::Over => {
                    tracing::warn!(%key, error = %program::describe(&error), "the coordinator takes no more of this attempt");
                    self.idle(desk)
                }
            },
            Ok(()) => match &mut self.stage {
                Stage::Sending(sending) if last || sending.secure.is_none() => {
                    self.finished = Some((sending.purpose, sending.key.clone()));
                    self.idle(desk)
                }
                Stage::Sending(sending) => {
                    sending.calling = None;
                    let step = sending.early.pop_front();
                    step.map_or_else(Vec::new, |step| {
                        self.secure(desk, SecureNotice { key: key.clone(), step })
                    })
                }
                Stage::Preparing(preparing) => {
                    preparing.calling = None;
                    Vec::new()
                }
                Stage::Idle | Stage::Working(_) | Stage::Over => Vec::new(),
            },
        }
    }

    /// Begins the attempt: it is used up in the ledger, and its slot begins, before data is read.
    fn begin(&mut self, desk: &mut Desk<'_>, mask: Option<SiteMask>) -> Vec<Effect> {
        let Stage::Preparing(preparing) = self.stage.take() else { return Vec::new() };
        let Preparing { invited: Invited { purpose, invitation, closes }, weights, secure, .. } = *preparing;
        let key = invitation.key;
        let Some((TakingPart { accepted, .. }, weights)) = self.taking_part.as_ref().zip(weights) else {
            return self.decline(desk, &key, &NotBegun::NotTakingPart);
        };
        let began = desk.now.passed;
        let (product, effects) = match desk.session.invited(purpose, &key, desk.now.time) {
            Err(error) => return self.decline(desk, &key, &error.into()),
            Ok(Work::Resend(_)) if secure.is_some() => return self.decline(desk, &key, &NotBegun::KeysLost),
            Ok(Work::Resend(outgoing)) => (Product::Again(outgoing), Vec::new()),
            Ok(Work::Train(grant)) => match Permit::of(&grant, mask) {
                Err(refused) => {
                    (Product::New(grant, began, Err(TrainingError::from(refused).into())), Vec::new())
                }
                Ok(permit) => {
                    let (plan, patients, weights) =
                        (accepted.plan.clone(), accepted.patients, Arc::clone(&weights));
                    let (key, clip) = (key.clone(), invitation.clip);
                    let task = Computation { key, purpose, plan, patients, clip, weights, permit };
                    (Product::Awaited(grant), vec![Effect::Compute(Box::new(task))])
                }
            },
        };
        let score = self.wants_scores(purpose, &key).then(|| (key.round - 1, weights));
        let (early, wakes) = (VecDeque::new(), began);
        self.stage = Stage::Working(Box::new(Working {
            purpose,
            key,
            closes,
            began,
            wakes,
            product,
            secure,
            early,
            score,
        }));
        effects.into_iter().chain(self.look(desk)).collect()
    }

    fn wants_scores(&self, purpose: Purpose, key: &AttemptKey) -> bool {
        let every = self.score_every_rounds;
        purpose == Purpose::Training && every > 0 && (key.round - 1).is_multiple_of(every)
    }

    /// Takes what the attempt under way came to.
    pub(super) fn computed(
        &mut self,
        desk: &mut Desk<'_>,
        (purpose, key): (Purpose, &AttemptKey),
        ready: Duration,
        result: Result<Release, AttemptError>,
    ) -> Vec<Effect> {
        match self.stage.take() {
            Stage::Working(mut working) if (working.purpose, &working.key) == (purpose, key) => {
                working.product = match working.product {
                    Product::Awaited(grant) => Product::New(grant, ready, result),
                    other @ (Product::New(..) | Product::Again(_)) => other,
                };
                self.stage = Stage::Working(working);
                self.look(desk)
            }
            // Of an attempt that was too late.
            other => {
                self.stage = other;
                Vec::new()
            }
        }
    }

    /// Does what is due by now.
    pub(super) fn tick(&mut self, desk: &mut Desk<'_>) -> Vec<Effect> {
        let now = desk.now.passed;
        match &mut self.stage {
            Stage::Working(_) => self.look(desk),
            Stage::Preparing(preparing) if now >= preparing.invited.closes => {
                let key = preparing.invited.invitation.key.clone();
                self.decline(desk, &key, &NotBegun::TooLate)
            }
            Stage::Sending(sending) if now >= sending.closes => {
                let awaited = sending.calling.as_ref().is_some_and(|calling| calling.again.is_none());
                if awaited { Vec::new() } else { self.idle(desk) }
            }
            Stage::Preparing(_) | Stage::Sending(_) => self.call_again(now),
            Stage::Idle => self.end_if_dropped(desk).into_iter().collect(),
            Stage::Over => Vec::new(),
        }
    }

    fn call_again(&mut self, now: Duration) -> Vec<Effect> {
        let key = match &self.stage {
            Stage::Preparing(preparing) => preparing.invited.invitation.key.clone(),
            Stage::Sending(sending) => sending.key.clone(),
            Stage::Idle | Stage::Working(_) | Stage::Over => return Vec::new(),
        };
        match self.stage.calling() {
            Some(calling) if calling.again.is_some_and(|again| now >= again) => {
                calling.again = None;
                vec![Effect::Call(key, calling.call.clone())]
            }
            Some(_) | None => Vec::new(),
        }
    }

    /// Lets the attempt leave if its slot is over.
    fn look(&mut self, desk: &mut Desk<'_>) -> Vec<Effect> {
        let Some(TakingPart { pace, .. }) = &mut self.taking_part else { return Vec::new() };
        let Stage::Working(working) = &mut self.stage else { return Vec::new() };
        let ready = match &working.product {
            Product::Awaited(_) => None,
            Product::New(_, ready, _) => Some(*ready),
            Product::Again(_) => Some(working.began),
        };
        match pace.due(working.began, ready, desk.now.passed) {
            Due::At(then) => {
                working.wakes = then;
                Vec::new()
            }
            Due::Now => self.leave(desk, None),
            Due::TooLate => self.leave(desk, Some(AttemptError::TooLate)),
        }
    }

    fn leave(&mut self, desk: &mut Desk<'_>, too_late: Option<AttemptError>) -> Vec<Effect> {
        let Stage::Working(working) = self.stage.take() else { return Vec::new() };
        let Working { purpose, key, closes, product, secure, early, score, .. } = *working;
        let outgoing = match (product, too_late) {
            (Product::Again(outgoing), _) => Ok(outgoing),
            (_, Some(too_late)) => Err(too_late),
            (Product::Awaited(_), None) => Err(AttemptError::TooLate),
            (Product::New(_, _, Err(failed)), None) => Err(failed),
            (Product::New(grant, _, Ok(release)), None) => {
                desk.session.release(&grant, release, desk.now.time).map_err(AttemptError::Session)
            }
        };
        let score = score.map(|(rounds, weights)| Effect::Score(rounds, weights));
        match outgoing {
            Ok(outgoing) => {
                let sending = Sending { purpose, key: key.clone(), closes, secure, early, calling: None };
                self.stage = Stage::Sending(Box::new(sending));
                let mut effects = self.call(key, Call::Send(outgoing), false);
                effects.extend(score);
                effects
            }
            Err(failed) => {
                let mut effects = self.fail(desk, &key, &failed);
                effects.extend(score);
                effects.extend(self.idle(desk));
                effects
            }
        }
    }

    /// Says the one thing that is said of an attempt that began and released nothing.
    fn fail(&mut self, desk: &mut Desk<'_>, key: &AttemptKey, failed: &AttemptError) -> Vec<Effect> {
        tracing::error!(%key, error = %program::describe(failed), "an attempt is used up and released nothing");
        let decline = Effect::Decline(key.clone(), PublicReason::from(failed));
        match self.end_if_no_more_begins(desk) {
            Some(unload) => vec![decline, unload],
            // Whatever went wrong, the next attempt has a trainer that was not there.
            None => {
                let load =
                    self.taking_part.as_ref().map(|part| Effect::Load(Box::new(part.accepted.clone())));
                std::iter::once(decline).chain(load).collect()
            }
        }
    }

    /// Declines an attempt that has not begun.
    fn decline(&mut self, desk: &mut Desk<'_>, key: &AttemptKey, why: &NotBegun) -> Vec<Effect> {
        self.stage = Stage::Idle;
        let reason = program::describe(why);
        tracing::warn!(%key, %reason, "an attempt does not begin here");
        let unload = self.end_if_no_more_begins(desk);
        let decline = Effect::Decline(key.clone(), PublicReason::from(why));
        let mut effects: Vec<_> = std::iter::once(decline).chain(unload).collect();
        effects.extend(self.idle(desk));
        effects
    }

    /// Ends the study at this site if no attempt of it may begin any more.
    fn end_if_no_more_begins(&mut self, desk: &mut Desk<'_>) -> Option<Effect> {
        let dropped = self.end_if_dropped(desk);
        if self.taking_part.is_none() || desk.session.failed(&self.id) < FAILURES_MAX {
            return dropped;
        }
        tracing::error!(study = %self.id, "{FAILURES_MAX} attempts released nothing: this site takes no further part");
        if let Err(error) = desk.session.gave_up(&self.id, desk.now.time) {
            tracing::error!(study = %self.id, error = %program::describe(&error), "the study's end is not in the ledger");
        }
        self.taking_part = None;
        Some(Effect::Unload)
    }

    /// Takes no further part in a study that the session has closed, as a person may at any time; an attempt that reads
    /// data leaves first.
    pub(super) fn end_if_dropped(&mut self, desk: &mut Desk<'_>) -> Option<Effect> {
        if self.stage.is_working() || desk.session.takes_part(&self.id) {
            return None;
        }
        self.taking_part.take().map(|_dropped| Effect::Unload)
    }

    /// Does what waited for the attempt to leave.
    fn idle(&mut self, desk: &mut Desk<'_>) -> Vec<Effect> {
        self.stage = Stage::Idle;
        match (self.closing.take(), self.next.take()) {
            (Some(outcome), _) => self.closed(desk, outcome),
            (None, Some(next)) => self.invited(desk, next),
            (None, None) => Vec::new(),
        }
    }
}

/// A coordinator that restarts needs about this long.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The partition and the consents, each once more after a lost connection.
const EARLY_MAX: usize = 4;
