//! Hazard models: gradients of all intervals of a patient, independence, and what a site sees.

use fedtwin_models::open::Parts;
use fedtwin_models::risk::{Link, Risk, RiskModel};
use fedtwin_plan::Architecture;
use fedtwin_plan::cohort_need::TableNeed;
use fedtwin_plan::family::HazardSize;
use fedtwin_plan::follow_up::{FollowUp, InInterval, Observed};
use fedtwin_plan::model_file::initial_values;
use fedtwin_plan::outcome::{AskedOutcome, Outcome, OutcomeNeed};
use fedtwin_plan::record::{TableRecord, Value};
use fedtwin_trainer::model::Model;
use fedtwin_trainer::report::{Report, SurvivalReport};

use crate::gradients::check_directions;
use crate::risk_gradients::hidden;
use crate::samples::{batch, contributions, cpu, everything, rows, table_need};

const INTERVALS: usize = 4;

fn follow_up() -> FollowUp {
    FollowUp { unit: "d".into(), from: 0.0, until: vec![10.0, 20.0, 30.0, 40.0] }
}

fn need() -> TableNeed {
    let outcome = OutcomeNeed { name: "o".into(), asked: AskedOutcome::Event(follow_up()) };
    TableNeed { outcome, ..table_need() }
}

fn size(hidden: &[i64]) -> HazardSize {
    let hidden = hidden.iter().map(|&units| units.try_into().unwrap()).collect();
    HazardSize { hidden, guess: 0.2.try_into().unwrap() }
}

/// Patients to whom it happens the sooner, the more `haste` there is and if they are of the second category.
fn followed(haste: u32) -> Vec<TableRecord> {
    let follow = |(i, row): (u32, &TableRecord)| {
        let rate = if row.values[1] == Value::Category(1) { 2 } else { 1 };
        let draw = (i * 7919) % 97;
        let (event, censored) = (f64::from(draw) * 1.6 / f64::from(rate * haste), f64::from((i * 31) % 61));
        let (time, happened) = if event <= censored { (event, true) } else { (censored, false) };
        let entry = if i % 5 == 0 { time / 4.0 } else { 0.0 };
        TableRecord { outcome: Outcome::Event(Observed { entry, time, happened }), ..row.clone() }
    };
    (0..).zip(&rows()).map(follow).collect()
}

fn model_of(spec: &Architecture, train: Vec<TableRecord>) -> RiskModel {
    let study =
        Risk { architecture: spec.clone(), trained: everything(spec), need: need(), link: Link::Logit };
    RiskModel::new(&study, &Parts { slots: 310, test: train.clone(), train }, &cpu(2, 4096))
}

fn report(model: &mut RiskModel, weights: &[f32]) -> SurvivalReport {
    match model.score(weights, true).unwrap() {
        Report::Survival(report) => report,
        Report::Risk(_) | Report::Count(_) | Report::Segmentation(_) => panic!("a model of events"),
    }
}

/// The likelihood written anew, in double precision.
fn loss(units: &[usize], weights: &[f64], row: &TableRecord) -> f64 {
    let (x, rest) = hidden(units, weights, row);
    let (head, baseline) = rest.split_at(rest.len() - INTERVALS);
    let f: f64 = head.iter().zip(&x).map(|(w, x)| w * x).sum();
    let Outcome::Event(observed) = row.outcome else { panic!("an event") };
    let of_interval = |(interval, baseline): (InInterval, &f64)| match interval {
        InInterval::Unknown => 0.0,
        InInterval::Survived => (f + baseline).exp().ln_1p(),
        InInterval::Happened => (-(f + baseline)).exp().ln_1p(),
    };
    follow_up().intervals(observed).into_iter().zip(baseline).map(of_interval).sum()
}

#[test]
fn gradients_of_hazards_are_those_of_all_intervals_of_a_patient() {
    let rows = followed(1);
    for (hidden, units) in [(&[][..], &[5][..]), (&[4, 3], &[5, 4, 3])] {
        let spec = size(hidden).architecture(5, INTERVALS);
        let weights: Vec<f32> =
            (0..).zip(initial_values(&spec, 3)).map(|(i, w)| w + 0.1 * (i % 5) as f32).collect();
        let vectors =
            contributions(&mut model_of(&spec, rows.clone()), &weights, &batch([0, 3, 10, 255, 256, 299]));
        assert_eq!(vectors.len(), 6);
        for (id, vector) in vectors {
            let row = &rows[id.0 as usize];
            check_directions(&spec, &weights, &vector, &mut |w| loss(units, w, row));
        }
    }
}

