//! Privacy-loss distributions against reference rows, closed forms, quadrature and themselves.

use proptest::prelude::*;

use super::*;
use crate::accountant::{Mechanism, gdp, reference};

/// Events as `rate:multiplier:count`, or `rate:multiplier:count:patients:cap` where the sample is cut.
fn events(text: &str) -> Vec<Event> {
    let event = |part: &str| {
        let numbers: Vec<f64> = part.split(':').map(|number| number.parse().unwrap()).collect();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small integers")]
        let (integer, count) = (|i: usize| numbers[i] as u32, numbers[2] as u64);
        let (rate, multiplier) = (numbers[0], numbers[1]);
        let mechanism = match numbers.len() {
            3 => Mechanism::PoissonGaussian { rate, multiplier },
            _ => {
                let (patients, cap) = (integer(3), integer(4));
                Mechanism::TruncatedPoissonGaussian { rate, multiplier, patients, cap }
            }
        };
        Event { mechanism, count }
    };
    text.split(';').map(event).collect()
}

/// Rows of `epsilon.csv`: events, relation, delta, dp-accounting's upper value, the lower bracket.
const EPSILONS: [(&str, Adjacency, f64, f64, f64); 12] = [
    ("0.01:1:1000", Adjacency::ZeroOut, 1e-5, 1.828_243_65, 1.823_236_7),
    ("0.01:1:1", Adjacency::ZeroOut, 1e-5, 0.199_450_473, 0.199_445_448),
    ("0.01:0.7:1000", Adjacency::ZeroOut, 1e-5, 4.618_291_45, 4.613_288_37),
    ("0.001:0.6:10000", Adjacency::ZeroOut, 1e-6, 3.152_227_03, 3.131_91),
    ("0.0001:0.5:10000", Adjacency::ZeroOut, 1e-6, 1.953_245_63, 1.932_9),
    ("0.05:10:5000", Adjacency::ZeroOut, 1e-4, 1.149_863_56, 1.129_74),
    ("0.5:3:200", Adjacency::ZeroOut, 1e-3, 9.722_779_65, 9.721_779_26),
    ("0.01:1:2000;0.01:1.5:2000;0.01:2:2000", Adjacency::ZeroOut, 1e-5, 3.134_121_9, 3.113_91),
    ("0.2:4:200;0.02:1:100;1:8:1;0.5:6:50", Adjacency::ZeroOut, 1e-3, 3.079_219_41, 3.077_463_28),
    ("0.01:1:1000", Adjacency::ReplaceOne, 1e-5, 2.843_445_81, 2.838_440_28),
    // Truncated rows have no lower bracket, and are held to 0.2 %.
    ("0.05:2:1000:1000:80", Adjacency::ZeroOut, 1e-4, 3.184_363_72, 3.178),
    ("0.1:3:500:200:30", Adjacency::ZeroOut, 1e-4, 3.143_720_69, 3.138),
];

/// What the reference's README accepts.
fn check_epsilon(events: &[Event], relation: Adjacency, delta: f64, (upper, lower): (f64, f64)) {
    let found = epsilon(events, delta, relation);
    assert!(found >= lower, "{events:?}: {found} is below the truth, {lower}");
    assert!(found <= upper * 1.0002 + 2e-6, "{events:?}: {found}, dp-accounting has {upper}");
}

#[test]
fn epsilons_match_reference_rows() {
    for (text, relation, delta, upper, lower) in EPSILONS {
        check_epsilon(&events(text), relation, delta, (upper, lower));
    }
}

#[test]
fn epsilons_match_the_reference_file() {
    for row in reference::rows("epsilon.csv").into_iter().flatten() {
        let number = |i: usize| row[i].parse::<f64>().ok();
        let note = |key: &str| {
            let after = row[13].split(key).nth(1).unwrap();
            after.split(|c: char| !c.is_ascii_digit()).next().unwrap().to_owned()
        };
        let relation = if row[1] == "replace_one" { Adjacency::ReplaceOne } else { Adjacency::ZeroOut };
        let upper = number(5).unwrap();
        let (text, lower) = if row[0].starts_with('T') {
            (format!("{}:{}:{}", row[2], note("dataset_size="), note("max_batch=")), upper * 0.998)
        } else {
            (row[2].clone(), number(4).or(number(6)).unwrap())
        };
        check_epsilon(&events(&text), relation, number(3).unwrap(), (upper, lower));
    }
}

