//! Privacy losses on the multiples of a spacing, never smaller than they were.
//!
//! Connect-the-dots (Doroshenko, Ghazi, Kamath, Kumar and Manurangsi, 2022, arXiv 2207.04380, section 3): what
//! a bin holds moves to the bin's two ends so that its probabilities under P and under Q both stay. The
//! hockey-stick curve of the result joins the points of the true one at the multiples of the spacing; as the
//! true curve is convex in e^epsilon, the result is nowhere below it, in both directions at once.

use libm::{exp, expm1};

use crate::accountant::pld::pair::Pair;
use crate::accountant::pld::step::{Point, StepLoss};

/// A distribution of losses: `masses[i]` at `(first + i)` times the spacing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lattice {
    pub(crate) first: i64,
    pub(crate) masses: Vec<f64>,
    /// The probability under P of an infinite loss.
    pub(crate) lost: f64,
    /// The probability under Q of an infinite loss the other way.
    pub(crate) lost_back: f64,
}

/// How a loss is laid on a lattice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Grid {
    /// The distance of neighbouring losses.
    pub(crate) spacing: f64,
    /// How many standard deviations of each component are kept; what is further out counts as lost.
    pub(crate) deviations: f64,
}

impl Lattice {
    /// Lays one step's loss on a grid.
    ///
    /// Each mass is accurate to 1e-13 relative, but for a change of each loss by [`loss_error`]; what is outside
    /// of the spans is added both where it is infinitely bad and at the span's end.
    pub(crate) fn of(step: &StepLoss, grid: Grid) -> Self {
        let spans = step.lines.iter().map(|&(_, pair)| losses(pair, grid));
        let points = step.points.iter().map(|point| (point.loss, point.loss));
        let (low, high) =
            spans.chain(points).fold((f64::INFINITY, f64::NEG_INFINITY), |range, (low, high)| {
                (range.0.min(low), range.1.max(high))
            });
        let (first, last) = (index_below(low / grid.spacing) - 1, index_below(high / grid.spacing) + 2);
        let bins = usize::try_from(last - first).expect("a range has a length");
        let mut lattice = Self { first, masses: vec![0.0; bins + 1], lost: 0.0, lost_back: 0.0 };
        for &(weight, pair) in &step.lines {
            lattice.lay_line(weight, pair, grid);
        }
        for &point in &step.points {
            let bin = index_below(point.loss / grid.spacing);
            lattice.lay(bin, point, grid.spacing);
        }
        lattice
    }

