//! Upper bounds on delta as a function of epsilon.

use libm::{expm1, log1p};

/// Bounds at equally spaced epsilons, not increasing.
///
/// delta is convex in e^epsilon, whatever the mechanism: between two epsilons a chord of upper bounds is one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Curve {
    /// The first epsilon, in units of `spacing`.
    pub(crate) first: i64,
    /// The distance of neighbouring epsilons.
    pub(crate) spacing: f64,
    /// What is added to each epsilon.
    pub(crate) shift: f64,
    /// The bounds, each in [0, 1].
    pub(crate) deltas: Vec<f64>,
}

impl Curve {
    /// Joins curves on one lattice: at each epsilon the smallest of the bounds.
    pub(crate) fn lowest(curves: &[Self]) -> Self {
        let first = curves.iter().map(|curve| curve.first).min().expect("there are curves");
        let last = curves
            .iter()
            .map(|curve| curve.first + curve.deltas.len() as i64)
            .max()
            .expect("there are curves");
        let lowest = |index: i64| curves.iter().map(|curve| curve.at(index)).fold(1.0, f64::min);
        Self { first, deltas: (first..last).map(lowest).collect(), ..curves[0] }
    }

    /// Returns the bound at a multiple of the spacing.
    fn at(&self, index: i64) -> f64 {
        match usize::try_from(index - self.first) {
            Ok(place) => *self.deltas.get(place).or(self.deltas.last()).unwrap_or(&1.0),
            Err(_before_the_first) => 1.0,
        }
    }

    /// Returns the epsilon of the bound with this place in the list.
    pub(crate) fn place(&self, place: usize) -> f64 {
        (self.first + place as i64) as f64 * self.spacing + self.shift
    }

    /// Returns the place of the last epsilon that is at most 0, or of the first.
    pub(crate) fn start(&self) -> usize {
        let at_most_zero = (0..self.deltas.len()).take_while(|&place| self.place(place) <= 0.0);
        at_most_zero.last().unwrap_or(0)
    }

    /// Returns a bound on delta at `epsilon`, rounded up.
    pub(crate) fn delta(&self, epsilon: f64) -> f64 {
        let position = ((epsilon - self.shift) / self.spacing).floor() - self.first as f64;
        if position < 0.0 {
            return 1.0;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
        let place = position as usize;
        let Some(&[left, right]) = self.deltas.get(place..place + 2).and_then(|pair| pair.first_chunk())
        else {
            return *self.deltas.last().unwrap_or(&1.0);
        };
        let share = (expm1(epsilon - self.place(place)) / expm1(self.spacing)).clamp(0.0, 1.0);
        ((left + (right - left) * share) * ROUND_UP).min(1.0)
    }

    /// Returns the least epsilon from 0 upwards at which delta is at most `delta`, rounded up; infinity where
    /// no bound is that small.
    pub(crate) fn epsilon(&self, delta: f64) -> f64 {
        let place = self.deltas.partition_point(|&bound| bound > delta);
        let Some(&right) = self.deltas.get(place) else {
            return f64::INFINITY;
        };
        let Some(before) = place.checked_sub(1) else {
            return self.place(place).max(0.0);
        };
        let left = self.deltas[before];
        let share = ((left - delta) / (left - right)).clamp(0.0, 1.0);
        let epsilon = self.place(before) + log1p(share * expm1(self.spacing));
        (epsilon + ABSOLUTE_UP).max(0.0) * ROUND_UP
    }
}

/// Above the error of a chord's few operations.
const ROUND_UP: f64 = 1.0 + 1e-13;
const ABSOLUTE_UP: f64 = 1e-15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chords_join_bounds_and_are_inverted() {
        let curve = Curve { first: -1, spacing: 0.5, shift: 0.0, deltas: vec![1.0, 0.4, 0.1, 0.0] };
        for (epsilon, delta) in [(-0.6, 1.0), (-0.5, 1.0), (0.0, 0.4), (0.5, 0.1), (1.0, 0.0), (7.0, 0.0)] {
            assert!((curve.delta(epsilon) - delta).abs() < 1e-12, "{epsilon}");
        }
        for epsilon in [0.01, 0.2, 0.49, 0.7, 0.99] {
            assert!((curve.epsilon(curve.delta(epsilon)) - epsilon).abs() < 1e-12, "{epsilon}");
        }
        assert!(curve.epsilon(0.5) <= 0.0 && curve.epsilon(1.0) <= 0.0);
        let lossy = Curve { deltas: vec![1.0, 0.4, 0.1], ..curve };
        assert!(lossy.epsilon(0.05).is_infinite() && lossy.delta(9.0) >= 0.1);
    }
}
