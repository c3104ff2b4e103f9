//! Scores for this site's own eyes: of models along the way, and of the final one.
//!
//! None of it is an attempt's, and nothing outside waits for it: models along the way have a trainer of their own, so
//! that neither the time that it takes nor a failure is seen in an update's.

use std::io;
use std::sync::Arc;

use fedtwin_daemon::program;
use fedtwin_plan::ModelSpec;
use fedtwin_plan::plan::Family;
use fedtwin_plan::report::Scores;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::session::Accepted;
use crate::trainer::{NewTrainer, TrainerError};
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
}

/// Scores models along the way, one after another.
pub(crate) struct Scorer {
    new_trainer: NewTrainer,
    worker: Option<Worker>,
    running: JoinSet<()>,
}

impl Scorer {
    pub(crate) fn new(new_trainer: NewTrainer) -> Self {
        Self { new_trainer, worker: None, running: JoinSet::new() }
    }

    /// Scores the model after `rounds` rounds in its own time; a model that comes while
    /// many others wait is left out.
    pub(crate) fn score(&mut self, accepted: &Accepted, rounds: u32, weights: Arc<Vec<f32>>) {
        let study = accepted.plan.study.id.clone();
        let worker = match &self.worker {
            Some(worker) => worker,
            None => match accepted.folder.load_plan() {
                Ok(plan) => self.worker.insert(Worker::start(Arc::clone(&self.new_trainer), plan, accepted)),
                Err(error) => {
                    tracing::error!(%study, %error, "the plan is not in the study's folder");
                    return;
                }
            },
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

    /// Waits until all models are scored.
    pub(crate) async fn finish(mut self) {
        while self.running.join_next().await.is_some() {}
    }
}

/// Fits the intercept of a risk model, scores the final model, and keeps both.
pub(crate) async fn score_final(
    worker: Option<Worker>,
    accepted: &Accepted,
    weights: Vec<f32>,
) -> Result<(), ScoringError> {
    if matches!(accepted.spec, ModelSpec::Vector(_)) {
        return Ok(());
    }
    let fit_intercept = matches!(accepted.plan.model.family, Family::LinearRisk | Family::MlpRisk(_));
    let (spec, folder) = (accepted.spec.clone(), accepted.folder.clone());
    let rounds = accepted.plan.rounds.count.get();
    let worker = worker.ok_or(ScoringError::Ended)?;
    flat(worker.ask(move |trainer| {
        let report = trainer?.score(&weights, fit_intercept)?;
        Ok(folder.save_result(&spec, &weights, &Scores { rounds, report })?)
    }))
    .await
}

async fn flat<I>(scored: oneshot::Receiver<(I, Result<(), ScoringError>)>) -> Result<(), ScoringError> {
    scored.await.map_or(Err(ScoringError::Ended), |(_when, result)| result)
}
