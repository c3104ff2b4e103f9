//! One study at this site, from offer to end: the order of steps in an attempt is all here.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fedtwin_certs::Signer;
use fedtwin_daemon::{clock, program};
use fedtwin_plan::plan::Family;
use fedtwin_plan::report::Scores;
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{Digest, ModelSpec, Plan, StudyId};
use fedtwin_privacy::ledger::Purpose;
use fedtwin_proto::domain::{Invitation, RoundKey, SecureNotice, StudyOutcome};
use fedtwin_secagg::{AttemptPlace, Context};
use tokio::time::{Instant, timeout_at};

use crate::agent::Shared;
use crate::attempt_error::AttemptError;
use crate::client::{CallError, Client};
use crate::computation::{Computation, locked};
use crate::inbox::Inbox;
use crate::local_training::TrainingError;
use crate::reason::PublicReason;
use crate::secure::SecureAttempt;
use crate::session::door::Outgoing;
use crate::session::{Accepted, Work};
use crate::slot;
use crate::trainer::{Stopper, Trainer, TrainerError};
use crate::witnessing::{self, WitnessError};

/// What the coordinator says about one study.
#[derive(Debug)]
pub enum StudyNotice {
    /// A verified plan and its signer.
    Offer(Box<Plan>, Signer, SignedPlan),
    /// An attempt to take part in.
    Invitation(Invitation),
    /// Metrics to release, of the model that an attempt made.
    Measurement(Invitation),
    /// A message of an attempt under secure aggregation.
    Secure(SecureNotice),
    /// The study's end.
    Closed(StudyOutcome),
}

impl StudyNotice {
    /// Says whether an attempt that is being worked at is over with it.
    pub(crate) fn ends_attempts(&self) -> bool {
        match self {
            Self::Invitation(_) | Self::Measurement(_) | Self::Closed(_) => true,
            Self::Offer(..) | Self::Secure(_) => false,
        }
    }
}

/// The task of one study.
pub struct StudyTask {
    study: StudyId,
    shared: Arc<Shared>,
    client: Client,
    inbox: Inbox,
    taking_part: Option<TakingPart>,
}

/// What a site has that accepted the plan.
struct TakingPart {
    accepted: Accepted,
    /// The plan's text, for trainers.
    text: String,
    /// The plan's digest.
    digest: Digest,
    trainer: RunningTrainer,
    /// Whether the trainer was stopped or ended by itself: the next attempt needs another.
    trainer_gone: bool,
}

#[derive(Clone)]
struct RunningTrainer {
    trainer: Arc<Mutex<Box<dyn Trainer>>>,
    stopper: Stopper,
}

impl StudyTask {
    /// Makes the task.
    #[must_use]
    pub fn new(study: StudyId, shared: Arc<Shared>, client: Client, inbox: Inbox) -> Self {
        Self { study, shared, client, inbox, taking_part: None }
    }

    /// Runs until the study has ended.
    pub async fn run(mut self) {
        while let Some(notice) = self.inbox.next().await {
            match notice {
                StudyNotice::Offer(plan, signer, signed) => {
                    if let Err(error) = self.offered(*plan, &signer, &signed).await {
                        tracing::warn!(study = %self.study, error = %program::describe(&error), "the answer did not arrive");
                    }
                }
                // Only the newest attempt can still be open.
                StudyNotice::Invitation(_) if self.inbox.has_moved_on() => {}
                // Of an attempt that is over for this site.
                StudyNotice::Secure(_) => {}
                StudyNotice::Invitation(invitation) => self.invited(Purpose::Training, &invitation).await,
                StudyNotice::Measurement(invitation) => self.invited(Purpose::Metrics, &invitation).await,
                StudyNotice::Closed(outcome) => {
                    self.closed(outcome).await;
                    return;
                }
            }
        }
    }

    async fn offered(&mut self, plan: Plan, signer: &Signer, signed: &SignedPlan) -> Result<(), CallError> {
        if self.taking_part.is_none() {
            match self.consider(plan, signer, signed).await {
                Ok(taking_part) => self.taking_part = Some(taking_part),
                Err(reason) => {
                    self.client.answer(&self.study, Err(&reason)).await?;
                    self.exchange_checkpoints().await;
                    return Ok(());
                }
            }
        }
        if let Some(TakingPart { accepted, .. }) = &self.taking_part {
            self.client.answer(&self.study, Ok(accepted.patients)).await?;
        }
        self.exchange_checkpoints().await;
        Ok(())
    }

