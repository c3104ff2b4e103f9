//! The trainer's side of the pipe: one answer to each request until the agent closes the pipe.
//!
//! A request that cannot be met is answered with its reason and changes nothing; a broken frame ends
//! the loop, since what follows it cannot be understood. Reasons are free of patient values.

use std::error::Error;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use fedtwin_plan::histogram::Histogram;
use fedtwin_plan::inventory::Inventory;
use fedtwin_plan::model_file::{VALUE_BYTES, is_weight, values_from_le};
use fedtwin_plan::numbers::Positive;
use fedtwin_plan::plan::NormDivision;
use fedtwin_plan::text_file::{self, TextError};
use fedtwin_plan::{Digest, PatientId, Plan, Trained};
use fedtwin_privacy::patient_sum::{BoundsError, PatientSum};

use crate::model::{Model, Patients, SlotBatch, TrainError};
use crate::pipe::{FrameLimits, Loaded, Request, Response, read_frame, write_frame};
use crate::stand_in::StandIn;

/// What a [`Request::Load`] asks for, with the plan checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// The plan, checked.
    pub plan: Plan,
    /// The site's cohort file.
    pub cohort_file: PathBuf,
    /// Threads that the tensor library may use.
    pub threads: usize,
    /// A hostile record in one training patient's place, for an audit.
    pub altered: Option<(PatientId, StandIn)>,
}

/// The hospital's files: read for libtorch in the trainer, scripted in tests.
pub trait Files {
    /// Reads all of a cohort and tells what it holds.
    ///
    /// # Errors
    /// Says what the hospital's people must mend.
    fn check(&mut self, cohort_file: &Path) -> Result<Inventory, Box<dyn Error>>;

    /// Reads a cohort as a plan needs it.
    ///
    /// # Errors
    /// Says why it cannot be read.
    fn open(&mut self, load: &Load) -> Result<OpenCohort, Box<dyn Error>>;
}

/// A cohort that was read.
pub struct OpenCohort {
    /// What computes on it.
    pub model: Box<dyn Model>,
    /// Of the files that it is made of.
    pub digest: Digest,
}

/// Answers requests from `reader` on `writer` until the agent closes the pipe.
///
/// # Errors
/// Returns the pipe's error, and `InvalidData` for a frame that is none.
pub fn serve(reader: &mut impl Read, writer: &mut impl Write, files: &mut dyn Files) -> io::Result<()> {
    let mut session = None;
    while let Some((request, payload)) = read_frame(reader, FrameLimits::LARGEST)? {
        let (response, payload) = answer(&mut session, request, &payload, files)
            .unwrap_or_else(|e| (Response::Failed { message: chain(&e) }, Vec::new()));
        write_frame(writer, &response, &payload)?;
    }
    Ok(())
}

/// A loaded cohort.
struct Session {
    model: Box<dyn Model>,
    /// The parameters that the plan trains.
    trained: Trained,
    division: NormDivision,
    /// The cells of the plan's metrics.
    histogram: Option<Histogram>,
}

