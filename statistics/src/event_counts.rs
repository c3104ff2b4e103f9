//! Patients under observation, counted at public times.

use fedtwin_metrics::survival::Survival;

/// Public times at which patients are counted.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeGrid {
    times: Vec<f64>,
}

impl TimeGrid {
    /// Returns a grid of increasing times, at least one.
    ///
    /// # Errors
    /// If there is none, or they do not increase.
    pub fn new(times: Vec<f64>) -> Result<Self, NotAGrid> {
        let is_grid = !times.is_empty() && times.iter().all(|time| time.is_finite());
        if is_grid && times.is_sorted_by(|a, b| a < b) { Ok(Self { times }) } else { Err(NotAGrid) }
    }

    /// Returns the times.
    #[must_use]
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// Counts one group's patients at one site.
    ///
    /// Times are rounded up to the grid, entries too, and events come before censorings: whatever is estimated of the
    /// counts is what it would be of the rounded times, and exact where the grid has every time. A patient who enters and
    /// ends within one step is not counted; what comes after the last time is still at risk then.
    #[must_use]
    pub fn count(&self, patients: &[Survival]) -> EventCounts {
        let steps = self.times.len();
        let place = |time: f64| self.times.partition_point(|&at| at < time);
        let mut counts = EventCounts { events: vec![0.0; steps], at_risk: vec![0.0; steps] };
        for patient in patients {
            let first = if patient.is_from_start() { 0 } else { place(patient.entry()) + 1 };
            let last = place(patient.time());
            for at_risk in counts.at_risk.iter_mut().take(last + 1).skip(first) {
                *at_risk += 1.0;
            }
            if patient.event() && first <= last && last < steps {
                counts.events[last] += 1.0;
            }
        }
        counts
    }
}

/// The times do not increase, or there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the times of a grid are finite, at least one, and increase")]
pub struct NotAGrid;

/// One group's counts at a grid's times.
#[derive(Debug, Clone, PartialEq)]
pub struct EventCounts {
    /// How many had the event at each time, `[times]`.
    pub events: Vec<f64>,
    /// How many were at risk at each time, `[times]`; patients censored then are among them.
    pub at_risk: Vec<f64>,
}

impl EventCounts {
    /// Returns the counts of both sites' patients; `None` where they are on other grids.
    #[must_use]
    pub fn and(&self, other: &Self) -> Option<Self> {
        let add = |a: &[f64], b: &[f64]| -> Option<Vec<f64>> {
            (a.len() == b.len()).then(|| a.iter().zip(b).map(|(a, b)| a + b).collect())
        };
        Some(Self { events: add(&self.events, &other.events)?, at_risk: add(&self.at_risk, &other.at_risk)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patients(rows: &[(f64, f64, bool)]) -> Vec<Survival> {
        rows.iter().map(|&(entry, time, event)| Survival::new(entry, time, event).unwrap()).collect()
    }

    #[test]
    fn times_are_rounded_up_to_the_grid() {
        let grid = TimeGrid::new(vec![1.0, 2.0, 3.0]).unwrap();
        let counts = grid.count(&patients(&[
            (0.0, 0.5, true),
            (0.0, 1.0, true),
            (0.0, 1.5, false),
            (1.0, 2.0, true),
            (1.2, 3.0, true),
            // Enters and ends within one step.
            (1.2, 1.8, true),
            (0.0, 9.0, true),
        ]));
        assert_eq!(counts.events, [2.0, 1.0, 1.0]);
        assert_eq!(counts.at_risk, [4.0, 3.0, 2.0]);
        let early = grid.count(&patients(&[(0.0, 0.5, true), (0.0, 1.0, true), (0.0, 1.5, false)]));
        let late =
            grid.count(&patients(&[(1.0, 2.0, true), (1.2, 3.0, true), (1.2, 1.8, true), (0.0, 9.0, true)]));
        assert_eq!(early.and(&late), Some(counts.clone()));
        assert_eq!(counts.and(&TimeGrid::new(vec![1.0]).unwrap().count(&[])), None);
    }

    #[test]
    fn what_is_no_grid_is_refused() {
        for times in [vec![], vec![1.0, 1.0], vec![2.0, 1.0], vec![f64::NAN], vec![f64::INFINITY]] {
            assert_eq!(TimeGrid::new(times), Err(NotAGrid));
        }
    }
}
