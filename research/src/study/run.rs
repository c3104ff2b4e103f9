//! `fedtwin study run`, `fedtwin study watch` and `fedtwin study cancel`.

use std::fmt;
use std::path::{Path, PathBuf};

use fedtwin_plan::text_file::{TextError, parse};
use fedtwin_plan::{Digest, Plan, StudyId};
use fedtwin_proto::domain::{Event, StudyEvent, StudyOutcome};

use super::file::{self, StudyFileError};
use super::initial::{self, InitialModelError};
use super::progress::Progress;
use super::refusals::Refusals;
use crate::client::{Client, ClientError};

/// A study that ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The final model.
    pub model: Digest,
    /// The file that it was written to.
    pub file: PathBuf,
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "model {} in {}", self.model, self.file.display())
    }
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The plan cannot be read.
    #[error(transparent)]
    File(#[from] StudyFileError),
    /// The plan is no text.
    #[error("the signed plan is not UTF-8 text")]
    Encoding(#[from] std::str::Utf8Error),
    /// The plan is none.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The initial model cannot be read.
    #[error(transparent)]
    InitialModel(#[from] InitialModelError),
    /// The initial model was not taken.
    #[error("the initial model of the study {study} was not taken")]
    NotGiven {
        /// The study, by its plan's `study.id`.
        study: StudyId,
        /// Why.
        source: ClientError,
    },
    /// The study was not opened.
    #[error("the study {study} was not opened")]
    NotOpened {
        /// The study, by its plan's `study.id`.
        study: StudyId,
        /// Why.
        source: ClientError,
    },
    /// The study was not ended.
    #[error("the study {study} was not cancelled")]
    NotCancelled {
        /// The study, by its plan's `study.id`.
        study: StudyId,
        /// Why.
        source: ClientError,
    },
    /// The study could not be followed to its end.
    #[error("the study {study} cannot be watched")]
    NotWatched {
        /// The study, by its plan's `study.id`.
        study: StudyId,
        /// Why.
        source: ClientError,
    },
    /// The events ended before the study did.
    #[error(
        "the coordinator stopped before the study {0} ended; `fedtwin study watch {0}` takes it up again"
    )]
    Stopped(StudyId),
    /// The study failed.
    #[error("the study {study} failed: {reason}{refusals}")]
    Failed {
        /// The study, by its plan's `study.id`.
        study: StudyId,
        /// Why, as the coordinator says.
        reason: String,
        /// Who took no part, as the sites say.
        refusals: Refusals,
    },
    /// The model was not downloaded.
    #[error("the study {study} is finished, but its model {model} was not downloaded")]
    NoModel {
        /// The study, by its plan's `study.id`.
        study: StudyId,
        /// The model.
        model: Digest,
        /// Why.
        source: ClientError,
    },
}

/// Opens the study of the signed plan in `file`, follows it, and downloads its model; gives the `initial`
/// model that the plan names first.
///
/// # Errors
/// Says why the study was not opened, failed, or its model was not downloaded.
pub async fn run(
    client: &Client,
    file: &Path,
    initial: Option<&Path>,
    model_out: Option<PathBuf>,
) -> Result<Finished, RunError> {
    let signed = file::read(file)?;
    let plan: Plan = parse(&file.display().to_string(), str::from_utf8(&signed.text)?)?;
    let base = plan.architecture().base();
    let study = plan.study.id.clone();
    if let Some(initial) = initial {
        let chunks = initial::chunks(initial::read(initial, &base)?);
        let given = client.give_model(signed.clone(), chunks).await;
        given.map_err(|source| RunError::NotGiven { study: study.clone(), source })?;
    }
    client.open_study(signed).await.map_err(|source| RunError::NotOpened { study: study.clone(), source })?;
    follow(client, study, model_out, Some(plan.rounds.count.get())).await
}

/// Follows a study that is open, or was, and downloads its model.
///
/// # Errors
/// Says why the study failed, or its model was not downloaded.
pub async fn watch(
    client: &Client,
    study: StudyId,
    model_out: Option<PathBuf>,
) -> Result<Finished, RunError> {
    follow(client, study, model_out, None).await
}

/// Ends a study before its time, at all sites.
///
/// # Errors
/// Returns the coordinator's reason.
pub async fn cancel(client: &Client, study: &StudyId) -> Result<(), RunError> {
    let cancelled = client.cancel_study(study).await;
    cancelled.map_err(|source| RunError::NotCancelled { study: study.clone(), source })
}

async fn follow(
    client: &Client,
    study: StudyId,
    model_out: Option<PathBuf>,
    rounds: Option<u32>,
) -> Result<Finished, RunError> {
    let progress = Progress::new(rounds);
    let mut refusals = Refusals::default();
    let outcome = to_the_end(client, &study, &progress, &mut refusals).await;
    progress.finish();
    let outcome = outcome.map_err(|source| RunError::NotWatched { study: study.clone(), source })?;
    match outcome {
        None => Err(RunError::Stopped(study)),
        Some(StudyOutcome::Failed { reason }) => Err(RunError::Failed { study, reason, refusals }),
        Some(StudyOutcome::Finished { model }) => {
            let file = model_out.unwrap_or_else(|| format!("{study}.safetensors").into());
            match client.fetch_model(&model, &file).await {
                Ok(()) => Ok(Finished { model, file }),
                Err(source) => Err(RunError::NoModel { study, model, source }),
            }
        }
    }
}

/// Shows all events once, in order, and returns how the study ended, or nothing where the events end first.
async fn to_the_end(
    client: &Client,
    study: &StudyId,
    progress: &Progress,
    refusals: &mut Refusals,
) -> Result<Option<StudyOutcome>, ClientError> {
    let (mut events, mut next) = (client.watch_study(study).await?, 0);
    while let Some(StudyEvent { number, event, .. }) = events.next().await? {
        if number > next {
            progress.left_out(number - next);
        }
        next = number + 1;
        progress.show(&event);
        refusals.note(&event);
        if let Event::StudyClosed(closed) = event {
            return Ok(Some(closed.outcome));
        }
    }
    Ok(None)
}
