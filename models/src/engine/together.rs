//! Several patients in one backward pass, each with a copy of the weights.
//!
//! The weights are expanded to one leaf per patient, `[slots, out, in, kernel, kernel]`, and the patients'
//! images lie side by side as groups of channels of one grouped convolution; the gradient of the summed
//! loss by such a leaf is then one gradient per patient. It runs fewer and larger kernels than one pass per
//! patient does, which pays where a patient is so small that starting kernels takes most of the time.
//!
//! Groups never meet in the arithmetic, but they share kernels. So a patient's slot follows from its
//! identifier alone, unused slots hold null records, and the tests replace slots by null, noise and NaN
//! and compare the others' bits.

use fedtwin_trainer::model::TrainError;

use super::pass::Pass;
use super::{Engine, Objective};
use crate::open::dimension;
use crate::parameters::Parameters;
use crate::segmentation::slices::PaddedSlices;
use crate::segmentation::unet::Unet;

/// The engine of several patients at a time.
#[derive(Debug)]
pub struct Together {
    objective: Objective,
    net: Unet,
    parameters: Parameters,
    slots: usize,
}

impl Together {
    /// Makes the engine with `slots` patients in a pass.
    #[must_use]
    pub fn new(objective: &Objective, slots: usize) -> Self {
        let nets = dimension(slots);
        Self {
            net: Unet::new(&objective.size, nets),
            parameters: objective.parameters(nets),
            objective: objective.clone(),
            slots,
        }
    }
}

impl Engine for Together {
    fn slots(&self) -> usize {
        self.slots
    }

    fn load(&mut self, weights: &[f32]) -> Result<(), TrainError> {
        self.parameters.load(weights)
    }

    fn pass(&mut self, patients: &[PaddedSlices], gradients: &mut [f32]) {
        assert_eq!(patients.len(), self.slots, "every slot has a record");
        let pass = Pass::new(patients, &self.objective);
        let logits = self.net.forward(&self.parameters.layers(), &pass.images);
        self.parameters.gradients(&pass.loss(&logits), gradients);
    }
}
