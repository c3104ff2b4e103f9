//! Squared errors of predicted probabilities of an event by a horizon, some of whose outcomes were not seen.

use crate::survival::{Curve, SurvivalPrediction, can_be_weighted};

/// Returns the Brier score at `horizon`, at least 0; lower is better.
///
/// Graf et al. 1999, weighed by the inverse chance of not being censored: the mean over all patients of
/// `(1 - risk)^2 / G(T-)` with an event at T by the horizon, of `risk^2 / G(horizon)` if observed longer, and of 0 if
/// censored by then. `censoring` is the curve G, from a pooled table. scikit-survival takes G(T) for G(T-), which differs
/// where an event and a censoring have the same time. `None` without patients, where a weight is infinite, where a risk
/// is not a number, or where a patient entered late.
#[must_use]
pub fn brier_at(predictions: &[SurvivalPrediction], censoring: &Curve, horizon: f64) -> Option<f64> {
    if !can_be_weighted(predictions) {
        return None;
    }
    let mut sum = 0.0;
    for SurvivalPrediction { observed, risk } in predictions {
        let (error, uncensored) = if observed.time() > horizon {
            (*risk, censoring.at(horizon))
        } else if observed.event() {
            (1.0 - risk, censoring.before(observed.time()))
        } else {
            continue;
        };
        if uncensored <= 0.0 {
            return None;
        }
        sum += error.powi(2) / uncensored;
    }
    #[expect(clippy::cast_precision_loss, reason = "a cohort is far below 2^52")]
    Some(sum / predictions.len() as f64)
}

/// Returns the mean of a score over time: the trapezoids between its points, by the time from the first to the last.
///
/// `scores`: times that increase, each with the score then (Graf et al. 1999, with equal weights). `None`
/// with fewer than two times, or where they do not increase.
#[must_use]
pub fn integrated_brier(scores: &[(f64, f64)]) -> Option<f64> {
    let (first, last) = (scores.first()?.0, scores.last()?.0);
    if scores.len() < 2 || !scores.is_sorted_by(|a, b| a.0 < b.0) {
        return None;
    }
    let area: f64 = scores.windows(2).map(|p| (p[1].0 - p[0].0) * f64::midpoint(p[0].1, p[1].1)).sum();
    Some(area / (last - first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survival::Survival;
    use crate::survival::samples::predictions;

    fn check(score: Option<f64>, expected: f64) {
        let score = score.unwrap();
        assert!((score - expected).abs() < 1e-12, "{score} is not {expected}");
    }

    #[test]
    fn each_patient_counts_by_the_chance_that_it_was_seen() {
        let rows = predictions(&[(1.0, true, 0.7), (2.0, false, 0.9), (2.0, true, 0.5), (5.0, false, 0.2)]);
        let censoring = Curve::new(vec![(2.0, 0.5)]).unwrap();
        // The event at 2 is weighed by G(2-) = 1, not by G(2).
        check(brier_at(&rows, &censoring, 3.0), (0.09 + 0.0 + 0.25 + 0.04 / 0.5) / 4.0);
        check(brier_at(&rows, &censoring, 1.0), (0.09 + 0.81 + 0.25 + 0.04) / 4.0);
    }

    #[test]
    fn what_could_not_be_seen_has_no_score() {
        let rows = predictions(&[(1.0, true, 0.7), (5.0, false, 0.2)]);
        let gone = Curve::new(vec![(0.5, 0.0)]).unwrap();
        let flat = Curve::new(vec![]).unwrap();
        assert_eq!(brier_at(&rows, &gone, 3.0), None);
        assert_eq!(brier_at(&[], &flat, 3.0), None);
        assert_eq!(brier_at(&predictions(&[(1.0, true, f64::NAN)]), &flat, 3.0), None);
        let late = SurvivalPrediction { observed: Survival::new(1.0, 2.0, true).unwrap(), risk: 0.5 };
        assert_eq!(brier_at(&[late], &flat, 3.0), None);
        check(brier_at(&predictions(&[(1.0, false, 0.7), (2.0, true, 0.5)]), &flat, 3.0), 0.125);
    }

    #[test]
    fn a_mean_over_time_is_of_trapezoids() {
        check(integrated_brier(&[(1.0, 0.1), (2.0, 0.3), (5.0, 0.1)]), (0.2 + 0.6) / 4.0);
        for scores in [&[][..], &[(1.0, 0.1)], &[(2.0, 0.1), (1.0, 0.3)], &[(1.0, 0.1), (1.0, 0.3)]] {
            assert_eq!(integrated_brier(scores), None);
        }
    }
}