#[test]
fn deltas_match_the_reference_file() {
    for row in reference::rows("profile.csv").into_iter().flatten() {
        let (epsilon, upper): (f64, f64) = (row[2].parse().unwrap(), row[3].parse().unwrap());
        let found = delta(&events(&row[1]), epsilon, Adjacency::ZeroOut);
        assert!((found / upper - 1.0).abs() < 2e-4, "{row:?}: {found}");
    }
}

#[test]
fn steps_with_all_patients_have_the_closed_form_and_no_less() {
    for (multiplier, steps, delta) in
        [(0.5, 1, 1e-5), (1.0, 10, 1e-5), (10.0, 100, 1e-6), (0.8, 3, 1e-12), (40.0, 9, 1e-3)]
    {
        let found = epsilon(&events(&format!("1:{multiplier}:{steps}")), delta, Adjacency::ZeroOut);
        let exact = gdp::epsilon(f64::from(steps).sqrt() / multiplier, delta);
        assert!(found >= exact && found <= exact * 1.0001 + 1e-7, "{multiplier} {steps}: {found} {exact}");
    }
}

/// The hockey-stick divergence by a rule that knows nothing of lattices: sums over x of max(0, p - e^epsilon q).
fn hockey_stick(densities: impl Fn(f64) -> (f64, f64), epsilon: f64, span: f64) -> f64 {
    let steps = 100_000;
    let width = 2.0 * span / f64::from(steps);
    let excess = |i: i32| {
        let (p, q) = densities(-span + (f64::from(i) + 0.5) * width);
        (p - epsilon.exp() * q).max(0.0)
    };
    (0..steps).map(excess).sum::<f64>() * width
}

#[test]
fn one_step_is_the_hockey_stick_divergence_and_no_less() {
    let normal = |x: f64, z: f64| (-x * x / (2.0 * z * z)).exp() / (z * (2.0 * std::f64::consts::PI).sqrt());
    for (rate, z) in [(0.01, 1.0), (0.3, 0.5), (0.9, 3.0), (0.001, 0.4)] {
        let mixture = |x: f64, sign: f64| (1.0 - rate) * normal(x, z) + rate * normal(x - sign, z);
        let sampled = [Event { mechanism: Mechanism::PoissonGaussian { rate, multiplier: z }, count: 1 }];
        for epsilon in [0.0, 0.01, 0.5] {
            let stick =
                |densities: &dyn Fn(f64) -> (f64, f64)| hockey_stick(densities, epsilon, 1.0 + 12.0 * z);
            let zero_out =
                stick(&|x| (mixture(x, 1.0), normal(x, z))).max(stick(&|x| (normal(x, z), mixture(x, 1.0))));
            let replaced = stick(&|x| (mixture(x, 1.0), mixture(x, -1.0)));
            for (relation, exact) in [(Adjacency::ZeroOut, zero_out), (Adjacency::ReplaceOne, replaced)] {
                let found = delta(&sampled, epsilon, relation);
                // The sum's own error is about 1e-9.
                let accurate = found >= exact - 1e-8 && found <= exact * 1.002 + 1e-8;
                assert!(accurate, "{rate} {z} {epsilon} {relation}: {found} {exact}");
            }
        }
    }
}

#[test]
fn laplace_noise_has_its_closed_form() {
    for multiplier in [0.5, 2.0, 10.0] {
        let event = [Event { mechanism: Mechanism::Laplace { multiplier }, count: 1 }];
        let ratio: f64 = 1.0 / multiplier;
        for share in [0.0, 0.3, 0.9] {
            // Balle, Barthe and Gaboardi, 2018, arXiv 1807.01647, theorem 3: 1 - exp((epsilon - r) / 2).
            let (epsilon, exact) = (share * ratio, -((share - 1.0) * ratio / 2.0).exp_m1());
            let found = delta(&event, epsilon, Adjacency::ZeroOut);
            assert!(found >= exact && found <= exact * 1.001, "{multiplier} {share}: {found} {exact}");
        }
        assert!(delta(&event, ratio * 1.000_001, Adjacency::ZeroOut) <= 0.0);
        assert!(epsilon(&event, 1e-12, Adjacency::ZeroOut) <= ratio * 1.000_001);
    }
}

