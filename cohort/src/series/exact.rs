//! Sums that are exact, and so the same in whatever order numbers come.
//!
//! A number becomes a whole multiple of a power of two, its grid, which follows from a public bound alone. Sums of such
//! multiples lose nothing, and a quotient of sums is rounded at the end.

/// Multiples of a power of two, for numbers of a bounded size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Grid {
    /// How many binary digits behind the point it has; negative where it is coarser than 1.
    digits: i32,
    scale: f64,
}

/// A whole number of up to 192 bits: `high * 2^64 + low`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wide {
    high: i128,
    low: u64,
}

/// The sums from which a least-squares slope follows, of times and values on their grids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Trend {
    /// How many values there are: kept here also where nobody asks for a slope, in room that would be empty.
    pub(crate) count: u32,
    times: u64,
    values: i128,
    squares: i128,
    products: i128,
}

impl Grid {
    /// Makes a grid on which numbers of at most `bound` in size have at most `bits` bits.
    ///
    /// `bound` is above 0 and from 1e-100 to 1e100.
    pub(crate) fn new(bound: f64, bits: i32) -> Self {
        // The bound is below 2 to the power of this.
        let (_, power) = libm::frexp(bound);
        let digits = bits - power;
        Self { digits, scale: libm::ldexp(1.0, digits) }
    }

    /// Returns the multiple that is nearest to a number; exact where the number ends before the grid does.
    #[inline]
    pub(crate) fn whole(self, x: f64) -> i128 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole, and of as many bits as the grid was made for"
        )]
        let whole = (x * self.scale).round_ties_even() as i128;
        whole
    }

    /// Returns the same multiple on a grid of at most 62 bits.
    #[inline]
    pub(crate) fn small(self, x: f64) -> i64 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole, and of as many bits as the grid was made for"
        )]
        let small = (x * self.scale).round_ties_even() as i64;
        small
    }

    /// Returns the binary number that is nearest to `sum / count`, ties to even (IEEE 754-2019, 4.3.1); the sum has at most
    /// 126 bits and the count is above 0.
    pub(crate) fn mean(self, sum: i128, count: u32) -> f64 {
        let size = sum.unsigned_abs();
        if size == 0 {
            return 0.0;
        }
        let shift = size.leading_zeros() - 1;
        let (size, count) = (size << shift, u128::from(count));
        // At least 94 bits, of which the last says whether there is a rest: so the cast below rounds as if it saw all.
        let quotient = ((size / count) << 1) | u128::from(size % count != 0);
        #[expect(clippy::cast_precision_loss, reason = "this is the one rounding")]
        let rounded = quotient as f64;
        let shift = i32::try_from(shift).expect("at most 127");
        let mean = libm::ldexp(rounded, -(self.digits + shift + 1));
        if sum < 0 { -mean } else { mean }
    }
}

impl Trend {
    /// Adds a time of at most 33 bits, from 0 on, and a value of at most 62 bits, which are counted already.
    #[inline]
    pub(crate) fn add(&mut self, time: i64, value: i64) {
        self.times = self.times.saturating_add(time.unsigned_abs());
        self.values += i128::from(value);
        self.squares += i128::from(time) * i128::from(time);
        self.products += i128::from(time) * i128::from(value);
    }

    /// Returns the slope of the line of least squares through values over times, in units of value by units of time: nothing
    /// where there are not two times on the grid.
    ///
    /// (n Σtv - Σt Σv) / (n Σt² - (Σt)²), the solution of the normal equations of least squares (Legendre 1805). Numerator and
    /// denominator are exact; the slope is within 5 units in the last place of their quotient.
    pub(crate) fn slope(&self, times: Grid, values: Grid) -> Option<f64> {
        let count = u64::from(self.count);
        let below =
            Wide::product(self.squares, count).minus(Wide::product(i128::from(self.times), self.times));
        if below == Wide::ZERO {
            return None;
        }
        let above = Wide::product(self.products, count).minus(Wide::product(self.values, self.times));
        Some(libm::ldexp(above.nearly() / below.nearly(), times.digits - values.digits))
    }
}

impl Wide {
    const ZERO: Self = Self { high: 0, low: 0 };

    fn product(a: i128, b: u64) -> Self {
        let b_signed = i128::from(b);
        let low = u128::from(low(a)) * u128::from(b);
        // The upper half of a has 64 bits with its sign.
        let high = (a >> 64) * b_signed + i128::try_from(low >> 64).expect("has 64 bits");
        Self { high, low: low_of(low) }
    }

    fn minus(self, other: Self) -> Self {
        let (low, borrows) = self.low.overflowing_sub(other.low);
        Self { high: self.high - other.high - i128::from(borrows), low }
    }

