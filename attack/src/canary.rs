//! Canaries: thousands of patients, each in or out by a fair coin, sought in what the site releases.
//!
//! Every canary has a direction of its own, along which its contribution is exactly the largest that the
//! clip allows. The attacker sees every noisy sum and knows everything but the coins (a grey box: Nasr et
//! al., "Tight Auditing of Differentially Private Machine Learning", 2023, arXiv 2302.07956). What one
//! canary does to the others' directions is nothing, so one run is thousands of independent trials of the
//! worst case (Steinke, Nasr and Jagielski, 2023, arXiv 2305.08846).

use fedtwin_plan::PatientId;
use fedtwin_privacy::accountant::GaussianEvent;
use fedtwin_privacy::patient_sum::{IntegerSum, PatientSum};

use crate::bounds::{LowerBounds, Trials};
use crate::one_run::Guesses;
use crate::step::{AttackError, Chance, Contributions, Step};

/// What an audit by canaries is told; all of it is public.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Canaries {
    /// How many there are; at least a few hundred, 4,096 for a report.
    pub count: u32,
    /// What each step claims to be, and how many steps there are.
    pub event: GaussianEvent,
    /// The clip in the unit of vectors.
    pub clip: f64,
    /// The probability with which each bound of the result may fail.
    pub miss: f64,
}

impl Canaries {
    /// Plants the canaries, takes the steps, and bounds from below what the steps cost.
    ///
    /// A canary is called in where its score (`Evidence`) is above one threshold, which a pilot with other
    /// canaries registers first: so it is fixed before anything is drawn that the bounds are about.
    ///
    /// # Errors
    /// Fails where a step does.
    pub fn hunt(&self, step: &mut dyn Step, chance: &mut Chance<'_>) -> Result<LowerBounds, AttackError> {
        let threshold = self.run(step, chance)?.best_threshold(self.miss);
        let run = self.run(step, chance)?;
        Ok(LowerBounds::of(&run.trials(threshold), &run.guesses(), self.miss))
    }

    /// Tosses a coin for each canary, and scores it.
    fn run(&self, step: &mut dyn Step, chance: &mut Chance<'_>) -> Result<Run, AttackError> {
        let coins = (0..self.count).map(|_| Ok(chance.random.below(2)? == 1));
        let inside = coins.collect::<Result<Vec<_>, AttackError>>()?;
        let mut cohort = CanaryCohort { inside, clip: self.clip, c_int: u64::from(self.event.c_int.get()) };
        let weights = vec![0.0; cohort.values()];
        let evidence = Evidence::new(&self.event);
        let mut scores = vec![0.0; cohort.values()];
        for _step in 0..self.event.steps {
            let release = step.release(&mut cohort, &weights, chance)?;
            for (score, &value) in scores.iter_mut().zip(&release) {
                *score += evidence.of(value);
            }
        }
        Ok(Run { inside: cohort.inside, scores })
    }
}

/// Each canary's coin and score.
struct Run {
    inside: Vec<bool>,
    scores: Vec<f64>,
}

impl Run {
    /// Returns 0, or the one among 64 quantiles of the scores that refutes the largest mu, if that is far more.
    ///
    /// With noise as claimed 0 is about the best threshold, since both hypotheses are as likely there, and a
    /// quantile that looks a little better is so by luck. With noise that is not as claimed, in steps on
    /// samples above all, 0 may be a poor one.
    fn best_threshold(&self, miss: f64) -> f64 {
        let mut sorted = self.scores.clone();
        sorted.sort_by(f64::total_cmp);
        let guesses = self.guesses();
        let mu = |threshold: f64| LowerBounds::of(&self.trials(threshold), &guesses, miss).mu;
        let quantiles = (0..THRESHOLDS).filter_map(|at| sorted.get(at * sorted.len() / THRESHOLDS).copied());
        let best = quantiles.map(|threshold| (mu(threshold), threshold)).max_by(|a, b| a.0.total_cmp(&b.0));
        best.filter(|best| best.0 > 1.25 * mu(0.0) + 0.1).map_or(0.0, |best| best.1)
    }

    fn trials(&self, threshold: f64) -> Trials {
        let mut trials = Trials::default();
        for (&inside, &score) in self.inside.iter().zip(&self.scores) {
            let called = u32::from(score > threshold);
            if inside {
                trials.inside += 1;
                trials.true_positives += called;
            } else {
                trials.outside += 1;
                trials.false_positives += called;
            }
        }
        trials
    }

    /// Guesses about the highest and the lowest sixteenth of the scores, and about none between: shares
    /// that are fixed beforehand too.
    fn guesses(&self) -> Guesses {
        let mut order: Vec<_> = (0..self.scores.len()).collect();
        order.sort_by(|&a, &b| self.scores[a].total_cmp(&self.scores[b]));
        let share = order.len() / GUESSED_SHARE;
        let lowest = order[..share].iter().filter(|&&canary| !self.inside[canary]).count();
        let highest = order[order.len() - share..].iter().filter(|&&canary| self.inside[canary]).count();
        let count = |number: usize| u32::try_from(number).expect("no more than the canaries");
        Guesses { canaries: count(order.len()), made: count(2 * share), right: count(lowest + highest) }
    }
}

/// What one value of a release says about the canary of its coordinate.
///
/// The log of the likelihood ratio of in and out, for noise of standard deviation sigma around 0, or
/// around c with probability q: ln(1 - q + q exp((x c - c^2 / 2) / sigma^2)). Summed over steps it is the
/// best test of one canary (Neyman and Pearson); with all patients in every step it is the correlation of
/// the summed releases with the canary's direction, up to a linear map.
struct Evidence {
    rate: f64,
    /// c / sigma^2.
    slope: f64,
    /// c^2 / (2 sigma^2).
    offset: f64,
}

