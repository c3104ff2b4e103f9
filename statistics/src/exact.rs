//! From values to integers whose sums are exact, whatever the order in which sites add them.

/// How values become integers: by a public bound and a public unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    unit: f64,
    integer_max: i64,
}

impl Scale {
    /// Returns the scale that clips values to `[-bound, bound]` and counts them in `unit`s.
    ///
    /// # Errors
    /// If a number is not finite and above 0, or the bound is less than half a unit or more than 2^52 units.
    pub fn new(bound: f64, unit: f64) -> Result<Self, NotAScale> {
        let is_size = |value: f64| value.is_finite() && value > 0.0;
        if !(is_size(bound) && is_size(unit)) {
            return Err(NotAScale::NotPositive);
        }
        let integers = (bound / unit).round_ties_even();
        if !(1.0..=INTEGER_MAX).contains(&integers) {
            return Err(NotAScale::OutOfRange);
        }
        #[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 2^52")]
        Ok(Self { unit, integer_max: integers as i64 })
    }

    /// Returns the largest magnitude of one value's integer, at least 1: what one patient moves a sum by at most.
    #[must_use]
    pub fn integer_max(&self) -> i64 {
        self.integer_max
    }

    /// Returns how many values' integers always fit into one sum of 64 bits.
    #[must_use]
    pub fn values_max(&self) -> i64 {
        i64::MAX / self.integer_max
    }

    /// Returns the nearest whole number of units, ties to even, clipped to the bound; 0 for what is not a number.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "clipped to whole numbers of at most 2^52")]
    #[expect(clippy::cast_precision_loss, reason = "at most 2^52")]
    pub fn to_integer(&self, value: f64) -> i64 {
        let max = self.integer_max as f64;
        // A cast takes what is not a number for 0.
        (value / self.unit).round_ties_even().clamp(-max, max) as i64
    }

    /// Returns the value of a sum of integers, in the values' unit; rounded once, to nearest.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "what is beyond 2^53 is rounded")]
    pub fn value(&self, sum: i64) -> f64 {
        sum as f64 * self.unit
    }
}

/// Why numbers are no scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAScale {
    /// A number is not finite and above 0.
    #[error("the bound and the unit of a scale are finite numbers above 0")]
    NotPositive,
    /// A value has no integer, or not one that a double holds.
    #[error("the bound of a scale is at least half a unit and at most 2^52 units: choose another unit")]
    OutOfRange,
}

/// Adds vectors of the same length, such as sites' sums; `None` of no vectors.
///
/// # Errors
/// If the lengths differ, or a sum exceeds 64 bits. Nothing wraps.
pub fn sum<'a>(vectors: impl IntoIterator<Item = &'a [i64]>) -> Result<Option<Vec<i64>>, SumOverflow> {
    let mut vectors = vectors.into_iter();
    let Some(first) = vectors.next() else { return Ok(None) };
    // A vector of i64 adds 63 bits at most, so that 2^63 vectors fit into i128.
    let mut sums: Vec<i128> = first.iter().map(|&value| value.into()).collect();
    for vector in vectors {
        if vector.len() != sums.len() {
            return Err(SumOverflow::OtherLength { expected: sums.len(), found: vector.len() });
        }
        for (sum, &value) in sums.iter_mut().zip(vector) {
            *sum += i128::from(value);
        }
    }
    let narrow = |(place, sum): (usize, i128)| i64::try_from(sum).ok().ok_or(SumOverflow::TooLarge { place });
    sums.into_iter().enumerate().map(narrow).collect::<Result<_, _>>().map(Some)
}

/// Why vectors have no sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SumOverflow {
    /// A vector is longer or shorter than the first.
    #[error("a vector of {found} sums came among vectors of {expected}: all sites sum the same quantities")]
    OtherLength {
        /// The first vector's length.
        expected: usize,
        /// The other's length.
        found: usize,
    },
    /// A sum exceeds 64 bits.
    #[error("sum {place} exceeds 64 bits: choose a larger unit")]
    TooLarge {
        /// Which of the sums, from 0.
        place: usize,
    },
}

/// 2^52: below it every half is a double too, so that rounding to nearest is exact.
const INTEGER_MAX: f64 = 4_503_599_627_370_496.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_clipped_and_rounded_to_even() {
        let scale = Scale::new(10.0, 0.5).unwrap();
        assert_eq!((scale.integer_max(), scale.values_max()), (20, i64::MAX / 20));
        let values =
            [0.25, 0.75, -0.25, 1.0, 10.2, 1e300, -1e300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
        assert_eq!(values.map(|value| scale.to_integer(value)), [0, 2, 0, 2, 20, 20, -20, 20, -20, 0]);
        assert!((scale.value(-3) + 1.5).abs() < 1e-12);
        // A bound between two integers: the clip is on the integers.
        assert_eq!(Scale::new(1.2, 0.5).unwrap().to_integer(9.0), 2);
        assert_eq!(Scale::new(INTEGER_MAX, 1.0).unwrap().to_integer(f64::MAX), 1 << 52);
    }

    #[test]
    fn what_has_no_integers_is_no_scale() {
        for (bound, unit) in [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
            assert_eq!(Scale::new(bound, unit), Err(NotAScale::NotPositive));
        }
        for (bound, unit) in [(0.4, 1.0), (1e16, 1.0), (f64::MAX, f64::MIN_POSITIVE)] {
            assert_eq!(Scale::new(bound, unit), Err(NotAScale::OutOfRange));
        }
    }

    #[test]
    fn sums_are_exact_in_any_order_and_never_wrap() {
        let (a, b, c) = ([i64::MAX, 1], [i64::MAX, -2], [-i64::MAX, 5]);
        assert_eq!(sum([&a[..], &b, &c]), Ok(Some(vec![i64::MAX, 4])));
        assert_eq!(sum([&c[..], &b, &a]), sum([&a[..], &b, &c]));
        assert_eq!(sum([&a[..], &b]), Err(SumOverflow::TooLarge { place: 0 }));
        assert_eq!(sum([&a[..], &b[..1]]), Err(SumOverflow::OtherLength { expected: 2, found: 1 }));
        assert_eq!(sum([]), Ok(None));
    }
}
