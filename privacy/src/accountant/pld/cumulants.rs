//! Estimates for choosing tilts, windows and spacings. Nothing here decides what is valid, only how sharp it is.

use std::f64::consts::FRAC_1_SQRT_2;

use libm::{exp, log, sqrt};

use crate::accountant::gdp::{bisect, erfcx};
use crate::accountant::pld::step::Point;

/// Nodes of all steps, with the number of times that each is composed.
#[derive(Debug, Clone)]
pub(crate) struct Cumulants(Vec<(Vec<Point>, f64)>);

/// The logarithm of E[exp(tilt L)] of the composed loss L, and L's mean and variance once its distribution
/// is multiplied by exp(tilt L) and normalised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Moments {
    pub(crate) log: f64,
    pub(crate) mean: f64,
    pub(crate) variance: f64,
}

impl Cumulants {
    pub(crate) fn new(steps: Vec<(Vec<Point>, f64)>) -> Self {
        Self(steps)
    }

    /// Returns the number of steps.
    pub(crate) fn steps(&self) -> f64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// Returns the widest range of one step's losses.
    pub(crate) fn range(&self) -> f64 {
        let range = |nodes: &[Point]| {
            extreme(nodes, f64::NEG_INFINITY, f64::max) - extreme(nodes, f64::INFINITY, f64::min)
        };
        self.0.iter().map(|(nodes, _)| range(nodes)).fold(0.0, f64::max)
    }

    /// Returns the moments at `tilt`.
    pub(crate) fn at(&self, tilt: f64) -> Moments {
        let mut total = Moments { log: 0.0, mean: 0.0, variance: 0.0 };
        for (nodes, count) in &self.0 {
            let exponents = nodes.iter().map(|node| tilt * node.loss);
            let largest = exponents.fold(f64::NEG_INFINITY, f64::max);
            let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
            for node in nodes {
                let weight = node.mass * exp(tilt * node.loss - largest);
                sum += weight;
                first += weight * node.loss;
                second += weight * node.loss * node.loss;
            }
            let mean = first / sum;
            total.log += count * (log(sum) + largest);
            total.mean += count * mean;
            total.variance += count * (second / sum - mean * mean).max(0.0);
        }
        total
    }

    /// Returns the tilt, at least 0, at which the loss at a delta of `delta` is the mean.
    pub(crate) fn tilt_of_delta(&self, delta: f64) -> f64 {
        let log_delta = log(delta);
        smallest(|tilt| self.at(tilt).log_delta(tilt) <= log_delta)
    }

    /// Returns the tilt, at least 0, at which `epsilon` is the mean, or the one from which on Chernoff's bound on ln delta is below
    /// `floor`.
    pub(crate) fn tilt_of_epsilon(&self, epsilon: f64, floor: f64) -> f64 {
        smallest(|tilt| {
            let moments = self.at(tilt);
            moments.mean >= epsilon || moments.log - tilt * epsilon <= floor
        })
    }

    /// Returns a range outside of which the tilted loss hardly ever is: Chernoff's bounds below exp(-24).
    pub(crate) fn window(&self, tilt: f64) -> (f64, f64) {
        let here = self.at(tilt);
        let bound = |s: f64| (self.at(tilt + s).log - here.log + LOG_WINDOW) / s;
        let (low, high) = (self.slopes(here).map(|s| bound(-s)), self.slopes(here).map(bound));
        let smallest =
            self.0.iter().map(|(nodes, count)| count * extreme(nodes, f64::INFINITY, f64::min)).sum();
        let largest =
            self.0.iter().map(|(nodes, count)| count * extreme(nodes, f64::NEG_INFINITY, f64::max)).sum();
        (low.fold(smallest, f64::max), high.fold(largest, f64::min))
    }

    /// Returns the exponent of the best Chernoff bound on losses above `high`, at a tilt.
    pub(crate) fn slope_beyond(&self, tilt: f64, high: f64) -> f64 {
        let here = self.at(tilt);
        let exponent = |s: f64| self.at(tilt + s).log - here.log - s * high;
        let best = self.slopes(here).map(|s| (exponent(s), s)).min_by(|a, b| a.0.total_cmp(&b.0));
        best.map_or(0.0, |(_, s)| s)
    }

    /// Candidates around the best slope of a Gaussian of the same variance.
    fn slopes(&self, here: Moments) -> impl Iterator<Item = f64> + use<> {
        let middle = sqrt(2.0 * LOG_WINDOW / here.variance.max(VARIANCE_MIN));
        (-12..=8).map(move |k| middle * libm::exp2(f64::from(k) / 3.0))
    }
}

impl Moments {
    /// Estimates ln delta at the mean, exactly if the tilted loss is Gaussian: with d its standard
    /// deviation and t the tilt, E[exp(-t (L - mean)) (1 - exp(mean - L)), L > mean] = psi(t d) -
    /// psi((t + 1) d) for psi(z) = exp(z^2 / 2) Phi(-z).
    fn log_delta(self, tilt: f64) -> f64 {
        let deviation = sqrt(self.variance);
        let psi = |z: f64| erfcx(z * FRAC_1_SQRT_2) / 2.0;
        let factor = psi(tilt * deviation) - psi((tilt + 1.0) * deviation);
        self.log - tilt * self.mean + log(factor.max(f64::MIN_POSITIVE))
    }
}

fn extreme(nodes: &[Point], start: f64, choose: fn(f64, f64) -> f64) -> f64 {
    nodes.iter().map(|node| node.loss).fold(start, choose)
}

/// Returns the least tilt from 0 upwards from which on `holds` is true, roughly.
fn smallest(holds: impl Fn(f64) -> bool) -> f64 {
    if holds(0.0) {
        return 0.0;
    }
    let mut high = 1.0;
    while !holds(high) && high < TILT_MAX {
        high *= 2.0;
    }
    let (low, width) = (if high > 1.0 { high / 2.0 } else { 0.0 }, high / TILT_PARTS);
    low + bisect(0.0, (high - low) / width, |i| holds(low + i.ceil() * width)).ceil() * width
}

/// Chernoff's bounds on what is outside of a window.
const LOG_WINDOW: f64 = 24.0;

/// Where the deviation vanishes any slope will do.
const VARIANCE_MIN: f64 = 1e-18;

/// Beyond this a loss is as good as constant.
const TILT_MAX: f64 = 131_072.0;

/// How finely a tilt is sought.
const TILT_PARTS: f64 = 4096.0;
