//! Composition: the sum of independent losses, by Fourier transform, with every error on the side of more loss.
//!
//! Let M(t) = E[exp(t L)]. Each step's probabilities are multiplied by exp(t l + k), with k near -ln M(t), so that
//! the losses that decide about the wanted delta become likely ones; the transform's rounding error, which is
//! relative to the largest probability, then does not drown a small delta. Sum of losses modulo the window's length:
//! whatever comes around is positive and only adds. Errors and where they go:
//!
//! - losses above the window: a Chernoff bound on their probability is added to each delta;
//! - losses below the window: they come around as additional mass;
//! - infinite losses: the sum of all steps' is added to each delta;
//! - rounding of the transforms: its Euclidean norm is bounded, and what it can change of a delta by Cauchy and
//!   Schwarz is added (negative probabilities count as zero);
//! - all other rounding is relative and all terms are positive: a factor on each delta;
//! - losses that are off by a few ulps: all epsilons are shifted by as much.
//!
//! Compare Koskela, Jälkö and Honkela, 2020, arXiv 1906.03049, and Gopi, Lee and Wutschitz, 2021, arXiv 2106.02848,
//! for the errors without tilting.

use libm::{exp, expm1, log, sqrt};

use crate::accountant::pld::cumulants::Cumulants;
use crate::accountant::pld::curve::Curve;
use crate::accountant::pld::fft::{MODULUS_MIN, RealFft, Spectrum};
use crate::accountant::pld::lattice::{Lattice, index_below, loss_error};

/// Losses that are summed, in one direction.
pub(crate) struct Composition<'a> {
    /// Each step's loss and how often it is added.
    pub(crate) steps: Vec<(&'a Lattice, u64)>,
    /// The lattices' spacing.
    pub(crate) spacing: f64,
    /// Estimates for the same losses.
    pub(crate) cumulants: &'a Cumulants,
}

/// The losses that a composition keeps: `length` multiples of the spacing from `first` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    first: i64,
    length: usize,
}

/// The composed loss, tilted, and what bounds its errors.
struct Tilted {
    probabilities: Vec<f64>,
    /// The logarithm of what undoes the normalisation.
    log_scale: f64,
    /// The Euclidean norm of all rounding errors of the transforms.
    error: f64,
    /// ln of E[exp(s L)], tilted, at the slope of the bound on what is above the window.
    log_moment: f64,
}

