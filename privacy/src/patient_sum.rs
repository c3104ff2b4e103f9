//! Clip, quantise, check, add: from one vector per patient to one vector of integers.
//!
//! The exact L2 sensitivity of the sum to zeroing out one patient is `c_int`, because the norm of what
//! each patient adds is checked in integers after the rounding. No tolerance is needed anywhere
//! downstream, and the sum depends neither on the order of the patients nor on the machine.

use std::collections::HashSet;

use fedtwin_plan::PatientId;
use fedtwin_plan::plan::NormDivision;

/// The largest norm of a quantised contribution: 2^32 patients then fit an `i64`.
pub const C_INT_MAX: u64 = (1 << 31) - 1;

/// Bounds that no sum can have.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum BoundsError {
    /// The clip is not finite or not above zero.
    #[error("the clip is {0}, expected a finite number above 0")]
    Clip(f64),
    /// The integer norm is out of range.
    #[error("c_int is {0}, expected an integer from 1 to {C_INT_MAX}")]
    IntegerNorm(u64),
}

/// A sum of integers over patients, before any noise: never leaves the hospital as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct IntegerSum(pub Vec<i64>);

impl std::fmt::Debug for IntegerSum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IntegerSum")
    }
}

/// A running sum of one contribution per patient.
pub struct PatientSum {
    clip: f64,
    /// The largest norm of the vector's part of a contribution.
    c_int: u32,
    /// What the indicator after the vector adds; absent without one.
    below: Option<i64>,
    sum: Vec<i64>,
    quantised: Vec<i32>,
    seen: HashSet<PatientId>,
}

impl PatientSum {
    /// Starts an empty sum of vectors with `len` values.
    ///
    /// `clip` is the largest L2 norm of a contribution in the vectors' own unit; it becomes `c_int`
    /// grid units.
    ///
    /// # Errors
    /// Refuses a clip or a `c_int` out of range.
    pub fn new(len: usize, clip: f64, c_int: u64) -> Result<Self, BoundsError> {
        if !(clip.is_finite() && clip > 0.0) {
            return Err(BoundsError::Clip(clip));
        }
        let in_range = u32::try_from(c_int).ok().filter(|&c| c > 0 && u64::from(c) <= C_INT_MAX);
        let c_int = in_range.ok_or(BoundsError::IntegerNorm(c_int))?;
        let (sum, quantised) = (vec![0; len], vec![0; len]);
        Ok(Self { clip, c_int, below: None, sum, quantised, seen: HashSet::new() })
    }

    /// Starts an empty sum of vectors with `len` values and an indicator after them: `division.below` for a
    /// vector that is no longer than the clip, and its negative for a longer one.
    ///
    /// The vector's part has a norm of at most `division.gradient`, so that a contribution's squared norm is at
    /// most `gradient^2 + below^2`. A vector of zeros adds no indicator either: a neighbour of the cohort has
    /// a null record in a patient's place, and what that adds must be nothing.
    ///
    /// # Errors
    /// Refuses a clip or a part of the norm out of range.
    pub fn with_indicator(len: usize, clip: f64, division: NormDivision) -> Result<Self, BoundsError> {
        let NormDivision { gradient, below } = division;
        if !(1..=C_INT_MAX).contains(&below) {
            return Err(BoundsError::IntegerNorm(below));
        }
        let mut sum = Self::new(len, clip, gradient)?;
        sum.below = i64::try_from(below).ok();
        sum.sum.push(0);
        Ok(sum)
    }

