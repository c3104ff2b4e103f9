//! Trains and scores the U-Net: one backward pass per patient.
//!
//! A patient's slices are the whole batch of a pass, in the plan's fixed shape, so no kernel ever sees
//! two patients: independence between them needs no argument about libtorch. Against one pass for all
//! it costs 5 to 10 % on a CPU.

use fedtwin_plan::cohort_need::ImageNeed;
use fedtwin_plan::plan::Loss;
use fedtwin_plan::record::VolumeRecord;
use fedtwin_plan::report::{Report, SegmentationReport};
use fedtwin_plan::{ModelSpec, PatientId};
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor, no_grad};

use crate::engine::{Parts, dimension};
use crate::loss;
use crate::parameters::Parameters;
use crate::score::segmentation_row;
use crate::slices::{self, PaddedSlices};
use crate::trainer::{Patients, SlotBatch, TrainError, Trainer, patient_count};
use crate::unet::{Unet, lay_channels_last};

/// The trainer of segmentation studies.
#[derive(Debug)]
pub struct UnetTrainer {
    net: Unet,
    parameters: Parameters,
    need: ImageNeed,
    loss: Loss,
    volumes: Parts<VolumeRecord>,
    device: Device,
}

impl UnetTrainer {
    /// Makes the trainer of a U-Net over the volumes of a cohort.
    ///
    /// # Errors
    /// Refuses volumes that do not fit the plan.
    ///
    /// # Panics
    /// If `spec` is of another family.
    pub fn new(
        spec: &ModelSpec,
        need: ImageNeed,
        loss: Loss,
        volumes: Parts<VolumeRecord>,
        device: Device,
    ) -> Result<Self, TrainError> {
        slices::check(&volumes.train, &need)?;
        slices::check(&volumes.test, &need)?;
        let ModelSpec::Unet(unet) = spec else { panic!("a segmentation trainer is of a U-Net") };
        let store = VarStore::new(device);
        let net = Unet::init(unet, &store.root());
        lay_channels_last(&store);
        let parameters = Parameters::of(&store, spec);
        Ok(Self { net, parameters, need, loss, volumes, device })
    }

    fn shape(&self, slices: usize) -> [usize; 4] {
        [slices, 1, self.need.height.size(), self.need.width.size()]
    }

    fn patient_loss(&self, patient: PatientId, slice_seed: u64) -> Tensor {
        let volume = self.volumes.train.get(patient.0 as usize).unwrap_or(&NULL_VOLUME);
        let count = self.need.slices_per_patient.size();
        let chosen = slices::choose(slice_seed, patient, volume.shape[0], count);
        let padded = PaddedSlices::new(volume, self.shape(count), &chosen);
        let tensor =
            |values: &[f32]| Tensor::from_slice(values).view(padded.shape.map(dimension)).to(self.device);
        let logits = self.net.forward(&tensor(&padded.images));
        loss::segmentation(self.loss, &logits, &tensor(&padded.masks), &tensor(&padded.weights))
    }

    /// Returns the predicted mask in the volume's own shape: probabilities above one half.
    fn predict(&self, volume: &VolumeRecord) -> Vec<bool> {
        let [slices, height, width] = volume.shape;
        let mut mask = Vec::with_capacity(volume.mask.len());
        let all: Vec<usize> = (0..slices).collect();
        for chosen in all.chunks(SLICES_PER_BATCH) {
            let padded = PaddedSlices::new(volume, self.shape(SLICES_PER_BATCH), chosen);
            let images = Tensor::from_slice(&padded.images).view(padded.shape.map(dimension)).to(self.device);
            let inside = no_grad(|| self.net.forward(&images)).gt(0.0);
            let unpadded = inside
                .narrow(0, 0, dimension(chosen.len()))
                .narrow(2, 0, dimension(height))
                .narrow(3, 0, dimension(width));
            let mut values = vec![0_u8; chosen.len() * height * width];
            unpadded.to_kind(Kind::Uint8).contiguous().copy_data(&mut values, unpadded.numel());
            mask.extend(values.iter().map(|&value| value != 0));
        }
        mask
    }
}

impl Trainer for UnetTrainer {
    fn patients(&self) -> Patients {
        Patients { train: patient_count(&self.volumes.train), test: patient_count(&self.volumes.test) }
    }

    fn contributions(
        &mut self,
        weights: &[f32],
        batch: &SlotBatch,
        sink: &mut dyn FnMut(PatientId, &[f32]),
    ) -> Result<(), TrainError> {
        batch.check(self.volumes.slots)?;
        self.parameters.load(weights)?;
        let mut gradient = vec![0.0; self.parameters.values()];
        for &patient in batch.sampled() {
            self.parameters.gradient(&self.patient_loss(patient, batch.slice_seed()), &mut gradient);
            sink(patient, &gradient);
        }
        Ok(())
    }

    fn score(&mut self, weights: &[f32], _fit_intercept: bool) -> Result<Report, TrainError> {
        self.parameters.load(weights)?;
        let rows = self.volumes.test.iter().map(|volume| segmentation_row(volume, &self.predict(volume)));
        Ok(Report::Segmentation(SegmentationReport { rows: rows.collect() }))
    }
}

/// An empty slot's record: it takes as long as a patient and its gradient is zero.
static NULL_VOLUME: VolumeRecord =
    VolumeRecord { shape: [0; 3], spacing_mm: [1.0; 3], image: Vec::new(), mask: Vec::new() };

/// Bounds the memory of a prediction and the null slices in a volume's last batch; larger batches are no
/// faster on a CPU.
const SLICES_PER_BATCH: usize = 8;
