//! Engines: ways to get one gradient for each patient out of a library that adds them up.
//!
//! An engine computes passes of a fixed number of slots, each for one patient; a slot without one holds a
//! null record. Every pass runs on one thread and has the same shape whoever was sampled, so that a
//! vector's bits depend on its own patient and on the weights, and neither on other patients, nor on how
//! many passes run at once.

mod apart;
mod crew;
mod pass;
mod rule;
mod together;

use fedtwin_plan::family::UnetSize;
use fedtwin_plan::plan::Loss;
use fedtwin_plan::{Architecture, Trained};
use tch::{Device, Kind};

pub use apart::Apart;
pub use crew::{Crew, Prepare};
pub use rule::{EngineKind, Resources, Work};
pub use together::Together;

use fedtwin_trainer::model::TrainError;

use crate::parameters::Parameters;
use crate::segmentation::slices::PaddedSlices;

/// What an engine differentiates, and where.
#[derive(Debug, Clone)]
pub struct Objective {
    /// The net's size.
    pub size: UnetSize,
    /// Its parameters.
    pub architecture: Architecture,
    /// The part of it by which gradients are taken.
    pub trained: Trained,
    /// The loss of one copy of a patient.
    pub loss: Loss,
    /// Copies of a patient; the mean of their losses is the patient's.
    pub copies: usize,
    /// Where tensors lie.
    pub device: Device,
}

impl Objective {
    /// Makes the parameters of `nets` nets.
    #[must_use]
    pub fn parameters(&self, nets: i64) -> Parameters {
        Parameters::new(&self.architecture, &self.trained, nets, (Kind::Float, self.device))
    }
}

/// A way to get one gradient for each patient.
pub trait Engine: Send {
    /// Returns how many patients a pass has, whoever was sampled.
    fn slots(&self) -> usize;

    /// Sets the weights at which gradients are taken.
    ///
    /// # Shapes
    /// `weights`: all values of the model.
    ///
    /// # Errors
    /// Refuses another length.
    fn load(&mut self, weights: &[f32]) -> Result<(), TrainError>;

    /// Writes the gradient of each slot's loss.
    ///
    /// # Shapes
    /// `patients`: `[slots]`. `gradients`: `[slots, trained values]`, row-major.
    ///
    /// # Panics
    /// If either has another length.
    fn pass(&mut self, patients: &[PaddedSlices], gradients: &mut [f32]);
}
