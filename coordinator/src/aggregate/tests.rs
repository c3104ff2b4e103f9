//! Whole closes of rounds over small models.

use std::path::Path;

use fedtwin_plan::family::{LinearRisk, VectorSize};
use fedtwin_plan::model_file;
use fedtwin_plan::plan::{AdaptiveClip, Average, Fedadagrad, Fedavg, ServerOptimiser};
use fedtwin_plan::trained::Trainable;

use super::*;

fn architecture(values: usize) -> Architecture {
    VectorSize { parameters: i64::try_from(values).unwrap().try_into().unwrap() }.architecture()
}

/// A store with a global model; the rest of the round is the caller's.
fn job(
    folder: &Path,
    architecture: Architecture,
    choice: Option<&Trainable>,
    weights: &[f32],
) -> (Store, Aggregation) {
    let store = Store::open(folder.to_path_buf()).unwrap();
    let study: StudyId = "s".parse().unwrap();
    let mut model = store.new_model(&study).unwrap();
    model.write_all(&model_file::encode(&architecture, weights)).unwrap();
    let job = Aggregation {
        study,
        trained: Trained::new(&architecture, choice).unwrap(),
        architecture,
        model: model.commit().unwrap(),
        spools: Vec::new(),
        masks: None,
        bits: WireBits::B32,
        scale: 0.5,
        step: Step::Average { rate: 1.0 },
        averaging: None,
        clipping: None,
    };
    (store, job)
}

fn with_updates(job: &mut Aggregation, store: &Store, updates: &[Vec<i64>]) {
    let spools = updates.iter().enumerate().map(|(i, update)| {
        let path = store.model(&job.study, &job.model).with_extension(i.to_string());
        std::fs::write(&path, wire_integers::encode(update, job.bits)).unwrap();
        path
    });
    job.spools = spools.collect();
}

fn weights(store: &Store, job: &Aggregation, model: &Digest) -> Vec<f32> {
    model_file::decode(&job.architecture, &std::fs::read(store.model(&job.study, model)).unwrap()).unwrap()
}

#[test]
fn sums_are_exact_over_chunks_and_moduli() {
    let folder = tempfile::tempdir().unwrap();
    let values = i64::try_from(CHUNK_VALUES).unwrap() + 7;
    let first: Vec<i64> = (0..values).map(|i| i % 1000 - 500).collect();
    let second: Vec<i64> = (0..values).map(|i| 3 - i % 1000).collect();
    for bits in [WireBits::B32, WireBits::B40, WireBits::B64] {
        let (store, mut job) = job(folder.path(), architecture(first.len()), None, &vec![1.0; first.len()]);
        job.bits = bits;
        with_updates(&mut job, &store, &[first.clone(), second.clone()]);
        let model = aggregate(&job, &store).unwrap().global;
        #[expect(clippy::float_cmp, reason = "small integers are exact")]
        let all_equal =
            weights(&store, &job, &model).iter().all(|&weight| weight == 1.0 + 0.5 * (3.0 - 500.0));
        assert!(all_equal, "{bits:?}");
    }
}

#[test]
fn what_is_not_trained_stays_bit_by_bit() {
    let folder = tempfile::tempdir().unwrap();
    let choice = Trainable { biases: true, matching: Vec::new(), low_rank: None };
    let spec = LinearRisk.architecture(3);
    // A subnormal and a negative zero survive only a copy of their bits.
    let before = [f32::from_bits(1), -0.0, 0.25, 2.0];
    let (store, mut job) = job(folder.path(), spec, Some(&choice), &before);
    with_updates(&mut job, &store, &[vec![4], vec![-1]]);
    let model = aggregate(&job, &store).unwrap().global;
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&weights(&store, &job, &model)), bits(&[before[0], before[1], before[2], 3.5]));
}

#[test]
fn an_update_of_another_length_or_a_model_cut_off_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let choice = Trainable { biases: true, matching: Vec::new(), low_rank: None };
    let spec = LinearRisk.architecture(3);
    let (store, mut job) = job(folder.path(), spec, Some(&choice), &[1.0; 4]);
    with_updates(&mut job, &store, &[vec![]]);
    assert!(matches!(aggregate(&job, &store), Err(AggregateError::Storage { what: "read a spool", .. })));
    with_updates(&mut job, &store, &[vec![4]]);
    let model = std::fs::OpenOptions::new().write(true).open(store.model(&job.study, &job.model)).unwrap();
    model.set_len(model.metadata().unwrap().len() - 8).unwrap();
    assert!(matches!(aggregate(&job, &store), Err(AggregateError::Storage { .. })));
}

