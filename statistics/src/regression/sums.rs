//! What a step of Newton's method needs of patients.

use crate::linear::packed_len;

/// Sums over patients, or over strata, at some coefficients.
#[derive(Debug, Clone, PartialEq)]
pub struct Sums {
    /// The log-likelihood.
    pub log_likelihood: f64,
    /// Its derivatives, `[coefficients]`.
    pub score: Vec<f64>,
    /// Its negative second derivatives: packed lower rows, `[coefficients (coefficients + 1) / 2]`; entry (i, j) for j up
    /// to i is at i (i + 1) / 2 + j.
    pub information: Vec<f64>,
}

impl Sums {
    /// Returns the sums over nobody.
    #[must_use]
    pub fn zero(coefficients: usize) -> Self {
        Self {
            log_likelihood: 0.0,
            score: vec![0.0; coefficients],
            information: vec![0.0; packed_len(coefficients)],
        }
    }

    /// Adds another site's sums at the same coefficients.
    ///
    /// # Errors
    /// If they are of another number of coefficients.
    pub fn add(&mut self, other: &Self) -> Result<(), NotSummed> {
        let (expected, found) = (self.score.len(), other.score.len());
        if expected != found || self.information.len() != other.information.len() {
            return Err(NotSummed::OtherLength { expected, found });
        }
        self.log_likelihood += other.log_likelihood;
        let pairs = self.score.iter_mut().zip(&other.score);
        for (sum, value) in pairs.chain(self.information.iter_mut().zip(&other.information)) {
            *sum += value;
        }
        Ok(())
    }

    /// Returns all numbers in the order of the fields, as they travel.
    #[must_use]
    pub fn values(&self) -> Vec<f64> {
        [&[self.log_likelihood], &self.score[..], &self.information].concat()
    }

    /// Returns the sums of which these are all numbers.
    ///
    /// # Errors
    /// If they are more or fewer than this number of coefficients has.
    pub fn of_values(values: &[f64], coefficients: usize) -> Result<Self, NotSummed> {
        let expected = 1 + coefficients + packed_len(coefficients);
        if values.len() != expected {
            return Err(NotSummed::OtherValues { expected, found: values.len() });
        }
        let (score, information) = values[1..].split_at(coefficients);
        Ok(Self { log_likelihood: values[0], score: score.to_vec(), information: information.to_vec() })
    }

    /// Whether there are as many numbers as coefficients ask for.
    pub(super) fn is_of(&self, coefficients: usize) -> bool {
        self.score.len() == coefficients && self.information.len() == packed_len(coefficients)
    }

    pub(super) fn is_finite(&self) -> bool {
        let numbers = self.score.iter().chain(&self.information);
        self.log_likelihood.is_finite() && numbers.copied().all(f64::is_finite)
    }
}

/// Why patients have no sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSummed {
    /// There are more or fewer covariates than coefficients.
    #[error("{found} covariates came for {expected} coefficients: every patient has one for each")]
    OtherLength {
        /// The number of coefficients.
        expected: usize,
        /// The number of covariates.
        found: usize,
    },
    /// There are more or fewer numbers than the coefficients have sums.
    #[error("{found} numbers came for sums of {expected}: all sites sum at the same coefficients")]
    OtherValues {
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A covariate, an offset or a coefficient is not a finite number.
    #[error(
        "a covariate, an offset or a coefficient is not a finite number: fill in what is missing, or leave it out"
    )]
    NotFinite,
    /// The outcome is none that the family has.
    #[error(
        "an outcome is none of this family: 0 or 1 of a logistic regression, a count of a Poisson regression"
    )]
    Outcome,
}

/// Checks that covariates are finite, and one for each coefficient.
pub(super) fn check_covariates(covariates: &[f64], coefficients: &[f64]) -> Result<(), NotSummed> {
    let (expected, found) = (coefficients.len(), covariates.len());
    if expected != found {
        return Err(NotSummed::OtherLength { expected, found });
    }
    let is_finite = covariates.iter().chain(coefficients).copied().all(f64::is_finite);
    if is_finite { Ok(()) } else { Err(NotSummed::NotFinite) }
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_travel_as_one_vector() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut sums = Sums::of_values(&values, 2).unwrap();
        assert_eq!((&sums.score[..], &sums.information[..]), (&[2.0, 3.0][..], &[4.0, 5.0, 6.0][..]));
        assert_eq!(sums.values(), values);
        let short = NotSummed::OtherValues { expected: 6, found: 5 };
        assert_eq!(Sums::of_values(&values[..5], 2), Err(short));
        let other = NotSummed::OtherLength { expected: 2, found: 1 };
        assert_eq!(sums.add(&Sums::zero(1)), Err(other));
        sums.add(&Sums::of_values(&[10.0; 6], 2).unwrap()).unwrap();
        assert_eq!(sums.values(), [11.0, 12.0, 13.0, 14.0, 15.0, 16.0]);
    }
}
