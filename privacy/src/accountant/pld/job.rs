//! A job: the losses of all its steps, and how finely they have to be kept.

use libm::{erfc, exp, log, sqrt};

use crate::accountant::gdp::bisect;
use crate::accountant::mechanism::discrete_multiplier;
use crate::accountant::pld::compose::{Composition, LENGTH_MAX};
use crate::accountant::pld::cumulants::Cumulants;
use crate::accountant::pld::curve::Curve;
use crate::accountant::pld::lattice::{Grid, Lattice};
use crate::accountant::pld::pair::Pair;
use crate::accountant::pld::step::{StepLoss, reversed};
use crate::accountant::{Event, Mechanism, Relation};

/// All steps of some events.
pub(crate) struct Job {
    steps: Vec<(StepLoss, u64)>,
}

/// What is wanted of a curve, in one direction.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Aim {
    /// The tilt that makes the answer's loss the mean, at least 0.
    tilt: f64,
    /// The epsilon that is asked for, or about the one that is sought.
    epsilon: f64,
    /// By how much epsilon may be too large.
    tolerance: f64,
}

impl Aim {
    /// Aims at `epsilon` of one direction where the larger of both is `largest`: what is below it may be rough.
    fn at(tilt: f64, epsilon: f64, largest: f64) -> Self {
        let tolerance = EPSILON_ABSOLUTE + EPSILON_RELATIVE * largest + ROUGH * (largest - epsilon);
        Self { tilt, epsilon, tolerance }
    }
}

/// One direction: zeroing a patient out, or the way back.
struct Direction {
    cumulants: Cumulants,
    /// Whether the lattices are to be reversed.
    back: bool,
}

impl Job {
    /// Gathers the losses of events; nothing where one has no bound.
    ///
    /// Gaussian steps with all patients are one: their multipliers' inverse squares add up.
    pub(crate) fn new(events: &[Event], relation: Relation) -> Option<Self> {
        let mut job = Self { steps: Vec::new() };
        let mut inverse_squares = 0.0;
        for event in events.iter().filter(|event| event.count > 0) {
            match step_loss(event.mechanism, relation)? {
                Step::Free => {}
                Step::Gaussian { multiplier } => {
                    inverse_squares += event.count as f64 / (multiplier * multiplier);
                }
                Step::Loss(step) => match job.steps.iter_mut().find(|(other, _)| *other == step) {
                    Some((_, count)) => *count = count.checked_add(event.count)?,
                    None => job.steps.push((step, event.count)),
                },
            }
        }
        if inverse_squares > 0.0 {
            let multiplier = (1.0 - 1e-14) / sqrt(inverse_squares);
            if multiplier < GAUSSIAN_MIN {
                return None;
            }
            job.steps.push((StepLoss::line(Pair::Gaussian { multiplier }), 1));
        }
        Some(job)
    }

    pub(crate) fn is_free(&self) -> bool {
        self.steps.is_empty()
    }

    pub(crate) fn epsilon(&self, delta: f64) -> f64 {
        if delta < DELTA_MIN {
            return f64::INFINITY;
        }
        let deviations = self.deviations(delta);
        let directions = self.directions(deviations);
        let mut tilts: Vec<_> =
            directions.iter().map(|direction| direction.cumulants.tilt_of_delta(delta)).collect();
        let mut epsilons: Vec<_> = directions
            .iter()
            .zip(&tilts)
            .map(|(direction, &tilt)| direction.cumulants.at(tilt).mean)
            .collect();
        for _ in 0..REFINEMENTS_MAX {
            let larger = epsilons.iter().copied().fold(0.0, f64::max);
            let aims: Vec<_> =
                tilts.iter().zip(&epsilons).map(|(&tilt, &epsilon)| Aim::at(tilt, epsilon, larger)).collect();
            let curves = self.curves(&directions, &aims, deviations);
            epsilons = curves.iter().map(|curve| curve.epsilon(delta)).collect();
            let found = epsilons.iter().copied().fold(0.0, f64::max);
            // A finer grid would change nothing where the estimates were near.
            let wanted = 2.0 * (EPSILON_ABSOLUTE + EPSILON_RELATIVE * found);
            let sharp = |(aim, &epsilon): (&Aim, &f64)| aim.tolerance <= wanted.max((found - epsilon) / 2.0);
            if aims.iter().zip(&epsilons).all(sharp) || !found.is_finite() {
                return found.min(self.largest());
            }
            tilts = directions
                .iter()
                .zip(&epsilons)
                .map(|(direction, &epsilon)| {
                    direction.cumulants.tilt_of_epsilon(epsilon, log(delta) - LOG_NEGLIGIBLE)
                })
                .collect();
        }
        epsilons.into_iter().fold(0.0, f64::max).min(self.largest())
    }

