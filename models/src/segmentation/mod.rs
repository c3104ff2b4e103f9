//! Trains and scores the U-Net.
//!
//! A patient's slices have the plan's fixed shape, whoever was sampled; a [`Crew`] makes a gradient of them.

pub mod augment;
pub mod loss;
mod objective;
mod passes;
pub mod slices;
pub mod tiles;
pub mod unet;

use std::panic::{AssertUnwindSafe, catch_unwind};

use fedtwin_plan::cohort_need::ImageNeed;
use fedtwin_plan::family::UnetSize;
use fedtwin_plan::plan::{Augmentation, Loss};
use fedtwin_plan::record::VolumeRecord;
use fedtwin_plan::{Architecture, PatientId, Ratio, Trained};
use fedtwin_trainer::middle_slice::MiddleSlice;
use fedtwin_trainer::model::{Model, Patients, SlotBatch, TrainError, patient_count};
use fedtwin_trainer::report::{Report, SegmentationReport, SegmentationRow};
use tch::{Device, Kind, Tensor, no_grad};

use self::objective::UnetObjective;
pub use self::passes::Work;
use self::slices::PaddedSlices;
use self::tiles::{Tile, Tiling};
use self::unet::Unet;
use crate::engine::{Crew, Resources};
use crate::open::{Parts, dimension};
use crate::parameters::Parameters;
use crate::score::segmentation_row;

/// What a segmentation study trains.
#[derive(Debug, Clone, PartialEq)]
pub struct Segmentation {
    /// The net's size.
    pub size: UnetSize,
    /// Its parameters over the images' channels.
    pub architecture: Architecture,
    /// The part of it that is trained.
    pub trained: Trained,
    /// Random changes of a patient's copies.
    pub augmentation: Option<Augmentation>,
    /// The fixed shape of a patient's slices.
    pub need: ImageNeed,
    /// The loss of a patient.
    pub loss: Loss,
    /// The probability with which a patient is in a step.
    pub sampling: Ratio,
}

/// The model of segmentation studies.
#[derive(Debug)]
pub struct UnetModel {
    study: Segmentation,
    volumes: Parts<VolumeRecord>,
    crew: Crew<UnetObjective>,
    /// For predictions, on all threads.
    net: Unet,
    parameters: Parameters,
    device: Device,
}

impl UnetModel {
    /// Makes the model of a study over the volumes of a cohort, with as many slots in a pass as its size asks for.
    ///
    /// # Errors
    /// Refuses volumes that do not fit the plan.
    pub fn new(
        study: Segmentation,
        volumes: Parts<VolumeRecord>,
        resources: &Resources,
    ) -> Result<Self, TrainError> {
        let slots = study.work().slots();
        Self::with_slots(slots, study, volumes, resources)
    }

    /// Makes the model with a given number of slots in a pass.
    ///
    /// # Errors
    /// Refuses volumes that do not fit the plan.
    pub fn with_slots(
        slots: usize,
        study: Segmentation,
        volumes: Parts<VolumeRecord>,
        resources: &Resources,
    ) -> Result<Self, TrainError> {
        slices::check(&volumes.train, &study.need)?;
        slices::check(&volumes.test, &study.need)?;
        let pass_bytes = study.work().slot_bytes() * slots as u64;
        let device = resources.device;
        let objective = |_member| UnetObjective::new(&study, slots, device);
        let members = (0..resources.passes_at_once(pass_bytes)).map(objective).collect();
        Ok(Self {
            volumes,
            crew: Crew::new(members, slots, study.trained.values()),
            net: Unet::new(&study.size, 1),
            parameters: Parameters::new(&study.architecture, &study.trained, 1, (Kind::Float, device)),
            device,
            study,
        })
    }

    /// Returns the slice in the middle of a test patient's volume, with what the weights predict there; nothing where there
    /// is no such patient. For laboratories: in a hospital it would be a picture of a patient.
    ///
    /// # Errors
    /// Refuses weights that do not fit the model.
    pub fn middle_slice(
        &mut self,
        weights: &[f32],
        patient: usize,
    ) -> Result<Option<MiddleSlice>, TrainError> {
        self.parameters.load(weights)?;
        let Some(volume) = self.volumes.test.get(patient) else { return Ok(None) };
        let [slices, height, width] = volume.shape;
        let pixels = height * width * (slices / 2)..height * width * (slices / 2 + 1);
        let image = &volume.image[pixels.clone()];
        let low = image.iter().copied().fold(f32::INFINITY, f32::min);
        let high = image.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let grey = |&value: &f32| {
            let part = (value - low) / (high - low).max(f32::MIN_POSITIVE);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 255")]
            let grey = (part * 255.0) as u8;
            grey
        };
        Ok(Some(MiddleSlice {
            width,
            pixels: image.iter().map(grey).collect(),
            truth: volume.mask[pixels.clone()].iter().map(|&inside| inside != 0).collect(),
            predicted: self.predict(volume)[pixels].to_vec(),
        }))
    }

