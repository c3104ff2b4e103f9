//! Server optimisers, one chunk of the model at a time.

use fedtwin_plan::plan::{Fedadam, Fedavg, ServerOptimiser};

/// The optimiser's step for one study and attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// weights += rate * direction
    Average {
        /// Step size.
        rate: f32,
    },
    /// Adam with bias correction.
    Adam(AdamStep),
}

/// Adam at the server (Reddi et al. 2021, "Adaptive federated optimization", algorithm 2), with the bias
/// correction of Kingma and Ba 2015 (algorithm 1), without which the first rounds hardly move.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamStep {
    beta1: f32,
    beta2: f32,
    tau: f32,
    /// Step size, divided by the first moment's correction.
    rate: f32,
    /// 1 / sqrt(1 - beta2^t)
    root_correction: f32,
}

impl Step {
    /// Makes the step for the `step`-th applied update, counted from 1.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "weights are single precision")]
    pub fn new(optimiser: &ServerOptimiser, step: u32) -> Self {
        match optimiser {
            ServerOptimiser::Fedavg(Fedavg { learning_rate }) => {
                Self::Average { rate: learning_rate.get() as f32 }
            }
            ServerOptimiser::Fedadam(Fedadam { learning_rate, beta1, beta2, tau }) => {
                let correction = |beta: f64| 1.0 - beta.powf(f64::from(step));
                Self::Adam(AdamStep {
                    beta1: beta1.get() as f32,
                    beta2: beta2.get() as f32,
                    tau: tau.get() as f32,
                    rate: (learning_rate.get() / correction(beta1.get())) as f32,
                    root_correction: (1.0 / correction(beta2.get()).sqrt()) as f32,
                })
            }
        }
    }

    /// Returns how many numbers the optimiser keeps per weight.
    #[must_use]
    pub fn moments(&self) -> usize {
        match self {
            Self::Average { .. } => 0,
            Self::Adam(_) => 2,
        }
    }

    /// Moves `weights` along `direction`; all slices are the same part of the model.
    ///
    /// `moments` holds the first moments, then the second ones.
    pub fn apply(&self, weights: &mut [f32], direction: &[f32], moments: &mut [f32]) {
        match self {
            Self::Average { rate } => {
                for (weight, direction) in weights.iter_mut().zip(direction) {
                    *weight += rate * direction;
                }
            }
            Self::Adam(adam) => {
                let (first, second) = moments.split_at_mut(weights.len());
                for (((weight, direction), m), v) in weights.iter_mut().zip(direction).zip(first).zip(second)
                {
                    *m = adam.beta1 * *m + (1.0 - adam.beta1) * direction;
                    *v = adam.beta2 * *v + (1.0 - adam.beta2) * direction * direction;
                    *weight += adam.rate * *m / (v.sqrt() * adam.root_correction + adam.tau);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adam_moves_by_the_step_size_at_first() {
        let optimiser = ServerOptimiser::Fedadam(Fedadam {
            learning_rate: 0.1.try_into().unwrap(),
            beta1: 0.9.try_into().unwrap(),
            beta2: 0.99.try_into().unwrap(),
            tau: 1e-8.try_into().unwrap(),
        });
        let (mut weights, mut moments) = ([1.0, 1.0], [0.0; 4]);
        Step::new(&optimiser, 1).apply(&mut weights, &[3.0, -0.01], &mut moments);
        assert!((weights[0] - 1.1).abs() < 1e-5 && (weights[1] - 0.9).abs() < 1e-5, "{weights:?}");
    }

    #[test]
    fn averaging_adds_the_direction() {
        let optimiser = ServerOptimiser::Fedavg(Fedavg { learning_rate: 0.5.try_into().unwrap() });
        let mut weights = [1.0, 2.0];
        Step::new(&optimiser, 9).apply(&mut weights, &[2.0, -2.0], &mut []);
        assert!((weights[0] - 2.0).abs() < 1e-6 && (weights[1] - 1.0).abs() < 1e-6, "{weights:?}");
    }
}
