//! Every bug that others shipped is caught, by the detector that can see it; and the sound step by none.

use fedtwin_attack::attempts::{SharedDraws, compare_attempts};
use fedtwin_attack::bounds::LowerBounds;
use fedtwin_attack::canary::Canaries;
use fedtwin_attack::claim::ClaimedCost;
use fedtwin_attack::neighbours::{Differences, compare_releases};
use fedtwin_attack::planted::{Bug, Planted};
use fedtwin_attack::sampling::{SamplingStatistics, watch_samples};
use fedtwin_attack::step::{AttackError, Chance, Contributions, PrivateStep, Step, read_back};
use fedtwin_plan::{PatientId, Ratio, WireBits};
use fedtwin_privacy::accountant::{GaussianEvent, NoiseShares};
use fedtwin_privacy::noise::FastNoise;
use fedtwin_privacy::patient_sum::IntegerSum;

use crate::common::{Seeded, event, full_batch};
use crate::logistic::Logistic;

const CANARIES: u32 = 4096;
const PATIENTS: u32 = 60;

/// Runs `body` on the sound step, or on the one with the bug.
fn with<T>(
    bug: Option<Bug>,
    event: GaussianEvent,
    patients: u32,
    body: impl FnOnce(&mut dyn Step) -> Result<T, AttackError>,
) -> T {
    let mut step = PrivateStep { event, patients, bits: WireBits::B64 };
    let batch = event.sampling.to_f64() * f64::from(patients);
    match bug {
        None => body(&mut step).unwrap(),
        Some(bug) => body(&mut Planted::new(&mut step, bug, (patients, batch), event.c_int.get())).unwrap(),
    }
}

fn hunt(event: GaussianEvent, bug: Option<Bug>) -> LowerBounds {
    let canaries = Canaries { count: CANARIES, event, clip: 1.0, miss: 0.001 };
    let mut random = Seeded::new(11);
    let chance = &mut Chance { noise: &FastNoise, random: &mut random };
    with(bug, event, CANARIES, |step| canaries.hunt(step, chance))
}

fn compare(sampling: Ratio, bug: Option<Bug>) -> Differences {
    let mut random = Seeded::new(12);
    let mut cohort = Logistic::draw(PATIENTS, 9, &mut random);
    let event = GaussianEvent::local(sampling, 16, cohort.c_int, 1).unwrap();
    let weights = vec![0.3; cohort.values()];
    let mut found = Differences::default();
    for _pair in 0..8 {
        let chance = &mut Chance { noise: &FastNoise, random: &mut random };
        found += with(bug, event, PATIENTS, |step| {
            compare_releases(step, &mut cohort, &weights, event.c_int.get(), chance)
        });
    }
    println!("{bug:?}: {found:?}");
    found
}

fn watch(sampling: Ratio, bug: Option<Bug>) -> SamplingStatistics {
    let mut random = Seeded::new(13);
    let chance = &mut Chance { noise: &FastNoise, random: &mut random };
    let found = with(bug, event(sampling, 1.0, 1), PATIENTS, |step| {
        watch_samples(step, (sampling, PATIENTS), 1000, chance)
    });
    println!("{bug:?}: {found:?}");
    found
}

fn retry(bug: Option<Bug>) -> SharedDraws {
    let mut random = Seeded::new(14);
    let event = event(Ratio::new(1, 2).unwrap(), 1.0, 1);
    let chance = &mut Chance { noise: &FastNoise, random: &mut random };
    let found = with(bug, event, PATIENTS, |step| {
        compare_attempts(step, (event.sampling, PATIENTS), event.m, chance)
    });
    println!("{bug:?}: {found:?}");
    found
}

fn third() -> Ratio {
    Ratio::new(1, 3).unwrap()
}

/// At one in a thousand for the bound, and fixed seeds but for the noise.
#[test]
fn the_sound_step_passes_every_detector() {
    let event = full_batch(1.0, 2);
    assert!(hunt(event, None).mu <= ClaimedCost::of(&event, 1e-5).mu);
    for sampling in [Ratio::ONE, third()] {
        assert!(compare(sampling, None).none_beyond_the_claim());
        assert!(watch(sampling, None).are_of_poisson_samples());
    }
    assert!(retry(None).are_none());
}

#[test]
fn missing_noise_is_caught_by_canaries() {
    let event = full_batch(0.5, 2);
    let found = hunt(event, Some(Bug::NoNoise));
    let claim = ClaimedCost::of(&event, 1e-5);
    assert!(found.mu > 10.0 * claim.mu && found.epsilon(1e-5) > 2.0 * claim.epsilon, "{found:?} {claim:?}");
    // The bound of one run pays 2 m delta for its generality: at 1e-5 that is a twelfth.
    let claim = ClaimedCost::of(&event, 1e-7);
    assert!(found.one_run_epsilon(1e-7) > 1.2 * claim.epsilon, "{}", found.one_run_epsilon(1e-7));
}

/// Without noise most of a sampled canary's score is still against it: the pilot finds the threshold.
#[test]
fn missing_noise_of_sampled_steps_is_caught_by_canaries() {
    let event = event(Ratio::new(1, 10).unwrap(), 1.0, 60);
    for bug in [Bug::NoNoise, Bug::HalfNoise] {
        let found = hunt(event, Some(bug)).mu;
        println!("{bug}: {found}");
        assert!(found > 1.1 * ClaimedCost::of(&event, 1e-5).mu, "{bug}: {found}");
    }
}

