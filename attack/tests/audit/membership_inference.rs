//! Membership inference works where there is no noise, and stays within the claim where there is.

use fedtwin_attack::claim::ClaimedCost;
use fedtwin_attack::membership::{Inference, OperatingPoint, Variant, Victim, Whom, infer_membership};
use fedtwin_attack::planted::{Bug, Planted};
use fedtwin_attack::step::{AttackError, Chance, Contributions, PrivateStep, Restricted, Step};
use fedtwin_plan::outcome::Outcome;
use fedtwin_plan::record::Value;
use fedtwin_plan::{PatientId, WireBits};
use fedtwin_privacy::accountant::GaussianEvent;
use fedtwin_privacy::noise::FastNoise;

use crate::common::{Seeded, full_batch};
use crate::logistic::Logistic;

const PATIENTS: u32 = 80;
const OUTLIERS: u32 = 8;
const ROUNDS: u64 = 60;
const MODELS: u32 = 160;

/// Gradient descent by noisy sums, as the coordinator's plain averaging.
struct Study {
    cohort: Logistic,
    event: GaussianEvent,
    noise: bool,
    random: Seeded,
}

impl Victim for Study {
    fn patients(&self) -> u32 {
        PATIENTS
    }

    fn train(&mut self, members: &[bool]) -> Result<Vec<f32>, AttackError> {
        let mut weights = vec![0.0_f32; self.cohort.values()];
        let unit = self.cohort.clip / self.cohort.c_int as f64 / f64::from(PATIENTS);
        let mut real = PrivateStep { event: self.event, patients: PATIENTS, bits: WireBits::B40 };
        let terms = (PATIENTS, f64::from(PATIENTS));
        let mut bare = Planted::new(&mut real, Bug::NoNoise, terms, self.event.c_int.get());
        let is_member = &|patient: PatientId| members[patient.0 as usize];
        for _round in 0..ROUNDS {
            let chance = &mut Chance { noise: &FastNoise, random: &mut self.random };
            let cohort = &mut Restricted::to(&mut self.cohort, is_member);
            let sum = if self.noise {
                PrivateStep { event: self.event, patients: PATIENTS, bits: WireBits::B40 }
                    .release(cohort, &weights, chance)?
            } else {
                bare.release(cohort, &weights, chance)?
            };
            for (weight, value) in weights.iter_mut().zip(sum) {
                #[expect(clippy::cast_possible_truncation, reason = "weights are single precision")]
                let step = (value as f64 * unit * 8.0) as f32;
                *weight -= step;
            }
        }
        Ok(weights)
    }

    fn confidences(&mut self, weights: &[f32]) -> Result<Vec<f64>, AttackError> {
        Ok((0..PATIENTS).map(|patient| self.cohort.confidence(weights, PatientId(patient))).collect())
    }
}

/// Patients with rare gaps in their records and an outcome that nobody expects of them.
fn cohort(seed: u64) -> Logistic {
    let mut cohort = Logistic::draw(PATIENTS, 28, &mut Seeded::new(seed));
    for patient in 0..OUTLIERS as usize {
        let row = &mut cohort.rows[patient];
        let sign = if patient % 2 == 0 { 1.0 } else { -1.0 };
        row.values[..4].fill(Value::Number(sign));
        row.values[4 + 3 * patient..7 + 3 * patient].fill(Value::Missing);
        row.outcome = Outcome::YesNo(patient % 2 == 1);
    }
    cohort
}

fn attack(mu: f64, noise: bool) -> Vec<Inference> {
    let event = full_batch(mu, ROUNDS);
    let cohort = Logistic { c_int: event.c_int.get().into(), ..cohort(21) };
    let mut study = Study { cohort, event, noise, random: Seeded::new(22) };
    infer_membership(&mut study, MODELS, &mut Seeded::new(23)).unwrap()
}

fn point(found: &[Inference], variant: Variant, whom: Whom) -> OperatingPoint {
    let of = found.iter().find(|inference| (inference.variant, inference.whom) == (variant, whom));
    let point = of.unwrap().points[0];
    println!(
        "{variant:?} {whom:?}: TPR {:.3} [{:.3}, {:.3}] at FPR {:.4} [{:.4}, {:.4}]",
        point.true_positives.value,
        point.true_positives.low,
        point.true_positives.high,
        point.false_positives.value,
        point.false_positives.low,
        point.false_positives.high
    );
    point
}

#[test]
fn without_noise_outliers_are_found_out() {
    let found = attack(1.0, false);
    for variant in [Variant::Online, Variant::Offline] {
        let point = point(&found, variant, Whom::Outliers);
        assert!(point.is_above_chance() && point.true_positives.low > 0.1, "{point:?}");
    }
    // The claim that noise would make is refuted by its absence.
    assert!(!found.iter().all(|inference| inference.is_within(1.0)));
}

/// Each bound fails with probability 0.025, and there are 8 points for each mu; but to be above the curve
/// both rates of a point must be off at once, and the attack as good as the best possible one.
#[test]
fn with_noise_nobody_is_found_out_beyond_the_claim() {
    for mu in [0.5, 1.0, 4.0] {
        let claim = ClaimedCost::of(&full_batch(mu, ROUNDS), 1e-5);
        let found = attack(mu, true);
        println!("claim {}", claim.mu);
        for variant in [Variant::Online, Variant::Offline] {
            point(&found, variant, Whom::Everybody);
            point(&found, variant, Whom::Outliers);
        }
        assert!(found.iter().all(|inference| inference.is_within(claim.mu)), "{mu}: {found:#?}");
    }
}
