//! Poisson sampling of patients: each is included independently with probability exactly q.
//!
//! The accountant's bound for subsampled mechanisms assumes this and nothing less: batches of fixed
//! size, shuffled, would cost up to four times what it says. Which patients were drawn, and how many,
//! stays secret.

use fedtwin_plan::{PatientId, Ratio};

use crate::random::{NoRandomness, RandomSource};

/// Draws a sample of the patients `0..patients`, in order.
///
/// # Errors
/// When there is no randomness to be had.
pub fn poisson(
    rate: Ratio,
    patients: u32,
    random: &mut impl RandomSource,
) -> Result<Vec<PatientId>, NoRandomness> {
    let mut sample = Vec::new();
    for patient in 0..patients {
        if rate.is_one() || random.below(rate.denominator())? < rate.numerator() {
            sample.push(PatientId(patient));
        }
    }
    Ok(sample)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{SecureRandom, SeededRandom};

    const PATIENTS: u32 = 50;
    const DRAWS: u32 = 20_000;

    /// What a sampler must look like; each statistic is standard normal for a true Poisson sampler.
    struct Verdict {
        /// Of the chi-square over the patients' inclusion counts.
        inclusion: f64,
        /// Of the correlation of all pairs of neighbouring patients.
        independence: f64,
        /// Of the variance of the batch size against N q (1 - q).
        variance: f64,
    }

    impl Verdict {
        fn of(rate: Ratio, mut sample: impl FnMut() -> Vec<PatientId>) -> Self {
            let (n, draws, q) = (f64::from(PATIENTS), f64::from(DRAWS), rate.to_f64());
            let mut counts = vec![0_u32; PATIENTS as usize];
            let (mut pairs, mut size_variance) = (0.0, 0.0);
            for _ in 0..DRAWS {
                let batch = sample();
                let mut included = vec![false; PATIENTS as usize];
                for patient in &batch {
                    counts[patient.0 as usize] += 1;
                    included[patient.0 as usize] = true;
                }
                let centred = |i: bool| if i { 1.0 - q } else { -q };
                pairs += included.chunks_exact(2).map(|p| centred(p[0]) * centred(p[1])).sum::<f64>();
                size_variance += (batch.len() as f64 - n * q).powi(2) / draws;
            }
            let spread = q * (1.0 - q);
            let chi2: f64 =
                counts.iter().map(|&c| (f64::from(c) - draws * q).powi(2) / (draws * spread)).sum();
            // The batch size is nearly normal, so its squared deviation has variance 2 (N q (1-q))^2.
            let variance_error = n * spread * (2.0 / draws).sqrt();
            Self {
                inclusion: (chi2 - n) / (2.0 * n).sqrt(),
                independence: pairs / (spread * (draws * n / 2.0).sqrt()),
                variance: (size_variance - n * spread) / variance_error,
            }
        }

        /// Five standard deviations: a true sampler fails once in a million runs.
        fn holds(&self) -> bool {
            [self.inclusion, self.independence, self.variance].iter().all(|z| z.abs() < 5.0)
        }
    }

    #[test]
    fn poisson_samples_are_what_the_accountant_assumes() {
        for (numerator, denominator) in [(1, 2), (1, 20), (37, 171), (19, 20)] {
            let rate = Ratio::new(numerator, denominator).unwrap();
            let mut random = SecureRandom::new();
            let verdict = Verdict::of(rate, || poisson(rate, PATIENTS, &mut random).unwrap());
            let Verdict { inclusion, independence, variance } = verdict;
            assert!(verdict.holds(), "{rate}: {inclusion} {independence} {variance}");
        }
    }

    #[test]
    fn shuffled_batches_fail_the_same_test() {
        let rate = Ratio::new(1, 5).unwrap();
        let mut random = SeededRandom::new(1);
        let shuffled = || {
            let mut order: Vec<_> = (0..PATIENTS).map(PatientId).collect();
            for last in (1..PATIENTS).rev() {
                let at = random.below(last + 1).unwrap();
                order.swap(last as usize, at as usize);
            }
            order.truncate(PATIENTS as usize / 5);
            order
        };
        let verdict = Verdict::of(rate, shuffled);
        assert!(!verdict.holds());
        assert!(
            verdict.inclusion.abs() < 10.0 && verdict.variance < -50.0,
            "it fails for its fixed batch size"
        );
    }

    #[test]
    fn every_patient_is_in_every_step_at_rate_one() {
        let mut random = SecureRandom::new();
        assert_eq!(poisson(Ratio::ONE, 3, &mut random).unwrap(), [PatientId(0), PatientId(1), PatientId(2)]);
        assert!(poisson(Ratio::new(1, 2).unwrap(), 0, &mut random).unwrap().is_empty());
    }
}
