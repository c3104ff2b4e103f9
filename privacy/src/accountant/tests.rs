//! The accountant against references, closed forms and its own monotonicity.

use fedtwin_plan::Ratio;
use proptest::prelude::*;

use super::*;

fn segments(text: &str) -> Vec<Segment> {
    let segment = |part: &str| {
        let [rate, multiplier, steps] = part.split(':').collect::<Vec<_>>().try_into().unwrap();
        Segment {
            rate: rate.parse().unwrap(),
            multiplier: multiplier.parse().unwrap(),
            steps: steps.parse().unwrap(),
        }
    };
    text.split(';').map(segment).collect()
}

/// Rows of `epsilon.csv`: segments, delta, the lower bracket of the truth, dp-accounting's Renyi value.
const REFERENCE: [(&str, f64, f64, f64); 6] = [
    ("0.01:1:1000", 1e-5, 1.823_236_7, 2.101_366_53),
    ("0.01:1:1", 1e-5, 0.199_445_448, 0.955_549_148),
    ("0.01:0.7:1000", 1e-5, 4.613_288_37, 5.423_257_44),
    ("0.01:4:10000", 1e-5, 0.926_827, 1.035_490_07),
    ("0.001:0.6:10000", 1e-6, 3.131_91, 3.999_185_85),
    ("0.2:4:200;0.02:1:100;1:8:1;0.5:6:50", 1e-3, 3.077_463_28, 3.499_069_31),
];

fn check(text: &str, delta: f64, lower: f64, default_orders: f64) {
    let found = epsilon_of(&segments(text), delta);
    assert!(found.value >= lower, "{text}: {found:?} is below the truth, {lower}");
    assert!(found.value <= default_orders * 1.001, "{text}: {found:?}, dp-accounting has {default_orders}");
}

#[test]
fn epsilons_are_above_the_truth_and_near_the_best_order() {
    for (text, delta, lower, default_orders) in REFERENCE {
        check(text, delta, lower, default_orders);
    }
}

#[test]
fn epsilons_are_accepted_by_the_reference_file() {
    let rows = reference::rows("epsilon.csv");
    for row in rows.into_iter().flatten().filter(|row| row[1] == "add_remove" && !row[0].starts_with('T')) {
        let number = |i: usize| row[i].parse::<f64>().ok();
        let delta = number(3).unwrap();
        match number(4) {
            Some(exact) => {
                let found = epsilon_of(&segments(&row[2]), delta).value;
                assert!((found / exact - 1.0).abs() < 2e-11, "{row:?}: {found}");
                let by_orders = rdp_epsilon(&segments(&row[2]), delta).value;
                assert!(
                    by_orders >= exact && by_orders <= number(7).unwrap() * 1.001,
                    "{row:?}: {by_orders}"
                );
            }
            None => check(&row[2], delta, number(6).unwrap_or(0.0), number(7).unwrap()),
        }
    }
}

#[test]
fn calibration_meets_the_target_with_no_more_noise_than_default_orders_need() {
    // Rows of `calibration.csv`: rate, steps, epsilon, delta, and the multiplier that is enough.
    for (rate, steps, epsilon, delta, enough) in [
        (Ratio::ONE, 1, 1.0, 1e-5, 3.730_631_63 * (1.0 + 2e-6)),
        (Ratio::ONE, 100, 8.0, 1e-5, 6.002_290_72 * (1.0 + 2e-6)),
        (Ratio::new(1, 100).unwrap(), 10_000, 2.0, 1e-5, 2.278_058 * 1.001),
        (Ratio::new(1, 10).unwrap(), 500, 8.0, 1e-3, 1.375_284 * 1.001),
        (Ratio::new(1, 1000).unwrap(), 100_000, 1.0, 1e-6, 1.594_841 * 1.001),
    ] {
        let found = noise_multiplier(rate, steps, EpsilonTarget { epsilon, delta }).unwrap();
        let reached = epsilon_of(&[Segment { rate: rate.to_f64(), multiplier: found, steps }], delta).value;
        assert!(reached <= epsilon && found <= enough, "{rate} {steps}: {found} {reached}");
    }
}

#[test]
fn calibrated_integers_meet_the_target_and_one_more_grid_unit_does_not() {
    for (sampling, steps, epsilon_max, delta) in
        [("1", 50, 1.0, 1e-3), ("1/5", 200, 8.0, 1e-3), ("1/100", 5000, 0.5, 1e-5)]
    {
        let (sampling, noise_shares) = (sampling.parse().unwrap(), NoiseShares::try_from(1).unwrap());
        let fixed = Calibration { sampling, steps, m: NoiseBits::try_from(16).unwrap(), noise_shares };
        let event = calibrate(&fixed, EpsilonTarget { epsilon: epsilon_max, delta }).unwrap();
        assert!(epsilon(&[event], delta).value <= epsilon_max);
        let c_int = IntegerClip::try_from(i64::from(event.c_int.get()) + 2).unwrap();
        assert!(epsilon(&[GaussianEvent { c_int, ..event }], delta).value > epsilon_max);
    }
}

