//! A trainer of tests that says what a cohort holds, and computes nothing.

use std::path::Path;

use fedtwin_cohort::CohortFile;
use fedtwin_plan::PatientId;
use fedtwin_plan::inventory::Inventory;
use fedtwin_plan::numbers::Positive;
use fedtwin_trainer::pipe::Loaded;
use fedtwin_trainer::report::Report;
use fedtwin_trainer::{Stopper, Trainer, TrainerError};

/// What it says.
pub(crate) struct Claims {
    /// The patients that it found declared when it checked a cohort, if not as many as are.
    pub(crate) declared: Option<u32>,
    /// What it has loaded, if anything.
    pub(crate) loaded: Option<Loaded>,
}

impl Trainer for Claims {
    fn check(&mut self, cohort_file: &Path) -> Result<Inventory, TrainerError> {
        let inventory = CohortFile::load(cohort_file).unwrap().take_inventory().unwrap();
        Ok(Inventory { declared: self.declared.unwrap_or(inventory.declared), ..inventory })
    }

    fn load(&mut self, _plan: &str, _cohort_file: &Path) -> Result<Loaded, TrainerError> {
        self.loaded.ok_or(TrainerError::OtherAnswer)
    }

    fn sum(
        &mut self,
        _weights: &[f32],
        _sampled: Vec<PatientId>,
        _slice_seed: u64,
        _clip: Positive,
    ) -> Result<Vec<i64>, TrainerError> {
        Err(TrainerError::OtherAnswer)
    }

    fn score(&mut self, _weights: &[f32], _fit_intercept: bool) -> Result<Report, TrainerError> {
        Err(TrainerError::OtherAnswer)
    }

    fn stopper(&self) -> Stopper {
        Stopper::default()
    }
}
