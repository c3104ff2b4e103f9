//! The driver of one study: performs what the study's core asks for, and tells it what came of it.

use std::collections::VecDeque;
use std::future::ready;
use std::sync::Arc;

use fedtwin_daemon::{clock, program};
use fedtwin_plan::{Digest, StudyId};
use fedtwin_privacy::random::SecureRandom;
use fedtwin_proto::domain::AttemptKey;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::agent::Shared;
use crate::attempt_error::AttemptError;
use crate::client::Client;
use crate::computation::Computation;
use crate::reason::PublicReason;
use crate::scoring::Scorer;
use crate::session::Accepted;
use crate::study::{Call, Desk, Effect, Input, Moment, Study};
use crate::witnessing::{self, WitnessError};
use crate::worker::Worker;

/// The task of one study.
pub struct StudyTask {
    id: StudyId,
    study: Study,
    shared: Arc<Shared>,
    client: Client,
    notices: mpsc::Receiver<Input>,
    /// What is being fetched and computed.
    jobs: JoinSet<Input>,
    worker: Option<Worker>,
    scorer: Scorer,
    /// From which the study's moments count.
    started: Instant,
}

impl StudyTask {
    /// Makes the task.
    #[must_use]
    pub fn new(id: StudyId, shared: Arc<Shared>, client: Client, notices: mpsc::Receiver<Input>) -> Self {
        let study = Study::new(id.clone(), shared.config.trainer.score_every_rounds);
        let scorer = Scorer::new(Arc::clone(&shared.new_trainer), Arc::clone(&shared.scoring));
        let jobs = JoinSet::new();
        Self { id, study, shared, client, notices, jobs, worker: None, scorer, started: Instant::now() }
    }

    /// Runs until the study has ended, or nobody has notices for it any more.
    pub async fn run(mut self) {
        loop {
            let wake = self.study.wakes().map(|wakes| self.started + wakes);
            let input = tokio::select! {
                // What was ready in time is taken up before the time is.
                biased;
                Some(done) = self.jobs.join_next() => match done {
                    Ok(input) => input,
                    // It was aborted, for another one.
                    Err(_aborted) => continue,
                },
                notice = self.notices.recv() => match notice {
                    Some(notice) => notice,
                    None => return,
                },
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => Input::Tick,
            };
            if let Some(model) = self.feed(input).await {
                return self.finish(model).await;
            }
        }
    }

    /// Steps the study, and performs what it asks for; returns the final model when the study is over.
    async fn feed(&mut self, input: Input) -> Option<Option<Digest>> {
        let mut inputs = VecDeque::from([input]);
        let mut over = None;
        while let Some(input) = inputs.pop_front() {
            let effects = tokio::task::block_in_place(|| {
                let now = Moment { time: clock::now(), passed: self.started.elapsed() };
                let (session, random) = (&mut *self.shared.session(), &mut SecureRandom::new());
                self.study.step(&mut Desk { session, random, now }, input)
            });
            for effect in effects {
                match effect {
                    Effect::Over(model) => over = Some(model),
                    effect => inputs.extend(self.perform(effect).await),
                }
            }
        }
        over
    }

