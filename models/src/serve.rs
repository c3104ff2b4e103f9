//! The trainer's side of the pipe: one answer to each request until the agent closes the pipe.
//!
//! A request that cannot be met is answered with its reason and changes nothing; a broken frame ends
//! the loop, since what follows it cannot be understood. Reasons are free of patient values.

use std::error::Error;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use fedtwin_plan::model_file::{VALUE_BYTES, values_from_le};
use fedtwin_plan::pipe::{Request, Response, read_frame, write_frame};
use fedtwin_plan::text_file::{self, TextError};
use fedtwin_plan::{PatientId, Plan};
use fedtwin_privacy::patient_sum::{BoundsError, PatientSum};

use crate::trainer::{SlotBatch, TrainError, Trainer};

/// What a [`Request::Load`] asks for, with the plan checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// The plan.
    pub plan: Plan,
    /// The site's cohort file.
    pub cohort_file: PathBuf,
    /// Threads that the tensor library may use.
    pub threads: usize,
}

/// Opens cohorts: with libtorch in the trainer, scripted in tests.
pub type Open<'a> = &'a mut dyn FnMut(&Load) -> Result<Box<dyn Trainer>, Box<dyn Error>>;

/// Answers requests from `reader` on `writer` until the agent closes the pipe.
///
/// # Errors
/// Returns the pipe's error, and `InvalidData` for a frame that is none.
pub fn serve(reader: &mut impl Read, writer: &mut impl Write, open: Open<'_>) -> io::Result<()> {
    let mut session = None;
    while let Some((request, payload)) = read_frame(reader)? {
        let (response, payload) = answer(&mut session, request, &payload, open)
            .unwrap_or_else(|e| (Response::Failed { message: chain(&e) }, Vec::new()));
        write_frame(writer, &response, &payload)?;
    }
    Ok(())
}

/// A loaded cohort.
struct Session {
    trainer: Box<dyn Trainer>,
    /// The model's parameters.
    values: usize,
    clip: f64,
    c_int: u64,
}

/// Why a request is answered with a failure.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("no cohort is loaded")]
    NotLoaded,
    #[error("the plan is refused")]
    Plan(#[source] TextError),
    #[error("the plan's model is refused: {key} {message}")]
    Model { key: String, message: String },
    #[error("the cohort cannot be opened")]
    Open(#[source] Box<dyn Error>),
    #[error("the plan's clipping is refused")]
    Bounds(#[from] BoundsError),
    #[error(transparent)]
    Train(#[from] TrainError),
}

fn answer(
    session: &mut Option<Session>,
    request: Request,
    payload: &[u8],
    open: Open<'_>,
) -> Result<(Response, Vec<u8>), Refusal> {
    match request {
        Request::Load { plan, cohort_file, threads } => {
            // A failed load leaves no cohort of another plan behind.
            *session = None;
            let plan: Plan = text_file::parse("plan", &plan).map_err(Refusal::Plan)?;
            let loaded = Session::open(&Load { plan, cohort_file, threads }, open)?;
            let patients = loaded.trainer.patients();
            *session = Some(loaded);
            Ok((Response::Ready { train: patients.train, test: patients.test }, Vec::new()))
        }
        Request::Sum { sampled, slice_seed } => {
            let session = session.as_mut().ok_or(Refusal::NotLoaded)?;
            Ok((Response::Sum, session.sum(sampled, slice_seed, payload)?))
        }
        Request::Score { fit_intercept } => {
            let session = session.as_mut().ok_or(Refusal::NotLoaded)?;
            let weights = session.weights(payload)?;
            let report = session.trainer.score(&weights, fit_intercept)?;
            Ok((Response::Scored(Box::new(report)), Vec::new()))
        }
    }
}

impl Session {
    fn open(load: &Load, open: Open<'_>) -> Result<Self, Refusal> {
        let plan = &load.plan;
        let spec = plan
            .model_spec()
            .map_err(|problem| Refusal::Model { key: problem.key, message: problem.message })?;
        let trainer = open(load).map_err(Refusal::Open)?;
        Ok(Self { trainer, values: spec.values(), clip: plan.clip(), c_int: plan.calibrated.c_int })
    }

    fn weights(&self, payload: &[u8]) -> Result<Vec<f32>, TrainError> {
        if payload.len() != self.values * VALUE_BYTES {
            let found = payload.len() / VALUE_BYTES;
            return Err(TrainError::WeightsMisfit { found, expected: self.values });
        }
        let weights = values_from_le(payload);
        match weights.iter().position(|weight| !weight.is_finite()) {
            Some(index) => Err(TrainError::WeightsNotFinite { index }),
            None => Ok(weights),
        }
    }

    fn sum(&mut self, sampled: Vec<PatientId>, slice_seed: u64, payload: &[u8]) -> Result<Vec<u8>, Refusal> {
        let weights = self.weights(payload)?;
        let batch = SlotBatch::new(sampled, slice_seed)?;
        let mut sum = PatientSum::new(self.values, self.clip, self.c_int)?;
        self.trainer.contributions(&weights, &batch, &mut |patient, vector| sum.add(patient, vector))?;
        Ok(sum.finish().0.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}

fn chain(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    message
}
