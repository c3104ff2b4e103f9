//! Estimates with intervals.

use crate::normal::normal_quantile;

/// The share of studies whose interval would hold the truth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    z: f64,
}

impl Level {
    /// Returns the two-sided level, such as 0.95; `None` unless it is between 0 and 1, both excluded.
    #[must_use]
    pub fn new(level: f64) -> Option<Self> {
        let tail = (1.0 - level) / 2.0;
        (level > 0.0 && tail > 0.0).then(|| Self { z: normal_quantile(tail) })
    }

    /// Returns how many standard errors a normal interval reaches to either side; 1.96 at 0.95.
    #[must_use]
    pub fn z(self) -> f64 {
        self.z
    }
}

impl Default for Level {
    /// Returns the level 0.95.
    fn default() -> Self {
        Self { z: normal_quantile(0.025) }
    }
}

/// An estimate with its standard error and interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error; of a ratio, that of its logarithm.
    pub standard_error: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

impl Estimate {
    /// Returns the estimate with the interval of `z` standard errors to either side (Wald 1943); `None` where a number is
    /// not finite.
    pub(crate) fn wald(value: f64, variance: f64, level: Level) -> Option<Self> {
        let standard_error = variance.sqrt();
        let reach = level.z * standard_error;
        let found = Self { value, standard_error, low: value - reach, high: value + reach };
        (found.low.is_finite() && found.high.is_finite()).then_some(found)
    }

    /// Returns the ratio of which this is the logarithm; its standard error stays the logarithm's.
    pub(crate) fn exponentiated(self) -> Self {
        Self {
            value: self.value.exp(),
            standard_error: self.standard_error,
            low: self.low.exp(),
            high: self.high.exp(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_between_none_and_all() {
        assert!((Level::new(0.95).unwrap().z() - Level::default().z()).abs() < 1e-12);
        assert!((Level::new(0.99).unwrap().z() - 2.575_829_303_548_9).abs() < 1e-9);
        for level in [0.0, 1.0, -0.5, 1.5, f64::NAN] {
            assert_eq!(Level::new(level), None);
        }
    }

    #[test]
    fn what_is_not_finite_is_no_estimate() {
        assert_eq!(Estimate::wald(1.0, f64::INFINITY, Level::default()), None);
        assert_eq!(Estimate::wald(1.0, -1.0, Level::default()), None);
        assert_eq!(Estimate::wald(f64::NAN, 1.0, Level::default()), None);
    }
}
