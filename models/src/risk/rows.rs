//! A table's rows as a model sees them: encoded, each for itself.

use std::sync::Arc;

use fedtwin_plan::cohort_need::TableNeed;
use fedtwin_plan::follow_up::InInterval;
use fedtwin_plan::outcome::{AskedOutcome, Outcome};
use fedtwin_plan::record::TableRecord;
use tch::{Device, Tensor};

use crate::open::dimension;

/// One patient's row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EncodedRow {
    /// Encoded features, each in [-1, 1].
    pub(crate) inputs: Vec<f32>,
    /// For each output of the model: 1 where the outcome happened, or how often it did.
    pub(crate) outcomes: Vec<f32>,
    /// For each output: 1 where the record says something of it, and 0 elsewhere, which weighs nothing in the loss. A null
    /// record says nothing of any.
    pub(crate) weights: Vec<f32>,
}

impl EncodedRow {
    /// Encodes a row by the plan's public ranges.
    #[must_use]
    pub(crate) fn new(need: &TableNeed, row: &TableRecord) -> Self {
        let mut inputs = Vec::with_capacity(need.inputs());
        for (feature, &value) in need.features.values().zip(&row.values) {
            feature.encode(value, &mut inputs);
        }
        let (outcomes, weights) = match (&need.outcome.asked, row.outcome) {
            (AskedOutcome::Event(follow_up), Outcome::Event(observed)) => {
                let of_interval = |interval| match interval {
                    InInterval::Unknown => (0.0, 0.0),
                    InInterval::Survived => (0.0, 1.0),
                    InInterval::Happened => (1.0, 1.0),
                };
                follow_up.intervals(observed).into_iter().map(of_interval).unzip()
            }
            (AskedOutcome::YesNo | AskedOutcome::Count | AskedOutcome::Event(_), outcome) => {
                (vec![outcome.value()], vec![1.0])
            }
        };
        Self { inputs, outcomes, weights }
    }

    /// Makes the record of an empty slot: it takes as long as a patient's, and its gradient is zero.
    #[must_use]
    pub(crate) fn null(inputs: usize, outputs: usize) -> Self {
        Self { inputs: vec![0.0; inputs], outcomes: vec![0.0; outputs], weights: vec![0.0; outputs] }
    }
}

/// Returns values of each row, `[rows, values]`.
///
/// # Panics
/// Without a row, or if rows differ in how many values they have.
pub(crate) fn matrix(rows: &[Arc<EncodedRow>], values: fn(&EncodedRow) -> &[f32], device: Device) -> Tensor {
    let all: Vec<f32> = rows.iter().flat_map(|row| values(row).iter().copied()).collect();
    let shape = [dimension(rows.len()), dimension(values(&rows[0]).len())];
    Tensor::from_slice(&all).view(shape).to(device)
}
