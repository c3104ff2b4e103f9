//! The trainer, seen from the agent: what knows data and gradients, and nothing else.
//!
//! Whatever it answers is held against what it was asked for before anything is made of it.

use std::io;
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};

use fedtwin_plan::PatientId;
use fedtwin_plan::inventory::Inventory;
use fedtwin_plan::numbers::Positive;

use crate::pipe::Loaded;
use crate::report::Report;
use crate::stand_in::StandIn;

/// What computes on patients' data.
pub trait Trainer: Send {
    /// Reads the whole cohort and returns what it holds, for people at the site.
    ///
    /// # Errors
    /// Says what people must mend; fails where the trainer is gone, and where there is nothing to read.
    fn check(&mut self, _cohort_file: &Path) -> Result<Inventory, TrainerError> {
        Err(TrainerError::OtherAnswer)
    }

    /// Loads the cohort as the plan needs it.
    ///
    /// # Errors
    /// Fails where the data do not fit the plan, or the trainer is gone.
    fn load(&mut self, plan: &str, cohort_file: &Path) -> Result<Loaded, TrainerError>;

    /// Loads the cohort with a stand-in for one patient's record: for audits alone.
    ///
    /// # Errors
    /// As [`load`](Self::load), and where a trainer has no records to alter.
    fn load_altered(
        &mut self,
        plan: &str,
        cohort_file: &Path,
        altered: Option<(PatientId, StandIn)>,
    ) -> Result<Loaded, TrainerError> {
        match altered {
            None => self.load(plan, cohort_file),
            Some(_) => Err(TrainerError::OtherAnswer),
        }
    }

    /// Returns the sum of the sampled patients' gradients at `weights`, clipped to the round's `clip` and
    /// quantised.
    ///
    /// # Shapes
    /// `weights`: all of the model's values. Returns the plan's trained values, in the same order,
    /// and the indicator where the clip adapts.
    ///
    /// # Errors
    /// Fails where the gradients cannot be computed, or the trainer is gone.
    fn sum(
        &mut self,
        weights: &[f32],
        sampled: Vec<PatientId>,
        slice_seed: u64,
        clip: Positive,
    ) -> Result<Vec<i64>, TrainerError>;

    /// Counts the test patients by their scores at `weights`, in the cells of the plan's metrics.
    ///
    /// # Errors
    /// Fails where the scores cannot be computed, the plan has no metrics, or the trainer is gone.
    fn measure(&mut self, _weights: &[f32]) -> Result<Vec<u32>, TrainerError> {
        Err(TrainerError::OtherAnswer)
    }

    /// Scores `weights` on the test patients, for the site's own eyes.
    ///
    /// # Errors
    /// Fails where the scores cannot be computed, or the trainer is gone.
    fn score(&mut self, weights: &[f32], fit_intercept: bool) -> Result<Report, TrainerError>;

    /// Returns what ends the trainer from another thread, whatever it is doing.
    fn stopper(&self) -> Stopper;
}

/// Ends a trainer from another thread.
#[derive(Debug, Clone, Default)]
pub struct Stopper(Option<Arc<Mutex<Child>>>);

impl Stopper {
    /// Makes what ends a process.
    pub(crate) fn of(process: Arc<Mutex<Child>>) -> Self {
        Self(Some(process))
    }

    /// Ends the process, if there is one.
    pub fn stop(&self) {
        if let Some(child) = &self.0 {
            let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
            // It may have ended by itself; then there is nothing to kill, only to reap.
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// Makes a trainer for one study.
pub type NewTrainer = Arc<dyn Fn() -> Result<Box<dyn Trainer>, TrainerError> + Send + Sync>;

/// Why the trainer did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum TrainerError {
    /// The program cannot be started.
    #[error("cannot start the trainer {program}; is it installed beside the agent?")]
    Start {
        /// The path of the program, as the configuration has it.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The process ended, or its pipe broke.
    #[error("the trainer ended in the middle of its work (out of memory, perhaps)")]
    Gone(#[source] io::Error),
    /// The trainer says what is wrong.
    #[error("{0}")]
    Failed(String),
    /// The cohort's files changed since people checked them.
    #[error("the cohort's files are not those that were checked: run `fedtwin-site check` again")]
    NotAsChecked,
    /// The trainer's answer is not one to this question.
    #[error("the trainer answered another question; are agent and trainer of the same version?")]
    OtherAnswer,
    /// The answer cannot be what was asked for: a trainer that computes other than it should, or is subverted.
    #[error("the trainer's answer is refused: {0}")]
    BeyondBounds(String),
}