impl Composition<'_> {
    /// Returns the curve of the sum, sharp around the loss that `tilt`, at least 0, makes the mean, and covering `range`.
    pub(crate) fn curve(&self, tilt: f64, range: (f64, f64)) -> Curve {
        // What the lattice adds to the deviation: at most half a spacing for each step.
        let blur = self.spacing * sqrt(self.total()) / 2.0;
        let shift = (1.0 + tilt) * blur * blur;
        let window = self.window((range.0 - DEVIATIONS * blur, range.1 + DEVIATIONS * blur + shift));
        let top = (window.first + window.length as i64 - 1) as f64 * self.spacing;
        let slope = self.cumulants.slope_beyond(tilt, top).min(DEVIATIONS / blur);
        let tilted = self.tilted(tilt, window, slope);
        // P(L > top) <= E~[exp(s (L - top))] exp(-t top) / normalisation, twice for what rounding does.
        let above = match self.largest() <= top {
            true => 0.0,
            false => 2.0 * exp(tilted.log_moment - slope * top + tilted.log_scale - tilt * top),
        };
        let lost: f64 = self.steps.iter().map(|&(step, count)| step.lost * count as f64).sum();
        let reach =
            self.steps.iter().map(|(step, count)| loss_error(step.reach(self.spacing)) * *count as f64);
        let factor = 1.0 + 1e-9 + STEP_ERROR * self.total();
        let constant = above + lost;
        let deltas = self.deltas(tilt, window, &tilted);
        Curve {
            first: window.first,
            spacing: self.spacing,
            shift: reach.sum::<f64>(),
            deltas: deltas.into_iter().map(|delta| ((delta + constant) * factor).min(1.0)).collect(),
        }
    }

    /// Returns the largest finite loss, rounded up.
    fn largest(&self) -> f64 {
        let last = |step: &Lattice| (step.first + step.masses.len() as i64) as f64;
        self.steps.iter().map(|&(step, count)| last(step) * count as f64 * self.spacing).sum()
    }

    fn total(&self) -> f64 {
        self.steps.iter().map(|&(_, count)| count as f64).sum()
    }

    fn window(&self, (low, high): (f64, f64)) -> Window {
        // Lattices are longer than losses by up to two places at each end.
        let ends = 4 + i64::try_from(self.steps.len()).unwrap_or(0);
        let (first, last) = (index_below(low / self.spacing) - ends, index_below(high / self.spacing) + ends);
        let length = usize::try_from(last - first + 1).unwrap_or(LENGTH_MAX);
        let length = length.next_power_of_two().clamp(LENGTH_MIN, LENGTH_MAX);
        // What is more than asked for goes to both sides.
        let spare = length as i64 - (last - first + 1);
        Window { first: if spare > 0 { first - spare / 2 } else { first }, length }
    }

    fn tilted(&self, tilt: f64, window: Window, slope: f64) -> Tilted {
        let fft = RealFft::new(window.length);
        let mut product = Spectrum::one(window.length);
        let (mut log_scale, mut log_moment, mut error, mut growth) = (0.0, 0.0, 0.0, 0.0);
        for &(step, count) in &self.steps {
            let times = count as f64;
            let normaliser = -log_moment_of(step, self.spacing, tilt);
            let (values, moment) = self.tilted_step(step, (tilt, normaliser), slope, window.length);
            let (spectrum, off) = fft.spectrum_of_peak(values);
            log_scale -= times * normaliser;
            log_moment += times * moment;
            // A factor is off by at most this in Euclidean norm over the spectrum, hence at each root.
            error += times * off;
            growth += times * (off * sqrt(window.length as f64) + STEP_ERROR);
            product.multiply_by_power(&spectrum, count);
        }
        let probabilities = fft.values(product);
        let norm = sqrt(probabilities.iter().map(|value| value * value).sum());
        let multiplications = 2.0 * f64::EPSILON * (self.total() + 2.0 * self.steps.len() as f64);
        let error =
            (error * exp(growth) + (multiplications + fft.relative_error()) * norm) * 1.01 + MODULUS_MIN;
        // From modulo the length to the window's order.
        let mut probabilities = probabilities;
        let length = i64::try_from(window.length).expect("a window is short");
        let start = usize::try_from(window.first.rem_euclid(length)).expect("not negative");
        probabilities.rotate_left(start);
        Tilted { probabilities, log_scale, error, log_moment }
    }

    /// Returns a step's tilted probabilities modulo the length, and the logarithm of their moment at `slope`.
    fn tilted_step(
        &self,
        step: &Lattice,
        (tilt, normaliser): (f64, f64),
        slope: f64,
        length: usize,
    ) -> (Vec<f64>, f64) {
        let mut values = vec![0.0; length];
        let (mut moment, top) = (0.0, (step.first + step.masses.len() as i64) as f64 * self.spacing);
        let length = i64::try_from(length).expect("a window is short");
        let mut place = usize::try_from(step.first.rem_euclid(length)).expect("not negative");
        for (i, &mass) in step.masses.iter().enumerate() {
            if mass > 0.0 {
                let loss = (step.first + i as i64) as f64 * self.spacing;
                let value = mass * exp(tilt * loss + normaliser);
                values[place] += value;
                moment += value * exp(slope * (loss - top));
            }
            place = if place + 1 == values.len() { 0 } else { place + 1 };
        }
        (values, log(moment.max(f64::MIN_POSITIVE)) + slope * top)
    }

    /// Returns delta at each loss of the window, from the probabilities and the bound on their error.
    ///
    /// With h the spacing and b_j = sum over i > j of p_i exp(l_j - l_i), delta_j = delta_(j+1) + (1 - e^-h)
    /// (p_(j+1) + b_(j+1)): only positive terms. An error e of the tilted probabilities changes delta_j
    /// by at most |e| times the norm of exp(scale - t l_i) over i > j.
    fn deltas(&self, tilt: f64, window: Window, tilted: &Tilted) -> Vec<f64> {
        let spacing = self.spacing;
        let undone = |i: usize| exp(tilted.log_scale - tilt * (window.first + i as i64) as f64 * spacing);
        let norm = sqrt((window.length as f64).min(1.0 / expm1(2.0 * tilt * spacing)));
        let (decay, rise) = (exp(-spacing), -expm1(-spacing));
        let mut deltas = vec![0.0; window.length];
        let (mut delta, mut discounted) = (0.0, 0.0);
        for i in (0..window.length).rev() {
            let scale = undone(i);
            deltas[i] = delta + tilted.error * scale * norm;
            let mass = tilted.probabilities[i].max(0.0) * scale;
            delta += rise * (mass + discounted);
            discounted = decay * (mass + discounted);
        }
        deltas
    }
}

/// Returns ln of E[exp(tilt L)] over a lattice.
fn log_moment_of(step: &Lattice, spacing: f64, tilt: f64) -> f64 {
    let masses = || step.masses.iter().enumerate().filter(|(_, mass)| **mass > 0.0);
    let exponent = |i: usize| tilt * (step.first + i as i64) as f64 * spacing;
    let largest = masses().map(|(i, &mass)| exponent(i) + log(mass)).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = masses().map(|(i, &mass)| mass * exp(exponent(i) - largest)).sum();
    log(sum) + largest
}

/// Bounds the relative error of each of a step's tilted probabilities.
const STEP_ERROR: f64 = 1e-12;

/// Beyond as many standard deviations a Gaussian has exp(-32).
const DEVIATIONS: f64 = 8.0;

const LENGTH_MIN: usize = 1 << 8;

/// 2^21 losses take about half a second.
pub(crate) const LENGTH_MAX: usize = 1 << 21;
