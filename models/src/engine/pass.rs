//! What the engines share: a pass's tensors and the losses of its slots.

use fedtwin_plan::plan::Loss;
use tch::{Kind, Tensor};

use super::Objective;
use crate::open::dimension;
use crate::segmentation::loss;
use crate::segmentation::slices::PaddedSlices;

/// The patients of one pass: masks and weights are `[copies * slices, slots, height, width]`, images
/// `[copies * slices, slots * channels, height, width]`.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(crate) images: Tensor,
    masks: Tensor,
    weights: Tensor,
    copies: usize,
    loss: Loss,
}

impl Pass {
    pub(crate) fn new(patients: &[PaddedSlices], objective: &Objective) -> Self {
        let tensor = |of: fn(&PaddedSlices) -> &[f32]| {
            let slot = |patient: &PaddedSlices| {
                let [slices, _, height, width] = patient.shape.map(dimension);
                Tensor::from_slice(of(patient)).view([slices, -1, height, width])
            };
            let slots: Vec<_> = patients.iter().map(slot).collect();
            match slots.as_slice() {
                [slot] => slot.to(objective.device),
                slots => Tensor::cat(slots, 1).to(objective.device),
            }
        };
        Self {
            images: tensor(|patient| &patient.images),
            masks: tensor(|patient| &patient.masks),
            weights: tensor(|patient| &patient.weights),
            copies: objective.copies,
            loss: objective.loss,
        }
    }

    /// Returns a scalar with the gradient of the sum over slots of each patient's loss, which is the mean over
    /// its copies: the logits times the derivative by them.
    ///
    /// No slot's gradient depends on another slot: the derivative of a sum is 1 for each of its terms.
    ///
    /// # Shapes
    /// `logits`: as the masks of [`Pass`]. Returns a scalar.
    pub(crate) fn loss(&self, logits: &Tensor) -> Tensor {
        let by_patient = |values: &Tensor| {
            let size = values.size();
            let split = [dimension(self.copies), -1, size[1], size[2], size[3]];
            values.reshape(split).permute([2, 0, 1, 3, 4])
        };
        let logits = by_patient(logits);
        let derivative =
            loss::derivative(self.loss, &logits, &by_patient(&self.masks), &by_patient(&self.weights));
        (logits * derivative).sum(Kind::Float) / self.copies as f64
    }
}
