//! Exact sensitivity and independence, in integers and without tolerance.

use fedtwin_attack::neighbours::{Alterable, compare_cohorts, compare_releases};
use fedtwin_attack::step::{AttackError, Chance, Contributions, PrivateStep};
use fedtwin_plan::{PatientId, Ratio, WireBits};
use fedtwin_privacy::accountant::GaussianEvent;
use fedtwin_privacy::noise::FastNoise;
use fedtwin_privacy::patient_sum::IntegerSum;
use fedtwin_trainer::stand_in::StandIn;

use crate::common::Seeded;
use crate::logistic::Logistic;

#[test]
fn one_patient_moves_a_sum_by_at_most_the_clip_and_nobody_else_at_all() {
    for (seed, clip, c_int) in [(1, 1.0, 1 << 16), (2, 0.01, 1000), (3, 1e6, 1 << 20), (4, 0.5, 1)] {
        let mut random = Seeded::new(seed);
        let mut cohort = Logistic { clip, c_int, ..Logistic::draw(60, 9, &mut random) };
        let weights: Vec<_> = (0..cohort.values()).map(|i| (i as f32).sin()).collect();
        let c_int = u32::try_from(c_int).unwrap();
        let found = compare_cohorts(&mut cohort, &weights, c_int, 20, &mut random).unwrap();
        assert!(found.none_beyond_the_claim(), "{found:?}");
        assert_eq!(found.pairs, 20 * 7);
        println!("{found:?}");
    }
}

#[test]
fn neighbouring_releases_differ_by_one_patient_at_equal_randomness() {
    let mut random = Seeded::new(5);
    let mut cohort = Logistic::draw(60, 9, &mut random);
    let weights = vec![0.3; cohort.values()];
    for sampling in [Ratio::ONE, Ratio::new(1, 3).unwrap(), Ratio::new(1, 100).unwrap()] {
        let event = GaussianEvent::local(sampling, 16, cohort.c_int, 1).unwrap();
        let mut step = PrivateStep { event, patients: 60, bits: WireBits::B32 };
        for _pair in 0..5 {
            let chance = &mut Chance { noise: &FastNoise, random: &mut random };
            let found = compare_releases(&mut step, &mut cohort, &weights, 1 << 16, chance).unwrap();
            assert!(found.none_beyond_the_claim() && found.largest <= 1.0, "{found:?}");
        }
    }
}

/// A mean over the cohort in a feature's scale: each vector is within the clip, every noise statistic is as
/// it should be, and the bound is worth nothing.
#[test]
fn features_scaled_by_the_cohorts_mean_are_caught() {
    let mut random = Seeded::new(6);
    let mut cohort = Logistic { coupled: true, ..Logistic::draw(60, 9, &mut random) };
    let weights = vec![0.3; cohort.values()];
    let found = compare_cohorts(&mut cohort, &weights, 1 << 16, 5, &mut random).unwrap();
    assert!(found.dependent > 0 && found.too_far == 0, "{found:?}");
}

/// A cohort without a sum where one of its patients is sampled.
struct FailsOn(Logistic, PatientId);

impl Contributions for FailsOn {
    fn values(&self) -> usize {
        self.0.values()
    }

    fn sum(&mut self, weights: &[f32], sampled: &[PatientId], seed: u64) -> Result<IntegerSum, AttackError> {
        if sampled.contains(&self.1) {
            return Err(AttackError::step("a score is no number"));
        }
        self.0.sum(weights, sampled, seed)
    }
}

impl Alterable for FailsOn {
    fn patients(&self) -> u32 {
        Alterable::patients(&self.0)
    }

    fn alter(&mut self, altered: Option<(PatientId, StandIn)>) -> Result<(), AttackError> {
        self.0.alter(altered)
    }
}

#[test]
fn a_trainer_that_fails_on_one_patient_is_caught_and_one_that_always_fails_is_no_audit() {
    let mut random = Seeded::new(7);
    let mut cohort = FailsOn(Logistic::draw(60, 9, &mut random), PatientId(3));
    let weights = vec![0.3; cohort.values()];
    let found = compare_cohorts(&mut cohort, &weights, 1 << 16, 12, &mut random).unwrap();
    assert!(found.failed > 0 && !found.none_beyond_the_claim(), "{found:?}");
    let mut broken = Broken(cohort.0);
    assert!(compare_cohorts(&mut broken, &weights, 1 << 16, 1, &mut random).is_err());
}

/// A cohort without any sum.
struct Broken(Logistic);

impl Contributions for Broken {
    fn values(&self) -> usize {
        self.0.values()
    }

    fn sum(&mut self, _: &[f32], _: &[PatientId], _: u64) -> Result<IntegerSum, AttackError> {
        Err(AttackError::step("gone"))
    }
}

impl Alterable for Broken {
    fn patients(&self) -> u32 {
        Alterable::patients(&self.0)
    }

    fn alter(&mut self, altered: Option<(PatientId, StandIn)>) -> Result<(), AttackError> {
        self.0.alter(altered)
    }
}
