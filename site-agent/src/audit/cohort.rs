//! The trainer's cohort as attacks see it: one sum at a time, through the pipe.

use std::path::PathBuf;

use fedtwin_attack::neighbours::Alterable;
use fedtwin_attack::step::{AttackError, Contributions};
use fedtwin_plan::numbers::Positive;
use fedtwin_plan::{PatientId, Plan};
use fedtwin_privacy::patient_sum::IntegerSum;
use fedtwin_trainer::stand_in::StandIn;
use fedtwin_trainer::{NewTrainer, Trainer};

/// A cohort that a trainer has loaded.
pub(super) struct LoadedCohort {
    trainer: Box<dyn Trainer>,
    plan: String,
    cohort_file: PathBuf,
    values: usize,
    clip: Positive,
    patients: u32,
}

impl LoadedCohort {
    /// Starts a trainer and has it load the cohort as `plan` needs it.
    pub(super) fn load(
        new_trainer: &NewTrainer,
        (plan, text): (&Plan, &str),
        cohort_file: PathBuf,
    ) -> Result<Self, AttackError> {
        let mut trainer = new_trainer().map_err(AttackError::step)?;
        let patients = trainer.load(text, &cohort_file).map_err(AttackError::step)?.train;
        let (values, clip) = (plan.update_values(), plan.clip());
        Ok(Self { trainer, plan: text.to_owned(), cohort_file, values, clip, patients })
    }
}

impl Contributions for LoadedCohort {
    fn values(&self) -> usize {
        self.values
    }

    fn sum(&mut self, weights: &[f32], sampled: &[PatientId], seed: u64) -> Result<IntegerSum, AttackError> {
        let sum = self.trainer.sum(weights, sampled.to_vec(), seed, self.clip);
        sum.map(IntegerSum).map_err(AttackError::step)
    }
}

impl Alterable for LoadedCohort {
    fn patients(&self) -> u32 {
        self.patients
    }

    fn alter(&mut self, altered: Option<(PatientId, StandIn)>) -> Result<(), AttackError> {
        let loaded = self.trainer.load_altered(&self.plan, &self.cohort_file, altered);
        loaded.map(drop).map_err(AttackError::step)
    }
}
