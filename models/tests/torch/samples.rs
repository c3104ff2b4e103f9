//! Small models and cohorts.

use std::collections::BTreeMap;

use fedtwin_models::engine::Resources;
use fedtwin_models::open::Parts;
use fedtwin_models::risk::{Link, Risk, RiskModel};
use fedtwin_models::segmentation::{Segmentation, UnetModel};
use fedtwin_plan::cohort_need::{Feature, ImageNeed, NumberRange, TableNeed};
use fedtwin_plan::family::{LinearRisk, MlpSize, UnetSize};
use fedtwin_plan::outcome::Outcome;
use fedtwin_plan::plan::{Augmentation, Axis, Loss};
use fedtwin_plan::record::{PatientId, TableRecord, Value, VolumeRecord};
use fedtwin_plan::trained::Trainable;
use fedtwin_plan::{Architecture, Ratio, Trained};
use fedtwin_trainer::model::{Model, SlotBatch};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::Device;

/// A U-Net's size, and its architecture over one channel.
pub(crate) fn unet(base: i64, depth: i64) -> (UnetSize, Architecture) {
    let size = UnetSize { base: base.try_into().unwrap(), depth: depth.try_into().unwrap() };
    let architecture = size.architecture(1, None);
    (size, architecture)
}

pub(crate) fn risk() -> Architecture {
    LinearRisk.architecture(5)
}

/// Two hidden layers.
pub(crate) fn perceptron() -> Architecture {
    let hidden = [4, 3].map(|units: i64| units.try_into().unwrap()).to_vec();
    MlpSize { hidden }.architecture(5)
}

/// 16 x 16 pixels, four slices per patient.
pub(crate) fn image_need() -> ImageNeed {
    ImageNeed {
        height: 16.try_into().unwrap(),
        width: 16.try_into().unwrap(),
        slices_per_patient: 4.try_into().unwrap(),
        coordinates: false,
        tiles: false,
    }
}

/// Five inputs: a number and a category of two.
pub(crate) fn table_need() -> TableNeed {
    let age = NumberRange::linear("years", 0.0, 100.0);
    let features = [
        ("age".to_owned(), Feature::Number(age)),
        ("sex".to_owned(), Feature::Category(vec!["f".into(), "m".into()])),
    ];
    TableNeed { outcome: "ill".into(), features: BTreeMap::from(features) }
}

/// A bright disc on noise, at a place and of a size that the seed draws.
pub(crate) fn volume(seed: u64, [slices, height, width]: [usize; 3]) -> VolumeRecord {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let centre = [rng.random_range(4.0..height as f64 - 4.0), rng.random_range(4.0..width as f64 - 4.0)];
    let radius: f64 = rng.random_range(2.0..4.0);
    let (mut image, mut mask) = (Vec::new(), Vec::new());
    for _ in 0..slices {
        for y in 0..height {
            for x in 0..width {
                let inside = (y as f64 - centre[0]).hypot(x as f64 - centre[1]) <= radius;
                let noise: f32 = rng.random_range(-0.5..0.5);
                image.push(noise + f32::from(u8::from(inside)));
                mask.push(u8::from(inside));
            }
        }
    }
    VolumeRecord { shape: [slices, height, width], spacing_mm: [1.0; 3], image, mask }
}

/// Five patients of different shapes, the last with fewer slices than a slot.
pub(crate) fn volumes() -> Vec<VolumeRecord> {
    let shapes = [[6, 14, 12], [4, 16, 16], [9, 11, 16], [5, 12, 10], [2, 13, 13]];
    shapes.into_iter().zip(0..).map(|(shape, seed)| volume(seed, shape)).collect()
}

pub(crate) fn rows() -> Vec<TableRecord> {
    (0..300_u32)
        .map(|i| TableRecord {
            values: vec![
                if i % 7 == 0 { Value::Missing } else { Value::Number(f64::from(i % 100)) },
                Value::Category(i % 2),
            ],
            outcome: Outcome::YesNo((i * i) % 11 < 5),
        })
        .collect()
}

