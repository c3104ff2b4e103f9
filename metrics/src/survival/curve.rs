//! A step function of time, such as a share of patients without an event.

/// A right-continuous step function of time that is 1 before its first step and never rises.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Each step's time and the value from it on; times increase, values are in [0, 1] and do not.
    steps: Vec<(f64, f64)>,
}

impl Curve {
    /// Takes steps, each a time and the value from that time on.
    ///
    /// # Errors
    /// If the times do not increase, or the values leave [0, 1] or rise.
    pub fn new(steps: Vec<(f64, f64)>) -> Result<Self, NotACurve> {
        if !steps.is_sorted_by(|a, b| a.0 < b.0) || steps.iter().any(|&(time, _)| !time.is_finite()) {
            return Err(NotACurve::Times);
        }
        let mut before = 1.0;
        for &(_, value) in &steps {
            if !(0.0..=before).contains(&value) {
                return Err(NotACurve::Values);
            }
            before = value;
        }
        Ok(Self { steps })
    }

    /// Returns the steps, each a time and the value from that time on.
    #[must_use]
    pub fn steps(&self) -> &[(f64, f64)] {
        &self.steps
    }

    /// Returns the value at `time`, after a step that is then; in [0, 1].
    #[must_use]
    pub fn at(&self, time: f64) -> f64 {
        self.value(self.steps.partition_point(|&(step, _)| step <= time))
    }

    /// Returns the limit from the left at `time`: the value before a step that is then; in [0, 1].
    #[must_use]
    pub fn before(&self, time: f64) -> f64 {
        self.value(self.steps.partition_point(|&(step, _)| step < time))
    }

    fn value(&self, steps: usize) -> f64 {
        steps.checked_sub(1).map_or(1.0, |last| self.steps[last].1)
    }
}

/// Why steps are no curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotACurve {
    /// Times do not increase.
    #[error("the times of a curve's steps do not increase, or are not finite: sort them, each once")]
    Times,
    /// Values leave [0, 1] or rise.
    #[error("the values of a curve's steps leave [0, 1] or rise: it is a share that stays or falls")]
    Values,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "values are those given")]
    fn values_change_at_the_step_and_not_before_it() {
        let curve = Curve::new(vec![(1.0, 0.75), (3.0, 0.5)]).unwrap();
        let at = [0.0, 1.0, 2.0, 3.0, 4.0].map(|t| (curve.before(t), curve.at(t)));
        assert_eq!(at, [(1.0, 1.0), (1.0, 0.75), (0.75, 0.75), (0.75, 0.5), (0.5, 0.5)]);
        assert_eq!(Curve::new(vec![]).unwrap().at(7.0), 1.0);
    }

    #[test]
    fn what_rises_or_goes_back_in_time_is_refused() {
        let refused = |steps: &[(f64, f64)]| Curve::new(steps.to_vec()).unwrap_err();
        for times in [[1.0, 1.0], [2.0, 1.0], [1.0, f64::NAN], [1.0, f64::INFINITY]] {
            assert_eq!(refused(&[(times[0], 0.5), (times[1], 0.4)]), NotACurve::Times);
        }
        for values in [[0.5, 0.6], [1.1, 0.5], [0.5, -0.1], [f64::NAN, 0.1]] {
            assert_eq!(refused(&[(1.0, values[0]), (2.0, values[1])]), NotACurve::Values);
        }
    }
}
