//! Scores of predicted times to an event, of patients some of whom were not seen to have one.
//!
//! Times are in any unit, the same for all, from the study's time zero. A horizon is always an argument, never the
//! largest time that there happens to be, and a censoring curve too: it is estimated from a pooled table, so that a
//! site's score does not hang on when one of its patients was last seen. Where an event and a censoring have the same
//! time, the event came first: the censored patient outlived it.
//!
//! Left out on purpose: competing risks, and weighted scores of patients who entered late, which are `None`.

mod auroc;
mod brier;
mod calibration;
mod concordance;
mod curve;
mod kaplan_meier;
#[cfg(test)]
mod samples;

pub use auroc::auroc_at;
pub use brier::{brier_at, integrated_brier};
pub use calibration::{CalibrationGroup, calibration_at};
pub use concordance::{Concordance, concordance, uno_c};
pub use curve::{Curve, NotACurve};
pub use kaplan_meier::{censoring_curve, kaplan_meier};

/// A patient's time under observation and whether the event ended it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Survival {
    entry: f64,
    time: f64,
    event: bool,
}

impl Survival {
    /// Returns an observation from `entry` (excluded) to `time` (included).
    ///
    /// Entry 0 is observation from time zero on, with time zero itself, so that a patient whose event is at 0 counts.
    ///
    /// # Errors
    /// If a time is negative or not finite, or the entry is not before the time.
    pub fn new(entry: f64, time: f64, event: bool) -> Result<Self, NotASurvival> {
        if !(entry.is_finite() && time.is_finite()) {
            return Err(NotASurvival::NotFinite);
        }
        if entry < 0.0 || time < 0.0 {
            return Err(NotASurvival::BeforeZero);
        }
        if entry >= time && entry > 0.0 {
            return Err(NotASurvival::NeverObserved);
        }
        // Minus zero becomes zero, so that the two tie.
        Ok(Self { entry: entry + 0.0, time: time + 0.0, event })
    }

    /// Returns when the patient came under observation; 0 is from the start.
    #[must_use]
    pub fn entry(&self) -> f64 {
        self.entry
    }

    /// Returns when the observation ended.
    #[must_use]
    pub fn time(&self) -> f64 {
        self.time
    }

    /// Returns whether it ended with the event.
    #[must_use]
    pub fn event(&self) -> bool {
        self.event
    }

    /// Returns whether the patient was under observation before `time`, whatever became of them.
    #[must_use]
    pub fn entered_before(&self, time: f64) -> bool {
        self.entry < time || self.is_from_start()
    }

    /// Returns whether the patient was under observation from time zero on.
    #[must_use]
    pub fn is_from_start(&self) -> bool {
        self.entry <= 0.0
    }
}

/// Why times are no observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotASurvival {
    /// A time is not a number, or infinite.
    #[error("a time under observation is not a finite number: leave the patient out, or correct the record")]
    NotFinite,
    /// A time is before time zero.
    #[error("a time under observation is negative: times count from the study's time zero")]
    BeforeZero,
    /// The observation ends when it begins, or before.
    #[error("an observation ends no later than it begins: the patient was never at risk")]
    NeverObserved,
}

/// What was predicted for a patient and what was observed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SurvivalPrediction {
    /// What was observed.
    pub observed: Survival,
    /// The predicted risk; higher is sooner. Ranks are all that counts for a concordance or an AUROC; for Brier scores
    /// and calibration it is the probability, in [0, 1], of an event by the horizon.
    pub risk: f64,
}

/// Returns the distinct risks' ranks, from 0, in the order of `predictions`; `None` where a risk is not a number.
///
/// Exact: two risks tie only if they are the same number, however close others are.
fn ranks(predictions: &[SurvivalPrediction]) -> Option<Vec<usize>> {
    if predictions.iter().any(|p| p.risk.is_nan()) {
        return None;
    }
    // Minus zero becomes zero, so that the total order ties the two.
    let mut order: Vec<_> = predictions.iter().enumerate().map(|(i, p)| (p.risk + 0.0, i)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut ranks = vec![0; predictions.len()];
    for (rank, tied) in order.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()).enumerate() {
        for &(_, i) in tied {
            ranks[i] = rank;
        }
    }
    Some(ranks)
}

/// Whether all are observed from the start, with risks that are numbers: what a weighted score is defined for.
fn can_be_weighted(predictions: &[SurvivalPrediction]) -> bool {
    let sound = |p: &SurvivalPrediction| p.observed.is_from_start() && !p.risk.is_nan();
    !predictions.is_empty() && predictions.iter().all(sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_are_no_observation_are_refused() {
        let refused = |entry, time| Survival::new(entry, time, true).unwrap_err();
        assert_eq!(refused(f64::NAN, 1.0), NotASurvival::NotFinite);
        assert_eq!(refused(0.0, f64::INFINITY), NotASurvival::NotFinite);
        assert_eq!(refused(-1.0, 1.0), NotASurvival::BeforeZero);
        assert_eq!(refused(0.0, -1.0), NotASurvival::BeforeZero);
        assert_eq!(refused(2.0, 2.0), NotASurvival::NeverObserved);
        assert_eq!(refused(3.0, 2.0), NotASurvival::NeverObserved);
        assert!(Survival::new(0.0, 0.0, true).is_ok(), "seen at time zero");
    }

    #[test]
    fn risks_tie_only_if_they_are_the_same_number() {
        let observed = Survival::new(0.0, 1.0, true).unwrap();
        let of = |risks: &[f64]| {
            ranks(&risks.iter().map(|&risk| SurvivalPrediction { observed, risk }).collect::<Vec<_>>())
        };
        assert_eq!(of(&[2e-9, 1e-9, 2e-9]), Some(vec![1, 0, 1]));
        assert_eq!(of(&[0.0, -0.0, f64::NEG_INFINITY]), Some(vec![1, 1, 0]));
        assert_eq!(of(&[0.0, f64::NAN]), None);
    }
}
