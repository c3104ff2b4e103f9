//! Planted bugs: what an audit has to catch, or it would say nothing when it finds nothing.
//!
//! Each is a wrapper around a [`Step`] or a cohort, on the attacker's side of the seam. What they return are
//! integers for a report; no release can be made of them, so that none is ever in a product's path.

use std::cell::RefCell;

use fedtwin_plan::PatientId;
use fedtwin_privacy::accountant::NoiseBits;
use fedtwin_privacy::noise::{NoiseError, NoiseSource};
use fedtwin_privacy::patient_sum::IntegerSum;
use serde::{Deserialize, Serialize};

use crate::step::{AttackError, Chance, Contributions, Step};

/// A mistake that others made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bug {
    /// The noise is left out.
    NoNoise,
    /// The noise has half the standard deviation.
    HalfNoise,
    /// Contributions are clipped to twice what is paid for.
    DoubleClip,
    /// The last coordinate, a bias, is added without clipping.
    UnclippedBias,
    /// Fixed batches from a shuffled list, accounted as Poisson samples.
    ShuffledBatches,
    /// The sum is divided by the drawn batch and not by the nominal one.
    DrawnBatchDivisor,
    /// A second attempt uses the first one's noise.
    ReusedNoise,
    /// The direction of every contribution depends on how many others there are.
    CoupledPatients,
    /// There is no sum over a sample with one patient in it, as where a score is no number or a scan does not fit.
    FailsOnOnePatient,
}

impl std::fmt::Display for Bug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoNoise => "no noise",
            Self::HalfNoise => "half the noise",
            Self::DoubleClip => "twice the clip",
            Self::UnclippedBias => "an unclipped bias",
            Self::ShuffledBatches => "shuffled batches",
            Self::DrawnBatchDivisor => "division by the drawn batch",
            Self::ReusedNoise => "noise reused by a retry",
            Self::CoupledPatients => "patients who depend on each other",
            Self::FailsOnOnePatient => "a failure on one patient",
        })
    }
}

/// A step with a bug.
pub struct Planted<'a> {
    step: &'a mut dyn Step,
    bug: Bug,
    patients: u32,
    /// The nominal size of a batch.
    batch: f64,
    c_int: u32,
    /// The shuffled list that batches are cut from.
    shuffled: Vec<PatientId>,
    /// The first attempt's noise.
    noise: RefCell<Option<Vec<i64>>>,
}

impl<'a> Planted<'a> {
    /// Plants a bug in a step over `patients` patients of whom `batch` are sampled on average.
    pub fn new(step: &'a mut dyn Step, bug: Bug, (patients, batch): (u32, f64), c_int: u32) -> Self {
        Self { step, bug, patients, batch, c_int, shuffled: Vec::new(), noise: RefCell::default() }
    }

    /// Cuts the next batch from the shuffled list, and shuffles anew where it is used up.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of patients")]
    fn next_batch(&mut self, chance: &mut Chance<'_>) -> Result<Vec<PatientId>, AttackError> {
        let size = (self.batch.round() as usize).max(1);
        if self.shuffled.len() < size {
            self.shuffled = (0..self.patients).map(PatientId).collect();
            for last in (1..self.patients).rev() {
                let other = chance.random.below(last + 1)?;
                self.shuffled.swap(last as usize, other as usize);
            }
        }
        let rest = self.shuffled.len().saturating_sub(size);
        Ok(self.shuffled.split_off(rest))
    }
}

impl Step for Planted<'_> {
    fn release(
        &mut self,
        cohort: &mut dyn Contributions,
        weights: &[f32],
        chance: &mut Chance<'_>,
    ) -> Result<Vec<i64>, AttackError> {
        let batch = match self.bug {
            Bug::ShuffledBatches => self.next_batch(chance)?,
            Bug::NoNoise
            | Bug::HalfNoise
            | Bug::DoubleClip
            | Bug::UnclippedBias
            | Bug::DrawnBatchDivisor
            | Bug::ReusedNoise
            | Bug::CoupledPatients
            | Bug::FailsOnOnePatient => Vec::new(),
        };
        let noise = PlantedNoise { source: chance.noise, bug: self.bug, first: &self.noise };
        let chance = &mut Chance { noise: &noise, random: chance.random };
        let (bug, nominal, c_int) = (self.bug, self.batch, i64::from(self.c_int));
        self.step.release(&mut PlantedSum { cohort, bug, batch, nominal, c_int }, weights, chance)
    }
}

