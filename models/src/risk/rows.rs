//! A table's rows as a model sees them: encoded, each for itself.

use std::sync::Arc;

use fedtwin_plan::cohort_need::TableNeed;
use fedtwin_plan::record::TableRecord;
use tch::{Device, Tensor};

use crate::open::dimension;

/// One patient's row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EncodedRow {
    /// Encoded features, each in [-1, 1].
    pub(crate) inputs: Vec<f32>,
    /// 1 where the outcome happened, or how often it did.
    pub(crate) outcome: f32,
    /// 1 where there is a patient, and 0 for a null record, which weighs nothing in the loss.
    pub(crate) weight: f32,
}

impl EncodedRow {
    /// Encodes a row by the plan's public ranges.
    #[must_use]
    pub(crate) fn new(need: &TableNeed, row: &TableRecord) -> Self {
        let mut inputs = Vec::with_capacity(need.inputs());
        for (feature, &value) in need.features.values().zip(&row.values) {
            feature.encode(value, &mut inputs);
        }
        Self { inputs, outcome: row.outcome.value(), weight: 1.0 }
    }

    /// Makes the record of an empty slot: it takes as long as a patient's, and its gradient is zero.
    #[must_use]
    pub(crate) fn null(inputs: usize) -> Self {
        Self { inputs: vec![0.0; inputs], outcome: 0.0, weight: 0.0 }
    }
}

/// Returns the inputs `[rows, inputs]`.
///
/// # Panics
/// Without a row, or if rows differ in their inputs.
pub(crate) fn inputs(rows: &[Arc<EncodedRow>], device: Device) -> Tensor {
    let values: Vec<f32> = rows.iter().flat_map(|row| row.inputs.iter().copied()).collect();
    let shape = [dimension(rows.len()), dimension(rows[0].inputs.len())];
    Tensor::from_slice(&values).view(shape).to(device)
}

/// Returns one value of each row, `[rows]`.
pub(crate) fn column(rows: &[Arc<EncodedRow>], value: fn(&EncodedRow) -> f32, device: Device) -> Tensor {
    Tensor::from_slice(&rows.iter().map(|row| value(row)).collect::<Vec<f32>>()).to(device)
}
