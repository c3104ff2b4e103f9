//! One point of an attack's trade-off curve, with bounds that allow for patients who share a model.

use serde::{Deserialize, Serialize};

use crate::binomial::Rate;
use crate::normal::true_positive_rate_max;

/// A score and the truth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scored {
    /// Higher means: more likely a member.
    pub(super) score: f64,
    /// Whether the patient was one.
    pub(super) member: bool,
}

/// What an attack finds at a threshold that was fixed on other models.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatingPoint {
    /// The rate of false alarms that the threshold was registered for.
    pub registered: f64,
    /// The share of members called members; each bound fails with probability 0.025.
    pub true_positives: Rate,
    /// The share of others called members; each bound fails with probability 0.025.
    pub false_positives: Rate,
}

impl OperatingPoint {
    /// Fixes a threshold on the `registering` models, and measures on the `attacked` ones; one list per model.
    pub(super) fn measure(registered: f64, registering: &[Vec<Scored>], attacked: &[Vec<Scored>]) -> Self {
        let threshold = threshold(registered, registering);
        let share = |member: bool| {
            let counts = attacked.iter().map(|model| {
                let group = model.iter().filter(|scored| scored.member == member);
                let called = group.clone().filter(|scored| scored.score > threshold).count();
                (called, group.count())
            });
            clustered(&counts.collect::<Vec<_>>())
        };
        Self { registered, true_positives: share(true), false_positives: share(false) }
    }

    /// Says whether, with its bounds, the point is not above the curve that mu leaves possible.
    #[must_use]
    pub fn is_within(&self, mu: f64) -> bool {
        self.true_positives.low <= true_positive_rate_max(self.false_positives.high, mu)
    }

    /// Says whether, with its bounds, the attack is better than guessing.
    #[must_use]
    pub fn is_above_chance(&self) -> bool {
        self.true_positives.low > self.false_positives.high
    }
}

/// Returns the lowest threshold that at most a share of `rate` of the others exceed.
fn threshold(rate: f64, models: &[Vec<Scored>]) -> f64 {
    let others = models.iter().flatten().filter(|scored| !scored.member);
    let mut scores: Vec<_> = others.map(|scored| scored.score).collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
    let allowed = (rate * scores.len() as f64) as usize;
    scores.get(allowed).copied().unwrap_or(f64::INFINITY)
}

/// Bounds a share over clusters: Clopper and Pearson at the effective number of trials.
///
/// Patients of one model share its noise and its other members. Korn and Graubard, "Confidence intervals
/// for proportions with small expected number of positive counts estimated from survey data", Survey
/// Methodology 24, 1998: the number of trials divided by the design effect, where that is above 1. Both
/// counts are rounded outwards.
fn clustered(counts: &[(usize, usize)]) -> Rate {
    let (called, trials) = counts.iter().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    if trials == 0 {
        return Rate { value: 0.0, low: 0.0, high: 1.0 };
    }
    let (n, clusters, value) = (trials as f64, counts.len() as f64, called as f64 / trials as f64);
    let residuals = counts.iter().map(|&(called, trials)| (called as f64 - value * trials as f64).powi(2));
    let variance = residuals.sum::<f64>() / (n * n) * clusters / (clusters - 1.0).max(1.0);
    let simple = value * (1.0 - value) / n;
    let effect = if simple > 0.0 { (variance / simple).max(1.0) } else { 1.0 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of trials")]
    let count = |number: f64| number as u32;
    let effective = count(n / effect).max(1);
    let successes = value * f64::from(effective);
    let (fewer, more) = (count(successes.floor()), count(successes.ceil()).min(effective));
    let miss = 0.025;
    Rate { value, low: Rate::of(fewer, effective, miss).low, high: Rate::of(more, effective, miss).high }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(member: bool, scores: impl IntoIterator<Item = i32>) -> Vec<Scored> {
        scores.into_iter().map(|score| Scored { score: f64::from(score), member }).collect()
    }

    #[test]
    fn a_threshold_lets_no_more_than_its_share_of_others_through() {
        let models = [scored(false, 0..1000), scored(true, 900..2000)];
        for (rate, expected) in [(0.01, 989.0), (0.001, 998.0), (0.0, 999.0)] {
            let found: f64 = threshold(rate, &models);
            assert!((found - expected).abs() < 1e-12, "{rate}: {found}");
        }
        assert!(threshold(0.5, &[]).is_infinite());
    }

    #[test]
    fn independent_trials_have_the_plain_interval_and_equal_ones_count_once() {
        let independent: Vec<_> = (0..400).map(|i| (usize::from(i % 4 == 0), 1)).collect();
        // Each cluster of ten moves as one: 40 trials, of which 10 succeed.
        let equal: Vec<_> = (0..40).map(|i| (if i % 4 == 0 { 10 } else { 0 }, 10)).collect();
        for (counts, plain) in [(independent, Rate::of(100, 400, 0.025)), (equal, Rate::of(10, 40, 0.025))] {
            // A little wider, for the variance between n clusters has n - 1 degrees of freedom.
            let found = clustered(&counts);
            assert!(found.low <= plain.low && found.high >= plain.high, "{found:?}");
            assert!(found.low > plain.low - 0.02 && found.high < plain.high + 0.02, "{found:?}");
        }
    }

    #[test]
    fn points_are_judged_by_their_bounds() {
        let attacked: Vec<_> =
            (0..50).map(|_| [scored(false, 0..100), scored(true, 50..150)].concat()).collect();
        let point = OperatingPoint::measure(0.01, &attacked, &attacked);
        assert!(point.is_above_chance() && point.is_within(3.0) && !point.is_within(1.0), "{point:?}");
        let none = OperatingPoint::measure(0.01, &attacked, &[]);
        assert!(!none.is_above_chance() && none.is_within(0.0));
    }
}