#[test]
fn impossible_targets_are_refused() {
    for (epsilon, delta) in
        [(0.0, 1e-5), (-1.0, 1e-5), (f64::NAN, 1e-5), (1.0, 0.0), (1.0, 1.0), (f64::INFINITY, 0.5)]
    {
        assert!(
            noise_multiplier(Ratio::ONE, 1, EpsilonTarget { epsilon, delta }).is_err(),
            "{epsilon} {delta}"
        );
    }
    let fixed = Calibration {
        sampling: Ratio::ONE,
        steps: 100_000_000,
        m: NoiseBits::try_from(10).unwrap(),
        noise_shares: NoiseShares::try_from(1).unwrap(),
    };
    let refused = calibrate(&fixed, EpsilonTarget { epsilon: 0.1, delta: 1e-5 });
    assert!(matches!(refused, Err(CalibrationError::TooMuchNoise { m: 10, .. })), "{refused:?}");
}

#[test]
fn edges_cost_nothing_or_little() {
    let free = Segment { rate: 0.1, multiplier: 1.0, steps: 0 };
    assert!(epsilon_of(&[free], 1e-5).value <= 0.0);
    assert!(epsilon_of(&[], 1e-5).value <= 0.0);
    let quiet = Segment { rate: 1e-6, multiplier: 1e4, steps: 1 };
    assert!(epsilon_of(&[quiet], 1e-5).value < 0.01);
    let strict = epsilon_of(&[Segment { rate: 0.01, multiplier: 1.0, steps: 100 }], 1e-200).value;
    assert!(strict > 20.0 && strict.is_finite());
    assert!(epsilon_of(&[Segment { rate: 0.5, multiplier: 1e-7, steps: 1 }], 1e-5).value > 1e12);
}

/// PRIVACY.md: at m = 10 the lemma costs 1.7e-5 of the multiplier, and at most twice of that epsilon.
#[test]
fn discrete_noise_is_priced_a_little_higher_than_continuous() {
    let event = GaussianEvent::local(Ratio::ONE, 10, 1024, 1).unwrap();
    let price = 1.0 - event.noise_multiplier();
    assert!((1.70e-5..1.74e-5).contains(&price), "{price}");
    assert!(GaussianEvent::local(Ratio::ONE, 9, 1024, 1).is_err());
}

#[test]
fn events_are_integers_and_text() {
    let event = GaussianEvent::local(Ratio::new(8, 171).unwrap(), 16, 31_337, 40).unwrap();
    let text = serde_json::to_string(&event).unwrap();
    assert_eq!(text, r#"{"sampling":"8/171","m":16,"c_int":31337,"noise_shares":1,"steps":40}"#);
    assert_eq!(serde_json::from_str::<GaussianEvent>(&text).unwrap(), event);
    for bad in [
        text.replace("16", "9"),
        text.replace("31337", "0"),
        text.replace("8/171", "0/1"),
        text.replace('}', ",\"x\":1}"),
    ] {
        assert!(serde_json::from_str::<GaussianEvent>(&bad).is_err(), "{bad}");
    }
}

fn segment() -> impl Strategy<Value = Segment> {
    let rate = prop_oneof![1e-4_f64..1.0, Just(1.0)];
    (rate, 0.4_f64..20.0, 1_u64..5000).prop_map(|(rate, multiplier, steps)| Segment {
        rate,
        multiplier,
        steps,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn epsilon_grows_with_steps_and_rate_and_shrinks_with_noise(segment in segment(), factor in 1.01_f64..3.0) {
        let by_orders = |s: Segment| rdp_epsilon(&[s], 1e-5).value;
        let here = by_orders(segment);
        let slack = 1.0 + 1e-9;
        let Segment { rate, multiplier, steps } = segment;
        let longer = by_orders(Segment { steps: steps * 2, ..segment });
        let denser = by_orders(Segment { rate: (rate * factor).min(1.0), ..segment });
        let noisier = by_orders(Segment { multiplier: multiplier * factor, ..segment });
        prop_assert!(noisier <= here * slack && here <= denser * slack && here <= longer * slack);
    }

    #[test]
    fn orders_never_find_less_than_the_closed_form(multiplier in 0.3_f64..30.0, steps in 1_u64..1000, delta in 1e-9_f64..1e-2) {
        let segments = [Segment { rate: 1.0, multiplier, steps }];
        prop_assert!(rdp_epsilon(&segments, delta).value >= epsilon_of(&segments, delta).value);
    }

    #[test]
    fn the_order_of_events_does_not_matter(mut parts in prop::collection::vec(segment(), 1..4)) {
        let here = epsilon_of(&parts, 1e-4).value;
        parts.reverse();
        let there = epsilon_of(&parts, 1e-4).value;
        prop_assert!((here / there - 1.0).abs() < 1e-9);
    }
}
