//! One patient's record leaves every other patient's vector bit-equal.

use fedtwin_models::segmentation::{Segmentation, UnetModel};
use fedtwin_plan::PatientId;
use fedtwin_plan::model_file::initial_values;
use fedtwin_plan::outcome::Outcome;
use fedtwin_plan::plan::Loss;
use fedtwin_plan::record::{TableRecord, Value, VolumeRecord};
use fedtwin_privacy::patient_sum::PatientSum;
use fedtwin_trainer::model::Patients;
use fedtwin_trainer::model::{Model, SlotBatch, TrainError};
use fedtwin_trainer::report::Report;

use crate::samples::{
    SLOTS, augmentation, batch, contributions, cpu, everything, perceptron, risk, risk_model_of, rows, study,
    unet, unet_model_with, volume, volumes,
};

type Bits = Vec<Vec<u32>>;

/// Bits, because NaN is unequal to itself and zeros have two signs.
fn others(trainer: &mut dyn Model, weights: &[f32], sampled: &[u32], changed: u32) -> Bits {
    let mut vectors = contributions(trainer, weights, &batch(sampled.iter().copied()));
    vectors.remove(&PatientId(changed));
    vectors.values().map(|vector| vector.iter().map(|value| value.to_bits()).collect()).collect()
}

#[test]
fn a_patients_volume_leaves_the_other_unet_gradients_bit_equal() {
    let null = VolumeRecord { shape: [0, 16, 16], spacing_mm: [1.0; 3], image: vec![], mask: vec![] };
    let noise = volume(99, [8, 16, 16]);
    let mut broken = volume(2, [9, 11, 16]);
    broken.image.fill(f32::NAN);
    let mut huge = volume(2, [9, 11, 16]);
    huge.image.fill(3e38);
    let nets = [(1, 1), (3, 2), (8, 2), (16, 3)];
    for (slots, (base, depth)) in SLOTS.into_iter().flat_map(|slots| nets.map(|net| (slots, net))) {
        let (net, spec) = unet(base, depth);
        let weights = initial_values(&spec, 5);
        let plain = study(&net, Loss::Bce);
        let changed =
            Segmentation { augmentation: Some(augmentation(2, Some(3))), ..study(&net, Loss::BceDice) };
        for study in [plain, changed] {
            let of = |volumes: Vec<VolumeRecord>, sampled: &[u32]| {
                let mut trainer = unet_model_with(slots, study.clone(), volumes, cpu(1, 4096));
                others(&mut trainer, &weights, sampled, 2)
            };
            let expected = of(volumes(), &[0, 1, 2, 3, 4]);
            for other in [&null, &noise, &broken, &huge] {
                let mut changed = volumes();
                changed[2] = other.clone();
                assert_eq!(of(changed, &[0, 1, 2, 3, 4]), expected, "{slots} slots, {base} {depth}");
            }
            assert_eq!(of(volumes(), &[0, 1, 3, 4]), expected, "not sampled: {slots} slots, {base} {depth}");
        }
    }
}

/// What these tests are for: each vector is scaled by a millionth of the batch's norm.
struct Coupled(UnetModel);

#[expect(clippy::cast_possible_truncation, reason = "back to what the vectors were")]
impl Model for Coupled {
    fn patients(&self) -> Patients {
        self.0.patients()
    }

    fn contributions(
        &mut self,
        weights: &[f32],
        batch: &SlotBatch,
        sink: &mut dyn FnMut(PatientId, &[f32]),
    ) -> Result<(), TrainError> {
        let vectors = contributions(&mut self.0, weights, batch);
        let norm = vectors.values().flatten().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        for (&patient, vector) in &vectors {
            let coupled = vector.iter().map(|&value| (f64::from(value) * (1.0 + 1e-6 * norm)) as f32);
            let coupled: Vec<_> = coupled.collect();
            sink(patient, &coupled);
        }
        Ok(())
    }

    fn score(&mut self, weights: &[f32], fit_intercept: bool) -> Result<Report, TrainError> {
        self.0.score(weights, fit_intercept)
    }
}

#[test]
fn a_planted_coupling_of_a_millionth_is_noticed() {
    let (net, spec) = unet(8, 2);
    let weights = initial_values(&spec, 5);
    let of = |volumes: Vec<VolumeRecord>| {
        let study = study(&net, Loss::BceDice);
        let mut trainer = Coupled(unet_model_with(1, study, volumes, cpu(1, 4096)));
        others(&mut trainer, &weights, &[0, 1, 2, 3, 4], 2)
    };
    let mut changed = volumes();
    for value in &mut changed[2].image {
        *value *= 10.0;
    }
    assert!(of(changed) != of(volumes()));
}

/// Threads and memory say how many passes run at once; neither changes a bit of the sum.
#[test]
fn the_integer_sum_is_the_same_for_every_memory_limit_and_number_of_threads() {
    let (net, spec) = unet(8, 2);
    let weights = initial_values(&spec, 5);
    for slots in SLOTS {
        let sum = |threads: usize, memory_mb: u64| {
            let study = study(&net, Loss::BceDice);
            let mut trainer = unet_model_with(slots, study, volumes(), cpu(threads, memory_mb));
            let mut sum = PatientSum::new(spec.values(), 0.1, 1 << 20).unwrap();
            let mut sink = |patient, vector: &[f32]| sum.add(patient, vector);
            trainer.contributions(&weights, &batch([0, 1, 2, 3, 4]), &mut sink).unwrap();
            sum.finish().0
        };
        let expected = sum(1, 1);
        assert!(expected.iter().any(|&value| value != 0));
        for (threads, memory_mb) in [(1, 4096), (2, 4096), (5, 4096), (5, 1), (5, 12)] {
            assert!(sum(threads, memory_mb) == expected, "{slots} slots,: {threads} threads, {memory_mb} MB");
        }
    }
}

#[test]
fn a_patients_row_leaves_the_other_risk_gradients_bit_equal() {
    for spec in [risk(), perceptron()] {
        let weights: Vec<f32> = initial_values(&spec, 5).iter().map(|value| value + 0.1).collect();
        check_rows(&|rows, sampled| {
            others(&mut risk_model_of(&spec, &everything(&spec), rows), &weights, sampled, 4)
        });
    }
}

fn check_rows(of: &dyn Fn(Vec<TableRecord>, &[u32]) -> Bits) {
    let expected = of(rows(), &[0, 3, 4, 5, 290]);
    let hostile = [
        vec![Value::Missing, Value::Missing],
        vec![Value::Number(f64::NAN), Value::Category(9)],
        vec![Value::Number(f64::INFINITY), Value::Category(1)],
    ];
    for values in hostile {
        for outcome in [false, true].map(Outcome::YesNo) {
            let mut changed = rows();
            changed[4] = TableRecord { values: values.clone(), outcome };
            assert_eq!(of(changed, &[0, 3, 4, 5, 290]), expected);
        }
    }
    assert_eq!(of(rows(), &[0, 3, 5, 290]), expected, "not sampled");
    assert_eq!(of(rows(), &[0, 1, 2, 3, 4, 5, 290]).len(), 6);
}

#[test]
fn vectors_repeat_bit_by_bit() {
    let (net, spec) = unet(8, 2);
    let weights = initial_values(&spec, 5);
    for slots in SLOTS {
        let mut trainer = unet_model_with(slots, study(&net, Loss::BceDice), volumes(), cpu(2, 4096));
        let mut all = || others(&mut trainer, &weights, &[0, 1, 2, 3, 4], 99);
        assert_eq!(all(), all());
    }
}
