//! Scores of predicted probabilities of a yes-or-no outcome.

/// One prediction and what happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Whether the outcome happened.
    pub outcome: bool,
    /// The predicted probability of it, in [0, 1].
    pub probability: f64,
}

/// Returns the mean Poisson deviance of expected counts, at least 0; lower is better.
///
/// Twice the mean of `y ln(y / mu) - (y - mu)`, whose first term is 0 without an event (McCullagh and Nelder 1989,
/// section 2.3). `counts`: how often it happened and how often it was expected, above 0. `None` without counts, or
/// where nothing was expected.
#[must_use]
pub fn poisson_deviance(counts: &[(f64, f64)]) -> Option<f64> {
    if counts.is_empty() || counts.iter().any(|&(_, expected)| expected <= 0.0) {
        return None;
    }
    let deviance = |&(count, expected): &(f64, f64)| {
        let surprise = if count > 0.0 { count * (count / expected).ln() } else { 0.0 };
        2.0 * (surprise - (count - expected))
    };
    #[expect(clippy::cast_precision_loss, reason = "a cohort is far below 2^52")]
    Some(counts.iter().map(deviance).sum::<f64>() / counts.len() as f64)
}

/// Returns the share of outcomes that thresholding the probability at 0.5 (inclusive) gets right.
///
/// `None` without predictions.
#[must_use]
pub fn accuracy(predictions: &[Prediction]) -> Option<f64> {
    mean(predictions, |p| f64::from(u8::from((p.probability >= 0.5) == p.outcome)))
}

/// Returns the mean squared error of the probabilities (Brier 1950), in [0, 1]; lower is better.
///
/// `None` without predictions.
#[must_use]
pub fn brier(predictions: &[Prediction]) -> Option<f64> {
    mean(predictions, |p| (p.probability - outcome_value(p)).powi(2))
}

/// Returns the area under the receiver operating characteristic, in [0, 1].
///
/// The Mann-Whitney form: the chance that a random patient with the outcome is ranked above a random
/// one without it, ties counting half by midranks (Hanley and McNeil 1982). `None` unless both
/// outcomes occur.
#[must_use]
pub fn auroc(predictions: &[Prediction]) -> Option<f64> {
    let positives = predictions.iter().filter(|p| p.outcome).count();
    let negatives = predictions.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let mut ranked = predictions.to_vec();
    ranked.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    // Twice the rank sum of the positives, so that midranks stay integers.
    let mut twice_rank_sum = 0_u128;
    let mut below = 0;
    for tied in ranked.chunk_by(|a, b| a.probability.total_cmp(&b.probability).is_eq()) {
        let twice_midrank = 2 * below + tied.len() + 1;
        twice_rank_sum += (twice_midrank * tied.iter().filter(|p| p.outcome).count()) as u128;
        below += tied.len();
    }
    let twice_wins = twice_rank_sum - (positives * (positives + 1)) as u128;
    let pairs = positives as u128 * negatives as u128;
    #[expect(clippy::cast_precision_loss, reason = "a ratio of counts, rounded once")]
    Some(twice_wins as f64 / (2 * pairs) as f64)
}

/// Returns the expected calibration error in [0, 1] over ten bins of equal width.
///
/// Naeini et al. 2015, equation 1, for the probability of the outcome: the mean over predictions of
/// the gap between its bin's mean probability and outcome rate. A bin holds its lower edge; the last
/// also holds 1. `None` without predictions.
#[must_use]
pub fn ece(predictions: &[Prediction]) -> Option<f64> {
    let mut gaps = [0.0; ECE_BINS];
    for p in predictions {
        gaps[bin(p.probability)] += p.probability - outcome_value(p);
    }
    let gap: f64 = gaps.iter().map(|gap| gap.abs()).sum();
    #[expect(clippy::cast_precision_loss, reason = "a cohort is far below 2^52")]
    let count = predictions.len() as f64;
    (!predictions.is_empty()).then(|| gap / count)
}