    pub(crate) fn delta(&self, epsilon: f64) -> f64 {
        if epsilon >= self.largest() {
            return 0.0;
        }
        let rough = self.directions(DEVIATIONS_ROUGH);
        let log_delta = rough.iter().map(|direction| {
            let tilt = direction.cumulants.tilt_of_epsilon(epsilon, LOG_DELTA_MIN);
            direction.cumulants.at(tilt).log - tilt * epsilon
        });
        let log_delta = log_delta.fold(LOG_DELTA_MIN, f64::max).min(0.0);
        let deviations = self.deviations(exp(log_delta - LOG_NEGLIGIBLE));
        let directions = self.directions(deviations);
        let aim = |direction: &Direction| {
            let tilt = direction.cumulants.tilt_of_epsilon(epsilon, log_delta - LOG_NEGLIGIBLE);
            // What ln delta loses by epsilon is about the tilt, or one over the deviation where that is 0.
            let deviation = sqrt(direction.cumulants.at(tilt).variance);
            Aim { tilt, epsilon, tolerance: DELTA_RELATIVE / (1.0 + tilt + 1.0 / deviation) }
        };
        let aims: Vec<_> = directions.iter().map(aim).collect();
        let curves = self.curves(&directions, &aims, deviations);
        curves.iter().map(|curve| curve.delta(epsilon)).fold(0.0, f64::max)
    }

    /// Returns the largest loss of all steps together, rounded up, or infinity.
    fn largest(&self) -> f64 {
        self.steps.iter().map(|(step, count)| step.largest() * *count as f64).sum::<f64>() * (1.0 + 1e-12)
    }

    /// Returns a curve for each direction.
    fn curves(&self, directions: &[Direction], aims: &[Aim], deviations: f64) -> Vec<Curve> {
        let sharp = directions.iter().zip(aims).map(|(direction, aim)| direction.sharp(*aim));
        let coarsest = directions.iter().zip(aims).map(|(direction, aim)| direction.coarsest(*aim));
        let spacing = sharp.fold(f64::INFINITY, f64::min).max(coarsest.fold(0.0, f64::max));
        let lattices = self.lattices(Grid { spacing, deviations });
        let backwards: Vec<_> =
            lattices.iter().map(|(step, count)| (step.reversed(spacing), *count)).collect();
        let curve = |direction: &Direction, aim: &Aim| {
            let steps = if direction.back { &backwards } else { &lattices };
            let steps = steps.iter().map(|(step, count)| (step, *count)).collect();
            Composition { steps, spacing, cumulants: &direction.cumulants }
                .curve(aim.tilt, direction.range(*aim))
        };
        directions.iter().zip(aims).map(|(direction, aim)| curve(direction, aim)).collect()
    }

    fn lattices(&self, grid: Grid) -> Vec<(Lattice, u64)> {
        self.steps.iter().map(|(step, count)| (Lattice::of(step, grid), *count)).collect()
    }

    /// One where the other is the same.
    fn directions(&self, deviations: f64) -> Vec<Direction> {
        let nodes: Vec<_> =
            self.steps.iter().map(|(step, count)| (step.nodes(deviations), *count as f64)).collect();
        let back = nodes.iter().map(|(nodes, count)| (reversed(nodes), *count)).collect();
        let mut directions = vec![Direction { cumulants: Cumulants::new(nodes), back: false }];
        if !self.steps.iter().all(|(step, _)| step.symmetric) {
            directions.push(Direction { cumulants: Cumulants::new(back), back: true });
        }
        directions
    }

