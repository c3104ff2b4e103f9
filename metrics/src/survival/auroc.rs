//! Whether those with an event by a horizon were ranked above those without.

use crate::survival::{Curve, SurvivalPrediction, can_be_weighted, ranks};

/// Returns the cumulative/dynamic area under the receiver operating characteristic at `horizon`, in [0, 1].
///
/// The chance that a patient with an event by the horizon has a higher risk than one observed longer, the same risk
/// counting half. Patients with an event at T weigh 1 / G(T-) (Uno et al. 2007; Hung and Chiang 2010);
/// `censoring` is the curve G of not being censored, from a pooled table. scikit-survival takes G(T) for G(T-), which
/// differs where an event and a censoring have the same time, and takes risks within 1e-8 of each other for the same.
/// `None` without a patient of either kind, where G(T-) is 0, where a risk is not a number, or where a patient entered
/// late.
#[must_use]
pub fn auroc_at(predictions: &[SurvivalPrediction], censoring: &Curve, horizon: f64) -> Option<f64> {
    if !can_be_weighted(predictions) {
        return None;
    }
    let mut ranked: Vec<_> = ranks(predictions)?.into_iter().zip(predictions).collect();
    ranked.sort_by_key(|&(rank, _)| rank);
    let (mut wins, mut cases, mut controls) = (0.0, 0.0, 0.0);
    for tied in ranked.chunk_by(|a, b| a.0 == b.0) {
        let (mut tied_cases, mut tied_controls) = (0.0, 0.0);
        for (_, SurvivalPrediction { observed, .. }) in tied {
            if observed.time() > horizon {
                tied_controls += 1.0;
            } else if observed.event() {
                let uncensored = censoring.before(observed.time());
                if uncensored <= 0.0 {
                    return None;
                }
                tied_cases += uncensored.recip();
            }
        }
        wins += tied_cases * (controls + tied_controls / 2.0);
        cases += tied_cases;
        controls += tied_controls;
    }
    (cases > 0.0 && controls > 0.0).then(|| wins / (cases * controls))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survival::samples::predictions;

    #[test]
    fn cases_weigh_by_the_chance_that_they_were_seen() {
        let rows = predictions(&[
            (1.0, true, 0.9),
            (2.0, true, 0.3),
            (2.0, false, 0.8),
            (5.0, true, 0.3),
            (6.0, false, 0.4),
        ]);
        let censoring = Curve::new(vec![(1.5, 0.5)]).unwrap();
        // The case at 1 beats both controls; the one at 2, of weight 2, ties with one.
        let score = auroc_at(&rows, &censoring, 3.0).unwrap();
        assert!((score - (2.0 + 2.0 * 0.5) / (3.0 * 2.0)).abs() < 1e-12, "{score}");
    }

    #[test]
    fn one_kind_of_patient_has_no_score() {
        let flat = Curve::new(vec![]).unwrap();
        let rows = predictions(&[(1.0, true, 0.9), (2.0, false, 0.8)]);
        for horizon in [0.5, 2.0] {
            assert_eq!(auroc_at(&rows, &flat, horizon), None);
        }
        assert_eq!(auroc_at(&rows, &flat, 1.0), Some(1.0));
        assert_eq!(auroc_at(&[], &flat, 1.0), None);
        assert_eq!(auroc_at(&rows, &Curve::new(vec![(0.5, 0.0)]).unwrap(), 1.0), None);
        assert_eq!(auroc_at(&predictions(&[(1.0, true, f64::NAN), (2.0, false, 0.8)]), &flat, 1.0), None);
    }
}
