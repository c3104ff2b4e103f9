//! Whether a step's samples are Poisson samples, as its price assumes.
//!
//! A canary does not see shuffled batches, whose true cost is several times that of Poisson samples of the
//! same rate; whoever watches the samples does.

use fedtwin_plan::{PatientId, Ratio};
use serde::{Deserialize, Serialize};

use crate::spy::{Nobody, Spy};
use crate::step::{AttackError, Chance, Step};

/// Statistics of many samples, each about standard normal for a true Poisson sampler.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplingStatistics {
    /// The samples that were looked at.
    pub samples: u32,
    /// Of the chi-square over how often each patient was in.
    pub inclusion: f64,
    /// Of the correlation between neighbouring patients of one sample.
    pub pairs: f64,
    /// Of the correlation between one sample and the next for the same patient.
    pub sequence: f64,
    /// Of the variance of the sample's size against N q (1 - q).
    pub size: f64,
}

impl SamplingStatistics {
    /// Says whether all are within six standard deviations: a true sampler fails about once in 10^8 runs.
    #[must_use]
    pub fn are_of_poisson_samples(&self) -> bool {
        [self.inclusion, self.pairs, self.sequence, self.size].iter().all(|z| z.abs() < 6.0)
    }
}

/// Watches `samples` samples of a step over `patients` patients at the claimed `rate`.
///
/// # Errors
/// Fails where the step does.
pub fn watch_samples(
    step: &mut dyn Step,
    (rate, patients): (Ratio, u32),
    samples: u32,
    chance: &mut Chance<'_>,
) -> Result<SamplingStatistics, AttackError> {
    let mut nobody = Nobody { values: 1 };
    let mut spy = Spy::on(&mut nobody);
    for _sample in 0..samples {
        step.release(&mut spy, &[0.0], chance)?;
    }
    Ok(statistics(spy.samples(), rate.to_f64(), patients))
}

fn statistics(samples: &[Vec<PatientId>], q: f64, patients: u32) -> SamplingStatistics {
    let (n, draws, spread) = (f64::from(patients), samples.len() as f64, q * (1.0 - q));
    let mut counts = vec![0_u32; patients as usize];
    let mut last: Option<Vec<f64>> = None;
    let (mut pairs, mut sequence, mut size) = (0.0, 0.0, 0.0);
    for sample in samples {
        let mut centred = vec![-q; patients as usize];
        for &patient in sample {
            if let Some(value) = centred.get_mut(patient.0 as usize) {
                *value += 1.0;
                counts[patient.0 as usize] += 1;
            }
        }
        pairs += centred.chunks_exact(2).map(|pair| pair[0] * pair[1]).sum::<f64>();
        if let Some(last) = &last {
            sequence += centred.iter().zip(last).map(|(now, then)| now * then).sum::<f64>();
        }
        size += (sample.len() as f64 - n * q).powi(2) / draws;
        last = Some(centred);
    }
    let samples = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    if spread <= 0.0 {
        // Everybody is in every sample, or the sampler is none.
        let missing: f64 = counts.iter().map(|&count| draws - f64::from(count)).sum();
        return SamplingStatistics { samples, inclusion: missing, pairs: 0.0, sequence: 0.0, size };
    }
    let chi2: f64 = counts.iter().map(|&c| (f64::from(c) - draws * q).powi(2) / (draws * spread)).sum();
    // A squared deviation has variance (mu4 - spread^2 n^2), with the fourth moment of a binomial.
    let size_variance = n * spread * (1.0 + (2.0 * n - 6.0) * spread);
    SamplingStatistics {
        samples,
        inclusion: (chi2 - n) / (2.0 * n).sqrt(),
        pairs: pairs / (spread * (draws * (n / 2.0).floor()).sqrt()),
        sequence: sequence / (spread * ((draws - 1.0).max(1.0) * n).sqrt()),
        size: (size - n * spread) / (size_variance / draws).sqrt(),
    }
}
