//! Trains and scores risk models: all patients' gradients in closed form.
//!
//! Patients are computed in batches of one fixed shape, each in the row that its identifier gives and null
//! records in the rest; all batches are computed whoever was sampled, so neither the arithmetic nor the
//! time of one patient depends on another.

pub mod intercept;
pub mod perceptron;

use fedtwin_plan::cohort_need::TableNeed;
use fedtwin_plan::record::TableRecord;
use fedtwin_plan::{Architecture, PatientId, Trained};
use fedtwin_trainer::model::{Model, Patients, SlotBatch, TrainError, patient_count};
use fedtwin_trainer::report::Report;
use tch::{Device, Kind, Tensor};

use crate::open::{Parts, dimension};
use crate::risk::perceptron::{Perceptron, Weights};
use crate::score::risk_report;

/// The model of risk studies.
#[derive(Debug)]
pub struct RiskModel {
    slots: u32,
    train: Table,
    test: Table,
    model: Perceptron,
}

/// What a risk study trains.
#[derive(Debug, Clone, PartialEq)]
pub struct Risk {
    /// The model: linear or a perceptron.
    pub architecture: Architecture,
    /// The part of it that is trained.
    pub trained: Trained,
    /// The table's features.
    pub need: TableNeed,
}

/// One part of a cohort, encoded.
#[derive(Debug)]
struct Table {
    /// Rows of a batch.
    rows: usize,
    batches: Vec<Batch>,
    outcomes: Vec<bool>,
}

/// So many patients at once.
#[derive(Debug)]
struct Batch {
    /// `[rows, inputs]`.
    inputs: Tensor,
    /// `[rows]`: 1 where the outcome happened.
    outcomes: Tensor,
}

impl RiskModel {
    /// Makes a risk model over the rows of a cohort.
    ///
    /// # Panics
    /// If the model is of another family.
    #[must_use]
    pub fn new(study: &Risk, rows: &Parts<TableRecord>, device: Device) -> Self {
        let model = Perceptron::new(&study.architecture, &study.trained, device);
        let batch = (GRADIENT_VALUES / model.trained_values()).clamp(1, ROWS_PER_BATCH);
        let table = |rows: &[TableRecord]| Table::new(&study.need, rows, batch, device);
        Self { slots: rows.slots, train: table(&rows.train), test: table(&rows.test), model }
    }
}

impl Table {
    fn new(need: &TableNeed, rows: &[TableRecord], batch: usize, device: Device) -> Self {
        let batches = rows.chunks(batch).map(|rows| {
            let mut inputs = Vec::with_capacity(batch * need.inputs());
            for row in rows {
                for (feature, &value) in need.features.values().zip(&row.values) {
                    feature.encode(value, &mut inputs);
                }
            }
            inputs.resize(batch * need.inputs(), 0.0);
            let mut outcomes: Vec<f32> = rows.iter().map(|row| f32::from(u8::from(row.outcome))).collect();
            outcomes.resize(batch, 0.0);
            let shape = [dimension(batch), dimension(need.inputs())];
            Batch {
                inputs: Tensor::from_slice(&inputs).view(shape).to(device),
                outcomes: Tensor::from_slice(&outcomes).to(device),
            }
        });
        Self {
            rows: batch,
            batches: batches.collect(),
            outcomes: rows.iter().map(|row| row.outcome).collect(),
        }
    }

    fn logits(&self, model: &Weights<'_>) -> Vec<f64> {
        let mut logits = vec![0.0; self.batches.len() * self.rows];
        for (batch, logits) in self.batches.iter().zip(logits.chunks_exact_mut(self.rows)) {
            model.logits(&batch.inputs).to_kind(Kind::Double).copy_data(logits, self.rows);
        }
        logits.truncate(self.outcomes.len());
        logits
    }
}

impl Model for RiskModel {
    fn patients(&self) -> Patients {
        Patients { train: patient_count(&self.train.outcomes), test: patient_count(&self.test.outcomes) }
    }

    fn contributions(
        &mut self,
        weights: &[f32],
        batch: &SlotBatch,
        sink: &mut dyn FnMut(PatientId, &[f32]),
    ) -> Result<(), TrainError> {
        batch.check(self.slots)?;
        let (model, len) = (self.model.with(weights)?, self.model.trained_values());
        let mut sampled = batch.sampled();
        // Empty slots come last and contribute nothing.
        sampled = &sampled[..sampled.partition_point(|patient| patient.0 < self.patients().train)];
        let rows = self.train.rows;
        let mut vectors = vec![0.0_f32; rows * len];
        for (index, patients) in self.train.batches.iter().enumerate() {
            let gradients = model.gradients(&patients.inputs, &patients.outcomes);
            gradients.copy_data(&mut vectors, rows * len);
            let (first, end) = (index * rows, (index + 1) * rows);
            let (here, later) =
                sampled.split_at(sampled.partition_point(|patient| (patient.0 as usize) < end));
            for &patient in here {
                let row = patient.0 as usize - first;
                sink(patient, &vectors[row * len..(row + 1) * len]);
            }
            sampled = later;
        }
        Ok(())
    }

    fn score(&mut self, weights: &[f32], fit_intercept: bool) -> Result<Report, TrainError> {
        let model = self.model.with(weights)?;
        let intercept = if fit_intercept {
            intercept::fit(&self.train.logits(&model), &self.train.outcomes)
        } else {
            0.0
        };
        Ok(Report::Risk(risk_report(&self.test.logits(&model), &self.test.outcomes, intercept)))
    }
}

/// Covers most cohorts' tables in one batch at a negligible cost for small ones.
const ROWS_PER_BATCH: usize = 256;

/// At most so many values of gradients at once, 64 MiB, where a single patient's are fewer.
const GRADIENT_VALUES: usize = 1 << 24;
