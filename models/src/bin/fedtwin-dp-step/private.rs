//! The private step, as site and trainer take it.

use std::num::NonZeroUsize;
use std::time::Instant;

use fedtwin_plan::Ratio;
use fedtwin_privacy::accountant::NoiseBits;
use fedtwin_privacy::noise::FastNoise;
use fedtwin_privacy::patient_sum::PatientSum;
use fedtwin_privacy::random::SecureRandom;
use fedtwin_privacy::sampling::poisson;
use fedtwin_trainer::model::{Model, SlotBatch};

use crate::step::{Step, StepTime, descend};

/// Noise, sample, gradients, clip, sum, decode, descend.
pub(crate) struct Private {
    model: Box<dyn Model>,
    patients: u32,
    weights: Vec<f32>,
    noise: Vec<i64>,
    random: SecureRandom,
    threads: NonZeroUsize,
    steps: u64,
}

impl Private {
    pub(crate) fn new(model: Box<dyn Model>, weights: Vec<f32>, threads: NonZeroUsize) -> Self {
        Self {
            patients: model.patients().train,
            model,
            noise: vec![0; weights.len()],
            weights,
            random: SecureRandom::new(),
            threads,
            steps: 0,
        }
    }
}

impl Step for Private {
    #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
    #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
    #[expect(clippy::cast_precision_loss, reason = "a sum is far below 2^52")]
    fn step(&mut self) -> anyhow::Result<StepTime> {
        self.steps += 1;
        let start = Instant::now();
        FastNoise::fill_on(self.threads, NoiseBits::try_from(M)?, &mut self.noise)?;
        let noise = start.elapsed();
        let sampled = poisson(Ratio::ONE, self.patients, &mut self.random)?;
        let batch = SlotBatch::new(sampled, self.steps)?;
        let mut sum = PatientSum::new(self.weights.len(), 1.0, C_INT)?;
        let mut sink = |patient, vector: &[f32]| sum.add(patient, vector);
        self.model.contributions(&self.weights, &batch, &mut sink)?;
        let unit = 1.0 / (C_INT as f64 * f64::from(self.patients));
        let noisy = sum.finish().0.into_iter().zip(&self.noise);
        let gradient: Vec<_> = noisy.map(|(sum, noise)| ((sum + noise) as f64 * unit) as f32).collect();
        descend(&mut self.weights, &gradient);
        Ok(StepTime { noise })
    }
}

/// The finest noise of common plans; its fineness does not change its time.
const M: i64 = 20;
/// A noise multiplier of 1.
const C_INT: u64 = 1 << 20;
