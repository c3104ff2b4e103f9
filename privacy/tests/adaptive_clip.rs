//! The clip that follows a quantile: as the paper says it, and within the norm that is paid for.

use fedtwin_plan::PatientId;
use fedtwin_plan::numbers::Positive;
use fedtwin_plan::plan::{AdaptiveClip, NormDivision};
use fedtwin_privacy::noise::{NoiseSource, OpendpNoise};
use fedtwin_privacy::patient_sum::PatientSum;
use proptest::prelude::*;

const C_INT: u64 = 40_000;
const PATIENTS: u32 = 300;

fn adaptive(quantile: f64) -> AdaptiveClip {
    AdaptiveClip {
        quantile: quantile.try_into().expect("within range"),
        learning_rate: 0.2.try_into().expect("within range"),
        bounds: [1e-3, 1e3].try_into().expect("within range"),
        share: 0.2.try_into().expect("within range"),
    }
}

/// Norms of the patients: the even quantiles of a log-normal law, by the logistic approximation.
fn norm(patient: u32) -> f64 {
    let p = (f64::from(patient) + 0.5) / f64::from(PATIENTS);
    (0.6 * (p / (1.0 - p)).ln()).exp()
}

#[test]
fn the_clip_converges_to_the_quantile_under_noise() {
    for quantile in [0.3, 0.5, 0.8] {
        let adaptive = adaptive(quantile);
        let division = adaptive.divide(C_INT);
        let mut clip = Positive::try_from(10.0).unwrap();
        let mut late = Vec::new();
        for round in 0..200 {
            let mut sum = PatientSum::with_indicator(3, clip.get(), division).unwrap();
            for patient in 0..PATIENTS {
                #[expect(clippy::cast_possible_truncation, reason = "gradients are single precision")]
                let value = norm(patient) as f32;
                sum.add(PatientId(patient), &[0.0, value, 0.0]);
            }
            let mut noise = vec![0; 4];
            // A noise multiplier of 1.6.
            OpendpNoise.fill(16.try_into().unwrap(), &mut noise).unwrap();
            let indicator = sum.finish().0[3] + noise[3];
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            let mean = indicator as f64 / (division.below as f64 * f64::from(PATIENTS));
            clip = adaptive.next(clip, f64::midpoint(mean, 1.0));
            if round >= 100 {
                late.push(clip.get().ln());
            }
        }
        let found = (late.iter().sum::<f64>() / 100.0).exp();
        let expected = (0.6 * (quantile / (1.0 - quantile)).ln()).exp();
        // The indicator's noise is 0.014 of the patients in each round; the mean over 100 rounds is well within 10 %.
        assert!((found / expected - 1.0).abs() < 0.1, "{found} instead of {expected}");
    }
}

#[test]
fn the_indicator_says_whether_a_gradient_is_longer_than_the_clip() {
    let division = NormDivision { gradient: 800, below: 600 };
    let of = |vector: [f32; 2]| {
        let mut sum = PatientSum::with_indicator(2, 2.0, division).unwrap();
        sum.add(PatientId(0), &vector);
        sum.finish().0
    };
    assert_eq!(of([0.0, 1.0]), [0, 400, 600]);
    assert_eq!(of([0.0, -2.0]), [0, -800, 600]);
    assert_eq!(of([4.0, 0.0]), [800, 0, -600]);
    // A null record and what is no number add nothing, not even to the indicator: a neighbour without the
    // patient has a null record in the same place.
    for nothing in [[0.0, 0.0], [-0.0, 0.0], [f32::NAN, 0.0], [f32::INFINITY, 1.0]] {
        assert_eq!(of(nothing), [0, 0, 0]);
    }
    assert_eq!(of([1e-30, 0.0]), [0, 0, 600], "too short for the grid, but there");
}

proptest! {
    #[test]
    fn one_patient_moves_a_sum_by_c_int_at_most(
        vector in prop::collection::vec(prop_oneof![any::<f32>(), -2.0_f32..2.0], 17),
        share in 0.001_f64..0.999,
        clip in prop_oneof![1e-3_f64..1e3, 1e-30_f64..1e30],
        c_int in 1_u64..=0x7fff_ffff,
    ) {
        let share = share.try_into().unwrap();
        let division = AdaptiveClip { share, ..adaptive(0.5) }.divide(c_int);
        let mut sum = PatientSum::with_indicator(17, clip, division).unwrap();
        sum.add(PatientId(3), &vector);
        let squared: u128 = sum.finish().0.iter().map(|v| u128::from(v.unsigned_abs()).pow(2)).sum();
        prop_assert!(squared <= u128::from(c_int).pow(2), "{} {}", squared, c_int);
    }
}
