//! Optimisers of a site's local steps; they see only noisy sums, so they cost nothing.

use fedtwin_plan::plan::{LocalAdam, LocalSgd, SiteTraining};

/// A local optimiser with its state, which lives for one round.
#[derive(Debug)]
pub enum LocalOptimiser {
    /// Stochastic gradient descent.
    Sgd {
        /// Step size.
        rate: f32,
    },
    /// Adam (Kingma and Ba 2015, algorithm 1) with its default constants.
    Adam {
        /// Step size.
        rate: f32,
        /// Steps taken.
        steps: i32,
        /// First moments.
        first: Vec<f32>,
        /// Second moments.
        second: Vec<f32>,
    },
}

impl LocalOptimiser {
    /// Makes the optimiser of a plan that takes local steps, and none for one that sends gradients.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "weights are single precision")]
    pub fn new(training: &SiteTraining, weights: usize) -> Option<Self> {
        match training {
            SiteTraining::Gradient => None,
            SiteTraining::Sgd(LocalSgd { learning_rate, .. }) => {
                Some(Self::Sgd { rate: learning_rate.get() as f32 })
            }
            SiteTraining::Adam(LocalAdam { learning_rate, .. }) => Some(Self::Adam {
                rate: learning_rate.get() as f32,
                steps: 0,
                first: vec![0.0; weights],
                second: vec![0.0; weights],
            }),
        }
    }

    /// Moves the weights against the gradient.
    pub fn step(&mut self, weights: &mut [f32], gradient: impl Iterator<Item = f32>) {
        match self {
            Self::Sgd { rate } => {
                for (weight, gradient) in weights.iter_mut().zip(gradient) {
                    *weight -= *rate * gradient;
                }
            }
            Self::Adam { rate, steps, first, second } => {
                *steps += 1;
                let rate = *rate / (1.0 - BETA1.powi(*steps));
                let correction = 1.0 / (1.0 - BETA2.powi(*steps)).sqrt();
                for (((weight, gradient), m), v) in weights.iter_mut().zip(gradient).zip(first).zip(second) {
                    *m = BETA1 * *m + (1.0 - BETA1) * gradient;
                    *v = BETA2 * *v + (1.0 - BETA2) * gradient * gradient;
                    *weight -= rate * *m / (v.sqrt() * correction + EPSILON);
                }
            }
        }
    }
}

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;
