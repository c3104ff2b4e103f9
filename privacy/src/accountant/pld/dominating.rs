//! From mechanisms to the pairs of distributions that dominate them.

use libm::{exp, lgamma, log, log1p, sqrt};

use crate::accountant::mechanism::discrete_multiplier;
use crate::accountant::pld::pair::Pair;
use crate::accountant::pld::step::StepLoss;
use crate::accountant::{Adjacency, Mechanism};

/// What one step is to a job.
pub(crate) enum Step {
    /// Nothing of a patient is in it.
    Free,
    /// Gaussian noise over all patients.
    Gaussian { multiplier: f64 },
    /// Anything else.
    Loss(StepLoss),
}

/// Returns a mechanism's loss under a relation, or nothing where there is no bound.
pub(crate) fn step_loss(mechanism: Mechanism, relation: Adjacency) -> Option<Step> {
    // Replacing a contribution moves a sum by twice what taking it away does.
    let sensitivity = match relation {
        Adjacency::ZeroOut => 1.0,
        Adjacency::ReplaceOne => 2.0,
    };
    let step = match mechanism {
        Mechanism::Gaussian { multiplier } => Step::Gaussian { multiplier: multiplier / sensitivity },
        Mechanism::DiscreteGaussian { scale, sensitivity: norm } => {
            Step::Gaussian { multiplier: discrete_multiplier(scale, norm)? / sensitivity }
        }
        Mechanism::PoissonGaussian { rate, .. } | Mechanism::TruncatedPoissonGaussian { rate, .. }
            if rate <= 0.0 =>
        {
            Step::Free
        }
        Mechanism::PoissonGaussian { rate, multiplier } => match sampled(rate, multiplier, relation) {
            Pair::Gaussian { multiplier } => Step::Gaussian { multiplier },
            pair @ (Pair::Sampled { .. } | Pair::Replaced { .. } | Pair::Laplace { .. }) => {
                Step::Loss(StepLoss::line(pair))
            }
        },
        Mechanism::TruncatedPoissonGaussian { rate, multiplier, patients, cap } => {
            if multiplier < 2.0 * MULTIPLIER_MIN {
                return None;
            }
            let cut = Cut::of(rate, patients, cap);
            let within = sampled(rate, multiplier, relation);
            let beyond = sampled(cut.rate, multiplier / 2.0, Adjacency::ReplaceOne);
            Step::Loss(if cut.probability <= 0.0 {
                StepLoss::line(within)
            } else if cut.probability < 1.0 {
                StepLoss::mixture(cut.probability, beyond, within)
            } else {
                StepLoss::line(beyond)
            })
        }
        Mechanism::Laplace { multiplier } => {
            let ratio = (sensitivity / multiplier).max(RATE_MIN);
            Step::Loss(if ratio > RATIO_MAX { StepLoss::pure(ratio) } else { StepLoss::laplace(ratio) })
        }
        Mechanism::DiscreteLaplace { sensitivity: 0, .. } => Step::Free,
        Mechanism::DiscreteLaplace { scale, sensitivity: steps } => {
            let steps = f64::from(steps) * sensitivity;
            Step::Loss(if steps <= POINTS_MAX {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "an integer within range"
                )]
                StepLoss::discrete_laplace(scale, steps as u32)
            } else {
                StepLoss::pure((steps / scale).max(RATE_MIN))
            })
        }
        Mechanism::Pure { epsilon } => Step::Loss(StepLoss::pure((epsilon * sensitivity).max(RATE_MIN))),
    };
    Some(step)
}

/// Returns the pair of a Poisson sample; where noise is so small that sampling hardly matters, that without.
fn sampled(rate: f64, multiplier: f64, relation: Adjacency) -> Pair {
    // More of a sample and less noise cost more; beyond these nothing costs anything.
    let (rate, multiplier) = (rate.max(RATE_MIN), multiplier.min(MULTIPLIER_MAX));
    match relation {
        Adjacency::ZeroOut if rate < 1.0 && multiplier >= MULTIPLIER_MIN => {
            Pair::Sampled { rate, multiplier }
        }
        Adjacency::ReplaceOne if rate < 1.0 && multiplier >= MULTIPLIER_MIN => {
            Pair::Replaced { rate, multiplier }
        }
        Adjacency::ZeroOut => Pair::Gaussian { multiplier },
        Adjacency::ReplaceOne => Pair::Gaussian { multiplier: multiplier / 2.0 },
    }
}

/// What cutting a sample to `cap` patients does (Chua et al., 2024, arXiv 2411.04205, section 3, as Google's dp-accounting 0.6
/// has it: `from_truncated_subsampled_gaussian_mechanism`).
///
/// Whether the others alone fill the batch depends on nobody's data. If they do not, the patient is in it with the
/// rate of the sample. If they do, a patient who is in it has taken the place of another: the sums with and without
/// differ by two contributions at most, which replacing one bounds. That is for cohorts with and without the
/// patient; zeroing a contribution out, which displaces nobody, is never further apart.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cut {
    /// The probability that the others alone fill the batch, rounded up.
    probability: f64,
    /// The probability of being in the batch then.
    rate: f64,
}

impl Cut {
    fn of(rate: f64, patients: u32, cap: u32) -> Self {
        let others = patients.saturating_sub(1);
        let probability = binomial_tail(others, rate, cap);
        if probability <= 0.0 {
            return Self { probability: 0.0, rate };
        }
        let overfull = binomial_tail(patients, rate, cap.saturating_add(1));
        // What either tail is rounded up by is the other's error at most.
        let rate = overfull * f64::from(cap) / (probability * f64::from(patients));
        Self { probability, rate: (rate * (1.0 + 2.0 * binomial_error(patients))).min(1.0) }
    }
}

/// Returns the probability of `least` or more successes of `trials`, rounded up.
///
/// Terms are summed from the largest one on downwards, each from the one before: sums of positive numbers.
fn binomial_tail(trials: u32, rate: f64, least: u32) -> f64 {
    if least == 0 {
        return 1.0;
    }
    if least > trials || rate <= 0.0 {
        return 0.0;
    }
    if rate >= 1.0 {
        return 1.0;
    }
    let (n, k) = (f64::from(trials), f64::from(least));
    // Chernoff: what is missing to 1 is below exp(-72).
    if k < n * rate - 12.0 * sqrt(n * rate) {
        return 1.0;
    }
    let log_choose = lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0);
    let log_first = log_choose + k * log(rate) + (n - k) * log1p(-rate);
    let (mut sum, mut term) = (0.0, 1.0);
    for successes in least..=trials {
        sum += term;
        let successes = f64::from(successes);
        term *= (n - successes) / (successes + 1.0) * rate / (1.0 - rate);
        if term < sum * f64::EPSILON / 8.0 && successes > n * rate {
            break;
        }
    }
    (exp(log_first + log(sum)) * (1.0 + binomial_error(trials))).min(1.0)
}

/// Bounds a tail's relative error: logarithms of factorials are accurate to a few ulps of themselves.
fn binomial_error(trials: u32) -> f64 {
    let n = f64::from(trials);
    1e-12 + 16.0 * f64::EPSILON * n * log(n + 2.0)
}

/// Such noise hides nobody anyway, and keeps the number of points bounded.
const MULTIPLIER_MIN: f64 = 0.1;

const RATE_MIN: f64 = 1e-12;
const MULTIPLIER_MAX: f64 = 1e12;

/// Beyond, a Laplace mechanism is priced by its bound on the loss.
const RATIO_MAX: f64 = 200.0;

/// Beyond, a discrete Laplace distribution is priced by its bound on the loss.
const POINTS_MAX: f64 = 10_000.0;
