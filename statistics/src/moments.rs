//! Means and variances from counts, sums and sums of squares.

use crate::interval::{Estimate, Level};

/// The count, the sum and the sum of squares of values, one a patient.
///
/// Values are best counted from a public middle, since the variance is a difference of sums of squares.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moments {
    /// How many patients there are.
    pub count: f64,
    /// The sum of their values.
    pub sum: f64,
    /// The sum of the values' squares.
    pub squares: f64,
}

/// The standard deviations of what was added to the count and to the sum; 0 where nothing was.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MomentsNoise {
    /// Of the count.
    pub count_sd: f64,
    /// Of the sum, in the values' unit.
    pub sum_sd: f64,
}

impl Moments {
    /// Returns one site's moments.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let mut moments = Self::default();
        for value in values {
            moments = moments.and(Self { count: 1.0, sum: *value, squares: value * value });
        }
        moments
    }

    /// Returns the moments of both sites' patients.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
        }
    }

    /// Returns the unbiased variance (divided by the count less one), at least 0; `None` below two patients.
    ///
    /// Noise may bring the difference of squares below 0; it is then 0.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        let variance = (self.squares - self.sum * self.sum / self.count) / (self.count - 1.0);
        (self.count >= 2.0).then(|| variance.max(0.0))
    }

    /// Returns the mean with its Wald interval; `None` below two patients.
    ///
    /// The variance of the mean of patients, s^2 / n, and to first order that of the noise,
    /// `(sd_sum^2 + mean^2 sd_count^2) / n^2` (the delta method).
    #[must_use]
    pub fn mean(&self, noise: MomentsNoise, level: Level) -> Option<Estimate> {
        let mean = self.sum / self.count;
        let of_noise = (noise.sum_sd.powi(2) + (mean * noise.count_sd).powi(2)) / self.count.powi(2);
        Estimate::wald(mean, self.variance()? / self.count + of_noise, level)
    }

    /// Returns the difference of this mean from another's with its Wald interval, of unequal variances (Welch 1938); the
    /// sums of both have the same noise. `None` below two patients.
    #[must_use]
    pub fn difference(&self, other: &Self, noise: MomentsNoise, level: Level) -> Option<Estimate> {
        let (of_self, of_other) = (self.mean(noise, level)?, other.mean(noise, level)?);
        let variance = of_self.standard_error.powi(2) + of_other.standard_error.powi(2);
        Estimate::wald(of_self.value - of_other.value, variance, level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    #[test]
    fn two_sites_together_have_the_moments_of_one_table() {
        let both = Moments::of(&[1.0, 2.0, 6.0]).and(Moments::of(&[3.0]));
        assert_eq!(both, Moments::of(&[1.0, 2.0, 6.0, 3.0]));
        let mean = both.mean(MomentsNoise::default(), Level::default()).unwrap();
        check(both.variance().unwrap(), 14.0 / 3.0);
        check(mean.value, 3.0);
        check(mean.standard_error, (14.0_f64 / 12.0).sqrt());
        check(mean.high - mean.value, Level::default().z() * mean.standard_error);
    }

    #[test]
    fn noise_widens_the_interval_by_its_variance() {
        let both = Moments { count: 10.0, sum: 20.0, squares: 76.0 };
        let noise = MomentsNoise { count_sd: 1.5, sum_sd: 4.0 };
        let found = both.mean(noise, Level::default()).unwrap();
        // s^2 / n = 4 / 10, and (16 + 4 * 2.25) / 100.
        check(found.standard_error.powi(2), 0.4 + 0.25);
        let difference = both.difference(&both, noise, Level::default()).unwrap();
        check(difference.value, 0.0);
        check(difference.standard_error.powi(2), 1.3);
    }

    #[test]
    fn fewer_than_two_have_no_variance() {
        for count in [-1.0, 0.0, 1.0, f64::NAN] {
            let moments = Moments { count, sum: 1.0, squares: 1.0 };
            assert_eq!(moments.variance(), None);
            assert_eq!(moments.mean(MomentsNoise::default(), Level::default()), None);
        }
        let noised = Moments { count: 10.0, sum: 20.0, squares: 3.0 };
        check(noised.variance().unwrap(), 0.0);
    }
}
