//! The part of an attempt that computes: training, or the counts of metrics.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fedtwin_plan::Plan;
use fedtwin_plan::numbers::Positive;
use fedtwin_plan::report::Report;
use fedtwin_privacy::ledger::Purpose;
use fedtwin_privacy::random::SecureRandom;

use crate::attempt_error::AttemptError;
use crate::config::NoiseSampler;
use crate::local_training::{LocalTraining, LocalUpdate};
use crate::measuring::measure;
use crate::trainer::Trainer;

/// The part of an attempt that computes, on a thread where it may block.
pub(crate) struct Computation {
    pub(crate) purpose: Purpose,
    pub(crate) plan: Plan,
    pub(crate) patients: u32,
    pub(crate) clip: Positive,
    pub(crate) trainer: Arc<Mutex<Box<dyn Trainer>>>,
    pub(crate) noise: NoiseSampler,
    pub(crate) score: bool,
}

impl Computation {
    pub(crate) fn run(&self, weights: &[f32]) -> Result<(LocalUpdate, Option<Report>), AttemptError> {
        let mut trainer = locked(&self.trainer);
        match self.purpose {
            Purpose::Training => {}
            Purpose::Metrics => return Ok((measure(&self.plan, trainer.as_mut(), weights)?, None)),
        }
        let scores = if self.score { Some(trainer.score(weights, false)?) } else { None };
        let mut training = LocalTraining {
            plan: &self.plan,
            patients: self.patients,
            clip: self.clip,
            trainer: trainer.as_mut(),
            noise: self.noise.source(),
            random: &mut SecureRandom::new(),
        };
        Ok((training.run(weights)?, scores))
    }
}

/// Locks a trainer.
pub(crate) fn locked(trainer: &Mutex<Box<dyn Trainer>>) -> MutexGuard<'_, Box<dyn Trainer>> {
    // A trainer whose caller panicked answers out of step and is found out by its next answer.
    trainer.lock().unwrap_or_else(PoisonError::into_inner)
}
