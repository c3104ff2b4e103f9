//! Server optimisers, one chunk of the model at a time.

use fedtwin_plan::plan::{Fedadagrad, Fedadam, Fedavg, Fedyogi, ServerOptimiser};

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
    /// Yogi.
    Yogi(YogiStep),
    /// Adagrad.
    Adagrad(AdagradStep),
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

/// Yogi at the server (the same, algorithm 2): the second moment begins at tau^2 and grows or shrinks by
/// (1 - beta2) times the square, whatever its own size.
#[derive(Debug, Clone, PartialEq)]
pub struct YogiStep {
    beta1: f32,
    beta2: f32,
    tau: f32,
    rate: f32,
}

/// Adagrad at the server (the same, algorithm 2, with beta1 = 0): the second moment begins at tau^2 and is
/// the sum of all squares.
#[derive(Debug, Clone, PartialEq)]
pub struct AdagradStep {
    tau: f32,
    rate: f32,
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
            ServerOptimiser::Fedyogi(Fedyogi { learning_rate, beta1, beta2, tau }) => Self::Yogi(YogiStep {
                beta1: beta1.get() as f32,
                beta2: beta2.get() as f32,
                tau: tau.get() as f32,
                rate: learning_rate.get() as f32,
            }),
            ServerOptimiser::Fedadagrad(Fedadagrad { learning_rate, tau }) => {
                Self::Adagrad(AdagradStep { tau: tau.get() as f32, rate: learning_rate.get() as f32 })
            }
        }
    }

    /// Returns how many numbers the optimiser keeps per weight.
    #[must_use]
    pub fn moments(&self) -> usize {
        match self {
            Self::Average { .. } => 0,
            Self::Adam(_) | Self::Yogi(_) => 2,
            Self::Adagrad(_) => 1,
        }
    }

    /// Sets the moments of an initial model; they come as zeros, laid out as [`Step::apply`] takes them.
    pub fn begin(&self, moments: &mut [f32]) {
        match self {
            Self::Average { .. } | Self::Adam(_) => {}
            Self::Yogi(yogi) => {
                let half = moments.len() / 2;
                moments[half..].fill(yogi.tau * yogi.tau);
            }
            Self::Adagrad(adagrad) => moments.fill(adagrad.tau * adagrad.tau),
        }
    }

    /// Moves `weights` along `direction`; all slices are the same part of the model.
    ///
    /// `moments` holds the first moments, where the optimiser has them, then the second ones.
    pub fn apply(&self, weights: &mut [f32], direction: &[f32], moments: &mut [f32]) {
        let count = weights.len();
        let places = weights.iter_mut().zip(direction);
        match self {
            Self::Average { rate } => {
                for (weight, direction) in places {
                    *weight += rate * direction;
                }
            }
            Self::Adam(adam) => {
                let (first, second) = moments.split_at_mut(count);
                for (((weight, direction), m), v) in places.zip(first).zip(second) {
                    *m = adam.beta1 * *m + (1.0 - adam.beta1) * direction;
                    *v = adam.beta2 * *v + (1.0 - adam.beta2) * direction * direction;
                    *weight += adam.rate * *m / (v.sqrt() * adam.root_correction + adam.tau);
                }
            }
            Self::Yogi(yogi) => {
                let (first, second) = moments.split_at_mut(count);
                for (((weight, direction), m), v) in places.zip(first).zip(second) {
                    let square = direction * direction;
                    *m = yogi.beta1 * *m + (1.0 - yogi.beta1) * direction;
                    *v -= (1.0 - yogi.beta2) * square * sign(*v - square);
                    *weight += yogi.rate * *m / (v.sqrt() + yogi.tau);
                }
            }
            Self::Adagrad(adagrad) => {
                for ((weight, direction), v) in places.zip(moments) {
                    *v += direction * direction;
                    *weight += adagrad.rate * direction / (v.sqrt() + adagrad.tau);
                }
            }
        }
    }
}

