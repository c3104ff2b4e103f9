//! Trains and scores the linear risk model: all patients' gradients in closed form.
//!
//! The gradient of a patient's binary cross-entropy is `(sigmoid(x w + b) - y) (x, 1)`. Patients are
//! computed in batches of one fixed shape, each in the row that its identifier gives and null records
//! in the rest; all batches are computed whoever was sampled, so neither the arithmetic nor the time
//! of one patient depends on another.

use fedtwin_plan::PatientId;
use fedtwin_plan::cohort_need::TableNeed;
use fedtwin_plan::record::TableRecord;
use fedtwin_plan::report::Report;
use tch::{Device, Kind, Tensor};

use crate::intercept;
use crate::open::{Parts, dimension};
use crate::score::risk_report;
use crate::trainer::{Patients, SlotBatch, TrainError, Trainer, check_weights, patient_count};

/// The trainer of risk studies.
#[derive(Debug)]
pub struct RiskTrainer {
    slots: u32,
    train: Table,
    test: Table,
    inputs: usize,
    device: Device,
}

/// One part of a cohort, encoded.
#[derive(Debug)]
struct Table {
    batches: Vec<Batch>,
    outcomes: Vec<bool>,
}

/// `ROWS_PER_BATCH` patients.
#[derive(Debug)]
struct Batch {
    /// `[rows, inputs]`.
    inputs: Tensor,
    /// `[rows]`: 1 where the outcome happened.
    outcomes: Tensor,
}

impl RiskTrainer {
    /// Makes the trainer of a linear risk model over the rows of a cohort.
    #[must_use]
    pub fn new(need: &TableNeed, rows: &Parts<TableRecord>, device: Device) -> Self {
        Self {
            slots: rows.slots,
            train: Table::new(need, &rows.train, device),
            test: Table::new(need, &rows.test, device),
            inputs: need.inputs(),
            device,
        }
    }

    fn linear(&self, weights: &[f32]) -> Result<Linear, TrainError> {
        check_weights(weights.len(), self.inputs + 1)?;
        let (weight, bias) = weights.split_at(self.inputs);
        Ok(Linear {
            weight: Tensor::from_slice(weight).to(self.device),
            bias: Tensor::from_slice(bias).to(self.device),
        })
    }
}

impl Table {
    fn new(need: &TableNeed, rows: &[TableRecord], device: Device) -> Self {
        let batches = rows.chunks(ROWS_PER_BATCH).map(|rows| {
            let mut inputs = Vec::with_capacity(ROWS_PER_BATCH * need.inputs());
            for row in rows {
                for (feature, &value) in need.features.values().zip(&row.values) {
                    feature.encode(value, &mut inputs);
                }
            }
            inputs.resize(ROWS_PER_BATCH * need.inputs(), 0.0);
            let mut outcomes: Vec<f32> = rows.iter().map(|row| f32::from(u8::from(row.outcome))).collect();
            outcomes.resize(ROWS_PER_BATCH, 0.0);
            let shape = [dimension(ROWS_PER_BATCH), dimension(need.inputs())];
            Batch {
                inputs: Tensor::from_slice(&inputs).view(shape).to(device),
                outcomes: Tensor::from_slice(&outcomes).to(device),
            }
        });
        Self { batches: batches.collect(), outcomes: rows.iter().map(|row| row.outcome).collect() }
    }

    fn logits(&self, linear: &Linear) -> Vec<f64> {
        let mut logits = Vec::with_capacity(self.batches.len() * ROWS_PER_BATCH);
        for batch in &self.batches {
            let mut values = [0.0; ROWS_PER_BATCH];
            linear.forward(&batch.inputs).to_kind(Kind::Double).copy_data(&mut values, ROWS_PER_BATCH);
            logits.extend(values);
        }
        logits.truncate(self.outcomes.len());
        logits
    }
}

/// The model: `x w + b`.
struct Linear {
    /// `[inputs]`.
    weight: Tensor,
    /// `[1]`.
    bias: Tensor,
}

impl Linear {
    /// # Shapes
    /// `x`: `[rows, inputs]`. Returns logits `[rows]`.
    fn forward(&self, x: &Tensor) -> Tensor {
        x.mv(&self.weight) + &self.bias
    }

    /// Returns each row's gradient `[rows, inputs + 1]` of its binary cross-entropy.
    fn gradients(&self, batch: &Batch) -> Tensor {
        let residuals = (self.forward(&batch.inputs).sigmoid() - &batch.outcomes).unsqueeze(1);
        Tensor::cat(&[&batch.inputs * &residuals, residuals], 1)
    }
}

impl Trainer for RiskTrainer {
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
        let linear = self.linear(weights)?;
        let mut sampled = batch.sampled();
        // Empty slots come last and contribute nothing.
        sampled = &sampled[..sampled.partition_point(|patient| patient.0 < self.patients().train)];
        let mut rows = vec![0.0_f32; ROWS_PER_BATCH * weights.len()];
        for (index, patients) in self.train.batches.iter().enumerate() {
            linear.gradients(patients).copy_data(&mut rows, ROWS_PER_BATCH * weights.len());
            let (first, end) = (index * ROWS_PER_BATCH, (index + 1) * ROWS_PER_BATCH);
            let (here, later) =
                sampled.split_at(sampled.partition_point(|patient| (patient.0 as usize) < end));
            for &patient in here {
                let row = patient.0 as usize - first;
                sink(patient, &rows[row * weights.len()..(row + 1) * weights.len()]);
            }
            sampled = later;
        }
        Ok(())
    }

    fn score(&mut self, weights: &[f32], fit_intercept: bool) -> Result<Report, TrainError> {
        let linear = self.linear(weights)?;
        let intercept = if fit_intercept {
            intercept::fit(&self.train.logits(&linear), &self.train.outcomes)
        } else {
            0.0
        };
        Ok(Report::Risk(risk_report(&self.test.logits(&linear), &self.test.outcomes, intercept)))
    }
}

/// Covers most cohorts' tables in one batch at a negligible cost for small ones.
const ROWS_PER_BATCH: usize = 256;