    /// Decides on the plan, reserves its cost, and only then has the trainer read data.
    async fn consider(
        &self,
        plan: Plan,
        signer: &Signer,
        signed: &SignedPlan,
    ) -> Result<TakingPart, PublicReason> {
        let decision = {
            let mut session = self.shared.session();
            tokio::task::block_in_place(|| session.offered(plan, signer, signed, clock::now()))
        };
        let accepted = decision.map_err(|refusal| {
            tracing::warn!(study = %self.study, reason = %program::describe(&refusal), "a study was refused");
            PublicReason::from(&refusal)
        })?;
        let text = String::from_utf8_lossy(&signed.text).into_owned();
        match start_trainer(&self.shared, &text, &accepted).await {
            Ok(trainer) => {
                tracing::info!(study = %self.study, "taking part");
                let digest = signed.digest();
                Ok(TakingPart { accepted, text, digest, trainer, trainer_gone: false })
            }
            Err(error) => {
                tracing::error!(study = %self.study, error = %program::describe(&error), "the trainer cannot load the cohort");
                self.end(false);
                Err(PublicReason::from(&AttemptError::from(error)))
            }
        }
    }

    async fn invited(&mut self, purpose: Purpose, invitation: &Invitation) {
        let started = Instant::now();
        let key = &invitation.key;
        let attempt = timeout_at(started + invitation.closes_in, self.attempt(purpose, invitation, started));
        let Err(error) = attempt.await.unwrap_or(Err(AttemptError::TooLate)) else { return };
        tracing::warn!(%key, error = %program::describe(&error), ?purpose, "nothing to send for this attempt");
        if let Some(taking_part) = &mut self.taking_part {
            taking_part.after(&error);
        }
        if let Err(error) = self.client.decline(key, &PublicReason::from(&error)).await {
            tracing::warn!(%key, error = %program::describe(&error), "the coordinator was not told either");
        }
    }

    /// Fetch and check the model, agree on masks, charge, train, noise, mask, wait for the slot, store, record,
    /// mirror, send, open the sum: in this order.
    async fn attempt(
        &mut self,
        purpose: Purpose,
        invitation: &Invitation,
        started: Instant,
    ) -> Result<(), AttemptError> {
        let key = &invitation.key;
        self.need_trainer().await?;
        let Some(TakingPart { accepted, trainer, digest, .. }) = &self.taking_part else {
            return Err(AttemptError::NotTakingPart);
        };
        if !accepted.plan.allows_clip(invitation.clip) {
            return Err(AttemptError::OtherClip(invitation.clip.get()));
        }
        let weights = self.client.fetch_model(&invitation.model, &accepted.spec).await?;
        let context = match purpose {
            Purpose::Training => secure_context(&accepted.plan, *digest, invitation),
            Purpose::Metrics => None,
        };
        let secure = match context {
            None => None,
            Some(context) => {
                let me = self.shared.session().secure_me().ok_or(AttemptError::NoPeers)?;
                let wire = (&mut self.client, &mut self.inbox);
                Some(SecureAttempt::begin(key.clone(), context, &me, wire).await?)
            }
        };
        let work = tokio::task::block_in_place(|| self.shared.session().invited(purpose, key, clock::now()))?;
        let slot_s = accepted.plan.rounds.slot_s.get();
        let outgoing = match work {
            // Its masks are of keys that nobody has any more.
            Work::Resend(_) if secure.is_some() => return Err(AttemptError::KeysLost),
            Work::Resend(outgoing) => {
                slot::next(started, slot_s).await;
                outgoing
            }
            Work::Train(grant) => {
                let computation = Computation {
                    purpose,
                    plan: accepted.plan.clone(),
                    patients: accepted.patients,
                    clip: invitation.clip,
                    trainer: Arc::clone(&trainer.trainer),
                    noise: self.shared.config.noise,
                    score: purpose == Purpose::Training && self.wants_scores(key),
                };
                let (mut update, scores) = tokio::task::spawn_blocking(move || computation.run(&weights))
                    .await
                    .expect("training does not panic")?;
                if let Some((_, masks)) = &secure {
                    tokio::task::block_in_place(|| masks.add_to(0, &mut update.values));
                }
                if let Some(report) = scores {
                    let scores = Scores { rounds: key.round - 1, report };
                    accepted.folder.append_scores(&scores).map_err(AttemptError::Storage)?;
                }
                slot::next(started, slot_s).await;
                tokio::task::block_in_place(|| {
                    self.shared.session().release(key, &grant, &update, clock::now())
                })?
            }
        };
        self.send(&outgoing).await?;
        if let Some((attempt, _)) = secure {
            attempt.finish(&mut self.client, &mut self.inbox).await?;
        }
        Ok(())
    }

    /// Starts another trainer where the last one was stopped or ended.
    async fn need_trainer(&mut self) -> Result<(), TrainerError> {
        if let Some(taking_part) = &mut self.taking_part
            && taking_part.trainer_gone
        {
            taking_part.trainer =
                start_trainer(&self.shared, &taking_part.text, &taking_part.accepted).await?;
            taking_part.trainer_gone = false;
        }
        Ok(())
    }

    fn wants_scores(&self, key: &RoundKey) -> bool {
        let every = self.shared.config.trainer.score_every_rounds;
        every > 0 && (key.round - 1).is_multiple_of(every)
    }

