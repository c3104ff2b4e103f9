//! The sums of an attempt, with or without noise: what is computed from them is noised, or plain.
//!
//! Noise is drawn before a sum is asked for, and so before any patient is read.

use zeroize::Zeroize;

use crate::accountant::NoiseBits;
use crate::noise::{NoiseError, NoiseSource};
use crate::patient_sum::IntegerSum;
use crate::protected::{Noised, Plain, Protected};

/// The sums of one attempt.
pub trait Steps {
    /// What the values that are computed from the sums are.
    type Values: Protected;

    /// Takes a sum of `length` values, and returns what may be computed with from here on.
    ///
    /// # Errors
    /// Fails where there is no randomness to be had, or no sum.
    ///
    /// # Panics
    /// When the sum has another length, which the plan and the model fix.
    fn take<E: From<NoiseError>>(
        &mut self,
        source: &dyn NoiseSource,
        length: usize,
        sum: impl FnOnce() -> Result<IntegerSum, E>,
    ) -> Result<Vec<i64>, E>;

    /// Ends with what was computed from the sums taken and public values alone.
    fn finish(self, values: Vec<i64>) -> Self::Values;
}

/// Sums without noise.
#[derive(Debug)]
pub struct PlainSteps;

impl Steps for PlainSteps {
    type Values = Plain;

    fn take<E: From<NoiseError>>(
        &mut self,
        _source: &dyn NoiseSource,
        _length: usize,
        sum: impl FnOnce() -> Result<IntegerSum, E>,
    ) -> Result<Vec<i64>, E> {
        Ok(sum()?.0)
    }

    fn finish(self, values: Vec<i64>) -> Plain {
        Plain::new(values)
    }
}

/// Sums that all get noise of one strength, counted.
#[derive(Debug)]
pub struct NoisySteps {
    m: NoiseBits,
    steps: u64,
}

impl NoisySteps {
    /// Starts an attempt whose sums all get noise of 2^m.
    #[must_use]
    pub fn new(m: NoiseBits) -> Self {
        Self { m, steps: 0 }
    }
}

impl Steps for NoisySteps {
    type Values = Noised;

    fn take<E: From<NoiseError>>(
        &mut self,
        source: &dyn NoiseSource,
        length: usize,
        sum: impl FnOnce() -> Result<IntegerSum, E>,
    ) -> Result<Vec<i64>, E> {
        let noise = Noise::draw(source, self.m, length)?;
        let noisy = noise.add_to(&sum()?);
        self.steps += 1;
        Ok(noisy)
    }

    fn finish(self, values: Vec<i64>) -> Noised {
        Noised::new(values, self.m, self.steps)
    }
}

/// Noise for one sum, drawn before any patient is read:
///
/// ```
/// use fedtwin_privacy::{patient_sum::IntegerSum, steps::Noise};
///
/// fn noise_one(noise: Noise, sum: &IntegerSum) -> Vec<i64> {
///     noise.add_to(sum)
/// }
/// ```
///
/// Adding it uses it up,
///
/// ```compile_fail,E0382
/// use fedtwin_privacy::{patient_sum::IntegerSum, steps::Noise};
///
/// fn noise_two(noise: Noise, first: &IntegerSum, second: &IntegerSum) {
///     noise.add_to(first);
///     noise.add_to(second);
/// }
/// ```
///
/// and a sum that has noise gets no second one:
///
/// ```compile_fail,E0308
/// use fedtwin_privacy::{protected::Noised, steps::Noise};
///
/// fn noise_again(noise: Noise, noised: &Noised) {
///     noise.add_to(noised);
/// }
/// ```
pub struct Noise(Vec<i64>);

impl Noise {
    /// Draws noise of 2^m for a sum of `length` values.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    pub fn draw(source: &dyn NoiseSource, m: NoiseBits, length: usize) -> Result<Self, NoiseError> {
        let mut values = vec![0; length];
        source.fill(m, &mut values)?;
        Ok(Self(values))
    }

    /// Adds the noise to a sum.
    ///
    /// # Panics
    /// When the sum has another length.
    #[must_use]
    pub fn add_to(mut self, sum: &IntegerSum) -> Vec<i64> {
        assert_eq!(self.0.len(), sum.0.len(), "noise is drawn for this sum");
        for (noisy, value) in self.0.iter_mut().zip(&sum.0) {
            *noisy = noisy.wrapping_add(*value);
        }
        std::mem::take(&mut self.0)
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Noise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Noise")
    }
}