impl Evidence {
    fn new(event: &GaussianEvent) -> Self {
        let (c, variance) = (f64::from(event.c_int.get()), f64::from(2 * event.m.get()).exp2());
        Self { rate: event.sampling.to_f64(), slope: c / variance, offset: c * c / (2.0 * variance) }
    }

    fn of(&self, value: i64) -> f64 {
        let exponent = value as f64 * self.slope - self.offset;
        if self.rate >= 1.0 {
            exponent
        } else if exponent > 0.0 {
            // Written so that nothing overflows, however little noise there is.
            exponent + (self.rate + (1.0 - self.rate) * (-exponent).exp()).ln()
        } else {
            (self.rate * exponent.exp_m1()).ln_1p()
        }
    }
}

/// The canaries as patients: number i contributes along coordinate i, if it is in.
struct CanaryCohort {
    inside: Vec<bool>,
    clip: f64,
    c_int: u64,
}

impl Contributions for CanaryCohort {
    fn values(&self) -> usize {
        self.inside.len()
    }

    /// Sums block by block: outside its own block a canary's vector is zero, and its norm, its clipping
    /// and its quantised values are those of the block.
    fn sum(
        &mut self,
        _weights: &[f32],
        sampled: &[PatientId],
        _seed: u64,
    ) -> Result<IntegerSum, AttackError> {
        let mut blocks: Vec<Option<PatientSum>> = Vec::new();
        blocks.resize_with(self.values().div_ceil(BLOCK), || None);
        for &patient in sampled {
            let at = patient.0 as usize;
            if !self.inside.get(at).copied().unwrap_or(false) {
                continue;
            }
            let block = &mut blocks[at / BLOCK];
            let sum = match block {
                Some(sum) => sum,
                None => block.insert(PatientSum::new(BLOCK, self.clip, self.c_int)?),
            };
            let mut vector = [0.0; BLOCK];
            vector[at % BLOCK] = longer_than(self.clip);
            sum.add(patient, &vector);
        }
        let zeros = || IntegerSum(vec![0; BLOCK]);
        let mut values: Vec<_> =
            blocks.into_iter().flat_map(|block| block.map_or_else(zeros, PatientSum::finish).0).collect();
        values.truncate(self.values());
        Ok(IntegerSum(values))
    }
}

/// Returns a length that the clip has to cut: what it leaves is what is audited.
#[expect(clippy::cast_possible_truncation, reason = "saturates to infinity, which counts as zero")]
fn longer_than(clip: f64) -> f32 {
    (8.0 * clip) as f32
}

/// Patients whose coordinates are summed together.
const BLOCK: usize = 64;
/// Quantiles of a pilot's scores among which the threshold is.
const THRESHOLDS: usize = 64;
/// One canary in this many is guessed in, and one guessed out.
const GUESSED_SHARE: usize = 16;

#[cfg(test)]
mod tests {
    use fedtwin_plan::Ratio;

    use super::*;

    fn event(sampling: (u32, u32), c_int: u64) -> GaussianEvent {
        let sampling = Ratio::new(sampling.0, sampling.1).unwrap();
        GaussianEvent::local(sampling, 16, c_int, 1).unwrap()
    }

    #[test]
    fn a_canary_contributes_the_whole_clip_along_its_own_coordinate() {
        for (count, clip, c_int) in [(100, 1.0, 65_536), (129, 0.37, 12_345), (64, 3e4, 7)] {
            let mut cohort = CanaryCohort { inside: vec![true; count], clip, c_int };
            let all: Vec<_> = (0..u32::try_from(count).unwrap() + 5).map(PatientId).collect();
            let sum = cohort.sum(&[], &all, 0).unwrap().0;
            let expected = i64::try_from(c_int).unwrap();
            assert!(sum.iter().all(|&value| (expected - 1..=expected).contains(&value)), "{sum:?}");
            assert_eq!(sum.len(), count);

            let mut dense = PatientSum::new(count, clip, c_int).unwrap();
            for patient in 0..count {
                let mut vector = vec![0.0; count];
                vector[patient] = longer_than(clip);
                dense.add(PatientId(u32::try_from(patient).unwrap()), &vector);
            }
            assert_eq!(sum, dense.finish().0);
        }
        let mut cohort = CanaryCohort { inside: vec![false, true, true], clip: 1.0, c_int: 100 };
        assert_eq!(cohort.sum(&[], &[PatientId(0), PatientId(2)], 0).unwrap().0, [0, 0, 100]);
    }

    #[test]
    fn evidence_is_the_log_of_the_likelihood_ratio() {
        for (numerator, denominator) in [(1, 1), (1, 20)] {
            let event = event((numerator, denominator), 50_000);
            let evidence = Evidence::new(&event);
            let (q, c, variance) = (event.sampling.to_f64(), 50_000.0, 2.0_f64.powi(32));
            let density = |x: f64, at: f64| (-(x - at).powi(2) / (2.0 * variance)).exp();
            for value in [-200_000, -1000, 0, 25_000, 30_000, 300_000] {
                let x = value as f64;
                let expected = ((1.0 - q) + q * density(x, c) / density(x, 0.0)).ln();
                assert!((evidence.of(value) - expected).abs() < 1e-9 * (1.0 + expected.abs()), "{value}");
            }
            assert!(evidence.of(i64::MAX).is_finite() && evidence.of(i64::MIN).is_finite());
        }
    }
}
