//! Optimisers of a site's local steps; they see only noisy sums, so they cost nothing.

use fedtwin_plan::numbers::Positive;
use fedtwin_plan::plan::{LocalAdam, LocalSgd, SiteTraining};

/// A local optimiser with its state, which lives for one round.
#[derive(Debug)]
pub struct LocalOptimiser {
    rule: Rule,
    /// The weight of the proximal term; 0 without one.
    proximal: f32,
    /// The round's global weights, to which the proximal term pulls back.
    global: Vec<f32>,
}

#[derive(Debug)]
enum Rule {
    /// Stochastic gradient descent.
    Sgd { rate: f32 },
    /// Adam (Kingma and Ba 2015, algorithm 1) with its default constants.
    Adam { rate: f32, steps: i32, first: Vec<f32>, second: Vec<f32> },
}

impl LocalOptimiser {
    /// Makes the optimiser of a plan that takes local steps, and none for one that sends gradients.
    ///
    /// # Shapes
    /// `global`: the trained values of the round's global model.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "weights are single precision")]
    pub fn new(training: &SiteTraining, global: &[f32]) -> Option<Self> {
        let (rule, proximal) = match training {
            SiteTraining::Gradient => return None,
            SiteTraining::Sgd(LocalSgd { learning_rate, proximal, .. }) => {
                (Rule::Sgd { rate: learning_rate.get() as f32 }, proximal)
            }
            SiteTraining::Adam(LocalAdam { learning_rate, proximal, .. }) => {
                let zeros = vec![0.0; global.len()];
                let rate = learning_rate.get() as f32;
                (Rule::Adam { rate, steps: 0, first: zeros.clone(), second: zeros }, proximal)
            }
        };
        let proximal = proximal.map_or(0.0, Positive::get) as f32;
        Some(Self { rule, proximal, global: global.to_vec() })
    }

    /// Moves the weights against the gradient, and towards the global ones by the proximal term.
    ///
    /// The gradient of FedProx's local objective F(w) + mu/2 |w - w_global|^2 (Li et al. 2020, arXiv
    /// 1812.06127, equation 2) is that of F plus mu (w - w_global).
    pub fn step(&mut self, weights: &mut [f32], gradient: impl Iterator<Item = f32>) {
        let proximal = self.proximal;
        let places =
            weights.iter_mut().zip(&self.global).zip(gradient).map(|((weight, global), gradient)| {
                let gradient = gradient + proximal * (*weight - global);
                (weight, gradient)
            });
        match &mut self.rule {
            Rule::Sgd { rate } => {
                for (weight, gradient) in places {
                    *weight -= *rate * gradient;
                }
            }
            Rule::Adam { rate, steps, first, second } => {
                *steps += 1;
                let rate = *rate / (1.0 - BETA1.powi(*steps));
                let correction = 1.0 / (1.0 - BETA2.powi(*steps)).sqrt();
                for (((weight, gradient), m), v) in places.zip(first).zip(second) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn positive(value: f64) -> Positive {
        value.try_into().unwrap()
    }

    fn sgd(proximal: Option<f64>) -> SiteTraining {
        SiteTraining::Sgd(LocalSgd {
            steps: 1.try_into().unwrap(),
            learning_rate: positive(0.5),
            change_max: positive(1.0),
            proximal: proximal.map(positive),
        })
    }

    fn two_steps(training: &SiteTraining) -> Vec<f32> {
        let global = [1.0, -2.0];
        let mut weights = global.to_vec();
        let mut optimiser = LocalOptimiser::new(training, &global).unwrap();
        for _step in 0..2 {
            optimiser.step(&mut weights, [1.0, 0.0].into_iter());
        }
        weights
    }

    #[test]
    fn the_proximal_term_pulls_back_to_the_global_model() {
        assert_eq!(two_steps(&sgd(None)), [0.0, -2.0]);
        // First step: nothing to pull back yet. Second: 0.5 - 0.5 (1 + 0.4 (0.5 - 1)) = 0.1.
        let pulled = two_steps(&sgd(Some(0.4)));
        assert!((pulled[0] - 0.1).abs() < 1e-6 && (pulled[1] + 2.0).abs() < 1e-6, "{pulled:?}");
    }

    #[test]
    fn adam_gets_the_proximal_term_in_its_gradient() {
        let adam = |proximal: Option<f64>| {
            SiteTraining::Adam(LocalAdam {
                steps: 1.try_into().unwrap(),
                learning_rate: positive(0.1),
                change_max: positive(1.0),
                proximal: proximal.map(positive),
            })
        };
        // Adam moves by the step size at first, whatever the gradient's length; the second step differs.
        let (without, with) = (two_steps(&adam(None)), two_steps(&adam(Some(20.0))));
        assert!((without[0] - 0.8).abs() < 1e-5, "{without:?}");
        // Gradients 1 and 1 + 20 (0.9 - 1) = -1: m = 0.9 * 0.1 - 0.1 = -0.01, over 0.19; v = 1 on average.
        assert!((with[0] - (0.9 + 0.1 * 0.01 / 0.19)).abs() < 1e-5, "{with:?}");
        assert!((without[1] + 2.0).abs() < 1e-6, "a weight that does not move is not pulled");
    }
}
