//! How predicted probabilities would have to be moved and stretched to fit what happened.

use crate::risk::Prediction;

/// Cox's recalibration of probabilities p of an outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recalibration {
    /// The a of `logit P(outcome) = a + logit p`: calibration in the large, 0 where as many outcomes happened as were
    /// predicted, above 0 where more did.
    pub in_the_large: f64,
    /// The a of `logit P(outcome) = a + b logit p`; 0 where the calibration is perfect.
    pub intercept: f64,
    /// The b of the same; 1 where the calibration is perfect, below 1 where predictions are too extreme.
    pub slope: f64,
}

/// Returns the maximum-likelihood recalibration (D. R. Cox 1958, "Two further applications of a model for binary
/// regression").
///
/// `None` where it is not defined: without both outcomes, where a probability is not strictly between 0 and 1, or under
/// separation: where one threshold, inclusive, parts those with the outcome from those without, no finite slope is the
/// best (Albert and Anderson 1984).
#[must_use]
pub fn recalibration(predictions: &[Prediction]) -> Option<Recalibration> {
    let is_inner = |p: &Prediction| p.probability > 0.0 && p.probability < 1.0;
    if !predictions.iter().all(is_inner) {
        return None;
    }
    let logits: Vec<_> = predictions.iter().map(|p| (logit(p.probability), p.outcome)).collect();
    let range = |outcome: bool| {
        let of = logits.iter().filter(|&&(_, happened)| happened == outcome).map(|&(x, _)| x);
        of.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
    };
    let (with, without) = (range(true), range(false));
    // Without one of the outcomes its range is empty, and the two do not overlap either.
    if with.0 >= without.1 || without.0 >= with.1 {
        return None;
    }
    let in_the_large = fit(&logits, false)?.0;
    let (intercept, slope) = fit(&logits, true)?;
    Some(Recalibration { in_the_large, intercept, slope })
}

/// Fits intercept and, if it is free, slope by Newton's method with halved steps, from 0 and 1.
fn fit(logits: &[(f64, bool)], is_slope_free: bool) -> Option<(f64, f64)> {
    let mut at = (0.0, 1.0);
    for _ in 0..STEPS_MAX {
        let step = newton_step(logits, at, is_slope_free)?;
        let before = log_likelihood(logits, at);
        let mut part = 1.0;
        let mut next = (at.0 + step.0, at.1 + step.1);
        while log_likelihood(logits, next) < before && part > f64::EPSILON {
            part /= 2.0;
            next = (at.0 + part * step.0, at.1 + part * step.1);
        }
        at = next;
        if step.0.abs() <= TOLERANCE * (1.0 + at.0.abs()) && step.1.abs() <= TOLERANCE * (1.0 + at.1.abs()) {
            return Some(at);
        }
    }
    None
}

fn newton_step(logits: &[(f64, bool)], (a, b): (f64, f64), is_slope_free: bool) -> Option<(f64, f64)> {
    let (mut score, mut information) = ((0.0, 0.0), (0.0, 0.0, 0.0));
    for &(x, outcome) in logits {
        let p = expit(a + b * x);
        let (residual, weight) = (f64::from(u8::from(outcome)) - p, p * (1.0 - p));
        score = (score.0 + residual, score.1 + residual * x);
        information = (information.0 + weight, information.1 + weight * x, information.2 + weight * x * x);
    }
    let (one, cross, square) = information;
    let step = if is_slope_free {
        let determinant = one * square - cross * cross;
        ((square * score.0 - cross * score.1) / determinant, (one * score.1 - cross * score.0) / determinant)
    } else {
        (score.0 / one, 0.0)
    };
    (step.0.is_finite() && step.1.is_finite()).then_some(step)
}

fn log_likelihood(logits: &[(f64, bool)], (a, b): (f64, f64)) -> f64 {
    // ln(1 + e^z) without overflow.
    let softplus = |z: f64| z.max(0.0) + (-z.abs()).exp().ln_1p();
    logits.iter().map(|&(x, outcome)| -softplus(if outcome { -(a + b * x) } else { a + b * x })).sum()
}

fn logit(probability: f64) -> f64 {
    probability.ln() - (-probability).ln_1p()
}

fn expit(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// Newton's method roughly doubles the digits at each step; a defined fit takes below ten.
const STEPS_MAX: usize = 100;
/// Relative to the coefficients; the next step would be of the order of its square.
const TOLERANCE: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(rows: &[(f64, bool)]) -> Vec<Prediction> {
        rows.iter().map(|&(probability, outcome)| Prediction { outcome, probability }).collect()
    }

    /// At each of two probabilities, as many of ten as said had the outcome: the fit is exact.
    fn groups(low: (f64, usize), high: (f64, usize)) -> Vec<Prediction> {
        let of = |(p, with): (f64, usize)| (0..10).map(move |i| (p, i < with));
        predictions(&of(low).chain(of(high)).collect::<Vec<_>>())
    }

    #[test]
    fn what_happens_as_predicted_needs_no_recalibration() {
        let found = recalibration(&groups((0.2, 2), (0.7, 7))).unwrap();
        let Recalibration { in_the_large, intercept, slope } = found;
        assert!(
            in_the_large.abs() < 1e-9 && intercept.abs() < 1e-9 && (slope - 1.0).abs() < 1e-9,
            "{found:?}"
        );
    }

    #[test]
    fn two_groups_are_fitted_exactly() {
        let found = recalibration(&groups((0.1, 3), (0.9, 6))).unwrap();
        let slope = (logit(0.6) - logit(0.3)) / (logit(0.9) - logit(0.1));
        assert!((found.slope - slope).abs() < 1e-9, "{found:?}");
        assert!((found.intercept - (logit(0.6) - slope * logit(0.9))).abs() < 1e-9, "{found:?}");
        // In the large, 9 of 20 are expected once moved.
        let expected =
            10.0 * (expit(logit(0.1) + found.in_the_large) + expit(logit(0.9) + found.in_the_large));
        assert!((expected - 9.0).abs() < 1e-8, "{found:?}");
    }

    #[test]
    fn separation_one_outcome_and_certainty_are_not_defined() {
        let not_defined = [
            &[][..],
            &[(0.3, true), (0.6, true)],
            &[(0.3, false), (0.6, false)],
            &[(0.3, false), (0.6, true), (0.7, true)],
            &[(0.3, true), (0.6, false)],
            // Parted at 0.6, where both happen.
            &[(0.3, false), (0.6, false), (0.6, true), (0.7, true)],
            &[(0.5, true), (0.5, false)],
            &[(0.0, false), (0.3, true), (0.6, false), (0.7, true)],
            &[(0.2, true), (0.3, false), (0.6, true), (1.0, true)],
            &[(0.2, true), (f64::NAN, false), (0.6, true)],
        ];
        for rows in not_defined {
            assert_eq!(recalibration(&predictions(rows)), None, "{rows:?}");
        }
        assert!(
            recalibration(&predictions(&[(0.3, false), (0.6, true), (0.7, false), (0.8, true)])).is_some()
        );
    }

    #[test]
    fn extreme_probabilities_end_in_a_fit() {
        let rows = [(1e-300, false), (1e-12, true), (0.5, false), (1.0 - 1e-12, false), (1.0 - 1e-14, true)];
        let found = recalibration(&predictions(&rows)).unwrap();
        assert!(found.slope.is_finite() && found.intercept.is_finite(), "{found:?}");
    }
}