/// Slots of a pass: one patient alone, and several together; the cohorts here have two passes of the second.
pub(crate) const SLOTS: [usize; 2] = [1, 4];

pub(crate) fn study(size: &UnetSize, loss: Loss) -> Segmentation {
    let (size, architecture) = (size.clone(), size.architecture(1, None));
    let trained = everything(&architecture);
    Segmentation {
        size,
        architecture,
        trained,
        augmentation: None,
        need: image_need(),
        loss,
        sampling: Ratio::ONE,
    }
}

pub(crate) fn everything(spec: &Architecture) -> Trained {
    Trained::new(spec, None).unwrap()
}

/// A choice as a plan writes it, with the model that it asks for.
pub(crate) fn choice(size: &UnetSize, text: &str) -> (Architecture, Trained) {
    let choice: Trainable = toml::from_str(text).unwrap();
    let architecture = size.architecture(1, choice.adapter_rank());
    let trained = part(&architecture, text);
    (architecture, trained)
}

/// The part of a model that a plan's choice names.
pub(crate) fn part(architecture: &Architecture, text: &str) -> Trained {
    Trained::new(architecture, Some(&toml::from_str(text).unwrap())).unwrap()
}

/// Every kind of change but for shifts.
pub(crate) fn augmentation(copies: i64, shift_px: Option<i64>) -> Augmentation {
    Augmentation {
        copies: copies.try_into().unwrap(),
        shift_px: shift_px.map(|shift| shift.try_into().unwrap()),
        gain: Some([0.8, 1.25].try_into().unwrap()),
        offset: Some([-0.2, 0.2].try_into().unwrap()),
        gamma: Some([0.8, 1.2].try_into().unwrap()),
        noise: Some(0.1.try_into().unwrap()),
        flips: vec![Axis::Rows, Axis::Columns],
    }
}

pub(crate) fn cpu(threads: usize, memory_mb: u64) -> Resources {
    Resources { device: Device::Cpu, threads, memory_mb }
}

pub(crate) fn unet_model(size: &UnetSize, loss: Loss, train: Vec<VolumeRecord>) -> UnetModel {
    unet_model_with(1, study(size, loss), train, cpu(1, 4096))
}

pub(crate) fn unet_model_with(
    slots: usize,
    study: Segmentation,
    train: Vec<VolumeRecord>,
    resources: Resources,
) -> UnetModel {
    let parts = Parts { slots: 8, test: train.clone(), train };
    UnetModel::with_slots(slots, study, parts, &resources).unwrap()
}

pub(crate) fn risk_model(train: Vec<TableRecord>) -> RiskModel {
    risk_model_of(&risk(), &everything(&risk()), train)
}

pub(crate) fn risk_model_of(
    architecture: &Architecture,
    trained: &Trained,
    train: Vec<TableRecord>,
) -> RiskModel {
    let parts = Parts { slots: 310, test: train.clone(), train };
    let study = Risk {
        architecture: architecture.clone(),
        trained: trained.clone(),
        need: table_need(),
        link: Link::Logit,
    };
    RiskModel::new(&study, &parts, &cpu(2, 4096))
}

pub(crate) fn batch(patients: impl IntoIterator<Item = u32>) -> SlotBatch {
    SlotBatch::new(patients.into_iter().map(PatientId).collect(), 77).unwrap()
}

/// The vectors of a step by patient.
pub(crate) fn contributions(
    trainer: &mut dyn Model,
    weights: &[f32],
    batch: &SlotBatch,
) -> BTreeMap<PatientId, Vec<f32>> {
    let mut vectors = BTreeMap::new();
    let mut sink = |patient, vector: &[f32]| {
        let repeated = vectors.insert(patient, vector.to_vec());
        assert_eq!(repeated, None, "one vector per patient");
    };
    trainer.contributions(weights, batch, &mut sink).unwrap();
    vectors
}
