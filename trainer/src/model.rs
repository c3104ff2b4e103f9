//! The seam between the protocol and the tensor library: one gradient vector per sampled patient.

use fedtwin_plan::PatientId;

use crate::report::Report;

/// Computes gradients and scores of one cohort; one implementation per model family, and a scripted
/// one in tests, so that protocol tests need no libtorch.
///
/// Each vector depends on its own patient, the weights, the batch's seed and public values, and on
/// nothing else, bit by bit: without that, clipping one vector would not bound one patient's effect.
pub trait Model {
    /// Returns how many patients the cohort's parts hold.
    fn patients(&self) -> Patients;

    /// Hands to `sink` the gradient of each sampled patient's mean loss over its records, at `weights`.
    ///
    /// A slot that is declared but empty holds a null record, whose contribution is zero or left out.
    ///
    /// With augmentation it is the mean gradient of the patient's copies.
    ///
    /// # Shapes
    /// `weights`: all values, in the order of `Architecture::parameters`. Each vector: those that are trained.
    ///
    /// # Errors
    /// Refuses weights of another length and patients beyond the cohort's declared size.
    fn contributions(
        &mut self,
        weights: &[f32],
        batch: &SlotBatch,
        sink: &mut dyn FnMut(PatientId, &[f32]),
    ) -> Result<(), TrainError>;

    /// Scores `weights` on the test patients, after fitting the site's own intercept if asked to.
    ///
    /// A segmentation model has no such intercept.
    ///
    /// # Shapes
    /// `weights`: all values.
    ///
    /// # Errors
    /// Refuses weights of another length.
    fn score(&mut self, weights: &[f32], fit_intercept: bool) -> Result<Report, TrainError>;
}

/// The sizes of a cohort's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patients {
    /// Patients that contribute to updates.
    pub train: u32,
    /// Patients on whom a model is scored.
    pub test: u32,
}

/// The patients sampled for one step, each once: a patient's contribution must enter a sum only once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotBatch {
    sampled: Vec<PatientId>,
    slice_seed: u64,
}

/// Why a step cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrainError {
    /// The agent sent weights of another length.
    #[error("the weights have {found} values, expected the model's {expected}")]
    WeightsMisfit {
        /// Values or, where they are no multiple of a value's size, the bytes' quotient.
        found: usize,
        /// The model's values.
        expected: usize,
    },
    /// A weight is none that a model may have.
    #[error("the weight {index} is not a number from -2^40 to 2^40")]
    WeightOutOfRange {
        /// Its place in parameter order.
        index: usize,
    },
    /// The agent sampled a patient beyond the cohort's declared size.
    #[error("patient {} was sampled, but the cohort declares {slots}", .patient.0)]
    UnknownPatient {
        /// Whose record it is; the identifier stays at the site.
        patient: PatientId,
        /// Declared training patients.
        slots: u32,
    },
    /// The agent sampled a patient more than once.
    #[error("patient {} was sampled more than once", .patient.0)]
    RepeatedPatient {
        /// Whose record it is; the identifier stays at the site.
        patient: PatientId,
    },
    /// The cohort's records do not fit the plan.
    #[error("the cohort does not fit the plan: {reason}")]
    CohortIncompatible {
        /// What does not fit.
        reason: String,
    },
    /// Not even null records can be computed: of public shapes, with public weights.
    #[error("the tensor library cannot compute a pass of this plan's size (is there enough memory?)")]
    Engine,
    /// No trainer has the plan's model.
    #[error("the plan's model family {family:?} is for scripted sites only")]
    NoTrainer {
        /// The family's name.
        family: &'static str,
    },
}

impl SlotBatch {
    /// Makes the batch of the `sampled` patients; `slice_seed` chooses among each one's slices.
    ///
    /// # Errors
    /// Refuses a patient who is named twice.
    pub fn new(mut sampled: Vec<PatientId>, slice_seed: u64) -> Result<Self, TrainError> {
        sampled.sort_unstable();
        match sampled.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(TrainError::RepeatedPatient { patient: pair[0] }),
            None => Ok(Self { sampled, slice_seed }),
        }
    }

    /// Returns the sampled patients in ascending order.
    #[must_use]
    pub fn sampled(&self) -> &[PatientId] {
        &self.sampled
    }

    /// Returns the seed of the choice of slices.
    #[must_use]
    pub fn slice_seed(&self) -> u64 {
        self.slice_seed
    }

    /// Checks that a cohort of the declared size `slots` has all sampled patients.
    ///
    /// # Errors
    /// Names a patient beyond it.
    pub fn check(&self, slots: u32) -> Result<(), TrainError> {
        match self.sampled.last() {
            Some(&patient) if patient.0 >= slots => Err(TrainError::UnknownPatient { patient, slots }),
            Some(_) | None => Ok(()),
        }
    }
}

/// Checks the number of weights.
///
/// # Errors
/// Names both numbers.
pub fn check_weights(found: usize, expected: usize) -> Result<(), TrainError> {
    if found == expected { Ok(()) } else { Err(TrainError::WeightsMisfit { found, expected }) }
}

/// Returns the number of records of one part as patients are counted.
///
/// # Panics
/// If there are more than `u32::MAX`: plans allow no cohort above ten million.
#[must_use]
pub fn patient_count<T>(records: &[T]) -> u32 {
    u32::try_from(records.len()).expect("plans bound a cohort to ten million patients")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patient_enters_a_batch_once_and_must_exist() {
        let batch = |ids: &[u32]| SlotBatch::new(ids.iter().copied().map(PatientId).collect(), 0);
        assert_eq!(batch(&[4, 1, 4]), Err(TrainError::RepeatedPatient { patient: PatientId(4) }));
        let ok = batch(&[4, 1]).unwrap();
        assert_eq!(ok.sampled(), [PatientId(1), PatientId(4)]);
        assert_eq!(ok.check(5), Ok(()));
        let unknown = TrainError::UnknownPatient { patient: PatientId(4), slots: 4 };
        assert_eq!(ok.check(4), Err(unknown));
        assert_eq!(batch(&[]).unwrap().check(0), Ok(()));
    }
}
