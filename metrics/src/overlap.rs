//! Overlap and size of two masks of one volume.

/// Returns the Dice overlap `2 |A ∩ B| / (|A| + |B|)`, in [0, 1].
///
/// `None` where both masks are empty.
///
/// # Panics
/// If the masks differ in length.
#[must_use]
pub fn dice(predicted: &[bool], truth: &[bool]) -> Option<f64> {
    assert_eq!(predicted.len(), truth.len(), "both masks are of one volume");
    let both = count(predicted.iter().zip(truth).map(|(&a, &b)| a && b));
    let total = count(predicted.iter().copied()) + count(truth.iter().copied());
    (total > 0.0).then(|| 2.0 * both / total)
}

/// Returns the predicted volume over the true one, minus 1: -1 finds nothing, 0 has the right size.
///
/// `None` where the true mask is empty.
///
/// # Panics
/// If the masks differ in length.
#[must_use]
pub fn volume_error(predicted: &[bool], truth: &[bool]) -> Option<f64> {
    assert_eq!(predicted.len(), truth.len(), "both masks are of one volume");
    let size = count(truth.iter().copied());
    (size > 0.0).then(|| count(predicted.iter().copied()) / size - 1.0)
}

fn count(inside: impl Iterator<Item = bool>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a volume is far below 2^52 voxels")]
    let count = inside.filter(|&inside| inside).count() as f64;
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [bool; 4] = [false; 4];
    const TWO: [bool; 4] = [true, true, false, false];
    const THREE: [bool; 4] = [false, true, true, true];

    #[test]
    fn overlap_and_size_match_hand_computed_values() {
        assert_eq!(dice(&TWO, &THREE), Some(2.0 / 5.0));
        assert_eq!(dice(&TWO, &TWO), Some(1.0));
        assert_eq!(dice(&TWO, &NONE), Some(0.0));
        assert_eq!(volume_error(&THREE, &TWO), Some(0.5));
        assert_eq!(volume_error(&NONE, &TWO), Some(-1.0));
    }

    #[test]
    fn empty_masks_have_no_score() {
        assert_eq!(dice(&NONE, &NONE), None);
        assert_eq!(volume_error(&TWO, &NONE), None);
    }
}
