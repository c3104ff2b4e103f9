//! The part of an attempt that computes: training, or the counts of metrics, and the masks.

use std::sync::Arc;

use fedtwin_plan::Plan;
use fedtwin_plan::numbers::Positive;
use fedtwin_privacy::ledger::Purpose;
use fedtwin_privacy::noise::NoiseSource;
use fedtwin_privacy::random::RandomSource;
use fedtwin_proto::domain::RoundKey;
use fedtwin_secagg::mask::Masks;
use fedtwin_trainer::Trainer;

use crate::local_training::{LocalTraining, LocalUpdate, TrainingError};
use crate::measuring::measure;

/// What an attempt computes.
pub struct Computation {
    /// The attempt.
    pub key: RoundKey,
    /// What is computed.
    pub purpose: Purpose,
    /// The plan.
    pub plan: Plan,
    /// The cohort's declared size.
    pub patients: u32,
    /// The round's clip.
    pub clip: Positive,
    /// The model's weights.
    pub weights: Arc<Vec<f32>>,
    /// The masks to add, under secure aggregation.
    pub masks: Option<Masks>,
}

impl Computation {
    /// Computes the update or the counts, noised as the plan says, and masks them.
    ///
    /// # Errors
    /// Fails where the trainer fails or there is no randomness.
    pub fn run<R: RandomSource>(
        &self,
        trainer: &mut dyn Trainer,
        noise: &dyn NoiseSource,
        random: &mut R,
    ) -> Result<LocalUpdate, TrainingError> {
        let (plan, weights) = (&self.plan, &self.weights);
        let mut update = match self.purpose {
            Purpose::Metrics => measure(plan, trainer, weights)?,
            Purpose::Training => {
                let (patients, clip) = (self.patients, self.clip);
                LocalTraining { plan, patients, clip, trainer, noise, random }.run(weights)?
            }
        };
        if let Some(masks) = &self.masks {
            masks.add_to(0, &mut update.values);
        }
        Ok(update)
    }
}
