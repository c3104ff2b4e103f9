//! Scores from noised counts: estimates with the interval that the noise leaves.
//!
//! The counts are exact ones plus independent noise of one standard deviation, which is public. An estimate
//! is the score of the counts as they are; its interval is 1.96 standard deviations wide on either side, to
//! first order in the noise (the delta method), and says nothing about which patients there happened to be.
//! Scores are of the bins: a patient counts with its bin's middle, and ranks equal with others in it. Where
//! the noise is as large as what a score divides by, there is no estimate.

/// An estimate and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// Noised counts of patients by the predicted probability, in bins of equal width.
#[derive(Debug, Clone, PartialEq)]
pub struct NoisedRisk {
    /// In each bin: first of those without the outcome, then of those with it.
    counts: Vec<f64>,
    /// The standard deviation of each count's noise.
    noise: f64,
}

impl NoisedRisk {
    /// Takes counts of an even number of bins: first of the patients without the outcome, then of those
    /// with it.
    ///
    /// # Panics
    /// If the counts are not of as many bins for both, or not of an even number of bins.
    #[must_use]
    pub fn new(counts: Vec<f64>, noise: f64) -> Self {
        assert!(counts.len().is_multiple_of(4), "two halves of an even number of bins");
        Self { counts, noise }
    }

    /// Estimates the share of outcomes that thresholding at one half gets right.
    #[must_use]
    pub fn accuracy(&self) -> Option<Estimate> {
        self.estimate(|counts| {
            let (without, with) = halves(counts);
            let middle = without.len() / 2;
            let right: f64 = without[..middle].iter().chain(&with[middle..]).sum();
            Some(right / self.divisor(counts)?)
        })
    }

    /// Estimates the mean squared error of the probabilities.
    #[must_use]
    pub fn brier(&self) -> Option<Estimate> {
        self.estimate(|counts| {
            let (without, with) = halves(counts);
            let errors = |counts: &[f64], outcome: f64| -> f64 {
                middles(counts.len()).zip(counts).map(|(p, n)| n * (p - outcome).powi(2)).sum()
            };
            Some((errors(without, 0.0) + errors(with, 1.0)) / self.divisor(counts)?)
        })
    }

    /// Estimates the area under the receiver operating characteristic, ties counting half.
    #[must_use]
    pub fn auroc(&self) -> Option<Estimate> {
        self.estimate(|counts| {
            let (without, with) = halves(counts);
            let (mut wins, mut below) = (0.0, 0.0);
            for (negatives, positives) in without.iter().zip(with) {
                wins += positives * (below + negatives / 2.0);
                below += negatives;
            }
            let positives = self.divisor(with)?;
            Some(wins / positives / self.divisor(without)?)
        })
    }

    /// Estimates the expected calibration error over pairs of bins, as [`ece`](crate::ece) has it.
    ///
    /// Noise widens every gap; what it adds to a squared gap on average is taken off. Where the gaps are of
    /// the noise's size the interval holds it in some 90 of 100 cases.
    #[must_use]
    pub fn ece(&self) -> Option<Estimate> {
        let sum_of_gaps = |counts: &[f64], excess: f64| {
            let (without, with) = halves(counts);
            let bins = middles(without.len()).zip(without.iter().zip(with));
            let gaps: Vec<_> = bins.map(|(p, (n, y))| (p, p * n - (1.0 - p) * y)).collect();
            let pairs = gaps.chunks(2).map(|pair| {
                let gap: f64 = pair.iter().map(|(_, gap)| gap).sum();
                let noise: f64 = pair.iter().map(|(p, _)| p.powi(2) + (1.0 - p).powi(2)).sum();
                (gap.powi(2) - excess * self.noise.powi(2) * noise).max(0.0).sqrt()
            });
            Some(pairs.sum::<f64>() / self.divisor(counts)?)
        };
        let value = sum_of_gaps(&self.counts, 1.0)?;
        let spread = deviation(&self.counts, self.noise, |counts| sum_of_gaps(counts, 0.0))?;
        Some(Estimate::around(value, spread))
    }

    fn estimate(&self, score: impl Fn(&[f64]) -> Option<f64>) -> Option<Estimate> {
        Some(Estimate::around(score(&self.counts)?, deviation(&self.counts, self.noise, score)?))
    }

    fn divisor(&self, counts: &[f64]) -> Option<f64> {
        divisor(counts, self.noise)
    }
}

/// Estimates the mean Dice overlap from noised counts of patients, in bins of equal width over [0, 1].
#[must_use]
pub fn noised_dice(counts: &[f64], noise: f64) -> Option<Estimate> {
    let mean = |counts: &[f64]| {
        let sum: f64 = middles(counts.len()).zip(counts).map(|(dice, n)| dice * n).sum();
        Some(sum / divisor(counts, noise)?)
    };
    Some(Estimate::around(mean(counts)?, deviation(counts, noise, mean)?))
}

impl Estimate {
    fn around(value: f64, deviation: f64) -> Self {
        let (low, high) = (value - NORMAL_95 * deviation, value + NORMAL_95 * deviation);
        Self { value: value.clamp(0.0, 1.0), low: low.clamp(0.0, 1.0), high: high.clamp(0.0, 1.0) }
    }
}

/// The number of patients, or nothing where it may as well be noise.
fn divisor(counts: &[f64], noise: f64) -> Option<f64> {
    let total: f64 = counts.iter().sum();
    let deviation = noise * number(counts.len()).sqrt();
    (total > NORMAL_95 * deviation && total > 0.0).then_some(total)
}

