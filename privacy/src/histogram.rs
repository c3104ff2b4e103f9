//! Counts of patients, as the sums that metrics release.
//!
//! Unit and relation are those of updates: one patient at one site, whose contribution is zeroed out. A
//! patient adds `c_int` grid units to one count or to none, whatever the data say, so that two neighbouring
//! cohorts differ by exactly `c_int` in L2 or not at all: no clipping, no rounding. The released vector is
//! the same mechanism as an update's, with the same noise, event, wire format, ledger and door.

use fedtwin_plan::Ratio;
use fedtwin_plan::plan::MetricsNoise;

use crate::accountant::{GaussianEvent, IntegerClip, NoiseShares};
use crate::patient_sum::IntegerSum;

/// Returns counts of patients in units of `c_int`: the sum of what each of them adds.
///
/// Each product is below 2^63, since `c_int` is below 2^31.
#[must_use]
pub fn histogram(counts: &[u32], c_int: IntegerClip) -> IntegerSum {
    let unit = i64::from(c_int.get());
    IntegerSum(counts.iter().map(|&count| i64::from(count) * unit).collect())
}

/// Returns what one release of metrics does: every test patient is in it, and one vector is noised.
#[must_use]
pub fn release_event(noise: &MetricsNoise) -> GaussianEvent {
    let noise_shares = NoiseShares::try_from(1).expect("1 is within range");
    GaussianEvent { sampling: Ratio::ONE, m: noise.m, c_int: noise.c_int, noise_shares, steps: 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn c_int(value: u32) -> IntegerClip {
        IntegerClip::try_from(i64::from(value)).unwrap()
    }

    fn counted(cohort: &[Option<usize>]) -> Vec<u32> {
        let count = |cell| cohort.iter().filter(|&&of| of == Some(cell)).count();
        (0..20).map(|cell| u32::try_from(count(cell)).unwrap()).collect()
    }

    #[test]
    fn counts_are_in_units_of_c_int_up_to_the_largest() {
        assert_eq!(histogram(&[1, 0, 2], c_int(5)).0, [5, 0, 10]);
        let largest = histogram(&[u32::MAX], c_int(0x7fff_ffff)).0;
        assert_eq!(largest, [i64::from(u32::MAX) * 0x7fff_ffff]);
    }

    proptest! {
        /// The sensitivity, in exact integers: zeroing out one patient changes the squared norm of the
        /// sum's difference by C_int^2 or by nothing.
        #[test]
        fn one_patient_moves_the_counts_by_c_int_at_most(
            cohort in prop::collection::vec(prop::option::of(0_usize..25), 1..200),
            at in any::<prop::sample::Index>(),
            unit in 1_u32..0x7fff_ffff,
        ) {
            let counts = |cohort: &[Option<usize>]| histogram(&counted(cohort), c_int(unit)).0;
            let mut neighbour = cohort.clone();
            let patient = at.index(cohort.len());
            neighbour[patient] = None;
            let (with, without) = (counts(&cohort), counts(&neighbour));
            let squared: i128 = with.iter().zip(&without).map(|(a, b)| i128::from(a - b).pow(2)).sum();
            let in_a_cell = cohort[patient].is_some_and(|cell| cell < 20);
            prop_assert_eq!(squared, if in_a_cell { i128::from(unit).pow(2) } else { 0 });
        }
    }
}
