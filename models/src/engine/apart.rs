//! One backward pass per patient, whose slices are the whole batch.
//!
//! No kernel ever sees two patients: independence between them needs no argument about libtorch.

use fedtwin_trainer::model::TrainError;

use super::pass::Pass;
use super::{Engine, Objective};
use crate::parameters::Parameters;
use crate::segmentation::slices::PaddedSlices;
use crate::segmentation::unet::Unet;

/// The engine of one patient at a time.
#[derive(Debug)]
pub struct Apart {
    objective: Objective,
    net: Unet,
    parameters: Parameters,
}

impl Apart {
    /// Makes the engine.
    #[must_use]
    pub fn new(objective: &Objective) -> Self {
        Self {
            net: Unet::new(&objective.size, 1),
            parameters: objective.parameters(1),
            objective: objective.clone(),
        }
    }
}

impl Engine for Apart {
    fn slots(&self) -> usize {
        1
    }

    fn load(&mut self, weights: &[f32]) -> Result<(), TrainError> {
        self.parameters.load(weights)
    }

    fn pass(&mut self, patients: &[PaddedSlices], gradients: &mut [f32]) {
        assert_eq!(patients.len(), 1, "one patient");
        let pass = Pass::new(patients, &self.objective);
        let logits = self.net.forward(&self.parameters.layers(), &pass.images);
        self.parameters.gradients(&pass.loss(&logits), gradients);
    }
}