/// Why a request is answered with a failure.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("no cohort is loaded")]
    NotLoaded,
    #[error("the plan is refused")]
    Plan(#[source] TextError),
    #[error("the cohort cannot be opened")]
    Open(#[source] Box<dyn Error>),
    #[error("the plan's model has no metrics")]
    NoMetrics,
    #[error("the plan's clipping is refused")]
    Bounds(#[from] BoundsError),
    #[error(transparent)]
    Train(#[from] TrainError),
}

fn answer(
    session: &mut Option<Session>,
    request: Request,
    payload: &[u8],
    files: &mut dyn Files,
) -> Result<(Response, Vec<u8>), RequestError> {
    match request {
        Request::Check { cohort_file } => {
            let inventory = files.check(&cohort_file).map_err(RequestError::Open)?;
            Ok((Response::Checked(Box::new(inventory)), Vec::new()))
        }
        Request::Load { plan, cohort_file, threads, altered } => {
            // A failed load leaves no cohort of another plan behind.
            *session = None;
            let plan: Plan = text_file::parse("plan", &plan).map_err(RequestError::Plan)?;
            let (opened, loaded) = Session::open(&Load { plan, cohort_file, threads, altered }, files)?;
            *session = Some(opened);
            Ok((Response::Ready(loaded), Vec::new()))
        }
        Request::Sum { sampled, slice_seed, clip } => {
            let session = session.as_mut().ok_or(RequestError::NotLoaded)?;
            let batch = SlotBatch::new(sampled, slice_seed)?;
            Ok((Response::Sum, session.sum(&batch, clip, payload)?))
        }
        Request::Measure => {
            let session = session.as_mut().ok_or(RequestError::NotLoaded)?;
            let histogram = session.histogram.ok_or(RequestError::NoMetrics)?;
            let weights = session.weights(payload)?;
            let counts = session.model.score(&weights, false)?.counts(histogram);
            Ok((Response::Measured, counts.iter().flat_map(|count| count.to_le_bytes()).collect()))
        }
        Request::Score { fit_intercept } => {
            let session = session.as_mut().ok_or(RequestError::NotLoaded)?;
            let weights = session.weights(payload)?;
            let report = session.model.score(&weights, fit_intercept)?;
            Ok((Response::Scored(Box::new(report)), Vec::new()))
        }
    }
}

impl Session {
    fn open(load: &Load, files: &mut dyn Files) -> Result<(Self, Loaded), RequestError> {
        let plan = &load.plan;
        let OpenCohort { model, digest } = files.open(load).map_err(RequestError::Open)?;
        let Patients { train, test } = model.patients();
        let session = Self {
            model,
            trained: plan.trained().clone(),
            division: plan.norm_division(),
            histogram: plan.model.family.histogram(),
        };
        Ok((session, Loaded { train, test, digest }))
    }

    fn weights(&self, payload: &[u8]) -> Result<Vec<f32>, TrainError> {
        let expected = self.trained.all_values();
        if payload.len() != expected * VALUE_BYTES {
            let found = payload.len() / VALUE_BYTES;
            return Err(TrainError::WeightsMisfit { found, expected });
        }
        let weights = values_from_le(payload);
        match weights.iter().position(|&weight| !is_weight(weight)) {
            Some(index) => Err(TrainError::WeightOutOfRange { index }),
            None => Ok(weights),
        }
    }

    fn sum(&mut self, batch: &SlotBatch, clip: Positive, payload: &[u8]) -> Result<Vec<u8>, RequestError> {
        let weights = self.weights(payload)?;
        let (values, clip) = (self.trained.values(), clip.get());
        let mut sum = match self.division {
            NormDivision { gradient, below: 0 } => PatientSum::new(values, clip, gradient)?,
            division => PatientSum::with_indicator(values, clip, division)?,
        };
        self.model.contributions(&weights, batch, &mut |patient, vector| sum.add(patient, vector))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Report, RiskReport, RiskRow};

    /// Every patient's vector is its identifier, four times.
    struct Scripted;

    impl Model for Scripted {
        fn patients(&self) -> Patients {
            Patients { train: 3, test: 2 }
        }

        fn contributions(
            &mut self,
            weights: &[f32],
            batch: &SlotBatch,
            sink: &mut dyn FnMut(PatientId, &[f32]),
        ) -> Result<(), TrainError> {
            batch.check(3)?;
            for &patient in batch.sampled() {
                let value = f32::from(u8::try_from(patient.0).unwrap());
                sink(patient, &vec![value; weights.len()]);
            }
            Ok(())
        }

        fn score(&mut self, weights: &[f32], _fit_intercept: bool) -> Result<Report, TrainError> {
            let intercept = weights[0].into();
            let row = |outcome, global| RiskRow { outcome, global, local: None };
            Ok(Report::Risk(RiskReport {
                intercept,
                rows: vec![row(true, Some(0.3)), row(false, Some(0.99)), row(true, None)],
            }))
        }
    }

    /// A cohort file called `missing` cannot be opened.
    struct ScriptedFiles;

    impl ScriptedFiles {
        fn digest(cohort_file: &Path) -> Result<Digest, Box<dyn Error>> {
            if cohort_file == Path::new("missing") {
                return Err(Box::new(io::Error::other("no such cohort")));
            }
            Ok(Digest::of(cohort_file.as_os_str().as_encoded_bytes()))
        }
    }

    impl Files for ScriptedFiles {
        fn check(&mut self, cohort_file: &Path) -> Result<Inventory, Box<dyn Error>> {
            Ok(inventory(Self::digest(cohort_file)?))
        }

        fn open(&mut self, load: &Load) -> Result<OpenCohort, Box<dyn Error>> {
            Ok(OpenCohort { model: Box::new(Scripted), digest: Self::digest(&load.cohort_file)? })
        }
    }

    fn inventory(digest: Digest) -> Inventory {
        Inventory {
            declared: 9,
            train: 3,
            test: 2,
            positive: 1,
            left_out: vec![],
            features: vec![],
            events: None,
            digest,
        }
    }

    const PLAN: &str = r#"
data.table = { outcome = "ill", features.age.number = { unit = "years", low = 0, high = 100 } }
study = { id = "s", title = "t", sites = ["north"], expires = "2030-01-01" }
cohort = { name = "c", patients_max = 100 }
model = { family = { vector = { parameters = 4 } }, seed = 1 }
rounds = { count = 1, attempts_max = 1, blocks = 1, sites_min = 1, join_s = 1, deadline_s = 9, slot_s = 0 }
training = { sampling = "1", loss = "bce", site = "gradient", server.fedavg = { learning_rate = 1.0 } }
privacy.none = { clip = 8.0 }
calibrated = { m = 10, c_int = 8000, modulus_bits = 32, steps = 1 }
"#;

    fn load(file: &str) -> Request {
        Request::Load { plan: PLAN.to_owned(), cohort_file: file.into(), threads: 1, altered: None }
    }

    fn sum(ids: &[u32]) -> Request {
        Request::Sum {
            sampled: ids.iter().copied().map(PatientId).collect(),
            slice_seed: 0,
            clip: 8.0.try_into().unwrap(),
        }
    }

    /// Serves all requests in one go.
    fn answers(requests: &[(Request, Vec<u8>)]) -> Vec<(Response, Vec<u8>)> {
        let mut asked = Vec::new();
        for (request, payload) in requests {
            write_frame(&mut asked, request, payload).unwrap();
        }
        let mut answered = Vec::new();
        serve(&mut asked.as_slice(), &mut answered, &mut ScriptedFiles).unwrap();
        let mut answered = answered.as_slice();
        std::iter::from_fn(|| read_frame(&mut answered, FrameLimits::LARGEST).unwrap()).collect()
    }

    fn failed(message: &str) -> (Response, Vec<u8>) {
        (Response::Failed { message: message.to_owned() }, Vec::new())
    }

    #[test]
    fn an_adaptive_clip_adds_how_many_are_no_longer_than_it() {
        let adaptive =
            "adaptive_clip = { quantile = 0.5, learning_rate = 0.2, bounds = [1, 9], share = 0.6 }";
        let plan = PLAN.replace("site = \"gradient\"", &format!("site = \"gradient\", {adaptive}"));
        let load = Request::Load { plan, cohort_file: "cohort".into(), threads: 1, altered: None };
        // Vectors of norm 2 and 4, and a null one; the clip is 3. What is left of 8000 beside 4800 is 6400.
        let clip = 3.0.try_into().unwrap();
        let sum = Request::Sum { sampled: [0, 1, 2].map(PatientId).to_vec(), slice_seed: 0, clip };
        let answered = answers(&[(load, vec![]), (sum, vec![0; 16])]);
        let integers: Vec<i64> = answered[1].1.as_chunks().0.iter().map(|&v| i64::from_le_bytes(v)).collect();
        assert_eq!(integers, [2133 + 3200, 5333, 5333, 5333, 4800 - 4800]);
    }

    #[test]
    fn metrics_are_answered_as_counts_and_never_as_text() {
        let plan = PLAN.replace("{ vector = { parameters = 4 } }", "\"linear-risk\"");
        let load = Request::Load { plan, cohort_file: "cohort".into(), threads: 1, altered: None };
        let weights = vec![0; 12];
        let answered = answers(&[(load, vec![]), (Request::Measure, weights)]);
        assert_eq!(answered[1].0, Response::Measured);
        let counts: Vec<u64> = answered[1].1.as_chunks().0.iter().map(|&v| u64::from_le_bytes(v)).collect();
        let counted: Vec<_> = counts.iter().enumerate().filter(|&(_, &count)| count > 0).collect();
        // The third patient's score is no number: it counts nowhere.
        assert_eq!((counts.len(), counted), (40, vec![(19, &1), (26, &1)]));
    }

    #[test]
    fn each_request_has_one_answer_and_failures_change_nothing() {
        let weights = [0.5_f32, 0.0, 0.0, 0.0].map(f32::to_le_bytes).concat();
        let integers = [3000_i64; 4].map(i64::to_le_bytes).concat();
        let report = Scripted.score(&[0.5], false).unwrap();
        let digest = Digest::of(b"cohort");
        let check = |file: &str| Request::Check { cohort_file: file.into() };
        let (request, answer): (Vec<_>, Vec<_>) = [
            ((sum(&[1]), weights.clone()), failed("no cohort is loaded")),
            ((check("missing"), vec![]), failed("the cohort cannot be opened: no such cohort")),
            ((check("cohort"), vec![]), (Response::Checked(Box::new(inventory(digest))), vec![])),
            ((Request::Measure, weights.clone()), failed("no cohort is loaded")),
            ((load("cohort"), vec![]), (Response::Ready(Loaded { train: 3, test: 2, digest }), vec![])),
            (
                (sum(&[1]), weights[..15].to_vec()),
                failed("the weights have 3 values, expected the model's 4"),
            ),
            ((sum(&[3]), weights.clone()), failed("patient 3 was sampled, but the cohort declares 3")),
            ((sum(&[2, 1]), weights.clone()), (Response::Sum, integers)),
            (
                (Request::Score { fit_intercept: true }, weights.clone()),
                (Response::Scored(Box::new(report)), vec![]),
            ),
            ((load("missing"), vec![]), failed("the cohort cannot be opened: no such cohort")),
            ((sum(&[1]), weights), failed("no cohort is loaded")),
        ]
        .into_iter()
        .unzip();
        assert_eq!(answers(&request), answer);
    }
}
