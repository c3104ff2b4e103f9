//! Curves behind single scores, for people to look at.

use crate::risk::{Prediction, bin};

/// Returns the receiver operating characteristic: shares of false and of true alarms at every threshold, from (0, 0) to
/// (1, 1).
///
/// Patients with the same probability are passed by the threshold together (Fawcett 2006, algorithm 1), so that the area
/// below is [`auroc`](crate::auroc). Empty unless both outcomes occur.
#[must_use]
pub fn roc(predictions: &[Prediction]) -> Vec<(f64, f64)> {
    let positives = predictions.iter().filter(|p| p.outcome).count();
    let negatives = predictions.len() - positives;
    if positives == 0 || negatives == 0 {
        return Vec::new();
    }
    let mut ranked = predictions.to_vec();
    ranked.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    let (mut false_alarms, mut true_alarms) = (0, 0);
    let mut curve = vec![(0.0, 0.0)];
    for tied in ranked.chunk_by(|a, b| a.probability.total_cmp(&b.probability).is_eq()) {
        let with_outcome = tied.iter().filter(|p| p.outcome).count();
        true_alarms += with_outcome;
        false_alarms += tied.len() - with_outcome;
        curve.push((share(false_alarms, negatives), share(true_alarms, positives)));
    }
    curve
}

/// Returns the reliability curve: mean probability and rate of the outcome, for each of [`ece`](crate::ece)'s bins that has
/// predictions.
#[must_use]
pub fn reliability(predictions: &[Prediction]) -> Vec<(f64, f64)> {
    let mut bins = std::collections::BTreeMap::<usize, Vec<&Prediction>>::new();
    for prediction in predictions {
        bins.entry(bin(prediction.probability)).or_default().push(prediction);
    }
    let point = |bin: Vec<&Prediction>| {
        let sum: f64 = bin.iter().map(|p| p.probability).sum();
        let outcomes = bin.iter().filter(|p| p.outcome).count();
        (sum / share(bin.len(), 1), share(outcomes, bin.len()))
    };
    bins.into_values().map(point).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a cohort is far below 2^52")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auroc;

    fn predictions(rows: &[(f64, bool)]) -> Vec<Prediction> {
        rows.iter().map(|&(probability, outcome)| Prediction { outcome, probability }).collect()
    }

    #[test]
    fn the_area_below_the_curve_is_the_score() {
        let ties =
            [(0.1, false), (0.4, true), (0.5, true), (0.5, false), (0.9, true), (0.9, false), (0.9, true)];
        for rows in [&ties[..], &ties[..5], &[(0.2, true), (0.7, false)], &[(0.5, true), (0.5, false)]] {
            let rows = predictions(rows);
            let curve = roc(&rows);
            let area: f64 = curve
                .windows(2)
                .map(|pair| (pair[1].0 - pair[0].0) * f64::midpoint(pair[0].1, pair[1].1))
                .sum();
            assert!((area - auroc(&rows).unwrap()).abs() < 1e-12, "{curve:?}");
            assert_eq!((curve.first(), curve.last()), (Some(&(0.0, 0.0)), Some(&(1.0, 1.0))));
        }
        assert_eq!(roc(&predictions(&[(0.3, true), (0.6, true)])), []);
        assert_eq!(roc(&[]), []);
    }

    #[test]
    fn reliability_is_of_bins_that_have_predictions() {
        let rows = predictions(&[(0.05, false), (0.5, true), (0.55, false), (1.0, true), (0.95, true)]);
        let found = reliability(&rows);
        for ((mean, rate), (expected_mean, expected_rate)) in
            found.iter().zip([(0.05, 0.0), (0.525, 0.5), (0.975, 1.0)])
        {
            assert!(
                (mean - expected_mean).abs() < 1e-12 && (rate - expected_rate).abs() < 1e-12,
                "{found:?}"
            );
        }
        assert_eq!(found.len(), 3);
        assert_eq!(reliability(&[]), []);
    }
}