    /// Adds one patient's vector, scaled down to the clip if it is longer.
    ///
    /// A vector with a NaN or an infinity counts as zero, and so does one that is still too long after
    /// the rounding, and a patient's second vector: nothing is reported, because whether it happened
    /// would be a release of its own.
    ///
    /// # Panics
    /// When the vector's length is not the sum's, which the model's specification fixes.
    pub fn add(&mut self, patient: PatientId, vector: &[f32]) {
        assert_eq!(vector.len(), self.quantised.len(), "a contribution has the model's length");
        if !self.seen.insert(patient) {
            return;
        }
        let norm = squared_norm(vector).sqrt();
        if !norm.is_finite() || norm <= 0.0 {
            return;
        }
        let scale = f64::from(self.c_int) / norm.max(self.clip);
        for (integer, &value) in self.quantised.iter_mut().zip(vector) {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "rounding towards zero is the point; |value| <= c_int + 1"
            )]
            let rounded = (f64::from(value) * scale) as i32;
            *integer = rounded;
        }
        if squared_integer_norm(&self.quantised) > u128::from(self.c_int).pow(2) {
            return;
        }
        for (sum, &integer) in self.sum.iter_mut().zip(&self.quantised) {
            *sum += i64::from(integer);
        }
        if let (Some(below), Some(last)) = (self.below, self.sum.last_mut()) {
            *last += if norm <= self.clip { below } else { -below };
        }
    }

    /// Returns the sum.
    #[must_use]
    pub fn finish(self) -> IntegerSum {
        IntegerSum(self.sum)
    }
}

/// Sums squares in eight lanes, which vectorises; any order would do, since the exact check comes after.
fn squared_norm(vector: &[f32]) -> f64 {
    let mut lanes = [0.0_f64; 8];
    let chunks = vector.chunks_exact(8);
    let rest: f64 = chunks.remainder().iter().map(|&v| f64::from(v).powi(2)).sum();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(value) * f64::from(value);
        }
    }
    lanes.iter().sum::<f64>() + rest
}

fn squared_integer_norm(vector: &[i32]) -> u128 {
    vector
        .chunks(BLOCK)
        .map(|block| {
            let largest = block.iter().fold(0, |largest: u32, v| largest.max(v.unsigned_abs()));
            if largest < SMALL {
                u128::from(block.iter().map(|&v| u64::from(v.unsigned_abs()).pow(2)).sum::<u64>())
            } else {
                block.iter().map(|&v| u128::from(v.unsigned_abs()).pow(2)).sum()
            }
        })
        .sum()
}