    /// Sends once the coordinator holds a checkpoint of the ledger with the release in it; tries again while
    /// the attempt is open.
    async fn send(&mut self, outgoing: &Outgoing) -> Result<(), AttemptError> {
        loop {
            let sent = match witnessing::mirror(&self.shared, &mut self.client).await {
                Ok(()) => self.client.send(outgoing).await.map_err(WitnessError::Call),
                Err(error) => Err(error),
            };
            match sent {
                Err(WitnessError::Call(CallError::Unreachable(status))) => {
                    tracing::warn!(%status, "the update did not arrive; sending the same bytes again");
                    tokio::time::sleep(RESEND_AFTER).await;
                }
                other => return Ok(other?),
            }
        }
    }

    async fn closed(&mut self, outcome: StudyOutcome) {
        match outcome {
            StudyOutcome::Finished { model } => {
                if let Err(error) = self.score_final(&model).await {
                    tracing::error!(study = %self.study, error = %program::describe(&error), "the final model was not scored");
                }
                self.end(true);
            }
            StudyOutcome::Failed { reason } => {
                tracing::warn!(study = %self.study, %reason, "the study failed");
                self.end(false);
            }
        }
        self.exchange_checkpoints().await;
    }

    /// Fits what stays at this site, from the released model alone, and scores on its test patients.
    async fn score_final(&mut self, model: &Digest) -> Result<(), AttemptError> {
        self.need_trainer().await?;
        let Some(TakingPart { accepted, trainer, .. }) = &self.taking_part else { return Ok(()) };
        let weights = self.client.fetch_model(model, &accepted.spec).await?;
        let fit_intercept = matches!(accepted.plan.model.family, Family::LinearRisk | Family::MlpRisk(_));
        let (spec, folder, trainer) =
            (accepted.spec.clone(), accepted.folder.clone(), Arc::clone(&trainer.trainer));
        let rounds = accepted.plan.rounds.count.get();
        let scoring = tokio::task::spawn_blocking(move || {
            if matches!(spec, ModelSpec::Vector(_)) {
                return Ok(());
            }
            let report = locked(&trainer).score(&weights, fit_intercept)?;
            folder.save_result(&spec, &weights, &Scores { rounds, report }).map_err(AttemptError::Storage)
        });
        scoring.await.expect("scoring does not panic")
    }

    fn end(&self, committed: bool) {
        let ended = tokio::task::block_in_place(|| {
            self.shared.session().closed(&self.study, committed, clock::now())
        });
        if let Err(error) = ended {
            tracing::error!(study = %self.study, error = %program::describe(&error), "the study's end is not in the ledger");
        }
    }

    /// Sends the coordinator what its mirror lacks, and looks at the other sites' ledgers. What fails here comes
    /// again with the next update or connection.
    async fn exchange_checkpoints(&mut self) {
        if let Err(error) = witnessing::mirror(&self.shared, &mut self.client).await {
            tracing::warn!(study = %self.study, error = %program::describe(&error), "the ledger was not mirrored");
        }
        if let Err(error) = witnessing::witness(&self.shared, &mut self.client).await {
            tracing::warn!(study = %self.study, error = %program::describe(&error), "nobody's ledger was witnessed");
        }
    }
}

impl TakingPart {
    /// Ends a trainer that is stuck, or takes note that it has ended.
    fn after(&mut self, error: &AttemptError) {
        let stuck = matches!(error, AttemptError::TooLate);
        let ended = matches!(error, AttemptError::Training(TrainingError::Trainer(TrainerError::Gone(_))));
        if stuck || ended {
            self.trainer.stopper.stop();
            self.trainer_gone = true;
        }
    }
}

/// Returns what the sites of an attempt agree on, where its plan has secure aggregation.
fn secure_context(plan: &Plan, digest: Digest, invitation: &Invitation) -> Option<Context> {
    let Invitation { key: RoundKey { round, attempt, .. }, model, members, .. } = invitation;
    let (round, attempt) = (*round, *attempt);
    Context::of(plan, digest, AttemptPlace { round, attempt, model: *model, members: members.clone() })
}

/// Starts a trainer and has it load the cohort.
async fn start_trainer(
    shared: &Shared,
    text: &str,
    accepted: &Accepted,
) -> Result<RunningTrainer, TrainerError> {
    let new_trainer = Arc::clone(&shared.new_trainer);
    let (text, cohort_file) = (text.to_owned(), accepted.cohort_file.clone());
    let loading = tokio::task::spawn_blocking(move || {
        let mut trainer = new_trainer()?;
        trainer.load(&text, &cohort_file)?;
        let stopper = trainer.stopper();
        Ok(RunningTrainer { trainer: Arc::new(Mutex::new(trainer)), stopper })
    });
    loading.await.expect("loading does not panic")
}

/// A coordinator that restarts needs about this long.
const RESEND_AFTER: Duration = Duration::from_secs(1);
