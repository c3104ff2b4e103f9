//! The U-Net's loss by patient, differentiated for all slots of a pass at once.
//!
//! With one slot no kernel ever sees two patients, and independence between them needs no argument about libtorch. With
//! several the weights are expanded to one leaf per patient, `[slots, out, in, kernel, kernel]`, and the patients' images
//! lie side by side as groups of channels of one grouped convolution; the gradient of the summed loss by such a leaf is
//! then one gradient per patient. That runs fewer and larger kernels, which pays where a patient is so small that starting
//! kernels takes most of the time.

use fedtwin_plan::plan::Loss;
use fedtwin_trainer::model::TrainError;
use tch::{Device, Kind, Tensor};

use super::Segmentation;
use super::loss;
use super::slices::PaddedSlices;
use super::unet::Unet;
use crate::engine::Objective;
use crate::open::dimension;
use crate::parameters::Parameters;

/// The loss of a study's patients, each the mean over its copies.
#[derive(Debug)]
pub(crate) struct UnetObjective {
    net: Unet,
    parameters: Parameters,
    loss: Loss,
    copies: usize,
    slots: usize,
    device: Device,
}

impl UnetObjective {
    /// Makes the objective of passes with so many slots.
    #[must_use]
    pub(crate) fn new(study: &Segmentation, slots: usize, device: Device) -> Self {
        let nets = dimension(slots);
        let Segmentation { size, architecture, trained, loss, .. } = study;
        Self {
            net: Unet::new(size, nets),
            parameters: Parameters::new(architecture, trained, nets, (Kind::Float, device)),
            loss: *loss,
            copies: study.copies(),
            slots,
            device,
        }
    }

    /// Puts the slots side by side: `[copies * slices, slots * channels, height, width]`.
    fn tensor(&self, patients: &[PaddedSlices], of: fn(&PaddedSlices) -> &[f32]) -> Tensor {
        let slot = |patient: &PaddedSlices| {
            let [slices, _, height, width] = patient.shape.map(dimension);
            Tensor::from_slice(of(patient)).view([slices, -1, height, width])
        };
        let slots: Vec<_> = patients.iter().map(slot).collect();
        match slots.as_slice() {
            [slot] => slot.to(self.device),
            slots => Tensor::cat(slots, 1).to(self.device),
        }
    }

    /// Returns `[slots, copies, slices, height, width]`.
    fn by_patient(&self, values: &Tensor) -> Tensor {
        let size = values.size();
        let split = [dimension(self.copies), -1, size[1], size[2], size[3]];
        values.reshape(split).permute([2, 0, 1, 3, 4])
    }
}

impl Objective for UnetObjective {
    type Slot = PaddedSlices;

    fn load(&mut self, weights: &[f32]) -> Result<(), TrainError> {
        self.parameters.load(weights)
    }

    fn gradients(&self, patients: &[PaddedSlices], gradients: &mut [f32]) {
        assert_eq!(patients.len(), self.slots, "every slot has a record");
        let images = self.tensor(patients, |patient| &patient.images);
        let masks = self.by_patient(&self.tensor(patients, |patient| &patient.masks));
        let weights = self.by_patient(&self.tensor(patients, |patient| &patient.weights));
        let logits = self.by_patient(&self.net.forward(&self.parameters.layers(), &images));
        // A scalar with the gradient of the sum over slots of each patient's loss: the logits times the derivative by
        // them. No slot's gradient depends on another slot: the derivative of a sum is 1 for each of its terms.
        let derivative = loss::derivative(self.loss, &logits, &masks, &weights);
        let scalar = (logits * derivative).sum(Kind::Float) / self.copies as f64;
        self.parameters.gradients(&scalar, gradients);
    }
}