    /// Returns how many standard deviations of noise to keep, so that what is cut off all steps is far below `delta`.
    fn deviations(&self, delta: f64) -> f64 {
        let steps: f64 = self.steps.iter().map(|&(_, count)| count as f64).sum();
        let tail = (delta * TAIL / steps).max(f64::MIN_POSITIVE);
        bisect(0.0, DEVIATIONS_MAX, |deviations| {
            erfc(deviations * std::f64::consts::FRAC_1_SQRT_2) / 2.0 <= tail
        })
    }
}

impl Direction {
    /// Returns the spacing at which epsilon is as near the truth as wanted.
    ///
    /// Moving a loss to the ends of its bin of width h multiplies E[exp(t L)] by at most 1 + t (t + 1) h^2 / 12 where
    /// losses are spread over bins, so that at tilt t epsilon grows by T (t + 1) h^2 / 12.
    fn sharp(&self, aim: Aim) -> f64 {
        let composed = sqrt(12.0 * aim.tolerance / ((1.0 + aim.tilt) * self.cumulants.steps()));
        // The losses of few steps are anything but Gaussian, and need a grid that is fine next to epsilon.
        if aim.epsilon > 0.0 { composed.min(aim.epsilon / EPSILON_PARTS) } else { composed }
    }

    /// Returns the losses that a curve has to cover.
    fn range(&self, aim: Aim) -> (f64, f64) {
        let (low, high) = self.cumulants.window(aim.tilt);
        (low.min(aim.epsilon), high.max(aim.epsilon))
    }

    /// Returns the spacing at which windows and lattices are as long as they may be.
    fn coarsest(&self, aim: Aim) -> f64 {
        let (low, high) = self.range(aim);
        (high - low).max(self.cumulants.range()) / (LENGTH_MAX - 8) as f64
    }
}

/// What one step is to a job.
enum Step {
    /// Nothing of a patient is in it.
    Free,
    /// Gaussian noise over all patients.
    Gaussian { multiplier: f64 },
    /// Anything else.
    Loss(StepLoss),
}

/// Returns a mechanism's loss under a relation, or nothing where there is no bound.
fn step_loss(mechanism: Mechanism, relation: Relation) -> Option<Step> {
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

/// What cutting a sample to `cap` patients does.
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
    let log_choose = libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0);
    let log_first = log_choose + k * log(rate) + (n - k) * libm::log1p(-rate);
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

/// What is cut off relative to delta.
const TAIL: f64 = 1e-9;
const DEVIATIONS_MAX: f64 = 38.0;
const DEVIATIONS_ROUGH: f64 = 12.0;

/// Below, cut off tails are no longer small against delta.
const DELTA_MIN: f64 = 1e-280;

/// ln of DELTA_MIN, and how far below delta a direction no longer matters.
const LOG_DELTA_MIN: f64 = -644.0;
const LOG_NEGLIGIBLE: f64 = 16.0;

/// By how much results may be too large.
/// Of two directions, the one with the smaller epsilon may be as far off as a quarter of the distance.
const ROUGH: f64 = 0.25;
const EPSILON_RELATIVE: f64 = 1e-5;
const EPSILON_ABSOLUTE: f64 = 1e-8;
const DELTA_RELATIVE: f64 = 1e-5;
const REFINEMENTS_MAX: usize = 4;

/// Gaussian noise that is smaller has an epsilon above 1000.
const GAUSSIAN_MIN: f64 = 0.02;
const EPSILON_PARTS: f64 = 64.0;

/// Such noise hides nobody anyway, and keeps the number of points bounded.
const MULTIPLIER_MIN: f64 = 0.1;

/// Beyond, a discrete Laplace distribution is priced by its bound on the loss.
const POINTS_MAX: f64 = 10_000.0;