    async fn perform(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Answer(answer) => {
                if let Err(error) = self.client.answer(&self.id, answer.as_ref().copied()).await {
                    tracing::warn!(study = %self.id, error = %program::describe(&error), "the answer did not arrive");
                }
            }
            Effect::Load(accepted) => self.load(&accepted),
            Effect::Unload => self.worker = None,
            Effect::Fetch(model) => self.fetch(model),
            Effect::Compute(computation) => self.compute(*computation),
            Effect::Score(rounds, weights) => {
                if let Some(accepted) = self.study.accepted() {
                    self.scorer.score(accepted, rounds, weights);
                }
            }
            Effect::Call(key, call) => {
                let result = self.call(call).await;
                return Some(Input::Called(key, result));
            }
            Effect::Decline(key, reason) => self.decline(&key, &reason).await,
            Effect::Exchange => self.exchange_checkpoints().await,
            Effect::Over(_) => {}
        }
        None
    }

    fn load(&mut self, accepted: &Accepted) {
        // The one that is there ends before another one takes its memory.
        self.worker = None;
        match accepted.folder.load_plan() {
            Ok(plan) => {
                let new_trainer = Arc::clone(&self.shared.new_trainer);
                // Its place is the study's: policy bounds the studies that run.
                self.worker = Some(Worker::start(ready(()), new_trainer, plan, accepted));
            }
            Err(error) => tracing::error!(study = %self.id, %error, "the plan is not in the study's folder"),
        }
    }

    /// Only the newest model is wanted.
    fn fetch(&mut self, model: Digest) {
        let Some(accepted) = self.study.accepted() else { return };
        let (mut client, spec) = (self.client.clone(), accepted.plan.architecture().clone());
        self.jobs.abort_all();
        self.jobs.spawn(async move {
            let weights = client.fetch_model(&model, &spec).await;
            Input::Fetched(model, weights.map(Arc::new))
        });
    }

    fn compute(&mut self, computation: Computation) {
        let (key, purpose) = (computation.key.clone(), computation.purpose);
        let sampler = self.shared.config.noise;
        let answer = self.worker.as_ref().map(|worker| {
            worker.ask(move |trainer| {
                let release = computation.run(trainer?, sampler.source(), &mut SecureRandom::new())?;
                Ok::<_, AttemptError>(release)
            })
        });
        let started = self.started;
        self.jobs.spawn(async move {
            let answered = match answer {
                Some(answer) => answer.await.ok(),
                None => None,
            };
            let (ready, result) = answered.unwrap_or_else(|| (Instant::now(), Err(AttemptError::Ended)));
            Input::Computed((purpose, key), ready.saturating_duration_since(started), result)
        });
    }

    async fn call(&mut self, call: Call) -> Result<(), WitnessError> {
        match call {
            // Whatever leaves is covered by a checkpoint that the coordinator holds.
            Call::Send(outgoing) => {
                witnessing::mirror(&self.shared, &mut self.client).await?;
                self.client.send(&outgoing).await?;
            }
            Call::Secure(message) => self.client.send_secure(message).await?,
        }
        Ok(())
    }

    async fn decline(&mut self, key: &AttemptKey, reason: &PublicReason) {
        self.mirror().await;
        if let Err(error) = self.client.decline(key, reason).await {
            tracing::warn!(%key, error = %program::describe(&error), "the coordinator was not told either");
        }
    }

    async fn mirror(&mut self) {
        if let Err(error) = witnessing::mirror(&self.shared, &mut self.client).await {
            tracing::warn!(study = %self.id, error = %program::describe(&error), "the ledger was not mirrored");
        }
    }

    /// Sends the coordinator what its mirror lacks, and looks at the other sites' ledgers. What fails here comes
    /// again with the next update or connection.
    async fn exchange_checkpoints(&mut self) {
        self.mirror().await;
        if let Err(error) = witnessing::witness(&self.shared, &mut self.client).await {
            tracing::warn!(study = %self.id, error = %program::describe(&error), "nobody's ledger was witnessed");
        }
    }

    /// Fits what stays at this site, from the released model alone, and scores on its test patients. All that others
    /// may see of the study has happened by now, the fetching of its final model but for that.
    async fn finish(self, model: Option<Digest>) {
        let Self { id, study, mut client, notices, worker, scorer, .. } = self;
        // Nobody waits for room in a queue that is not read any more, and the trainer's place is another study's.
        drop((notices, worker));
        let (Some(model), Some(accepted)) = (model, study.accepted()) else { return };
        let weights = match client.fetch_model(&model, accepted.plan.architecture()).await {
            Ok(weights) => weights,
            Err(error) => {
                tracing::error!(study = %id, error = %program::describe(&error), "the final model cannot be fetched");
                return;
            }
        };
        if let Err(error) = scorer.finish(accepted, weights).await {
            tracing::error!(study = %id, error = %program::describe(&error), "the final model was not scored");
        }
    }
}
