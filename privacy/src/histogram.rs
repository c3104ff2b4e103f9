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

/// Counts patients by cell, each as `c_int` grid units; no cell, or one beyond `cells`, counts nowhere.
///
/// A sum of 2^32 patients stays below 2^63.
#[must_use]
pub fn histogram(
    cells: usize,
    c_int: IntegerClip,
    patients: impl IntoIterator<Item = Option<usize>>,
) -> IntegerSum {
    let mut counts = vec![0_i64; cells];
    for cell in patients.into_iter().flatten() {
        if let Some(count) = counts.get_mut(cell) {
            *count = count.saturating_add(c_int.get().into());
        }
    }
    IntegerSum(counts)
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

    #[test]
    fn patients_are_counted_once_or_not_at_all() {
        let counted = histogram(3, c_int(5), [Some(0), None, Some(2), Some(2), Some(3), Some(usize::MAX)]);
        assert_eq!(counted.0, [5, 0, 10]);
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
            let counts = |cohort: &[Option<usize>]| histogram(20, c_int(unit), cohort.iter().copied()).0;
            let mut neighbour = cohort.clone();
            let patient = at.index(cohort.len());
            neighbour[patient] = None;
            let (with, without) = (counts(&cohort), counts(&neighbour));
            let squared: i128 = with.iter().zip(&without).map(|(a, b)| i128::from(a - b).pow(2)).sum();
            let counted = cohort[patient].is_some_and(|cell| cell < 20);
            prop_assert_eq!(squared, if counted { i128::from(unit).pow(2) } else { 0 });
        }
    }
}