/// A score's standard deviation: the noise times the length of its gradient, by central differences.
fn deviation(counts: &[f64], noise: f64, score: impl Fn(&[f64]) -> Option<f64>) -> Option<f64> {
    let mut moved = counts.to_vec();
    let mut squares = 0.0;
    for index in 0..counts.len() {
        let mut at = |step: f64| {
            moved[index] = counts[index] + step;
            let score = score(&moved);
            moved[index] = counts[index];
            score
        };
        squares += ((at(STEP)? - at(-STEP)?) / (2.0 * STEP)).powi(2);
    }
    Some(noise * squares.sqrt())
}

fn halves(counts: &[f64]) -> (&[f64], &[f64]) {
    counts.split_at(counts.len() / 2)
}

/// The middle of each bin.
fn middles(bins: usize) -> impl Iterator<Item = f64> {
    (0..bins).map(move |bin| (number(bin) + 0.5) / number(bins))
}

#[expect(clippy::cast_precision_loss, reason = "numbers of bins")]
fn number(count: usize) -> f64 {
    count as f64
}

/// Of a normal distribution, 95 % is this close to its mean.
const NORMAL_95: f64 = 1.959_963_985;

/// In patients: far below one, far above rounding.
const STEP: f64 = 1e-3;

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::{Prediction, accuracy, auroc, brier, ece};

    const BINS: usize = 20;

    /// Predictions at the middles of bins, which exact counts describe without loss.
    fn predictions(rng: &mut ChaCha8Rng, patients: usize) -> Vec<Prediction> {
        let prediction = |_| {
            let probability = (f64::from(rng.random_range(0..20_u8)) + 0.5) / 20.0;
            Prediction { outcome: rng.random_bool(0.2 + 0.6 * probability), probability }
        };
        (0..patients).map(prediction).collect()
    }

    fn counts(predictions: &[Prediction]) -> Vec<f64> {
        let mut counts = vec![0.0; 2 * BINS];
        for p in predictions {
            let bin = middles(BINS).position(|middle| (middle - p.probability).abs() < 1e-9).unwrap();
            counts[bin + if p.outcome { BINS } else { 0 }] += 1.0;
        }
        counts
    }

    /// By the sum of twelve uniform numbers: its 95 % quantiles are within 1 % of the normal ones.
    fn normal(rng: &mut ChaCha8Rng) -> f64 {
        (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
    }

    type Exact = fn(&[Prediction]) -> Option<f64>;
    type Noised = fn(&NoisedRisk) -> Option<Estimate>;
    const SCORES: [(&str, Exact, Noised); 4] = [
        ("accuracy", accuracy, NoisedRisk::accuracy),
        ("brier", brier, NoisedRisk::brier),
        ("auroc", auroc, NoisedRisk::auroc),
        ("ece", ece, NoisedRisk::ece),
    ];

    #[test]
    fn without_noise_the_scores_are_those_of_the_predictions() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let predictions = predictions(&mut rng, 500);
        let counted = NoisedRisk::new(counts(&predictions), 0.0);
        for (name, exact, noised) in SCORES {
            let (exact, found) = (exact(&predictions).unwrap(), noised(&counted).unwrap());
            assert!((found.value - exact).abs() < 1e-9, "{name}: {found:?} is not {exact}");
            assert!((found.high - found.low).abs() < 1e-9, "{name}: {found:?}");
        }
    }

    #[test]
    fn intervals_hold_the_exact_score_in_95_of_100_cases() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let predictions = predictions(&mut rng, 1500);
        let exact_counts = counts(&predictions);
        let noise = 4.0;
        for (name, exact, noised) in SCORES {
            let exact = exact(&predictions).unwrap();
            let mut held = 0;
            for _ in 0..1000 {
                let counts = exact_counts.iter().map(|count| count + noise * normal(&mut rng)).collect();
                let found = noised(&NoisedRisk::new(counts, noise)).unwrap();
                held += u32::from(found.low <= exact && exact <= found.high);
            }
            // The standard deviation of the number held is 7. Here some of the gaps of ECE are of the noise's size.
            let least = if name == "ece" { 870 } else { 915 };
            assert!((least..=985).contains(&held), "{name}: {held}");
        }
    }

    #[test]
    fn dice_has_its_mean_and_its_interval() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut exact = vec![0.0; BINS];
        (exact[15], exact[17], exact[18]) = (20.0, 50.0, 30.0);
        let mean = (0.775 * 20.0 + 0.875 * 50.0 + 0.925 * 30.0) / 100.0;
        assert!((noised_dice(&exact, 0.0).unwrap().value - mean).abs() < 1e-9);
        let mut held = 0;
        for _ in 0..1000 {
            let counts: Vec<_> = exact.iter().map(|count| count + normal(&mut rng)).collect();
            let found = noised_dice(&counts, 1.0).unwrap();
            held += u32::from(found.low <= mean && mean <= found.high);
        }
        assert!((915..=985).contains(&held), "{held}");
    }

    #[test]
    fn what_is_hidden_by_the_noise_has_no_estimate() {
        let mut few = vec![0.0; 2 * BINS];
        (few[0], few[39]) = (10.0, 10.0);
        let hidden = NoisedRisk::new(few.clone(), 2.0);
        for (name, _, noised) in SCORES {
            assert_eq!(noised(&hidden), None, "{name}");
        }
        // Enough patients altogether, and too few with the outcome.
        (few[0], few[39]) = (1000.0, 5.0);
        let one_sided = NoisedRisk::new(few, 2.0);
        assert_eq!(one_sided.auroc(), None);
        assert!(one_sided.accuracy().is_some());
        assert_eq!(noised_dice(&[0.0; BINS], 0.0), None);
    }
}