    /// Returns the predicted mask in the volume's own shape: probabilities above one half.
    fn predict(&self, volume: &VolumeRecord) -> Vec<bool> {
        let mut mask = vec![false; volume.mask.len()];
        let layers = self.parameters.layers();
        let tiling = Tiling::new(volume.shape, &self.study.need);
        let [height, width] = tiling.size();
        let all: Vec<Tile> = tiling.tiles().collect();
        for chosen in all.chunks(SLICES_PER_BATCH) {
            let padded = PaddedSlices::new(volume, self.study.shape(SLICES_PER_BATCH), chosen);
            let images = Tensor::from_slice(&padded.images).view(padded.shape.map(dimension)).to(self.device);
            let inside = no_grad(|| self.net.forward(&layers, &images)).gt(0.0);
            let unpadded = inside
                .narrow(0, 0, dimension(chosen.len()))
                .narrow(2, 0, dimension(height))
                .narrow(3, 0, dimension(width));
            let mut values = vec![0_u8; chosen.len() * height * width];
            unpadded.to_kind(Kind::Uint8).contiguous().copy_data(&mut values, unpadded.numel());
            let rows = chosen.iter().flat_map(|tile| (0..height).map(move |row| tile.row_in(volume, row)));
            for (to, predicted) in rows.zip(values.chunks(width.max(1))) {
                mask[to..to + width].iter_mut().zip(predicted).for_each(|(to, &value)| *to = value != 0);
            }
        }
        mask
    }
}

impl Model for UnetModel {
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
        let (study, volumes) = (&self.study, &self.volumes.train);
        let prepare = |patient: Option<PatientId>| study.slot(volumes, patient, batch.slice_seed());
        self.crew.gradients(weights, batch.sampled(), &prepare, sink)
    }

    fn score(&mut self, weights: &[f32], _fit_intercept: bool) -> Result<Report, TrainError> {
        self.parameters.load(weights)?;
        let row = |volume| {
            let scored = catch_unwind(AssertUnwindSafe(|| segmentation_row(volume, &self.predict(volume))));
            scored.unwrap_or_else(|_panic| {
                tracing::warn!("a test patient could not be segmented, who has no score");
                SegmentationRow { dice: None, hd95_mm: None, volume_error: None }
            })
        };
        let rows = self.volumes.test.iter().map(row);
        Ok(Report::Segmentation(SegmentationReport { rows: rows.collect() }))
    }
}

impl Segmentation {
    /// Returns the public size of the study's work.
    #[must_use]
    pub fn work(&self) -> Work {
        Work {
            size: self.size.clone(),
            slices: self.copies() * self.need.slices_per_patient.size(),
            height: self.need.height.size(),
            width: self.need.width.size(),
            sampling: self.sampling,
        }
    }

    /// Returns the copies of a patient in a step.
    #[must_use]
    pub fn copies(&self) -> usize {
        self.augmentation.as_ref().map_or(1, |augmentation| augmentation.copies.size())
    }

    /// Returns the slices of a patient's slot, of all copies; null slices where there is no patient, or no
    /// record.
    #[must_use]
    pub fn slot(
        &self,
        volumes: &[VolumeRecord],
        patient: Option<PatientId>,
        slice_seed: u64,
    ) -> PaddedSlices {
        let count = self.need.slices_per_patient.size();
        let record = patient.and_then(|id| Some((id, volumes.get(id.0 as usize)?)));
        let Some((id, volume)) = record else {
            return PaddedSlices::null(self.shape(self.copies() * count));
        };
        let tiling = Tiling::new(volume.shape, &self.need);
        let copy = |copy: u32| {
            let mut rng = slices::randomness(slice_seed, id, copy);
            let chosen = slices::choose(&mut rng, tiling.count(), count);
            let chosen: Vec<Tile> = chosen.into_iter().map(|number| tiling.tile(number)).collect();
            let plain = PaddedSlices::new(volume, self.shape(count), &chosen);
            match &self.augmentation {
                Some(augmentation) => plain.augmented(tiling.size(), augmentation, &mut rng),
                None => plain,
            }
        };
        PaddedSlices::joined((0..).map(copy).take(self.copies()).collect())
    }

    fn shape(&self, slices: usize) -> [usize; 4] {
        [slices, self.need.channels().size(), self.need.height.size(), self.need.width.size()]
    }
}

/// Bounds the memory of a prediction and the null slices in a volume's last batch; larger batches are no
/// faster on a CPU.
const SLICES_PER_BATCH: usize = 8;