    /// Returns a binary number within 2 units in its last place.
    fn nearly(self) -> f64 {
        if self.high < 0 {
            return -Self::ZERO.minus(self).nearly();
        }
        #[expect(clippy::cast_precision_loss, reason = "rounded, as is said")]
        let (high, low) = (self.high as f64, self.low as f64);
        libm::ldexp(high, 64) + low
    }
}

/// Returns the lower half of a number's two's complement.
fn low(a: i128) -> u64 {
    low_of(a.cast_unsigned())
}

fn low_of(a: u128) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
    let low = a as u64;
    low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mean_is_the_nearest_binary_number() {
        let grid = Grid::new(300.0, 94);
        let mean = |values: &[f64]| {
            let sum = values.iter().map(|&x| grid.whole(x)).sum();
            grid.mean(sum, u32::try_from(values.len()).unwrap())
        };
        // Of fractions in Python; sums of binary numbers have 118.60000000000001.
        assert_eq!(mean(&[104.5, 48.3, 203.0]).to_bits(), 118.6_f64.to_bits());
        assert_eq!(mean(&[1.0, 2.0, 2.0]).to_bits(), (5.0_f64 / 3.0).to_bits());
        assert_eq!(mean(&[-1.0, -2.0, -2.0]).to_bits(), (-5.0_f64 / 3.0).to_bits());
        assert_eq!(mean(&[-0.5, 0.5]).to_bits(), 0);
        assert_eq!(mean(&[37.1; 7]).to_bits(), 37.1_f64.to_bits());
        // Half of the last place: to even.
        let next = f64::from_bits(1.0_f64.to_bits() + 1);
        assert_eq!(mean(&[1.0, next]).to_bits(), 1.0_f64.to_bits());
    }

    #[test]
    fn a_line_has_its_slope_and_one_time_has_none() {
        let (times, values) = (Grid::new(24.0, 32), Grid::new(300.0, 62));
        let slope = |points: &[(f64, f64)]| {
            let mut trend = Trend { count: u32::try_from(points.len()).unwrap(), ..Trend::default() };
            points.iter().for_each(|&(t, v)| trend.add(times.small(t), values.small(v)));
            trend.slope(times, values)
        };
        assert_eq!(slope(&[(0.0, 60.0), (1.0, 62.0), (24.0, 108.0)]), Some(2.0));
        assert_eq!(slope(&[(0.0, 60.1), (1.0, 60.1), (7.3, 60.1)]), Some(0.0));
        assert_eq!(slope(&[(1.0, 10.0), (2.0, 9.5)]), Some(-0.5));
        assert_eq!((slope(&[]), slope(&[(1.0, 5.0)]), slope(&[(1.0, 5.0), (1.0, 6.0)])), (None, None, None));
    }

    #[test]
    fn the_greatest_sums_are_held() {
        let (times, values) = (Grid::new(24.0, 32), Grid::new(300.0, 62));
        let (time, value) = (1_i128 << 32, 1_i128 << 62);
        let all = i128::from(u32::MAX);
        let trend = Trend {
            count: u32::MAX,
            times: u64::from(u32::MAX) << 32,
            values: all * value,
            squares: all * time * time,
            products: all * time * value,
        };
        assert_eq!(trend.slope(times, values), None);
        assert_eq!(Grid::new(300.0, 94).mean(all << 94, u32::MAX).to_bits(), 512.0_f64.to_bits());
    }

    proptest! {
        #[test]
        fn products_are_those_of_128_bits_where_they_fit(a in -(1_i128 << 63)..1 << 63, b: u32, c: i64, d: u32) {
            let (b, d) = (u64::from(b), u64::from(d));
            let wide = Wide::product(a, b).minus(Wide::product(i128::from(c), d));
            let expected = a * i128::from(b) - i128::from(c) * i128::from(d);
            prop_assert_eq!((wide.high << 64) + i128::from(wide.low), expected);
            #[expect(clippy::cast_precision_loss, reason = "compared as such")]
            let nearest = expected as f64;
            prop_assert!((wide.nearly() - nearest).abs() <= nearest.abs() * 4.0 * f64::EPSILON);
        }

        #[test]
        fn means_are_those_of_whole_numbers(values in proptest::collection::vec(-1000_i32..1000, 1..50)) {
            let grid = Grid::new(1000.0, 94);
            let sum = values.iter().map(|&x| grid.whole(f64::from(x))).sum();
            let mean = grid.mean(sum, u32::try_from(values.len()).unwrap());
            #[expect(clippy::cast_precision_loss, reason = "a few values")]
            let expected = f64::from(values.iter().sum::<i32>()) / values.len() as f64;
            prop_assert_eq!(mean.to_bits(), (expected + 0.0).to_bits());
        }
    }
}