    /// Returns the loss from Q to P: Q's probability of each loss is P's times e^-loss.
    pub(crate) fn reversed(&self, spacing: f64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "lattices have fewer than 2^50 points")]
        let loss = |i: usize| (self.first + i as i64) as f64 * spacing;
        let masses: Vec<_> = (0..self.masses.len()).rev().map(|i| self.masses[i] * exp(-loss(i))).collect();
        // Numbers below the normal range lose digits.
        let vanished = f64::MIN_POSITIVE * masses.len() as f64;
        let last = self.first + self.masses.len() as i64 - 1;
        Self { first: -last, masses, lost: self.lost_back + vanished, lost_back: self.lost }
    }

    /// Returns the largest loss, in absolute terms.
    pub(crate) fn reach(&self, spacing: f64) -> f64 {
        let last = self.first + self.masses.len() as i64 - 1;
        self.first.unsigned_abs().max(last.unsigned_abs()) as f64 * spacing
    }

    fn lay_line(&mut self, weight: f64, pair: Pair, grid: Grid) {
        let (start, end) = pair.span(grid.deviations);
        let (low, high) = losses(pair, grid);
        let (first, last) = (index_below(low / grid.spacing), index_below(high / grid.spacing));
        let mut from = start;
        for bin in first..=last {
            let edge = if bin == last { end } else { pair.place((bin + 1) as f64 * grid.spacing) };
            let to = edge.clamp(from, end);
            self.lay_bin(bin, (weight, pair), (from, to), grid.spacing);
            from = to;
        }
        let tails = pair.tails(grid.deviations);
        // Below: P's part moves up into the first bin's upper end, Q's counts as infinite the other way.
        *self.at(first + 1) += weight * tails.p_below;
        self.lost_back += weight * tails.q_below;
        // Above: P's part counts as infinite. Q's moves down to the last bin's lower end, where it is that times
        // e^loss under P: no more than P's part, as the losses above are larger.
        self.lost += weight * tails.p_above;
        *self.at(last) += weight * tails.p_above;
    }

    /// Integrates over the part of a bin from place `from` to `to`, in pieces within which nothing varies much.
    fn lay_bin(&mut self, bin: i64, (weight, pair): (f64, Pair), (from, to): (f64, f64), spacing: f64) {
        let reach = from.abs().max(to.abs()) + 1.0;
        let variation = pair.variation(reach) * (to - from);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a span has at most 10^5 pieces"
        )]
        let pieces = (variation / VARIATION_MAX).ceil().max(1.0) as u32;
        let width = (to - from) / f64::from(pieces);
        let rule = if variation < VARIATION_SMALL { RULE_SMALL } else { RULE };
        for piece in 0..pieces {
            let middle = from + (f64::from(piece) + 0.5) * width;
            for &(node, share) in rule {
                let x = middle + node * width / 2.0;
                let mass = weight * share * width / 2.0 * pair.density(x);
                self.lay(bin, Point { loss: pair.loss(x), mass }, spacing);
            }
        }
    }

    /// Splits a point between the ends of its bin: p + p' stays, and p e^-l + p' e^-l' stays.
    fn lay(&mut self, bin: i64, point: Point, spacing: f64) {
        let above = point.loss - bin as f64 * spacing;
        let share = (expm1(-above) / expm1(-spacing)).clamp(0.0, 1.0);
        *self.at(bin) += point.mass * (1.0 - share);
        *self.at(bin + 1) += point.mass * share;
    }

    fn at(&mut self, index: i64) -> &mut f64 {
        let place = usize::try_from(index - self.first).expect("the lattice covers all losses");
        &mut self.masses[place]
    }
}

/// Bounds by how much a lattice's losses are off, for losses of up to `reach`: places and losses are computed
/// to a few ulps of 1 + |loss|.
pub(crate) fn loss_error(reach: f64) -> f64 {
    16.0 * f64::EPSILON * (1.0 + reach)
}

fn losses(pair: Pair, grid: Grid) -> (f64, f64) {
    let (start, end) = pair.span(grid.deviations);
    (pair.loss(start), pair.loss(end))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "floor is the point, and grids are finer than 2^50 points"
)]
pub(crate) fn index_below(x: f64) -> i64 {
    x.floor().clamp(-INDEX_MAX, INDEX_MAX) as i64
}

/// Where losses are out of all proportion, windows are in the wrong place, which bounds nothing but harms nothing.
const INDEX_MAX: f64 = (1_u64 << 52) as f64;

/// Gauss and Legendre's rules with 5 and 3 nodes: over a piece whose integrand's logarithm varies by w, their
/// relative errors are about 4e-13 w^10 and 5e-7 w^6 times the Hermite factors of a Gaussian (below 945 and 15):
/// at most 4e-16 each.
const RULE: &[(f64, f64)] = &[
    (-0.906_179_845_938_664, 0.236_926_885_056_189_08),
    (-0.538_469_310_105_683_1, 0.478_628_670_499_366_47),
    (0.0, 0.568_888_888_888_888_9),
    (0.538_469_310_105_683_1, 0.478_628_670_499_366_47),
    (0.906_179_845_938_664, 0.236_926_885_056_189_08),
];
const RULE_SMALL: &[(f64, f64)] = &[
    (-0.774_596_669_241_483_4, 0.555_555_555_555_555_6),
    (0.0, 0.888_888_888_888_888_8),
    (0.774_596_669_241_483_4, 0.555_555_555_555_555_6),
];
const VARIATION_MAX: f64 = 0.25;
const VARIATION_SMALL: f64 = 0.02;