/// Three rounds of the average `decay 0.75 from round 2`, each with a new process's view of the disk.
fn averaged_rounds(optimiser: &ServerOptimiser, updates: [i64; 3]) -> (Vec<f32>, Vec<Models>) {
    let folder = tempfile::tempdir().unwrap();
    let average = Average { decay: 0.75.try_into().unwrap(), from_round: 2.try_into().unwrap() };
    let choice = Trainable { biases: true, matching: Vec::new(), low_rank: None };
    let spec = LinearRisk.architecture(2);
    let (mut store, mut job) = job(folder.path(), spec, Some(&choice), &[0.125, -0.0, 1.0]);
    let (mut globals, mut models) = (Vec::new(), Vec::new());
    for (round, update) in (1..).zip(updates) {
        job.step = Step::new(optimiser, round);
        job.averaging = Some(Averaging::new(&average, round, 3));
        with_updates(&mut job, &store, &[vec![update]]);
        // The coordinator stopped after the models were stored and before the round's close was logged: the
        // round is done again, from what is on disk.
        let lost = aggregate(&job, &store).unwrap();
        drop(store);
        store = Store::open(folder.path().to_path_buf()).unwrap();
        with_updates(&mut job, &store, &[vec![update]]);
        let made = aggregate(&job, &store).unwrap();
        assert_eq!(made, lost, "a repeated round gives the same models");
        job.model = made.global;
        globals.push(weights(&store, &job, &made.global)[2]);
        models.push(made);
    }
    let average = models[2].average.expect("the last round gives the average");
    let average = weights(&store, &job, &average);
    assert_eq!((average[0].to_bits(), average[1].to_bits()), (0.125_f32.to_bits(), (-0.0_f32).to_bits()));
    globals.push(average[2]);
    (globals, models)
}

#[test]
fn the_average_begins_with_its_round_and_survives_restarts() {
    let rate = ServerOptimiser::Fedavg(Fedavg { learning_rate: 1.0.try_into().unwrap() });
    let (weights, models) = averaged_rounds(&rate, [2, 4, 8]);
    // 1 + 0.5 * (2, then 4, then 8) in turn; the average is that of round 2, then 0.75 * 4 + 0.25 * 8.
    assert_eq!(weights, [2.0, 4.0, 8.0, 5.0]);
    assert_eq!((models[0].average, models[1].average), (None, None));
    let adagrad = Fedadagrad { learning_rate: 1.0.try_into().unwrap(), tau: 0.5.try_into().unwrap() };
    let (weights, _) = averaged_rounds(&ServerOptimiser::Fedadagrad(adagrad), [2, 0, 0]);
    // v = 0.25 + 1: the step is 1 / (sqrt(1.25) + 0.5), and nothing moves afterwards.
    let moved = 1.0 + 1.0 / (1.25_f32.sqrt() + 0.5);
    assert!(weights.iter().all(|weight| (weight - moved).abs() < 1e-6), "{weights:?}");
}

#[test]
fn the_indicators_behind_the_weights_move_the_clip_and_no_weight() {
    let folder = tempfile::tempdir().unwrap();
    let (store, mut job) = job(folder.path(), architecture(2), None, &[1.0, 1.0]);
    let rule = AdaptiveClip {
        quantile: 0.5.try_into().unwrap(),
        learning_rate: 0.2.try_into().unwrap(),
        bounds: [0.1, 10.0].try_into().unwrap(),
        share: 0.5.try_into().unwrap(),
    };
    // Indicators of 100 units, 10 patients: 6 short and 2 long at one site, 1 short and 1 long at the other.
    job.clipping = Some(Clipping { rule, clip: 2.0.try_into().unwrap(), scale: 1.0 / 1000.0 });
    with_updates(&mut job, &store, &[vec![2, 0, 400], vec![0, 4, 0]]);
    let models = aggregate(&job, &store).unwrap();
    assert_eq!(weights(&store, &job, &models.global), [2.0, 3.0]);
    // 7 of 10 are below the clip: it shrinks by exp(-0.2 * (0.7 - 0.5)).
    let clip = models.clip.unwrap().get();
    assert!((clip - 2.0 * (-0.04_f64).exp()).abs() < 1e-12, "{clip}");
    with_updates(&mut job, &store, &[vec![2, 0]]);
    assert!(aggregate(&job, &store).is_err(), "an update without its indicator");
}
