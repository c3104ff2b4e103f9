//! A job: the losses of all its steps, and how finely they have to be kept.

use libm::{erfc, exp, log, sqrt};

use crate::accountant::gdp::bisect;
use crate::accountant::pld::compose::{Composition, LENGTH_MAX};
use crate::accountant::pld::cumulants::Cumulants;
use crate::accountant::pld::curve::Curve;
use crate::accountant::pld::dominating::{Step, step_loss};
use crate::accountant::pld::lattice::{Grid, Lattice};
use crate::accountant::pld::pair::Pair;
use crate::accountant::pld::step::{StepLoss, reversed};
use crate::accountant::{Adjacency, Event};

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
    pub(crate) fn new(events: &[Event], relation: Adjacency) -> Option<Self> {
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
            let multiplier = ((1.0 - 1e-14) / sqrt(inverse_squares)).min(GAUSSIAN_MAX);
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
        // Every curve is a bound; a grid that is refined where losses are rare may lose to the one before.
        let mut bounds = vec![f64::INFINITY; directions.len()];
        for _ in 0..REFINEMENTS_MAX {
            let larger = epsilons.iter().copied().fold(0.0, f64::max);
            let aims: Vec<_> =
                tilts.iter().zip(&epsilons).map(|(&tilt, &epsilon)| Aim::at(tilt, epsilon, larger)).collect();
            let aimed: Vec<_> = directions.iter().zip(aims.iter().copied()).collect();
            let curves = self.curves(&aimed, deviations);
            for (bound, curve) in bounds.iter_mut().zip(&curves) {
                *bound = bound.min(curve.epsilon(delta));
            }
            epsilons.clone_from(&bounds);
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
        let aims: Vec<_> = directions.iter().map(|direction| (direction, aim(direction))).collect();
        let curves = self.curves(&aims, deviations);
        curves.iter().map(|curve| curve.delta(epsilon)).fold(0.0, f64::max)
    }

    /// Returns the largest loss of all steps together, rounded up, or infinity.
    fn largest(&self) -> f64 {
        self.steps.iter().map(|(step, count)| step.largest() * *count as f64).sum::<f64>() * (1.0 + 1e-12)
    }

    /// Returns curves that are sharp from delta = `delta_min` upwards: one for each direction.
    ///
    /// One tilt is sharp for about three standard deviations of the loss around its own mean.
    pub(crate) fn profiles(&self, delta_min: f64) -> Vec<Curve> {
        let deviations = self.deviations(delta_min);
        let directions = self.directions(deviations);
        let aims: Vec<Vec<Aim>> = directions
            .iter()
            .map(|direction| {
                let furthest = direction.cumulants.tilt_of_delta(delta_min);
                let deviation = sqrt(direction.cumulants.at(furthest).variance);
                let parts = (furthest * deviation / TILT_REACH).ceil().clamp(1.0, TILTS_MAX);
                let tolerance = PROFILE_RELATIVE / (1.0 + furthest + 1.0 / deviation);
                let aim = |part: i32| {
                    let tilt = furthest * f64::from(part) / parts;
                    Aim { tilt, epsilon: direction.cumulants.at(tilt).mean.max(0.0), tolerance }
                };
                #[expect(clippy::cast_possible_truncation, reason = "a few")]
                let last = parts as i32;
                (0..=last).map(aim).chain([Aim { tilt: 0.0, epsilon: 0.0, tolerance }]).collect()
            })
            .collect();
        let flat: Vec<_> = directions
            .iter()
            .zip(&aims)
            .flat_map(|(direction, aims)| aims.iter().map(move |&aim| (direction, aim)))
            .collect();
        let mut curves = self.curves(&flat, deviations).into_iter();
        aims.iter().map(|aims| Curve::lowest(&curves.by_ref().take(aims.len()).collect::<Vec<_>>())).collect()
    }

    /// Returns a curve for each aim, all on one lattice.
    fn curves(&self, aims: &[(&Direction, Aim)], deviations: f64) -> Vec<Curve> {
        let sharp = aims.iter().map(|(direction, aim)| direction.sharp(*aim));
        let coarsest = aims.iter().map(|(direction, aim)| direction.coarsest(*aim));
        let ranges = aims.iter().map(|(direction, aim)| direction.range(*aim));
        let (low, high) =
            ranges.fold((0.0_f64, 0.0_f64), |all, range| (all.0.min(range.0), all.1.max(range.1)));
        let coarsest = coarsest.fold((high - low) / PROFILE_LENGTH_MAX, f64::max);
        let spacing = sharp.fold(f64::INFINITY, f64::min).max(coarsest);
        let lattices = self.lattices(Grid { spacing, deviations });
        // Where the lattice had to be coarse, a tilt that multiplies its moments by more than e only blurs.
        let backwards: Vec<_> =
            lattices.iter().map(|(step, count)| (step.reversed(spacing), *count)).collect();
        let curve = |&(direction, aim): &(&Direction, Aim)| {
            let steps = if direction.back { &backwards } else { &lattices };
            let steps = steps.iter().map(|(step, count)| (step, *count)).collect();
            let tilt = aim.tilt.min(sqrt(12.0 / direction.cumulants.steps()) / spacing);
            Composition { steps, spacing, cumulants: &direction.cumulants }.curve(tilt, direction.range(aim))
        };
        aims.iter().map(curve).collect()
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
        let (steps, variance) = (self.cumulants.steps(), self.cumulants.at(aim.tilt).variance);
        let composed = sqrt(12.0 * aim.tolerance / ((1.0 + aim.tilt) * steps));
        // It also adds up to h^2 / 6 to the variance, of which this is a thousandth: tiny losses need a tiny grid.
        let composed = composed.min(sqrt(VARIANCE_SHARE * variance / steps).max(SPACING_MIN));
        // The losses of few steps are anything but Gaussian, and need a grid that is fine next to epsilon.
        let fine = (aim.epsilon / EPSILON_PARTS).max(composed / FINER_MAX);
        if aim.epsilon > 0.0 { composed.min(fine) } else { composed }
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
const PROFILE_RELATIVE: f64 = 1e-3;
const TILT_REACH: f64 = 2.5;
const TILTS_MAX: f64 = 8.0;
/// All curves of one profile together.
const PROFILE_LENGTH_MAX: f64 = 8.0 * LENGTH_MAX as f64;
const REFINEMENTS_MAX: usize = 4;

/// Gaussian noise that is smaller has an epsilon above 1000.
const GAUSSIAN_MIN: f64 = 0.02;
const GAUSSIAN_MAX: f64 = 1e12;
const EPSILON_PARTS: f64 = 64.0;
const FINER_MAX: f64 = 16.0;
const VARIANCE_SHARE: f64 = 6e-3;
/// Losses that are smaller are nothing.
const SPACING_MIN: f64 = 1e-30;
