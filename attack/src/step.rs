//! The seams of an audit: what computes on patients, and what a site makes of it in one step.

use fedtwin_plan::{PatientId, WireBits};
use fedtwin_privacy::accountant::GaussianEvent;
use fedtwin_privacy::noise::{NoiseError, NoiseSource};
use fedtwin_privacy::patient_sum::{BoundsError, IntegerSum};
use fedtwin_privacy::random::{NoRandomness, RandomSource};
use fedtwin_privacy::sampling::poisson;
use fedtwin_privacy::steps::Noise;
use fedtwin_privacy::wire_integers::{WrongLength, decode_add, encode};

/// Why an attack could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum AttackError {
    /// There is no noise to be had.
    #[error(transparent)]
    Noise(#[from] NoiseError),
    /// There is no randomness to be had.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The plan's bounds are none.
    #[error(transparent)]
    Bounds(#[from] BoundsError),
    /// The cohort has no sum, or the step no release.
    #[error("the audited step failed")]
    Step(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A release is of another length than the sum behind it.
    #[error("a release has another length than its sum")]
    Length(#[from] WrongLength),
}

impl AttackError {
    /// Wraps what went wrong in the audited step.
    pub fn step(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Step(source.into())
    }
}

/// What computes on patients: a trainer behind its pipe, or a script.
pub trait Contributions: Send {
    /// Returns the number of values of a sum.
    fn values(&self) -> usize;

    /// Returns the sum of the clipped, quantised contributions of `sampled` at `weights`.
    ///
    /// # Errors
    /// Fails where the trainer does.
    fn sum(&mut self, weights: &[f32], sampled: &[PatientId], seed: u64) -> Result<IntegerSum, AttackError>;
}

/// Says who is in a cohort.
pub type Members<'a> = dyn Fn(PatientId) -> bool + Sync + 'a;

/// A cohort from which some patients are left out: what the adjacency relation calls zeroed out.
pub struct Restricted<'a> {
    cohort: &'a mut dyn Contributions,
    members: &'a Members<'a>,
}

impl<'a> Restricted<'a> {
    /// Keeps the patients for whom `members` holds; the others are sampled as before and add nothing.
    pub fn to(cohort: &'a mut dyn Contributions, members: &'a Members<'a>) -> Self {
        Self { cohort, members }
    }
}

impl Contributions for Restricted<'_> {
    fn values(&self) -> usize {
        self.cohort.values()
    }

    fn sum(&mut self, weights: &[f32], sampled: &[PatientId], seed: u64) -> Result<IntegerSum, AttackError> {
        let kept: Vec<_> = sampled.iter().copied().filter(|&patient| (self.members)(patient)).collect();
        self.cohort.sum(weights, &kept, seed)
    }
}

/// Everything random in a step, so that two steps can be given the same.
pub struct Chance<'a> {
    /// Where noise comes from.
    pub noise: &'a dyn NoiseSource,
    /// Where samples, seeds and coins come from.
    pub random: &'a mut dyn RandomSource,
}

/// One step of a site: from patients to the integers that others read from the wire.
///
/// What it returns leaves the crate only as figures in a report: no [`fedtwin_privacy::release::Release`]
/// is made here, and none can be.
pub trait Step {
    /// Samples, sums, adds noise, and returns what a reader of the release sees.
    ///
    /// # Errors
    /// Fails where the cohort does, or there is no randomness.
    fn release(
        &mut self,
        cohort: &mut dyn Contributions,
        weights: &[f32],
        chance: &mut Chance<'_>,
    ) -> Result<Vec<i64>, AttackError>;
}

/// A step by the functions of `privacy` in the order of a site: noise, sample, sum, add, encode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrivateStep {
    /// Sampling, noise and clip; its number of steps plays no part.
    pub event: GaussianEvent,
    /// The cohort's declared size.
    pub patients: u32,
    /// The width of a value on the wire.
    pub bits: WireBits,
}

impl Step for PrivateStep {
    fn release(
        &mut self,
        cohort: &mut dyn Contributions,
        weights: &[f32],
        chance: &mut Chance<'_>,
    ) -> Result<Vec<i64>, AttackError> {
        let noise = Noise::draw(chance.noise, self.event.m, cohort.values())?;
        let sampled = poisson(self.event.sampling, self.patients, &mut chance.random)?;
        let mut seed = [0; 8];
        chance.random.fill(&mut seed)?;
        let sum = cohort.sum(weights, &sampled, u64::from_le_bytes(seed))?;
        read_back(&noise.add_to(&sum), self.bits)
    }
}

/// Writes a release's values as they travel and returns what a reader makes of them.
///
/// # Errors
/// None in practice: the two lengths are the same.
pub fn read_back(values: &[i64], bits: WireBits) -> Result<Vec<i64>, AttackError> {
    let mut read = vec![0; values.len()];
    decode_add(&encode(values, bits), bits, &mut read)?;
    Ok(read)
}
