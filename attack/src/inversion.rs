//! Gradient inversion: does a release contain a patient's record?
//!
//! For a model that begins with a linear layer, one patient's gradient is the record times a number, and
//! the bias's gradient is that number: x = g_w / g_b. Zhu, Liu and Han, "Deep Leakage from Gradients", 2019
//! (arXiv 1906.08935), find such records by optimisation; the closed form is that of Geiping, Bauermeister,
//! Droege and Moeller, "Inverting Gradients", 2020 (arXiv 2003.14053), proposition 3.1. Clipping scales both
//! alike and hides nothing; noise has to.

use fedtwin_plan::PatientId;
use serde::{Deserialize, Serialize};

use crate::step::{AttackError, Chance, Contributions, Restricted, Step};

/// A patient and the inputs that the model sees of it: what an attacker wants.
#[derive(Debug, Clone, PartialEq)]
pub struct AttackedPatient {
    /// Whose record it is.
    pub patient: PatientId,
    /// `[inputs]`: the record as the model sees it.
    pub inputs: Vec<f64>,
}

/// How much of the records an attacker gets: correlations of reconstructed with true inputs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inversion {
    /// The patients that were attacked.
    pub patients: u32,
    /// The mean correlation.
    pub correlation: f64,
    /// The lower end of its 95 % interval over patients and noise.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// Reconstructs each target from its exact contribution, as an attacker without noise in the way would.
///
/// # Errors
/// Fails where the cohort does.
pub fn invert_sums(
    cohort: &mut dyn Contributions,
    weights: &[f32],
    targets: &[AttackedPatient],
) -> Result<Inversion, AttackError> {
    let mut correlations = Vec::new();
    for target in targets {
        let sum = cohort.sum(weights, &[target.patient], 0)?.0;
        correlations.extend(correlation(&record(&sum), &target.inputs));
    }
    Ok(summary(&correlations))
}

/// Reconstructs each target from `steps` releases at the same weights.
///
/// The worst case for the patient: the attacker knows everybody else's contribution and subtracts it, so
/// that the target alone is in the cohort, and adds up all releases that the study makes.
///
/// # Errors
/// Fails where a step does.
pub fn invert_releases(
    step: &mut dyn Step,
    steps: u64,
    cohort: &mut dyn Contributions,
    (weights, targets): (&[f32], &[AttackedPatient]),
    chance: &mut Chance<'_>,
) -> Result<Inversion, AttackError> {
    let mut correlations = Vec::new();
    for target in targets {
        let only = &|patient| patient == target.patient;
        let mut total = vec![0; cohort.values()];
        for _step in 0..steps {
            let release = step.release(&mut Restricted::to(cohort, only), weights, chance)?;
            total.iter_mut().zip(release).for_each(|(sum, value)| *sum += value);
        }
        correlations.extend(correlation(&record(&total), &target.inputs));
    }
    Ok(summary(&correlations))
}

/// Returns x = g_w / g_b of a gradient whose last value is the bias's; zeros where that is zero.
#[must_use]
pub fn record(gradient: &[i64]) -> Vec<f64> {
    let Some((&bias, slopes)) = gradient.split_last() else { return Vec::new() };
    slopes.iter().map(|&slope| if bias == 0 { 0.0 } else { slope as f64 / bias as f64 }).collect()
}

/// Returns Pearson's correlation; 0 where the reconstruction is constant, and nothing where the truth is.
fn correlation(found: &[f64], truth: &[f64]) -> Option<f64> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (found_mean, truth_mean) = (mean(found), mean(truth));
    let product = |a: &[f64], a_mean: f64, b: &[f64], b_mean: f64| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - a_mean) * (b - b_mean)).sum()
    };
    let spread = product(found, found_mean, found, found_mean).sqrt();
    let truth_spread = product(truth, truth_mean, truth, truth_mean).sqrt();
    let shared = product(found, found_mean, truth, truth_mean);
    (truth_spread > 0.0).then(|| if spread > 0.0 { shared / spread / truth_spread } else { 0.0 })
}

fn summary(correlations: &[f64]) -> Inversion {
    let patients = u32::try_from(correlations.len()).unwrap_or(u32::MAX);
    let count = f64::from(patients).max(1.0);
    let mean = correlations.iter().sum::<f64>() / count;
    let squares: f64 = correlations.iter().map(|value| (value - mean).powi(2)).sum();
    // With the normal quantile, as for any mean of dozens of bounded values.
    let error = 1.96 * (squares / (count - 1.0).max(1.0) / count).sqrt();
    Inversion { patients, correlation: mean, low: (mean - error).max(-1.0), high: (mean + error).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_the_quotient_of_its_gradient() {
        assert_eq!(record(&[-30, 15, 0, -10]), [3.0, -1.5, 0.0]);
        assert_eq!(record(&[1, 2, 0]), [0.0, 0.0]);
        assert!(record(&[]).is_empty());
    }

    #[test]
    fn correlations_are_pearsons() {
        let close = |found: Option<f64>, expected: f64| assert!((found.unwrap() - expected).abs() < 1e-12);
        close(correlation(&[1.0, 2.0, 3.0], &[10.0, 20.0, 30.0]), 1.0);
        close(correlation(&[3.0, 2.0, 1.0], &[10.0, 20.0, 30.0]), -1.0);
        close(correlation(&[0.0, 0.0, 0.0], &[1.0, 2.0, 3.0]), 0.0);
        // (1, 0, 2) and (0, 1, 2): covariance 1, both variances 2.
        close(correlation(&[1.0, 0.0, 2.0], &[0.0, 1.0, 2.0]), 0.5);
        assert_eq!(correlation(&[1.0, 2.0], &[5.0, 5.0]), None);
    }
}
