//! A cohort that notes who was sampled.

use fedtwin_plan::PatientId;
use fedtwin_privacy::patient_sum::IntegerSum;

use crate::step::{AttackError, Contributions};

/// Notes the patients of every sum that it passes on.
pub struct Spy<'a> {
    cohort: &'a mut dyn Contributions,
    samples: Vec<Vec<PatientId>>,
}

impl<'a> Spy<'a> {
    /// Starts to watch a cohort.
    pub fn on(cohort: &'a mut dyn Contributions) -> Self {
        Self { cohort, samples: Vec::new() }
    }

    /// Returns the samples so far.
    #[must_use]
    pub fn samples(&self) -> &[Vec<PatientId>] {
        &self.samples
    }
}

impl Contributions for Spy<'_> {
    fn values(&self) -> usize {
        self.cohort.values()
    }

    fn sum(&mut self, weights: &[f32], sampled: &[PatientId], seed: u64) -> Result<IntegerSum, AttackError> {
        self.samples.push(sampled.to_vec());
        self.cohort.sum(weights, sampled, seed)
    }
}

/// A cohort whose patients contribute nothing: what is left of a release is its noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nobody {
    /// The number of values of a sum.
    pub values: usize,
}

impl Contributions for Nobody {
    fn values(&self) -> usize {
        self.values
    }

    fn sum(
        &mut self,
        _weights: &[f32],
        _sampled: &[PatientId],
        _seed: u64,
    ) -> Result<IntegerSum, AttackError> {
        Ok(IntegerSum(vec![0; self.values]))
    }
}