#[test]
fn geometric_noise_is_summed_point_by_point() {
    for (scale, sensitivity) in [(1.5, 1), (4.0, 3), (30.0, 40)] {
        let event = [Event { mechanism: Mechanism::DiscreteLaplace { scale, sensitivity }, count: 1 }];
        let ratio = (-1.0_f64 / scale).exp();
        let mass = |k: i32| (1.0 - ratio) / (1.0 + ratio) * (-f64::from(k.abs()) / scale).exp();
        for epsilon in [0.0, 0.2, 0.6] {
            let shift = i32::try_from(sensitivity).unwrap();
            let exact: f64 =
                (-2000..2000).map(|k| (mass(k) - f64::exp(epsilon) * mass(k - shift)).max(0.0)).sum();
            let found = delta(&event, epsilon, Adjacency::ZeroOut);
            assert!(
                found >= exact * (1.0 - 1e-12) && found <= exact * 1.001,
                "{scale} {epsilon}: {found} {exact}"
            );
        }
    }
}

#[test]
fn pure_releases_compose_as_randomised_responses() {
    // Kairouz, Oh and Viswanath, 2015, arXiv 1311.0776, theorem 3.3, with delta = 0: the curve of k responses.
    let (each, count): (f64, i32) = (0.1, 30);
    let event = [Event { mechanism: Mechanism::Pure { epsilon: each }, count: 30 }];
    for epsilon in [0.0, 0.4, 1.0, 2.0] {
        let (p, mut binomial, mut exact) = (each.exp() / (1.0 + each.exp()), 1.0, 0.0);
        for k in 0..=count {
            let loss = f64::from(count - 2 * k) * each;
            let mass = binomial * p.powi(count - k) * (1.0 - p).powi(k);
            exact += mass * (1.0 - f64::exp(epsilon - loss)).max(0.0);
            binomial *= f64::from(count - k) / f64::from(k + 1);
        }
        let found = delta(&event, epsilon, Adjacency::ZeroOut);
        assert!(found >= exact * (1.0 - 1e-12) && found <= exact * 1.01, "{epsilon}: {found} {exact}");
    }
}

#[test]
fn a_cap_that_is_never_reached_changes_nothing() {
    let plain = epsilon(&events("0.05:2:200"), 1e-5, Adjacency::ZeroOut);
    let roomy = epsilon(&events("0.05:2:200:100:100"), 1e-5, Adjacency::ZeroOut);
    let tight = epsilon(&events("0.05:2:200:1000:50"), 1e-5, Adjacency::ZeroOut);
    assert!((roomy / plain - 1.0).abs() < 1e-9 && tight > plain * 1.05, "{plain} {roomy} {tight}");
}

#[test]
fn edges_are_harmless() {
    for relation in [Adjacency::ZeroOut, Adjacency::ReplaceOne] {
        assert!(epsilon(&[], 1e-5, relation) <= 0.0 && delta(&[], 0.0, relation) <= 0.0);
        assert!(epsilon(&events("0.1:1:0;0:1:10"), 1e-5, relation) <= 0.0);
        let quiet = epsilon(&events("0.000001:10000:1"), 1e-9, relation);
        assert!(quiet < 1e-6, "{quiet}");
        // Without sampling these are exact: sampling can only help.
        for delta in [1e-200, 1e-30, 1e-12] {
            let strict = epsilon(&events("0.01:1:100"), delta, relation);
            assert!(strict > 2.0 && strict <= gdp::epsilon(20.0, delta), "{delta}: {strict}");
        }
        let loud = epsilon(&events("0.5:0.06:1"), 1e-5, relation);
        assert!(loud > 150.0 && loud.is_finite(), "{loud}");
        assert!(epsilon(&events("0.5:1e-7:1"), 1e-5, relation).is_infinite());
        assert!(epsilon(&events("0.5:1:10"), 0.99, relation) <= 0.2);
        assert!(epsilon(&events("0.5:1:10"), 1e-300, relation).is_infinite());
    }
    let small = Event { mechanism: Mechanism::DiscreteGaussian { scale: 5.0, sensitivity: 1.0 }, count: 1 };
    assert!(epsilon(&[small], 1e-5, Adjacency::ZeroOut).is_infinite());
}