/// Returns the bin of a probability, below [`ECE_BINS`].
#[expect(clippy::cast_possible_truncation, reason = "the bin is where it truncates to")]
#[expect(clippy::cast_sign_loss, reason = "probabilities are not negative")]
#[expect(clippy::cast_precision_loss, reason = "ten is exact")]
pub(crate) fn bin(probability: f64) -> usize {
    ((probability * ECE_BINS as f64) as usize).min(ECE_BINS - 1)
}

fn outcome_value(prediction: &Prediction) -> f64 {
    f64::from(u8::from(prediction.outcome))
}

fn mean(predictions: &[Prediction], score: impl Fn(&Prediction) -> f64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a cohort is far below 2^52")]
    let count = predictions.len() as f64;
    (!predictions.is_empty()).then(|| predictions.iter().map(score).sum::<f64>() / count)
}

/// As usual in the literature; fewer hide miscalibration, more are noise at a few hundred patients.
const ECE_BINS: usize = 10;

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn predictions(rows: &[(f64, bool)]) -> Vec<Prediction> {
        rows.iter().map(|&(probability, outcome)| Prediction { outcome, probability }).collect()
    }

    fn check(score: Option<f64>, expected: f64) {
        let score = score.unwrap();
        assert!((score - expected).abs() < 1e-12, "{score} is not {expected}");
    }

    #[test]
    fn the_deviance_is_zero_where_counts_are_as_expected_and_grows_from_there() {
        let deviance = |counts: &[(f64, f64)]| poisson_deviance(counts).unwrap();
        assert!(deviance(&[(3.0, 3.0), (1.0, 1.0)]).abs() < 1e-12);
        // scikit-learn 1.7.2: mean_poisson_deviance([0, 2, 5], [0.5, 1.5, 7.0]).
        assert!((deviance(&[(0.0, 0.5), (2.0, 1.5), (5.0, 7.0)]) - 0.595_335_307_864_997_9).abs() < 1e-9);
        assert_eq!((poisson_deviance(&[]), poisson_deviance(&[(1.0, 0.0)])), (None, None));
    }

    #[test]
    fn scores_match_hand_computed_values() {
        let rows = predictions(&[(0.1, false), (0.4, true), (0.5, true), (0.5, false), (0.9, true)]);
        check(accuracy(&rows), 3.0 / 5.0);
        check(brier(&rows), (0.01 + 0.36 + 0.25 + 0.25 + 0.01) / 5.0);
        // Six pairs: 0.4 beats 0.1; 0.5 beats 0.1 and ties with 0.5; 0.9 beats both.
        check(auroc(&rows), 4.5 / 6.0);
        // Bins 1, 4, 5 (two predictions, one outcome: no gap) and 9.
        check(ece(&rows), (0.1 + 0.6 + 0.0 + 0.1) / 5.0);
    }

    #[test]
    fn the_last_bin_holds_certainty() {
        check(ece(&predictions(&[(1.0, true), (0.95, true), (0.0, false)])), 0.05 / 3.0);
    }

    #[test]
    fn one_class_has_no_auroc_and_no_rows_have_no_score() {
        assert_eq!(auroc(&predictions(&[(0.3, true), (0.6, true)])), None);
        assert_eq!(auroc(&predictions(&[(0.3, false)])), None);
        for score in [accuracy, auroc, brier, ece] {
            assert_eq!(score(&[]), None);
        }
    }

    #[test]
    fn auroc_equals_the_count_over_all_pairs_with_many_ties() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..50 {
            let rows: Vec<_> =
                (0..40).map(|_| (f64::from(rng.random_range(0..8_u8)) / 8.0, rng.random_bool(0.4))).collect();
            let rows = predictions(&rows);
            let (mut wins, mut pairs) = (0.0, 0.0);
            for a in rows.iter().filter(|p| p.outcome) {
                for b in rows.iter().filter(|p| !p.outcome) {
                    pairs += 1.0;
                    wins += match a.probability.total_cmp(&b.probability) {
                        std::cmp::Ordering::Greater => 1.0,
                        std::cmp::Ordering::Equal => 0.5,
                        std::cmp::Ordering::Less => 0.0,
                    };
                }
            }
            check(auroc(&rows), wins / pairs);
        }
    }
}
