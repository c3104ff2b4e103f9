//! The privacy loss of one step of a mechanism: as it is, and as points for quick sums over it.

use libm::exp;

use crate::accountant::pld::pair::Pair;

/// A pair of distributions that dominates one step of a mechanism, in parts whose probabilities add to 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StepLoss {
    /// Parts on a line, each with its weight.
    pub(crate) lines: Vec<(f64, Pair)>,
    /// Points.
    pub(crate) points: Vec<Point>,
    /// Whether the loss from Q to P is distributed as that from P to Q.
    pub(crate) symmetric: bool,
}

/// A privacy loss and its probability under P.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) loss: f64,
    pub(crate) mass: f64,
}

impl StepLoss {
    /// Makes the loss of a pair.
    pub(crate) fn line(pair: Pair) -> Self {
        Self { lines: vec![(1.0, pair)], points: Vec::new(), symmetric: pair.is_symmetric() }
    }

    /// Makes the loss of a step that everyone sees to be of one kind with probability `weight`, of another else.
    pub(crate) fn mixture(weight: f64, one: Pair, other: Pair) -> Self {
        let lines = vec![(weight, one), (1.0 - weight, other)];
        Self { lines, points: Vec::new(), symmetric: one.is_symmetric() && other.is_symmetric() }
    }

    /// Returns the Laplace mechanism's: sensitivity over scale is `ratio`.
    ///
    /// For Lap(0, b) against Lap(s, b) with r = s/b the loss is r with probability 1/2 and -r with probability
    /// e^-r / 2.
    pub(crate) fn laplace(ratio: f64) -> Self {
        let points = vec![Point { loss: -ratio, mass: exp(-ratio) / 2.0 }, Point { loss: ratio, mass: 0.5 }];
        Self { lines: vec![(1.0, Pair::Laplace { ratio })], points, symmetric: true }
    }

    /// Returns the discrete Laplace (two-sided geometric) mechanism's: P(k) is proportional to
    /// exp(-|k| / scale) over the integers, Q is the same around `sensitivity`.
    ///
    /// With r = exp(-1 / scale), the loss is (s - 2 k) / scale at k = 0..=s: with k <= 0 together it has
    /// the probability 1 / (1 + r), with k >= s together r^s / (1 + r), and (1 - r) / (1 + r) r^k between.
    pub(crate) fn discrete_laplace(scale: f64, sensitivity: u32) -> Self {
        let ratio = exp(-1.0 / scale);
        let between = -libm::expm1(-1.0 / scale) / (1.0 + ratio);
        let point = |k: u32| {
            let power = exp(-f64::from(k) / scale);
            let mass = if k == 0 || k == sensitivity { power / (1.0 + ratio) } else { power * between };
            Point { loss: (f64::from(sensitivity) - 2.0 * f64::from(k)) / scale, mass }
        };
        Self { lines: Vec::new(), points: (0..=sensitivity).map(point).collect(), symmetric: true }
    }

    /// Returns the loss of randomised response, which dominates whatever is `epsilon`-private with no delta
    /// (Kairouz, Oh and Viswanath, 2015, arXiv 1311.0776, theorem 3.4 and its proof).
    pub(crate) fn pure(epsilon: f64) -> Self {
        let mass = 1.0 / (1.0 + exp(-epsilon));
        let points =
            vec![Point { loss: -epsilon, mass: mass * exp(-epsilon) }, Point { loss: epsilon, mass }];
        Self { lines: Vec::new(), points, symmetric: true }
    }

    /// Returns the largest loss in either direction, or infinity.
    pub(crate) fn largest(&self) -> f64 {
        let lines = self.lines.iter().map(|&(_, pair)| match pair {
            Pair::Laplace { ratio } => ratio,
            Pair::Gaussian { .. } | Pair::Sampled { .. } | Pair::Replaced { .. } => f64::INFINITY,
        });
        lines.chain(self.points.iter().map(|point| point.loss.abs())).fold(0.0, f64::max)
    }

    /// Returns points whose sums are those over the loss to many digits, but for `deviations` standard
    /// deviations' tails: good for choosing a grid, where nothing depends on rounding.
    pub(crate) fn nodes(&self, deviations: f64) -> Vec<Point> {
        let mut nodes = self.points.clone();
        for &(weight, pair) in &self.lines {
            let (low, high) = pair.span(deviations);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "at most 10^5 in any span"
            )]
            let count = ((high - low) / pair.resolution()).ceil() as u32;
            let step = (high - low) / f64::from(count);
            nodes.extend((0..=count).map(|i| {
                let x = low + f64::from(i) * step;
                Point { loss: pair.loss(x), mass: weight * pair.density(x) * step }
            }));
        }
        nodes
    }
}

/// Turns the loss from P to Q into that from Q to P.
pub(crate) fn reversed(nodes: &[Point]) -> Vec<Point> {
    nodes.iter().map(|node| Point { loss: -node.loss, mass: node.mass * exp(-node.loss) }).collect()
}