/// `BLOCK` squares of integers below `SMALL` sum to less than 2^64.
const BLOCK: usize = 4096;
const SMALL: u32 = 1 << 26;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEN: usize = 37;

    fn sum_of<'a>(
        contributions: impl IntoIterator<Item = (u32, &'a Vec<f32>)>,
        clip: f64,
        c_int: u64,
    ) -> Vec<i64> {
        let mut sum = PatientSum::new(LEN, clip, c_int).unwrap();
        for (patient, vector) in contributions {
            sum.add(PatientId(patient), vector);
        }
        sum.finish().0
    }

    fn squared_distance(a: &[i64], b: &[i64]) -> u128 {
        a.iter().zip(b).map(|(a, b)| u128::from(a.abs_diff(*b)).pow(2)).sum()
    }

    /// Values of every magnitude, among them all that are not numbers.
    fn hostile_value() -> impl Strategy<Value = f32> {
        prop_oneof![
            8 => -2.0_f32..2.0,
            2 => any::<f32>(),
            1 => prop::sample::select(vec![0.0, -0.0, 1e38, -1e38, f32::MAX, f32::MIN_POSITIVE / 8.0]),
            1 => prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY]),
        ]
    }

    fn vector() -> impl Strategy<Value = Vec<f32>> {
        let hostile = prop::collection::vec(hostile_value(), LEN);
        let single = (0..LEN, -1e38_f32..1e38).prop_map(|(at, v)| {
            let mut vector = vec![0.0; LEN];
            vector[at] = v;
            vector
        });
        prop_oneof![3 => prop::collection::vec(-3.0_f32..3.0, LEN), 2 => hostile, 1 => single]
    }

    fn bounds() -> impl Strategy<Value = (f64, u64)> {
        let clip = prop_oneof![1e-6_f64..1e3, prop::sample::select(vec![f64::MIN_POSITIVE, 1.0, 1e300])];
        (clip, prop_oneof![1..100_u64, 1000_u64..1 << 26, (1 << 26)..=C_INT_MAX])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn zeroing_out_a_patient_changes_the_sum_by_at_most_c_int(
            cohort in prop::collection::vec(vector(), 1..6),
            at in any::<prop::sample::Index>(),
            (clip, c_int) in bounds(),
        ) {
            let at = at.index(cohort.len());
            let whole = sum_of((0..).zip(&cohort), clip, c_int);
            let zero = vec![0.0; LEN];
            let neighbour = sum_of((0..).zip(&cohort).map(|(i, v)| (i, if i as usize == at { &zero } else { v })), clip, c_int);
            prop_assert!(squared_distance(&whole, &neighbour) <= u128::from(c_int).pow(2));
        }

        #[test]
        fn the_order_of_patients_does_not_matter(
            mut cohort in prop::collection::vec(vector(), 1..6).prop_map(|c| (0..).zip(c).collect::<Vec<_>>()),
            seed in any::<u64>(),
        ) {
            let straight = sum_of(cohort.iter().map(|(i, v)| (*i, v)), 1.5, 5000);
            cohort.sort_by_key(|(i, _)| seed.rotate_left(*i * 7) ^ u64::from(*i));
            prop_assert_eq!(straight, sum_of(cohort.iter().map(|(i, v)| (*i, v)), 1.5, 5000));
        }

        #[test]
        fn a_patient_counts_once(first in vector(), second in vector()) {
            let once = sum_of([(3, &first)], 1.0, 1000);
            prop_assert_eq!(once, sum_of([(3, &first), (3, &second), (3, &first)], 1.0, 1000));
        }
    }

    #[test]
    fn vectors_that_are_not_numbers_count_as_zero() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut vector = vec![0.5; LEN];
            vector[LEN - 1] = bad;
            assert_eq!(sum_of([(0, &vector)], 1.0, 1000), vec![0; LEN], "{bad}");
        }
    }

    #[test]
    fn huge_vectors_are_scaled_and_not_lost() {
        let mut vector = vec![0.0; LEN];
        vector[0] = 1e38;
        let sum = sum_of([(0, &vector)], 1.0, 1000);
        assert!((999..=1000).contains(&sum[0]), "{}", sum[0]);
        assert!(sum_of([(0, &vec![f32::MAX; LEN])], 1.0, 1000).iter().all(|&v| (163..=164).contains(&v)));
    }

    #[test]
    fn rounding_goes_towards_zero() {
        let mut vector = vec![0.0; LEN];
        (vector[0], vector[1], vector[2]) = (0.0199, -0.0199, 1e-30);
        assert_eq!(sum_of([(0, &vector)], 1.0, 100)[..3], [1, -1, 0]);
    }

    #[test]
    fn blocks_of_large_and_small_integers_have_exact_norms() {
        let vector: Vec<i32> =
            (0..3 * BLOCK).map(|i| if i % 5 == 0 { i32::MIN } else { (1 << 26) - 1 }).collect();
        let small = vec![(1 << 26) - 1; BLOCK + 3];
        for vector in [vector, small] {
            let exact: u128 = vector.iter().map(|&v| u128::from(v.unsigned_abs()).pow(2)).sum();
            assert_eq!(squared_integer_norm(&vector), exact);
        }
    }

    #[test]
    fn impossible_bounds_are_refused() {
        for clip in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(PatientSum::new(1, clip, 1), Err(BoundsError::Clip(_))));
        }
        for c_int in [0, C_INT_MAX + 1, u64::MAX] {
            assert!(matches!(PatientSum::new(1, 1.0, c_int), Err(BoundsError::IntegerNorm(_))));
        }
    }
}
