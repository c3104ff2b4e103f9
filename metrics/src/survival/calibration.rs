//! Predicted probabilities of an event by a horizon against the share that had one.

use crate::survival::{Survival, SurvivalPrediction, kaplan_meier};

/// Patients of similar risk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationGroup {
    /// How many there are, at least 1.
    pub patients: usize,
    /// Their mean predicted probability of an event by the horizon, in [0, 1].
    pub predicted: f64,
    /// The probability that was observed, one minus Kaplan and Meier's curve, in [0, 1]; `None` where everybody was
    /// censored before the horizon.
    pub observed: Option<f64>,
}

/// Returns up to `groups` groups of patients by increasing risk, as even as the ties allow, each with what was predicted
/// and observed at `horizon` (Harrell 2015).
///
/// Patients of the same risk are in one group. Empty where a risk is not a number.
#[must_use]
pub fn calibration_at(
    predictions: &[SurvivalPrediction],
    horizon: f64,
    groups: usize,
) -> Vec<CalibrationGroup> {
    if predictions.iter().any(|p| p.risk.is_nan()) {
        return Vec::new();
    }
    let mut ranked = predictions.to_vec();
    ranked.sort_by(|a, b| (a.risk + 0.0).total_cmp(&(b.risk + 0.0)));
    let groups = groups.min(ranked.len());
    let mut found = Vec::new();
    let (mut group, mut before) = (Vec::new(), 0);
    for tied in ranked.chunk_by(|a, b| (a.risk + 0.0).total_cmp(&(b.risk + 0.0)).is_eq()) {
        group.extend_from_slice(tied);
        before += tied.len();
        // Closed once it reaches the end of the quantile that it began in.
        let begun = (before - group.len()) * groups / ranked.len();
        if before * groups / ranked.len() > begun {
            found.push(summary(&group, horizon));
            group.clear();
        }
    }
    found
}

fn summary(group: &[SurvivalPrediction], horizon: f64) -> CalibrationGroup {
    let observations: Vec<Survival> = group.iter().map(|p| p.observed).collect();
    let without = kaplan_meier(&observations).at(horizon);
    let is_seen = without <= 0.0 || observations.iter().any(|o| o.time() >= horizon);
    #[expect(clippy::cast_precision_loss, reason = "a cohort is far below 2^52")]
    let predicted = group.iter().map(|p| p.risk).sum::<f64>() / group.len() as f64;
    CalibrationGroup { patients: group.len(), predicted, observed: is_seen.then_some(1.0 - without) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survival::samples::predictions;

    #[test]
    fn groups_are_even_and_of_increasing_risk() {
        let rows = predictions(&[
            (1.0, true, 0.9),
            (2.0, false, 0.7),
            (4.0, true, 0.8),
            (5.0, false, 0.1),
            (6.0, false, 0.3),
            (1.0, false, 0.2),
        ]);
        let found = calibration_at(&rows, 3.0, 2);
        assert_eq!(found.iter().map(|g| g.patients).collect::<Vec<_>>(), [3, 3]);
        assert!((found[0].predicted - 0.2).abs() < 1e-12 && (found[1].predicted - 0.8).abs() < 1e-12);
        assert_eq!(found[0].observed, Some(0.0));
        assert!((found[1].observed.unwrap() - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn patients_of_one_risk_stay_together_and_none_is_lost() {
        let rows = predictions(&[0.1, 0.5, 0.5, 0.5, 0.5, 0.9].map(|risk| (2.0, true, risk)));
        for groups in 1..8 {
            let found = calibration_at(&rows, 1.0, groups);
            assert_eq!(found.iter().map(|g| g.patients).sum::<usize>(), 6, "{groups} groups");
            assert!(found.len() <= groups.min(3), "{groups} groups");
        }
        assert_eq!(calibration_at(&rows, 1.0, 0), []);
        assert_eq!(calibration_at(&[], 1.0, 5), []);
        assert_eq!(calibration_at(&predictions(&[(1.0, true, f64::NAN)]), 1.0, 1), []);
    }

    #[test]
    fn a_group_that_nobody_saw_until_the_horizon_has_no_observed_share() {
        let seen = |rows| calibration_at(&predictions(rows), 3.0, 1)[0].observed;
        assert_eq!(seen(&[(1.0, true, 0.5), (2.0, false, 0.5)]), None);
        assert_eq!(seen(&[(1.0, true, 0.5), (3.0, false, 0.5)]), Some(0.5));
        assert_eq!(seen(&[(1.0, true, 0.5), (2.0, true, 0.5)]), Some(1.0));
    }
}