#[test]
fn impossible_numbers_end_in_bounds_that_hold() {
    let one = |mechanism| [Event { mechanism, count: 10 }];
    for mechanism in [
        Mechanism::Laplace { multiplier: 1e-300 },
        Mechanism::DiscreteLaplace { scale: 1e300, sensitivity: u32::MAX },
        Mechanism::Pure { epsilon: 800.0 },
        Mechanism::DiscreteGaussian { scale: 1e200, sensitivity: 1.0 },
        Mechanism::TruncatedPoissonGaussian { rate: 0.5, multiplier: 1e-7, patients: 10, cap: 2 },
        Mechanism::TruncatedPoissonGaussian { rate: 0.5, multiplier: 1.0, patients: u32::MAX, cap: 1 },
        Mechanism::PoissonGaussian { rate: 1e-300, multiplier: 1e300 },
    ] {
        let found = epsilon(&one(mechanism), 1e-5, Adjacency::ReplaceOne);
        assert!(found >= 0.0 && delta(&one(mechanism), 1.0, Adjacency::ReplaceOne) >= 0.0, "{mechanism:?}");
    }
    let endless =
        [Event { mechanism: Mechanism::PoissonGaussian { rate: 0.5, multiplier: 1.0 }, count: u64::MAX }];
    assert!(epsilon(&endless, 1e-5, Adjacency::ZeroOut) > 1e15);
    // Losses of 1e-9 a step next to rare large ones: 1e-9 of the steps decide.
    let rare = epsilon(&events("1e-9:0.5:1000000"), 1e-9, Adjacency::ZeroOut);
    let replaced = epsilon(&events("1e-9:0.5:1000000"), 1e-9, Adjacency::ReplaceOne);
    assert!(rare > 0.0 && rare <= replaced * 1.01 && replaced < 0.3, "{rare} {replaced}");
}

fn step() -> impl Strategy<Value = (f64, f64, u64)> {
    (prop_oneof![1e-3_f64..1.0, Just(1.0)], 0.5_f64..10.0, 1_u64..300)
}

fn sampled((rate, multiplier, count): (f64, f64, u64)) -> Event {
    Event { mechanism: Mechanism::PoissonGaussian { rate, multiplier }, count }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn epsilon_grows_with_steps_and_rate_and_shrinks_with_noise((rate, multiplier, count) in step(), factor in 1.1_f64..3.0) {
        let by = |step| epsilon(&[sampled(step)], 1e-5, Adjacency::ZeroOut);
        let here = by((rate, multiplier, count));
        let slack = 1.0 + 5e-5;
        prop_assert!(by((rate, multiplier * factor, count)) <= here * slack + 1e-7);
        prop_assert!(here <= by(((rate * factor).min(1.0), multiplier, count)) * slack + 1e-7);
        prop_assert!(here <= by((rate, multiplier, count * 2)) * slack + 1e-7);
    }

    #[test]
    fn the_order_of_events_does_not_matter(parts in prop::collection::vec(step(), 2..4)) {
        let mut events: Vec<_> = parts.into_iter().map(sampled).collect();
        let here = epsilon(&events, 1e-4, Adjacency::ZeroOut);
        events.reverse();
        let there = epsilon(&events, 1e-4, Adjacency::ZeroOut);
        // Infinity both ways is the same, too, and has no ratio.
        let both_infinite = here.is_infinite() && there.is_infinite();
        prop_assert!(both_infinite || (here / there - 1.0).abs() < 1e-8, "{here} {there}");
    }

    #[test]
    fn losses_bound_less_than_orders_and_more_than_no_sampling((rate, multiplier, count) in step()) {
        let found = epsilon(&[sampled((rate, multiplier, count))], 1e-6, Adjacency::ZeroOut);
        let segment = crate::accountant::Segment { rate, multiplier, steps: count };
        let orders = crate::accountant::rdp_epsilon(&[segment], 1e-6).value;
        let unsampled = gdp::epsilon(crate::accountant::mu(&[segment]), 1e-6);
        prop_assert!(found <= orders && found <= unsampled * 1.0001, "{found} {orders} {unsampled}");
    }
}
