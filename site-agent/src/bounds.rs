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
    let norm = sum.chunks(PART).try_fold(0_u128, |norm, part| norm.checked_add(squares(part)?));
    match (norm, bound) {
        (Some(norm), Some(bound)) => norm <= bound,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// Returns the sum of at most [`PART`] squares, if 128 bits hold it.
fn squares(part: &[i64]) -> Option<u128> {
    let all_bits = part.iter().fold(0, |bits, value| bits | value.unsigned_abs());
    if all_bits <= SMALL {
        // Most sums are of such values, of which several are squared in one instruction.
        let low = part.iter().map(|value| value.unsigned_abs() & SMALL);
        return Some(low.map(|low| low * low).sum::<u64>().into());
    }
    let mut squares = part.iter().map(|value| u128::from(value.unsigned_abs()).pow(2));
    squares.try_fold(0_u128, |sum, square| sum.checked_add(square))
}

/// Values of which 64 bits hold the sum of squares, where none is above [`SMALL`]: 2^8 of less than 2^56.
const PART: usize = 1 << 8;
const SMALL: u64 = (1 << 28) - 1;

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
    fn the_norm_is_exact_in_parts_of_small_and_of_large_values() {
        let small = i64::try_from(SMALL).unwrap();
        for value in [1, small, small + 1, -small, -small - 1] {
            // A bound without a remainder: 16^2 values of one size, and then 4 times as many.
            for (values, root) in [(PART, 16), (4 * PART, 32)] {
                let (sum, norm) = (vec![value; values], root * value.unsigned_abs());
                assert!(within(&sum, 1, norm) && !within(&sum, 1, norm - 1), "{values} of {value}");
            }
        }
    }

    #[test]
    fn weights_that_are_none_become_the_nearest() {
        let nearest = [f32::NAN, f32::INFINITY, -1e30, 0.5].map(|weight| into_range(weight).to_bits());
        assert_eq!(nearest, [0.0, WEIGHT_MAX, -WEIGHT_MAX, 0.5].map(f32::to_bits));
    }
}
