//! From mechanisms to the pairs of distributions that dominate them.

use libm::{exp, lgamma, log, log1p};

use crate::accountant::mechanism::discrete_multiplier;
use crate::accountant::pld::pair::Pair;
use crate::accountant::pld::step::StepLoss;
use crate::accountant::{Mechanism, Relation};

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
pub(crate) fn step_loss(mechanism: Mechanism, relation: Relation) -> Option<Step> {
    // Replacing a contribution moves a sum by twice what taking it away does.
    let sensitivity = match relation {
        Relation::ZeroOut => 1.0,
        Relation::ReplaceOne => 2.0,
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
            let cut = Cut::of(rate, patients, cap);
            let within = sampled(rate, multiplier, relation);
            let beyond = sampled(cut.rate, multiplier / 2.0, Relation::ReplaceOne);
            Step::Loss(if cut.probability > 0.0 {
                StepLoss::mixture(cut.probability, beyond, within)
            } else {
                StepLoss::line(within)
            })
        }
        Mechanism::Laplace { multiplier } => Step::Loss(StepLoss::laplace(sensitivity / multiplier)),
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
                StepLoss::pure(steps / scale)
            })
        }
        Mechanism::Pure { epsilon } => Step::Loss(StepLoss::pure(epsilon * sensitivity)),
    };
    Some(step)
}

/// Returns the pair of a Poisson sample; where noise is so small that sampling hardly matters, that without.
fn sampled(rate: f64, multiplier: f64, relation: Relation) -> Pair {
    match relation {
        Relation::ZeroOut if rate < 1.0 && multiplier >= MULTIPLIER_MIN => Pair::Sampled { rate, multiplier },
        Relation::ReplaceOne if rate < 1.0 && multiplier >= MULTIPLIER_MIN => {
            Pair::Replaced { rate, multiplier }
        }
        Relation::ZeroOut => Pair::Gaussian { multiplier },
        Relation::ReplaceOne => Pair::Gaussian { multiplier: multiplier / 2.0 },
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
        let rate = overfull * f64::from(cap) / (probability * f64::from(patients));
        Self { probability: probability.min(1.0), rate: (rate * (1.0 + 1e-11)).min(1.0) }
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
    (exp(log_first + log(sum)) * (1.0 + 1e-10)).min(1.0)
}

/// Such noise hides nobody anyway, and keeps the number of points bounded.
const MULTIPLIER_MIN: f64 = 0.1;

/// Beyond, a discrete Laplace distribution is priced by its bound on the loss.
const POINTS_MAX: f64 = 10_000.0;