#[test]
fn half_the_noise_is_caught_by_canaries() {
    let event = full_batch(1.0, 2);
    let found = hunt(event, Some(Bug::HalfNoise));
    assert!(found.mu > 1.5 * ClaimedCost::of(&event, 1e-5).mu, "{found:?}");
}

#[test]
fn twice_the_clip_is_caught_by_canaries_and_by_neighbours() {
    let event = full_batch(1.0, 2);
    let found = hunt(event, Some(Bug::DoubleClip));
    assert!(found.mu > 1.5 * ClaimedCost::of(&event, 1e-5).mu, "{found:?}");
    assert!(compare(Ratio::ONE, Some(Bug::DoubleClip)).too_far > 0);
}

#[test]
fn an_unclipped_bias_is_caught_by_neighbours() {
    assert!(compare(Ratio::ONE, Some(Bug::UnclippedBias)).too_far > 0);
}

#[test]
fn patients_who_depend_on_each_other_are_caught_by_neighbours() {
    assert!(compare(Ratio::ONE, Some(Bug::CoupledPatients)).too_far > 0);
}

#[test]
fn a_failure_on_one_patient_is_caught_by_neighbours() {
    assert!(compare(Ratio::ONE, Some(Bug::FailsOnOnePatient)).failed > 0);
}

#[test]
fn division_by_the_drawn_batch_is_caught_by_neighbours() {
    assert!(compare(third(), Some(Bug::DrawnBatchDivisor)).too_far > 0);
}

/// The canaries see nothing: that is why the samples are watched.
#[test]
fn shuffled_batches_are_caught_by_their_samples() {
    let found = watch(third(), Some(Bug::ShuffledBatches));
    assert!(found.size < -10.0 && found.sequence < -10.0, "{found:?}");
    assert!(found.inclusion.abs() < 6.0 || found.inclusion < 0.0, "each is in as often as it should be");
}

#[test]
fn noise_reused_by_a_retry_is_caught_by_comparing_attempts() {
    let found = retry(Some(Bug::ReusedNoise));
    assert!(found.equal == found.values && !found.are_none());
}

/// Four sites whose noise together is what the plan promises, of which some reply.
struct Federation {
    site: PrivateStep,
    replies: u32,
}

impl Step for Federation {
    /// Canaries are at the first site; the others add their noise alone.
    fn release(
        &mut self,
        cohort: &mut dyn Contributions,
        weights: &[f32],
        chance: &mut Chance<'_>,
    ) -> Result<Vec<i64>, AttackError> {
        let mut total = self.site.release(cohort, weights, chance)?;
        for _site in 1..self.replies {
            let mut others = fedtwin_attack::spy::Nobody { values: cohort.values() };
            let update = self.site.release(&mut others, weights, chance)?;
            total.iter_mut().zip(update).for_each(|(sum, value)| *sum += value);
        }
        read_back(&total, WireBits::B64)
    }
}

/// Noise for the sum of four sites, of which only one replies: the plan claimed that all four would.
#[test]
fn noise_weakened_by_missing_sites_is_caught_by_canaries() {
    let shares = |count| NoiseShares::try_from(count).unwrap();
    // C_int is set for four shares: 2^m sqrt(4) / z with mu = 1 / z = 1.
    let event = GaussianEvent {
        noise_shares: shares(4),
        ..GaussianEvent::local(Ratio::ONE, 16, 1 << 17, 1).unwrap()
    };
    let claim = ClaimedCost::of(&event, 1e-5).mu;
    let found = |replies| {
        let mut random = Seeded::new(15);
        let site = PrivateStep { event, patients: CANARIES, bits: WireBits::B64 };
        let canaries = Canaries { count: CANARIES, event, clip: 1.0, miss: 0.001 };
        let chance = &mut Chance { noise: &FastNoise, random: &mut random };
        canaries.hunt(&mut Federation { site, replies }, chance).unwrap().mu
    };
    let (all, one) = (found(4), found(1));
    println!("claim {claim}, four replies {all}, one reply {one}");
    assert!(all <= claim && one > 1.4 * claim);
    // The plan that counts on one of four claims what one reply costs.
    let honest = GaussianEvent { noise_shares: shares(1), ..event };
    assert!(one <= ClaimedCost::of(&honest, 1e-5).mu);
}

/// Two sums of the same patients at two attempts with the same noise bare the difference between them.
#[test]
fn reused_noise_bares_what_it_should_hide() {
    struct One;

    impl Contributions for One {
        fn values(&self) -> usize {
            3
        }

        fn sum(&mut self, _: &[f32], sampled: &[PatientId], _: u64) -> Result<IntegerSum, AttackError> {
            Ok(IntegerSum(vec![i64::try_from(sampled.len()).unwrap(); 3]))
        }
    }
    let mut random = Seeded::new(16);
    let chance = &mut Chance { noise: &FastNoise, random: &mut random };
    let event = event(Ratio::ONE, 1.0, 1);
    let mut step = PrivateStep { event, patients: 1, bits: WireBits::B64 };
    let mut planted = Planted::new(&mut step, Bug::ReusedNoise, (1, 1.0), 1);
    let with = planted.release(&mut One, &[0.0; 3], chance).unwrap();
    let mut nobody = fedtwin_attack::spy::Nobody { values: 3 };
    let without = planted.release(&mut nobody, &[0.0; 3], chance).unwrap();
    assert!(with.iter().zip(&without).all(|(with, without)| with - without == 1));
}
