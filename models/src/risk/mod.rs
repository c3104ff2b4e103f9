//! Trains and scores risk models, of whatever outcome: all patients' gradients in closed form.

pub mod intercept;
mod link;
pub mod perceptron;
mod rows;

use std::sync::Arc;

use fedtwin_plan::cohort_need::TableNeed;
use fedtwin_plan::follow_up::Observed;
use fedtwin_plan::outcome::{AskedOutcome, Outcome};
use fedtwin_plan::record::TableRecord;
use fedtwin_plan::{Architecture, PatientId, Trained};
use fedtwin_trainer::model::{Model, Patients, SlotBatch, TrainError, patient_count};
use fedtwin_trainer::report::Report;
use tch::{Device, Kind, Tensor};

pub use self::link::Link;
use self::perceptron::Perceptron;
use self::rows::EncodedRow;
use crate::engine::{Crew, Objective, Resources};
use crate::open::Parts;
use crate::score;

/// What a risk study trains.
#[derive(Debug, Clone, PartialEq)]
pub struct Risk {
    /// The model's parameters: of a linear one or a perceptron.
    pub architecture: Architecture,
    /// The part of it that is trained.
    pub trained: Trained,
    /// The table's features.
    pub need: TableNeed,
    /// From the output to the expected outcome.
    pub link: Link,
}

/// The model of risk studies.
#[derive(Debug)]
pub struct RiskModel {
    slots: u32,
    train: Vec<Arc<EncodedRow>>,
    test: Vec<Arc<EncodedRow>>,
    /// The record of an empty slot.
    null: Arc<EncodedRow>,
    crew: Crew<RiskObjective>,
    /// For predictions.
    net: Perceptron,
    link: Link,
    need: TableNeed,
    /// How the test patients were followed, where the outcome is an event.
    observed: Vec<Observed>,
    /// Rows of a batch, in predictions as in passes.
    rows: usize,
    device: Device,
}

/// The loss of each row that its link says.
#[derive(Debug)]
struct RiskObjective {
    net: Perceptron,
    link: Link,
    device: Device,
}

impl Objective for RiskObjective {
    type Slot = Arc<EncodedRow>;

    fn load(&mut self, weights: &[f32]) -> Result<(), TrainError> {
        self.net.load(weights)
    }

    fn gradients(&self, patients: &[Arc<EncodedRow>], gradients: &mut [f32]) {
        let outcomes = rows::matrix(patients, |row| &row.outcomes, self.device);
        let weights = rows::matrix(patients, |row| &row.weights, self.device);
        let derivative = |outputs: &Tensor| (self.link.expected_of(outputs) - outcomes) * weights;
        let found = self.net.gradients(&rows::matrix(patients, |row| &row.inputs, self.device), derivative);
        assert_eq!(gradients.len(), found.numel(), "a row for each slot");
        found.copy_data(gradients, found.numel());
    }
}

impl RiskModel {
    /// Makes a risk model over the rows of a cohort.
    ///
    /// # Panics
    /// If the model is of another family.
    #[must_use]
    pub fn new(study: &Risk, parts: &Parts<TableRecord>, resources: &Resources) -> Self {
        let device = resources.device;
        let link = study.link;
        let net = || Perceptron::new(&study.architecture, &study.trained, device);
        let values = study.trained.values();
        let outputs = net().outputs_of_a_row();
        let rows = (GRADIENT_VALUES / values).clamp(1, ROWS_PER_PASS);
        // Each gradient is there twice: as a tensor, and as it is handed on.
        let pass_bytes = (2 * rows * values * size_of::<f32>()) as u64;
        let members =
            (0..resources.passes_at_once(pass_bytes)).map(|_| RiskObjective { net: net(), link, device });
        let encoded = |rows: &[TableRecord]| {
            rows.iter().map(|row| Arc::new(EncodedRow::new(&study.need, row))).collect()
        };
        Self {
            slots: parts.slots,
            train: encoded(&parts.train),
            test: encoded(&parts.test),
            null: Arc::new(EncodedRow::null(study.need.inputs(), outputs)),
            need: study.need.clone(),
            observed: parts.test.iter().filter_map(|row| observed(row.outcome)).collect(),
            crew: Crew::new(members.collect(), rows, values),
            net: net(),
            link,
            rows,
            device,
        }
    }

