//! One attempt's work at a site: sample, sum, add noise, and step, as often as the plan says.
//!
//! Everything but the trainer's sums is here in plain sight. The order is the one that privacy needs:
//! noise is drawn before patients are touched, every step samples anew, an empty sample still sends
//! noise, and the divisor is the plan's nominal batch, never the drawn one.

use fedtwin_plan::Plan;
use fedtwin_plan::plan::{LocalAdam, LocalSgd, Privacy, SiteTraining};
use fedtwin_privacy::accountant::NoiseBits;
use fedtwin_privacy::noise::{NoiseError, NoiseSource};
use fedtwin_privacy::patient_sum::IntegerSum;
use fedtwin_privacy::random::{NoRandomness, RandomSource};
use fedtwin_privacy::release::{Noise, NoisySteps};
use fedtwin_privacy::sampling::poisson;

use crate::optimiser::LocalOptimiser;
use crate::trainer::{Trainer, TrainerError};

/// Why an attempt has no update.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// The trainer failed.
    #[error(transparent)]
    Trainer(#[from] TrainerError),
    /// There is no noise to be had.
    #[error(transparent)]
    Noise(#[from] NoiseError),
    /// There is no randomness to be had.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// What an attempt computed.
#[derive(Debug)]
pub struct LocalUpdate {
    /// The update's integers.
    pub values: Vec<i64>,
    /// The noisy sums behind them; absent where the plan asks for no noise.
    pub noise: Option<NoisySteps>,
}

/// What local training draws on, besides the weights.
pub struct LocalTraining<'a, R> {
    /// The plan.
    pub plan: &'a Plan,
    /// The cohort's declared size.
    pub patients: u32,
    /// What computes on patients.
    pub trainer: &'a mut dyn Trainer,
    /// Where noise comes from.
    pub noise: &'a dyn NoiseSource,
    /// Where samples come from.
    pub random: &'a mut R,
}

impl<R: RandomSource> LocalTraining<'_, R> {
    /// Computes the update, noised as the plan says.
    ///
    /// # Errors
    /// Fails where the trainer fails or there is no randomness.
    pub fn run(&mut self, global: &[f32]) -> Result<LocalUpdate, TrainingError> {
        let mut noise = match &self.plan.privacy {
            Privacy::None(_) => None,
            Privacy::Local(_) => Some(NoisySteps::new(self.noise_bits())),
        };
        let (steps, change_max) = match &self.plan.training.site {
            SiteTraining::Gradient => {
                let values = self.sum(global, noise.as_mut())?;
                return Ok(LocalUpdate { values, noise });
            }
            SiteTraining::Sgd(LocalSgd { steps, change_max, .. })
            | SiteTraining::Adam(LocalAdam { steps, change_max, .. }) => (steps.get(), change_max.get()),
        };
        let mut optimiser = LocalOptimiser::new(&self.plan.training.site, global.len())
            .expect("a plan with local steps has a local optimiser");
        let scale = self.gradient_scale();
        let mut weights = global.to_vec();
        for _step in 0..steps {
            let sum = self.sum(&weights, noise.as_mut())?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                reason = "weights are single precision"
            )]
            let gradient = sum.iter().map(|&units| (units as f64 * scale) as f32);
            optimiser.step(&mut weights, gradient);
        }
        Ok(LocalUpdate { values: self.change(global, &weights, change_max), noise })
    }

    /// One step: the sum over a fresh Poisson sample, with noise where the plan asks for it.
    fn sum(&mut self, weights: &[f32], noise: Option<&mut NoisySteps>) -> Result<Vec<i64>, TrainingError> {
        match noise {
            None => Ok(self.exact_sum(weights)?.0),
            Some(steps) => {
                let drawn = Noise::draw(self.noise, self.noise_bits(), weights.len())?;
                Ok(steps.add(drawn, &self.exact_sum(weights)?))
            }
        }
    }

    fn exact_sum(&mut self, weights: &[f32]) -> Result<IntegerSum, TrainingError> {
        let sampled = poisson(self.plan.training.sampling, self.patients, self.random)?;
        let mut seed = [0; 8];
        self.random.fill(&mut seed)?;
        Ok(IntegerSum(self.trainer.sum(weights, sampled, u64::from_le_bytes(seed))?))
    }

    fn noise_bits(&self) -> NoiseBits {
        self.plan.calibrated.m
    }

    /// From the integer sum to the mean gradient over the nominal batch.
    fn gradient_scale(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "c_int is below 2^31")]
        let unit = self.plan.clip() / self.plan.calibrated.c_int as f64;
        unit / (self.plan.training.sampling.to_f64() * f64::from(self.patients))
    }

    /// The weights' change times the declared patients, in the plan's units. Post-processing of noisy sums.
    fn change(&self, global: &[f32], weights: &[f32], change_max: f64) -> Vec<i64> {
        let scale = f64::from(self.patients) / self.plan.update_unit();
        let changes =
            global.iter().zip(weights).map(|(&before, &after)| f64::from(after) - f64::from(before));
        #[expect(
            clippy::cast_possible_truncation,
            reason = "bounded by change_max, for which the plan has room"
        )]
        changes.map(|change| (change.clamp(-change_max, change_max) * scale).round() as i64).collect()
    }
}
