//! The audit by canaries agrees with the accountant: never above the claim, and not far below it.

use fedtwin_attack::bounds::LowerBounds;
use fedtwin_attack::canary::Canaries;
use fedtwin_attack::claim::ClaimedCost;
use fedtwin_attack::step::{Chance, PrivateStep};
use fedtwin_plan::{Ratio, WireBits};
use fedtwin_privacy::accountant::GaussianEvent;
use fedtwin_privacy::noise::FastNoise;

use crate::common::{Seeded, event, full_batch};

const CANARIES: u32 = 4096;

fn hunt(event: GaussianEvent, seed: u64) -> LowerBounds {
    let canaries = Canaries { count: CANARIES, event, clip: 1.5, miss: 0.05 };
    let mut step = PrivateStep { event, patients: CANARIES, bits: WireBits::B40 };
    let chance = &mut Chance { noise: &FastNoise, random: &mut Seeded::new(seed) };
    canaries.hunt(&mut step, chance).unwrap()
}

/// Checks that an audit is not above the claim, and not below half of it. The noise is the system's own, and the two rates are
/// off by more than their intervals in one of 300 audits: in both of two, in one of 90,000. What is wrong is wrong in both.
fn one_of_two_holds(event: GaussianEvent, claim: &ClaimedCost, seed: u64) {
    let runs = [seed, seed + 1].map(|seed| hunt(event, seed));
    let holds = |run: &LowerBounds| {
        run.mu <= claim.mu
            && run.mu >= claim.mu / 2.0
            && run.epsilon(1e-5) <= claim.epsilon
            && run.one_run_epsilon(1e-5) <= claim.epsilon
    };
    assert!(runs.iter().any(holds), "{claim:?}: {runs:?}");
}

/// Each bound fails with probability 0.05 at most, so that more than 5 of 100 failures have a probability
/// of 0.38 at most by that alone; the two rates would both have to be off by their half at once, which makes
/// it 0.003 a run, and more than 5 of 100 a matter of 1e-7.
#[test]
fn a_hundred_audits_stay_below_the_claim_and_above_half_of_it() {
    let event = full_batch(1.0, 20);
    let claim = ClaimedCost::of(&event, 1e-5);
    let runs: Vec<_> = (0..100).map(|seed| hunt(event, seed)).collect();
    let above = runs.iter().filter(|run| run.mu > claim.mu).count();
    let below_half = runs.iter().filter(|run| run.mu < claim.mu / 2.0).count();
    assert!(above <= 5, "{above} of 100 audits are above the claim of {}", claim.mu);
    assert_eq!(below_half, 0);
    for run in &runs {
        assert!(run.epsilon(claim.delta) <= claim.epsilon);
        assert!(run.one_run_epsilon(claim.delta) <= claim.epsilon);
    }
    let mean = runs.iter().map(|run| run.mu).sum::<f64>() / 100.0;
    println!("claimed mu {}, mean lower bound {mean}, {above} of 100 above the claim", claim.mu);
}

/// Above mu = 11 no 2,048 trials on either side could refute half the claim.
#[test]
fn bounds_follow_the_claim_over_its_range() {
    for (mu, steps) in [(0.5, 1), (0.7, 50), (2.0, 30), (4.0, 20), (8.0, 10)] {
        let event = full_batch(mu, steps);
        let claim = ClaimedCost::of(&event, 1e-5);
        one_of_two_holds(event, &claim, 7);
    }
}

/// The price of sampled steps is the Gaussian bound's mu: canaries find at least half of it too. Below a noise
/// multiplier of 1 rare events decide the Gaussian bound, of which 4,096 canaries see too few.
#[test]
fn sampled_steps_are_audited_against_their_gaussian_bound() {
    for ((numerator, denominator), multiplier, steps) in
        [((1, 2), 3.0, 30), ((1, 10), 1.0, 100), ((1, 20), 1.0, 200)]
    {
        let event = event(Ratio::new(numerator, denominator).unwrap(), multiplier, steps);
        let claim = ClaimedCost::of(&event, 1e-5);
        one_of_two_holds(event, &claim, 9);
    }
}