#[test]
fn a_patients_follow_up_leaves_the_other_gradients_bit_equal() {
    let spec = size(&[4]).architecture(5, INTERVALS);
    let weights: Vec<f32> = initial_values(&spec, 5).iter().map(|value| value + 0.1).collect();
    let sampled = batch([0, 3, 4, 5, 290]);
    let of = |rows: Vec<TableRecord>| {
        let mut vectors = contributions(&mut model_of(&spec, rows), &weights, &sampled);
        vectors.retain(|id, _| id.0 != 4);
        vectors.into_values().flatten().map(f32::to_bits).collect::<Vec<_>>()
    };
    let expected = of(followed(1));
    for values in [vec![Value::Number(f64::NAN), Value::Category(9)], vec![Value::Missing, Value::Missing]] {
        for (time, happened) in [(0.0, true), (f64::NAN, true), (f64::INFINITY, false), (-1.0, false)] {
            let mut changed = followed(1);
            let outcome = Outcome::Event(Observed { entry: 0.0, time, happened });
            changed[4] = TableRecord { values: values.clone(), outcome };
            assert_eq!(of(changed), expected, "{time}");
        }
    }
}

#[test]
fn whoever_was_not_followed_adds_nothing() {
    let spec = size(&[4]).architecture(5, INTERVALS);
    let mut rows = followed(1);
    rows[4].outcome = Outcome::Event(Observed { entry: 0.0, time: 4.9, happened: false });
    let weights = initial_values(&spec, 5);
    let vectors = contributions(&mut model_of(&spec, rows), &weights, &batch([4]));
    assert!(vectors.values().flatten().all(|&value| value == 0.0));
}

#[test]
fn survival_is_learned_and_the_intercept_is_the_sites_own() {
    let spec = size(&[]).architecture(5, INTERVALS);
    let mut learner = model_of(&spec, followed(1));
    let mut weights = initial_values(&spec, 1);
    for _step in 0..600 {
        let mut sum = vec![0.0_f32; weights.len()];
        for vector in contributions(&mut learner, &weights, &batch(0..300)).into_values() {
            sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value / 300.0);
        }
        weights.iter_mut().zip(sum).for_each(|(weight, slope)| *weight -= 0.3 * slope);
    }
    let at_home = report(&mut learner, &weights);
    assert!(at_home.intercept.abs() < 0.02, "{}", at_home.intercept);
    // In each interval, as many events as the model expects of those who are at risk.
    for interval in 0..INTERVALS {
        let (mut expected, mut happened) = (0.0, 0.0);
        for row in &at_home.rows {
            let said =
                follow_up().intervals(Observed { entry: row.entry, time: row.time, happened: row.happened });
            let curve = row.global.as_ref().unwrap();
            let before = if interval == 0 { 1.0 } else { curve[interval - 1] };
            match said[interval] {
                InInterval::Unknown => continue,
                InInterval::Survived => {}
                InInterval::Happened => happened += 1.0,
            }
            expected += 1.0 - curve[interval] / before;
        }
        assert!((expected / happened - 1.0_f64).abs() < 0.03, "{interval}: {expected} of {happened}");
    }
    assert!(at_home.rows.iter().all(|row| row.local.as_ref().unwrap().is_sorted_by(|a, b| a >= b)));
    // Another hospital, where everything comes sooner: its intercept says so, and the model does not.
    let elsewhere = report(&mut model_of(&spec, followed(2)), &weights);
    assert!(elsewhere.intercept > 0.3, "{}", elsewhere.intercept);
    let curves = |row: &fedtwin_trainer::report::SurvivalRow| {
        (row.global.clone().unwrap(), row.local.clone().unwrap())
    };
    assert!(elsewhere.rows.iter().map(curves).all(|(global, local)| global[3] > local[3]));
}
