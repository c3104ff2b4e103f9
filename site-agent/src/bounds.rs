//! What an answer of the trainer can be at most, and what it is asked about.

use fedtwin_plan::model_file::WEIGHT_MAX;

/// Returns the nearest weight that a model may have; zero for what is no number.
pub(crate) fn into_range(weight: f32) -> f32 {
    if weight.is_nan() { 0.0 } else { weight.clamp(-WEIGHT_MAX, WEIGHT_MAX) }
}

/// Says whether a sum is what so many contributions of norm `c_int` at most can add up to, by the triangle inequality;
/// in exact integers, the indicator of a clip that adapts included.
pub(crate) fn within(sum: &[i64], contributions: usize, c_int: u64) -> bool {
    let bound = (contributions as u128).checked_mul(c_int.into()).and_then(|norm| norm.checked_pow(2));
    let mut squares = sum.iter().map(|&value| u128::from(value.unsigned_abs()).pow(2));
    let norm = squares.try_fold(0_u128, |sum, square| sum.checked_add(square));
    match (norm, bound) {
        (Some(norm), Some(bound)) => norm <= bound,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_no_longer_than_its_patients_can_make_it() {
        for (sum, contributions, c_int, expected) in [
            (&[3, -4][..], 1, 5, true),
            (&[3, -5], 1, 5, false),
            (&[0, 0], 0, 5, true),
            (&[1, 0], 0, 5, false),
            (&[6, 8], 2, 5, true),
            (&[6, 9], 2, 5, false),
            (&[i64::MIN; 3], usize::MAX, 1, true),
            (&[i64::MIN; 4], usize::MAX, 1, false),
            (&[i64::MIN; 5], 1 << 62, 1, false),
            (&[i64::MIN; 5], usize::MAX, u64::MAX, false),
        ] {
            assert_eq!(within(sum, contributions, c_int), expected, "{sum:?} of {contributions}");
        }
    }

    #[test]
    fn weights_that_are_none_become_the_nearest() {
        let nearest = [f32::NAN, f32::INFINITY, -1e30, 0.5].map(|weight| into_range(weight).to_bits());
        assert_eq!(nearest, [0.0, WEIGHT_MAX, -WEIGHT_MAX, 0.5].map(f32::to_bits));
    }
}