    /// Returns each row's outputs.
    fn outputs(&self, table: &[Arc<EncodedRow>]) -> Vec<Vec<f64>> {
        let mut outputs = Vec::new();
        for rows in table.chunks(self.rows) {
            // Of one shape, so that a patient's output does not depend on how many others there are.
            let mut rows = rows.to_vec();
            rows.resize(self.rows, Arc::clone(&self.null));
            let inputs = rows::matrix(&rows, |row| &row.inputs, self.device);
            let found = self.net.outputs(&inputs).to_kind(Kind::Double);
            let mut values = vec![0.0; found.numel()];
            found.copy_data(&mut values, found.numel());
            outputs.extend(values.chunks_exact(values.len() / self.rows).map(<[f64]>::to_vec));
        }
        outputs.truncate(table.len());
        outputs
    }

    /// Fits the site's own intercept to all that the training patients' records say.
    fn intercept(&self) -> f64 {
        let outputs = self.outputs(&self.train);
        let known = self.train.iter().zip(&outputs).flat_map(|(row, outputs)| {
            let said = row.outcomes.iter().zip(&row.weights).zip(outputs);
            said.filter(|((_, weight), _)| **weight > 0.0).map(|((y, _), output)| (*output, f64::from(*y)))
        });
        let (outputs, outcomes): (Vec<_>, Vec<_>) = known.unzip();
        intercept::fit(&outputs, &outcomes, self.link)
    }
}

impl Model for RiskModel {
    fn patients(&self) -> Patients {
        Patients { train: patient_count(&self.train), test: patient_count(&self.test) }
    }

    fn contributions(
        &mut self,
        weights: &[f32],
        batch: &SlotBatch,
        sink: &mut dyn FnMut(PatientId, &[f32]),
    ) -> Result<(), TrainError> {
        batch.check(self.slots)?;
        let (train, null) = (&self.train, &self.null);
        let prepare = |patient: Option<PatientId>| {
            let row = patient.and_then(|id| train.get(id.0 as usize));
            Arc::clone(row.unwrap_or(null))
        };
        self.crew.gradients(weights, batch.sampled(), &prepare, sink)
    }

    fn score(&mut self, weights: &[f32], fit_intercept: bool) -> Result<Report, TrainError> {
        self.net.load(weights)?;
        let intercept = if fit_intercept { self.intercept() } else { 0.0 };
        let outputs = self.outputs(&self.test);
        if let AskedOutcome::Event(follow_up) = &self.need.outcome.asked {
            let observed = self.observed.iter().copied().zip(outputs);
            return Ok(score::survival(follow_up, &observed.collect::<Vec<_>>(), intercept));
        }
        let first = |values: &[f32]| f64::from(values[0]);
        let outcomes: Vec<_> = self.test.iter().map(|row| first(&row.outcomes)).collect();
        let outputs: Vec<_> = outputs.iter().map(|outputs| outputs[0]).collect();
        Ok(score::risk(&outputs, &outcomes, intercept, self.link))
    }
}

/// Returns how a patient was followed, where the outcome is an event.
fn observed(outcome: Outcome) -> Option<Observed> {
    match outcome {
        Outcome::Event(observed) => Some(observed),
        Outcome::YesNo(_) | Outcome::Count(_) => None,
    }
}

/// Covers most cohorts' tables in one pass at a negligible cost for small ones.
const ROWS_PER_PASS: usize = 256;

/// At most so many values of gradients at once, 64 MiB, where a single patient's are fewer.
const GRADIENT_VALUES: usize = 1 << 24;
