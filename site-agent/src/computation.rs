//! The part of an attempt that computes: training, or the counts of metrics, up to their release.
//!
//! The ledger's claim alone decides whether sums get noise and a mask.

use std::sync::Arc;

use fedtwin_plan::numbers::Positive;
use fedtwin_plan::{Plan, WireBits};
use fedtwin_privacy::ledger::Purpose;
use fedtwin_privacy::noise::NoiseSource;
use fedtwin_privacy::permit::Permit;
use fedtwin_privacy::random::RandomSource;
use fedtwin_privacy::release::Release;
use fedtwin_privacy::steps::{PlainSteps, Steps};
use fedtwin_proto::domain::AttemptKey;
use fedtwin_trainer::Trainer;

use crate::local_training::{LocalTraining, TrainingError};
use crate::measuring::measure;

/// What an attempt computes.
pub struct Computation {
    /// The attempt.
    pub key: AttemptKey,
    /// What is computed.
    pub purpose: Purpose,
    /// The plan, checked.
    pub plan: Plan,
    /// The cohort's declared size.
    pub patients: u32,
    /// The round's clip.
    pub clip: Positive,
    /// The model's weights.
    pub weights: Arc<Vec<f32>>,
    /// What the attempt may release.
    pub permit: Permit,
}

impl Computation {
    /// Computes the update or the counts in the state that the permit is for, and makes the release of them.
    ///
    /// # Errors
    /// Fails where the trainer fails, there is no randomness, or the sums are not as many as the claim pays for.
    pub fn run<R: RandomSource>(
        self,
        trainer: &mut dyn Trainer,
        noise: &dyn NoiseSource,
        random: &mut R,
    ) -> Result<Release, TrainingError> {
        let Self { purpose, plan, patients, clip, weights, permit, .. } = self;
        let bits = match purpose {
            Purpose::Training => plan.calibrated.modulus_bits,
            Purpose::Metrics => METRICS_BITS,
        };
        let mut computing = Computing {
            purpose,
            weights: &weights,
            training: LocalTraining { plan: &plan, patients, clip, trainer, noise, random },
        };
        Ok(match permit {
            Permit::Plain(grant) => Release::of(grant, &computing.values(PlainSteps)?, bits)?,
            Permit::Noised(grant) => {
                let values = computing.values(grant.steps())?;
                Release::of(grant, &values, bits)?
            }
            Permit::MaskedPlain(grant, mask) => {
                Release::of(grant, &computing.values(PlainSteps)?.masked(mask), bits)?
            }
            Permit::MaskedNoised(grant, mask) => {
                let values = computing.values(grant.steps())?.masked(mask);
                Release::of(grant, &values, bits)?
            }
        })
    }
}

/// What is computed, whatever is done to its sums.
struct Computing<'a, R> {
    purpose: Purpose,
    weights: &'a [f32],
    training: LocalTraining<'a, R>,
}

impl<R: RandomSource> Computing<'_, R> {
    fn values<S: Steps>(&mut self, sums: S) -> Result<S::Values, TrainingError> {
        match self.purpose {
            Purpose::Training => self.training.run(sums, self.weights),
            Purpose::Metrics => measure(self.training.plan, sums, self.training.trainer, self.weights),
        }
    }
}

/// Counts are few: the widest format has room for every sum.
const METRICS_BITS: WireBits = WireBits::B64;
