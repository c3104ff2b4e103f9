//! Metrics of a model, as the release that they are: counts of this site's test patients, noised.
//!
//! The noise is drawn before patients are read, by opendp's own sampler: there are few counts. Each score depends
//! on its patient and on the released model alone; the trainer counts them, and a score that is no number counts
//! nowhere.

use fedtwin_plan::Plan;
use fedtwin_privacy::histogram::histogram;
use fedtwin_privacy::noise::OpendpNoise;
use fedtwin_privacy::steps::Steps;
use fedtwin_trainer::{Trainer, TrainerError};

use crate::local_training::TrainingError;

/// Counts the test patients by their scores, with the noise that the attempt's claim asks for.
///
/// # Errors
/// Fails where the trainer fails or there is no randomness.
///
/// # Panics
/// If the plan has no metrics.
pub fn measure<S: Steps>(
    plan: &Plan,
    mut sums: S,
    trainer: &mut dyn Trainer,
    weights: &[f32],
) -> Result<S::Values, TrainingError> {
    let counted = plan.model.family.histogram().zip(plan.calibrated.metrics.as_ref());
    let (cells, noise) = counted.expect("only a plan with metrics is measured");
    let values = sums.take(&OpendpNoise, cells.cells(), || {
        let counts = trainer.measure(weights)?;
        if counts.len() != cells.cells() {
            return Err(TrainingError::from(TrainerError::OtherAnswer));
        }
        Ok(histogram(&counts, noise.c_int))
    })?;
    Ok(sums.finish(values))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use fedtwin_plan::PatientId;
    use fedtwin_plan::histogram::Histogram;
    use fedtwin_plan::text_file::parse;
    use fedtwin_privacy::protected::Protected as _;
    use fedtwin_privacy::steps::NoisySteps;
    use fedtwin_trainer::Stopper;
    use fedtwin_trainer::pipe::Loaded;
    use fedtwin_trainer::report::{Report, RiskReport, RiskRow};

    use super::*;

    /// Has scored these probabilities; those above one half came true.
    struct Scored(Vec<f64>);

    impl Trainer for Scored {
        fn load(&mut self, _plan: &str, _cohort_file: &Path) -> Result<Loaded, TrainerError> {
            Err(TrainerError::OtherAnswer)
        }

        fn sum(
            &mut self,
            _weights: &[f32],
            _sampled: Vec<PatientId>,
            _seed: u64,
            _clip: fedtwin_plan::numbers::Positive,
        ) -> Result<Vec<i64>, TrainerError> {
            Err(TrainerError::OtherAnswer)
        }

        fn measure(&mut self, _weights: &[f32]) -> Result<Vec<u32>, TrainerError> {
            let row = |&global: &f64| RiskRow { outcome: global > 0.5, global: Some(global), local: None };
            let report = RiskReport { intercept: 0.0, rows: self.0.iter().map(row).collect() };
            let counts = Report::Risk(report).counts(Histogram::Risk);
            Ok(counts.into_iter().map(|count| u32::try_from(count).unwrap()).collect())
        }

        fn score(&mut self, _weights: &[f32], _fit: bool) -> Result<Report, TrainerError> {
            panic!("what is fitted on training patients has no part in metrics")
        }

        fn stopper(&self) -> Stopper {
            Stopper::default()
        }
    }

    fn plan(c_int: u32) -> Plan {
        let text = format!(
            r#"
            study = {{ id = "s", title = "t", sites = ["a"], expires = "2099-01-01" }}
            cohort = {{ name = "c", patients_max = 100 }}
            data.table = {{ outcome = "o", features.x.number = {{ unit = "u", low = 0, high = 1 }} }}
            model = {{ family = "linear-risk", seed = 1 }}
            rounds = {{ count = 1, attempts_max = 1, blocks = 1, sites_min = 1, join_s = 1, deadline_s = 1, slot_s = 0 }}
            training = {{ sampling = "1", loss = "bce", site = "gradient", server.fedavg.learning_rate = 1.0 }}
            privacy.none.clip = 1.0
            metrics = {{ epsilon = 1.0, delta = 1e-5 }}
            [calibrated]
            m = 10
            c_int = 1
            modulus_bits = 32
            steps = 1
            metrics = {{ m = 10, c_int = {c_int}, releases = 1, epsilon = 1e9 }}
            "#
        );
        parse("plan", &text).unwrap()
    }

    fn noisy() -> NoisySteps {
        NoisySteps::new(10.try_into().unwrap())
    }

    #[test]
    fn counts_are_those_of_the_scores_and_a_score_that_is_none_counts_nowhere() {
        // Noise of a millionth of a patient: what remains are the counts.
        let c_int = 1 << 30;
        let mut trainer = Scored(vec![0.02, 0.02, 0.97, 1.0, f64::NAN, 1.5]);
        let update = measure(&plan(c_int), noisy(), &mut trainer, &[0.0; 2]).unwrap();
        let counts: Vec<_> = update.values().iter().map(|&v| (v + (1 << 29)) >> 30).collect();
        let counted: Vec<_> = counts.iter().enumerate().filter(|&(_, &count)| count != 0).collect();
        assert_eq!(counted, [(0, &2), (39, &2)]);
    }

    #[test]
    fn counts_of_another_number_of_cells_are_no_answer() {
        struct Short;
        impl Trainer for Short {
            fn load(&mut self, _plan: &str, _cohort_file: &Path) -> Result<Loaded, TrainerError> {
                Err(TrainerError::OtherAnswer)
            }

            fn sum(
                &mut self,
                _weights: &[f32],
                _sampled: Vec<PatientId>,
                _seed: u64,
                _clip: fedtwin_plan::numbers::Positive,
            ) -> Result<Vec<i64>, TrainerError> {
                Err(TrainerError::OtherAnswer)
            }

            fn measure(&mut self, _weights: &[f32]) -> Result<Vec<u32>, TrainerError> {
                Ok(vec![0; 39])
            }

            fn score(&mut self, _weights: &[f32], _fit: bool) -> Result<Report, TrainerError> {
                Err(TrainerError::OtherAnswer)
            }

            fn stopper(&self) -> Stopper {
                Stopper::default()
            }
        }
        assert!(measure(&plan(1), noisy(), &mut Short, &[0.0; 2]).is_err());
    }

    #[test]
    fn every_count_has_noise_even_where_nobody_is() {
        let update = measure(&plan(1), noisy(), &mut Scored(Vec::new()), &[0.0; 2]).unwrap();
        // Of forty draws of standard deviation 1024, one is zero in 64 runs and two in thousands.
        assert!(update.values().len() == 40 && update.values().iter().filter(|&&v| v == 0).count() < 4);
        let mean_square = update.values().iter().map(|&v| (v as f64 / 1024.0).powi(2)).sum::<f64>() / 40.0;
        // Chi-square with 40 degrees of freedom is between 10 and 95 but for one run in 100,000.
        assert!((0.25..2.4).contains(&mean_square), "{mean_square}");
    }
}