/// The sign, 0 of 0: `f32::signum` has none for zero.
fn sign(value: f32) -> f32 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use fedtwin_plan::numbers::{Positive, Probability};

    use super::*;

    fn positive(value: f64) -> Positive {
        value.try_into().unwrap()
    }

    fn probability(value: f64) -> Probability {
        value.try_into().unwrap()
    }

    /// Takes one step of weights 1 and 1 for each pair of directions, from the first moments on.
    fn steps(optimiser: &ServerOptimiser, directions: &[[f32; 2]]) -> ([f32; 2], Vec<f32>) {
        let mut weights = [1.0, 1.0];
        let mut moments = vec![0.0; 2 * Step::new(optimiser, 1).moments()];
        Step::new(optimiser, 1).begin(&mut moments);
        for (step, direction) in (1..).zip(directions) {
            Step::new(optimiser, step).apply(&mut weights, direction, &mut moments);
        }
        (weights, moments)
    }

    fn check(found: &[f32], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} instead of {expected}");
        }
    }

    #[test]
    fn adam_moves_by_the_step_size_at_first() {
        let optimiser = ServerOptimiser::Fedadam(Fedadam {
            learning_rate: positive(0.1),
            beta1: probability(0.9),
            beta2: probability(0.99),
            tau: positive(1e-8),
        });
        let (weights, _) = steps(&optimiser, &[[3.0, -0.01]]);
        assert!((weights[0] - 1.1).abs() < 1e-5 && (weights[1] - 0.9).abs() < 1e-5, "{weights:?}");
    }

    #[test]
    fn averaging_adds_the_direction() {
        let optimiser = ServerOptimiser::Fedavg(Fedavg { learning_rate: positive(0.5) });
        check(&steps(&optimiser, &[[2.0, -2.0]]).0, &[2.0, 0.0]);
    }

    #[test]
    fn yogi_is_that_of_the_paper() {
        // By hand from algorithm 2 with eta = 0.5, beta1 = 0.5, beta2 = 0.75, tau = 0.1, v_-1 = 0.01:
        // first weight, direction 2: m = 1, v = 0.01 + 0.25 * 4 = 1.01; then direction 0.2:
        // m = 0.6, v = 1.01 - 0.25 * 0.04 = 1. Second weight, direction 0: m = 0, v = 0.01; then -0.1, whose
        // square is v: the sign is 0 and v stays, m = -0.05.
        let optimiser = ServerOptimiser::Fedyogi(Fedyogi {
            learning_rate: positive(0.5),
            beta1: probability(0.5),
            beta2: probability(0.75),
            tau: positive(0.1),
        });
        let (weights, moments) = steps(&optimiser, &[[2.0, 0.0], [0.2, -0.1]]);
        check(&moments, &[0.6, -0.05, 1.0, 0.01]);
        let first = 1.0 + 0.5 * 1.0 / (1.01_f64.sqrt() + 0.1) + 0.5 * 0.6 / 1.1;
        check(&weights, &[first, 1.0 - 0.5 * 0.05 / 0.2]);
    }

    #[test]
    fn adagrad_is_that_of_the_paper() {
        // By hand with eta = 0.5, tau = 0.1, v_-1 = 0.01: v = 0.01 + 4, then + 0.25.
        let optimiser =
            ServerOptimiser::Fedadagrad(Fedadagrad { learning_rate: positive(0.5), tau: positive(0.1) });
        let (weights, moments) = steps(&optimiser, &[[2.0, 0.0], [-0.5, 0.0]]);
        check(&moments, &[4.26, 0.01]);
        let expected = 1.0 + 0.5 * 2.0 / (4.01_f64.sqrt() + 0.1) - 0.5 * 0.5 / (4.26_f64.sqrt() + 0.1);
        check(&weights, &[expected, 1.0]);
    }
}