/// A noise source with a bug.
struct PlantedNoise<'a> {
    source: &'a dyn NoiseSource,
    bug: Bug,
    first: &'a RefCell<Option<Vec<i64>>>,
}

impl NoiseSource for PlantedNoise<'_> {
    fn fill(&self, m: NoiseBits, values: &mut [i64]) -> Result<(), NoiseError> {
        self.source.fill(m, values)?;
        match self.bug {
            Bug::NoNoise => values.fill(0),
            Bug::HalfNoise => values.iter_mut().for_each(|value| *value /= 2),
            Bug::ReusedNoise => {
                let first = &mut *self.first.borrow_mut();
                match first {
                    Some(first) if first.len() == values.len() => values.copy_from_slice(first),
                    Some(_) | None => *first = Some(values.to_vec()),
                }
            }
            Bug::DoubleClip
            | Bug::UnclippedBias
            | Bug::ShuffledBatches
            | Bug::DrawnBatchDivisor
            | Bug::CoupledPatients
            | Bug::FailsOnOnePatient => {}
        }
        Ok(())
    }
}

/// A cohort with a bug.
struct PlantedSum<'a> {
    cohort: &'a mut dyn Contributions,
    bug: Bug,
    batch: Vec<PatientId>,
    nominal: f64,
    c_int: i64,
}

impl Contributions for PlantedSum<'_> {
    fn values(&self) -> usize {
        self.cohort.values()
    }

    #[expect(clippy::cast_possible_truncation, reason = "a quotient of sums is a sum's size")]
    fn sum(&mut self, weights: &[f32], sampled: &[PatientId], seed: u64) -> Result<IntegerSum, AttackError> {
        let drawn = if self.bug == Bug::ShuffledBatches { &self.batch } else { sampled };
        let mut sum = self.cohort.sum(weights, drawn, seed)?;
        let present = match self.bug {
            Bug::UnclippedBias | Bug::DrawnBatchDivisor | Bug::CoupledPatients => {
                present(self.cohort, weights, drawn, seed)?
            }
            Bug::FailsOnOnePatient => {
                let one = drawn.get(drawn.len() / 2).copied();
                if present(self.cohort, weights, one.as_slice(), seed)? > 0 {
                    return Err(AttackError::step("the trainer fails on one patient"));
                }
                0
            }
            Bug::NoNoise | Bug::HalfNoise | Bug::DoubleClip | Bug::ShuffledBatches | Bug::ReusedNoise => 0,
        };
        match self.bug {
            Bug::DoubleClip => sum.0.iter_mut().for_each(|value| *value *= 2),
            Bug::UnclippedBias => {
                if let Some(bias) = sum.0.last_mut() {
                    *bias += 3 * self.c_int * i64::from(present);
                }
            }
            Bug::DrawnBatchDivisor => {
                let factor = self.nominal / f64::from(present).max(1.0);
                sum.0.iter_mut().for_each(|value| *value = (*value as f64 * factor) as i64);
            }
            Bug::CoupledPatients if present % 2 == 1 => sum.0.iter_mut().for_each(|value| *value *= -1),
            Bug::NoNoise
            | Bug::HalfNoise
            | Bug::ShuffledBatches
            | Bug::ReusedNoise
            | Bug::CoupledPatients
            | Bug::FailsOnOnePatient => {}
        }
        Ok(sum)
    }
}

/// Counts the sampled patients who contribute anything.
fn present(
    cohort: &mut dyn Contributions,
    weights: &[f32],
    sampled: &[PatientId],
    seed: u64,
) -> Result<u32, AttackError> {
    let mut present = 0;
    for &patient in sampled {
        present += u32::from(cohort.sum(weights, &[patient], seed)?.0.iter().any(|&value| value != 0));
    }
    Ok(present)
}
