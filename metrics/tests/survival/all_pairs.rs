//! Scores of generated patients with many ties, counted again over all pairs.

use std::cmp::Ordering;

use fedtwin_metrics::survival::{
    Concordance, Curve, Survival, SurvivalPrediction, auroc_at, censoring_curve, concordance, kaplan_meier,
    uno_c,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Whether `a` had the event while `b` was under observation and without it.
fn is_earlier(a: Survival, b: Survival) -> bool {
    let outlived = b.time() > a.time() || (b.time().total_cmp(&a.time()).is_eq() && !b.event());
    a.event() && outlived && (b.entry() < a.time() || b.entry().total_cmp(&0.0).is_eq())
}

/// Patients with a few times and risks to tie at, of whom some enter late if `is_late`.
fn patients(rng: &mut ChaCha8Rng, count: usize, is_late: bool) -> Vec<SurvivalPrediction> {
    let of = |rng: &mut ChaCha8Rng| {
        let time = f64::from(rng.random_range(0..12_u8));
        let entry = if is_late { f64::from(rng.random_range(0..6_u8)) } else { 0.0 };
        let entry = if entry < time { entry } else { 0.0 };
        let observed = Survival::new(entry, time, rng.random_bool(0.6)).unwrap();
        SurvivalPrediction { observed, risk: f64::from(rng.random_range(0..5_u8)) - 2.0 }
    };
    (0..count).map(|_| of(rng)).collect()
}

fn concordance_of_pairs(rows: &[SurvivalPrediction]) -> Concordance {
    let mut total = Concordance::default();
    for (i, a) in rows.iter().enumerate() {
        for (j, b) in rows.iter().enumerate() {
            let same_time = a.observed.time().total_cmp(&b.observed.time()).is_eq();
            total.tied_time += u64::from(i < j && same_time && a.observed.event() && b.observed.event());
            if i == j || !is_earlier(a.observed, b.observed) {
                continue;
            }
            match a.risk.total_cmp(&b.risk) {
                Ordering::Greater => total.concordant += 1,
                Ordering::Less => total.discordant += 1,
                Ordering::Equal => total.tied_risk += 1,
            }
        }
    }
    total
}

/// The weighted share of won pairs among those of a case `(index, weight)` and an opponent.
fn weighted_share(
    rows: &[SurvivalPrediction],
    weight: impl Fn(Survival) -> f64,
    is_pair: impl Fn(Survival, Survival) -> bool,
) -> Option<f64> {
    let (mut wins, mut weights) = (0.0, 0.0);
    for (i, a) in rows.iter().enumerate() {
        for (j, b) in rows.iter().enumerate() {
            if i != j && is_pair(a.observed, b.observed) {
                let weight = weight(a.observed);
                weights += weight;
                wins += weight
                    * match a.risk.total_cmp(&b.risk) {
                        Ordering::Greater => 1.0,
                        Ordering::Equal => 0.5,
                        Ordering::Less => 0.0,
                    };
            }
        }
    }
    (weights > 0.0).then(|| wins / weights)
}

fn check(found: Option<f64>, expected: Option<f64>) {
    let is_same = match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() < 1e-12,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    assert!(is_same, "{found:?} is not {expected:?}");
}

#[test]
fn concordance_is_that_of_all_pairs_with_many_ties() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for case in 0..300 {
        let rows = patients(&mut rng, case % 40, case % 2 == 0);
        assert_eq!(concordance(&rows), Some(concordance_of_pairs(&rows)), "{rows:?}");
    }
}

#[test]
fn weighted_scores_are_those_of_all_pairs_with_many_ties() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for case in 0..300 {
        let rows = patients(&mut rng, case % 40, false);
        let observations: Vec<_> = rows.iter().map(|row| row.observed).collect();
        let censoring = censoring_curve(&observations);
        let horizon = f64::from(rng.random_range(0..12_u8)) + 0.5;
        let before = |observed: Survival| censoring.before(observed.time());
        let uno = weighted_share(
            &rows,
            |observed| before(observed).powi(2).recip(),
            |a, b| a.time() < horizon && is_earlier(a, b),
        );
        check(uno_c(&rows, &censoring, horizon), uno);
        let area = weighted_share(
            &rows,
            |observed| before(observed).recip(),
            |a, b| a.event() && a.time() <= horizon && b.time() > horizon,
        );
        check(auroc_at(&rows, &censoring, horizon), area);
    }
}

#[test]
fn without_censoring_uno_is_harrell() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let flat = Curve::new(vec![]).unwrap();
    for _ in 0..50 {
        let rows = patients(&mut rng, 30, false);
        check(uno_c(&rows, &flat, f64::INFINITY), concordance(&rows).unwrap().c_index());
    }
}

#[test]
fn curves_are_products_over_risk_sets() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for case in 0..200 {
        let rows: Vec<_> =
            patients(&mut rng, case % 30, case % 2 == 0).iter().map(|row| row.observed).collect();
        for end in 0..12_u8 {
            let (mut events_left, mut censored_left) = (1.0, 1.0);
            for time in (0..=end).map(f64::from) {
                let is_at_risk = |o: &&Survival| o.time() >= time && (o.entry() < time || o.entry() < 0.5);
                let ends = |o: &&Survival| o.time().total_cmp(&time).is_eq();
                let count = |of: &dyn Fn(&Survival) -> bool| {
                    u32::try_from(rows.iter().filter(|o| of(o)).count()).map(f64::from).unwrap()
                };
                let at_risk = count(&|o| is_at_risk(&o));
                let events = count(&|o| ends(&o) && o.event());
                let censored = count(&|o| ends(&o) && !o.event());
                events_left *= if events > 0.0 { 1.0 - events / at_risk } else { 1.0 };
                censored_left *= if censored > 0.0 { 1.0 - censored / (at_risk - events) } else { 1.0 };
            }
            check(Some(kaplan_meier(&rows).at(f64::from(end))), Some(events_left));
            check(Some(censoring_curve(&rows).at(f64::from(end))), Some(censored_left));
        }
    }
}
