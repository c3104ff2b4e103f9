//! Poisson regression: gradients, independence, and what a site sees.

use fedtwin_models::open::Parts;
use fedtwin_models::risk::{Link, Risk, RiskModel};
use fedtwin_plan::family::PoissonRate;
use fedtwin_plan::outcome::{COUNT_MAX, Outcome};
use fedtwin_plan::record::{TableRecord, Value};
use fedtwin_trainer::model::Model;
use fedtwin_trainer::report::{CountReport, Report};

use crate::samples::{batch, contributions, cpu, everything, rows, table_need};

/// Patients who fall twice as often if they are of the second category, and everybody more often than `base`.
fn fallers(base: u32) -> Vec<TableRecord> {
    let count = |(i, row): (u32, &TableRecord)| {
        let rate = if row.values[1] == Value::Category(1) { 2 } else { 1 };
        TableRecord { outcome: Outcome::Count(base * rate + i % 2), ..row.clone() }
    };
    (0..).zip(&rows()).map(count).collect()
}

fn model(train: Vec<TableRecord>) -> RiskModel {
    let architecture = PoissonRate.architecture(5);
    let trained = everything(&architecture);
    let study = Risk { architecture, trained, need: table_need(), link: Link::Log };
    RiskModel::new(&study, &Parts { slots: 310, test: train.clone(), train }, &cpu(2, 4096))
}

fn report(model: &mut RiskModel, weights: &[f32]) -> CountReport {
    match model.score(weights, true).unwrap() {
        Report::Count(report) => report,
        Report::Risk(_) | Report::Survival(_) | Report::Segmentation(_) => panic!("a model of counts"),
    }
}

#[test]
fn gradients_of_counts_are_those_of_each_patients_own_loss() {
    let rows = fallers(3);
    let weights = vec![0.3, -0.7, 0.2, 0.5, -0.1, 0.4];
    for (id, vector) in contributions(&mut model(rows.clone()), &weights, &batch([0, 3, 255, 256, 299])) {
        let row = &rows[id.0 as usize];
        let mut inputs = Vec::new();
        for (feature, &value) in table_need().features.values().zip(&row.values) {
            feature.encode(value, &mut inputs);
        }
        inputs.push(1.0);
        let loss = |weights: &[f64]| {
            let output: f64 = weights.iter().zip(&inputs).map(|(w, &x)| w * f64::from(x)).sum();
            output.exp() - f64::from(row.outcome.value()) * output
        };
        // Weights of inputs that this patient does not have are left out: their gradient is zero.
        let present: Vec<usize> = (0..6).filter(|&i| inputs[i] != 0.0).collect();
        assert!((0..6).all(|i| present.contains(&i) || vector[i] == 0.0));
        for &i in &present {
            let moved = |step: f64| {
                let mut moved: Vec<f64> = weights.iter().copied().map(f64::from).collect();
                moved[i] += step;
                loss(&moved)
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((slope - f64::from(vector[i])).abs() < 1e-3, "{slope} is not {}", vector[i]);
        }
    }
}

#[test]
fn a_patients_count_leaves_the_other_gradients_bit_equal() {
    let weights = [0.1; 6];
    let sampled = batch([0, 3, 4, 5, 290]);
    let of = |rows: Vec<TableRecord>, weights: &[f32]| {
        let mut vectors = contributions(&mut model(rows), weights, &sampled);
        vectors.retain(|id, _| id.0 != 4);
        vectors.into_values().flatten().map(f32::to_bits).collect::<Vec<_>>()
    };
    let expected = of(fallers(3), &weights);
    for values in [vec![Value::Number(f64::NAN), Value::Category(9)], vec![Value::Missing, Value::Missing]] {
        for count in [0, COUNT_MAX] {
            let mut changed = fallers(3);
            changed[4] = TableRecord { values: values.clone(), outcome: Outcome::Count(count) };
            assert_eq!(of(changed, &weights), expected);
        }
    }
    let huge = contributions(&mut model(fallers(3)), &[1e30; 6], &sampled);
    assert!(huge.values().flatten().all(|value| value.is_finite()), "expectations are bounded");
}

#[test]
fn expected_counts_are_learned_and_the_intercept_is_the_sites_own() {
    let mut learner = model(fallers(4));
    let mut weights = vec![0.0_f32; 6];
    for _step in 0..400 {
        let mut sum = [0.0_f32; 6];
        for vector in contributions(&mut learner, &weights, &batch(0..300)).into_values() {
            sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value / 300.0);
        }
        weights.iter_mut().zip(sum).for_each(|(weight, slope)| *weight -= 0.05 * slope);
    }
    let at_home = report(&mut learner, &weights);
    let mean = |report: &CountReport, of: fn(&fedtwin_trainer::report::CountRow) -> f64| {
        report.rows.iter().map(of).sum::<f64>() / report.rows.len() as f64
    };
    let counted = mean(&at_home, |row| row.count);
    assert!((mean(&at_home, |row| row.global.unwrap()) / counted - 1.0).abs() < 0.02);
    // Another hospital, where everybody falls twice as often: its intercept says so, and the model does not.
    let elsewhere = report(&mut model(fallers(8)), &weights);
    assert!((elsewhere.intercept - 2.0_f64.ln()).abs() < 0.1, "{}", elsewhere.intercept);
    let counted = mean(&elsewhere, |row| row.count);
    assert!((mean(&elsewhere, |row| row.local.unwrap()) / counted - 1.0).abs() < 0.01);
    assert!(mean(&elsewhere, |row| row.global.unwrap()) / counted < 0.6);
}
