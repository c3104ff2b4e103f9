//! Gradient descent on the mean of the vectors learns.

use fedtwin_plan::PatientId;
use fedtwin_plan::model_file::initial_values;
use fedtwin_plan::outcome::Outcome;
use fedtwin_plan::plan::Loss;
use fedtwin_plan::record::{Value, VolumeRecord};
use fedtwin_trainer::model::{Model, TrainError};
use fedtwin_trainer::report::Report;

use crate::samples::{
    batch, cpu, risk_model, rows, study, unet, unet_model, unet_model_with, volume, volumes,
};

/// Adam with the usual decays on the mean of the patients' vectors.
fn descend(trainer: &mut dyn Model, weights: &mut [f32], patients: u32, steps: i32, learning_rate: f32) {
    let (mut first, mut second) = (vec![0.0; weights.len()], vec![0.0; weights.len()]);
    for step in 1..=steps {
        let mut mean = vec![0.0; weights.len()];
        let mut sink = |_: PatientId, vector: &[f32]| {
            for (mean, value) in mean.iter_mut().zip(vector) {
                *mean += value / patients as f32;
            }
        };
        trainer.contributions(weights, &batch(0..patients), &mut sink).unwrap();
        for (i, gradient) in mean.into_iter().enumerate() {
            first[i] = 0.9 * first[i] + 0.1 * gradient;
            second[i] = 0.999 * second[i] + 0.001 * gradient * gradient;
            let unbiased = (first[i] / (1.0 - 0.9_f32.powi(step)), second[i] / (1.0 - 0.999_f32.powi(step)));
            weights[i] -= learning_rate * unbiased.0 / (unbiased.1.sqrt() + 1e-8);
        }
    }
}

fn mean_dice(trainer: &mut dyn Model, weights: &[f32]) -> f64 {
    let Report::Segmentation(report) = trainer.score(weights, false).unwrap() else {
        panic!("a segmentation")
    };
    report.rows.iter().map(|row| row.dice.unwrap()).sum::<f64>() / report.rows.len() as f64
}

#[test]
fn the_unet_learns_to_find_discs() {
    let (net, spec) = unet(4, 2);
    let mut weights = initial_values(&spec, 2);
    let mut trainer = unet_model(&net, Loss::BceDice, volumes());
    let before = mean_dice(&mut trainer, &weights);
    descend(&mut trainer, &mut weights, 5, 60, 1e-2);
    let after = mean_dice(&mut trainer, &weights);
    assert!(before < 0.5 && after > 0.9, "Dice went from {before} to {after}");
}

/// A picture of two tiles above each other scores as the pixels of both together.
#[test]
fn a_picture_in_tiles_is_scored_as_a_whole() {
    let (net, spec) = unet(4, 2);
    let mut weights = initial_values(&spec, 2);
    descend(&mut unet_model(&net, Loss::BceDice, volumes()), &mut weights, 5, 60, 1e-2);
    let (upper, lower) = (volume(1, [1, 16, 16]), volume(2, [1, 16, 16]));
    let both = VolumeRecord {
        shape: [1, 32, 16],
        spacing_mm: [1.0; 3],
        image: [upper.image.clone(), lower.image.clone()].concat(),
        mask: [upper.mask.clone(), lower.mask.clone()].concat(),
    };
    let rows: Vec<_> = [upper, lower, both.clone()]
        .map(|volume| {
            let mut study = study(&net, Loss::BceDice);
            study.need.tiles = volume.shape[1] > 16;
            let truth = volume.mask.iter().map(|&inside| f64::from(inside)).sum::<f64>();
            let mut trainer = unet_model_with(1, study, vec![volume], cpu(1, 4096));
            let Report::Segmentation(report) = trainer.score(&weights, false).unwrap() else {
                panic!("a U-Net segments")
            };
            // Back from scores to pixels: predicted, and predicted rightly.
            let predicted = truth * (1.0 + report.rows[0].volume_error.unwrap());
            (predicted, report.rows[0].dice.unwrap() * (predicted + truth) / 2.0)
        })
        .into();
    assert!(rows[2].0 > 0.0, "something is predicted");
    assert!((rows[0].0 + rows[1].0 - rows[2].0).abs() < 1e-6, "{rows:?}");
    assert!((rows[0].1 + rows[1].1 - rows[2].1).abs() < 1e-6, "{rows:?}");
}

#[test]
fn the_unet_learns_from_tiles_of_larger_pictures() {
    let (net, spec) = unet(4, 2);
    let mut weights = initial_values(&spec, 2);
    let mut study = study(&net, Loss::BceDice);
    study.need.tiles = true;
    let pictures: Vec<_> =
        [20, 24, 28, 32, 36].into_iter().zip(0..).map(|(width, seed)| volume(seed, [1, 24, width])).collect();
    let mut trainer = unet_model_with(1, study, pictures, cpu(1, 4096));
    let before = mean_dice(&mut trainer, &weights);
    descend(&mut trainer, &mut weights, 5, 60, 1e-2);
    let after = mean_dice(&mut trainer, &weights);
    assert!(before < 0.5 && after > 0.85, "Dice went from {before} to {after}");
}

#[test]
fn the_risk_model_learns_and_its_intercept_stays_apart() {
    let mut rows = rows();
    for row in &mut rows {
        row.outcome = Outcome::YesNo(row.values[1] == Value::Category(1));
    }
    let mut trainer = risk_model(rows);
    let mut weights = vec![0.0; 6];
    descend(&mut trainer, &mut weights, 300, 100, 0.1);
    let report = |trainer: &mut dyn Model, fit| match trainer.score(&weights, fit).unwrap() {
        Report::Risk(report) => report,
        Report::Count(_) | Report::Survival(_) | Report::Segmentation(_) => panic!("a risk model"),
    };
    let global = report(&mut trainer, false);
    assert!(global.rows.iter().all(|row| (row.global.unwrap() > 0.5) == row.outcome));
    assert!(
        global.intercept.abs() <= 0.0
            && global.rows.iter().all(|row| (row.global.unwrap() - row.local.unwrap()).abs() < 1e-12)
    );
    let local = report(&mut trainer, true);
    assert!(
        local
            .rows
            .iter()
            .zip(&global.rows)
            .all(|(a, b)| (a.global.unwrap() - b.global.unwrap()).abs() < 1e-12)
    );
    // Half of the patients are ill and the model knows which: nothing is left to correct.
    assert!(local.intercept.abs() < 0.5);
}

#[test]
fn requests_that_do_not_fit_are_refused() {
    let (net, spec) = unet(2, 1);
    let weights = initial_values(&spec, 2);
    let mut trainer = unet_model(&net, Loss::Bce, volumes());
    let mut sink = |_: PatientId, _: &[f32]| panic!("nothing is handed out");
    let unknown = TrainError::UnknownPatient { patient: PatientId(8), slots: 8 };
    assert_eq!(trainer.contributions(&weights, &batch([8]), &mut sink), Err(unknown));
    let misfit = TrainError::WeightsMisfit { found: 3, expected: spec.values() };
    assert_eq!(trainer.contributions(&[0.0; 3], &batch([0]), &mut sink), Err(misfit));
    assert!(trainer.score(&[0.0; 3], false).is_err());
    let mut trainer = risk_model(rows());
    assert!(trainer.contributions(&[0.0; 5], &batch([0]), &mut sink).is_err());
    assert!(trainer.contributions(&[0.0; 6], &batch([310]), &mut sink).is_err());
    assert!(trainer.score(&[0.0; 7], true).is_err());
}
