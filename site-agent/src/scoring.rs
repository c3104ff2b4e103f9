//! Scores for this site's own eyes: of models along the way, and of the final one.
//!
//! None of it is an attempt's, and nothing outside waits for it: models are scored by trainers of their own, so that
//! neither the time that it takes nor a failure is seen in an update's. There are a few of these at one time, whatever
//! the studies; a study's own trainer ends with the study.

use std::future::Future;
use std::io;
use std::sync::Arc;

use fedtwin_daemon::program;
use fedtwin_plan::family::SiteFit;
use fedtwin_trainer::report::Scores;
use fedtwin_trainer::{NewTrainer, TrainerError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;

use crate::session::Accepted;
use crate::worker::Worker;

/// Why a model was not scored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScoringError {
    #[error(transparent)]
    Trainer(#[from] TrainerError),
    #[error("the trainer's thread ended, or has more to score than it can")]
    Ended,
    #[error("the study's folder cannot be written")]
    Storage(#[from] io::Error),
    #[error("{FINALS_MAX} final models wait to be scored already")]
    Full,
}

/// Where this site's scorers have their places.
#[derive(Debug)]
pub struct ScoringRoom {
    trainers: Arc<Semaphore>,
    /// Final models that wait in memory.
    finals: Semaphore,
}

impl ScoringRoom {
    /// Makes places for so many trainers that score.
    #[must_use]
    pub fn new(trainers: usize) -> Self {
        Self { trainers: Arc::new(Semaphore::new(trainers)), finals: Semaphore::new(FINALS_MAX) }
    }

    /// Waits for a trainer's place.
    fn trainer(&self) -> impl Future<Output = Option<OwnedSemaphorePermit>> + Send + use<> {
        let trainers = Arc::clone(&self.trainers);
        async move { trainers.acquire_owned().await.ok() }
    }
}

/// Scores a study's models, one after another.
pub(crate) struct Scorer {
    new_trainer: NewTrainer,
    room: Arc<ScoringRoom>,
    worker: Option<Worker>,
    running: JoinSet<()>,
}

impl Scorer {
    pub(crate) fn new(new_trainer: NewTrainer, room: Arc<ScoringRoom>) -> Self {
        Self { new_trainer, room, worker: None, running: JoinSet::new() }
    }

    /// Returns the trainer, which may still wait for its place.
    fn worker(&mut self, accepted: &Accepted) -> io::Result<&Worker> {
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => {
                let (place, plan) = (self.room.trainer(), accepted.folder.load_plan()?);
                Worker::start(place, Arc::clone(&self.new_trainer), plan, accepted)
            }
        };
        Ok(self.worker.insert(worker))
    }

    /// Scores the model after `rounds` rounds in its own time; a model that comes while
    /// many others wait is left out.
    pub(crate) fn score(&mut self, accepted: &Accepted, rounds: u32, weights: Arc<Vec<f32>>) {
        let study = accepted.plan.study.id.clone();
        let worker = match self.worker(accepted) {
            Ok(worker) => worker,
            Err(error) => {
                tracing::error!(%study, %error, "the plan is not in the study's folder");
                return;
            }
        };
        let folder = accepted.folder.clone();
        let scored = worker.ask(move |trainer| {
            let report = trainer?.score(&weights, false)?;
            Ok::<_, ScoringError>(folder.append_scores(&Scores { rounds, report })?)
        });
        while self.running.try_join_next().is_some() {}
        self.running.spawn(async move {
            if let Err(error) = flat(scored).await {
                tracing::error!(%study, rounds, error = %program::describe(&error), "a model was not scored");
            }
        });
    }

    /// Waits until all models along the way are scored, then fits the intercept of a risk model, scores the final
    /// model, and keeps both.
    pub(crate) async fn finish(mut self, accepted: &Accepted, weights: Vec<f32>) -> Result<(), ScoringError> {
        let room = Arc::clone(&self.room);
        let _place = room.finals.try_acquire().map_err(|_none_left| ScoringError::Full)?;
        while self.running.join_next().await.is_some() {}
        let family = &accepted.plan.model.family;
        if !family.has_scores() {
            return Ok(());
        }
        let fit_intercept = family.stays_at_site() == SiteFit::Intercept;
        let (architecture, folder) = (accepted.plan.architecture().clone(), accepted.folder.clone());
        let rounds = accepted.plan.rounds.count.get();
        let scored = self.worker(accepted)?.ask(move |trainer| {
            let report = trainer?.score(&weights, fit_intercept)?;
            Ok(folder.save_result(&architecture, &weights, &Scores { rounds, report })?)
        });
        flat(scored).await
    }
}

async fn flat<I>(scored: oneshot::Receiver<(I, Result<(), ScoringError>)>) -> Result<(), ScoringError> {
    scored.await.map_or(Err(ScoringError::Ended), |(_when, result)| result)
}

/// Final models in memory, each as large as its study's.
const FINALS_MAX: usize = 8;
