//! One attempt's work at a site: sample, sum, add noise, and step, as often as the plan says.
//!
//! Everything but the trainer's sums is here in plain sight. The order is the one that privacy needs:
//! noise is drawn before patients are touched, every step samples anew, an empty sample still sends
//! noise, and the divisor is the plan's nominal batch, never the drawn one.

use fedtwin_plan::Plan;
use fedtwin_plan::numbers::Positive;
use fedtwin_plan::plan::{LocalAdam, LocalSgd, SiteTraining};
use fedtwin_privacy::noise::{NoiseError, NoiseSource};
use fedtwin_privacy::patient_sum::IntegerSum;
use fedtwin_privacy::random::{NoRandomness, RandomSource};
use fedtwin_privacy::release::ReleaseError;
use fedtwin_privacy::sampling::poisson;
use fedtwin_privacy::steps::Steps;
use fedtwin_trainer::{Trainer, TrainerError};

use crate::bounds::{into_range, within};
use crate::optimiser::LocalOptimiser;

/// Why an attempt has no update.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// The trainer failed.
    #[error(transparent)]
    Trainer(#[from] TrainerError),
    /// There is no noise to be had.
    #[error(transparent)]
    Noise(#[from] NoiseError),
    /// There is no randomness to be had.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The update is not what the ledger's entry promises.
    #[error(transparent)]
    Release(#[from] ReleaseError),
}

/// What local training draws on, besides the weights.
pub struct LocalTraining<'a, R> {
    /// The plan.
    pub plan: &'a Plan,
    /// The cohort's declared size.
    pub patients: u32,
    /// The round's clip.
    pub clip: Positive,
    /// What computes on patients.
    pub trainer: &'a mut dyn Trainer,
    /// Where noise comes from.
    pub noise: &'a dyn NoiseSource,
    /// Where samples come from.
    pub random: &'a mut R,
}

impl<R: RandomSource> LocalTraining<'_, R> {
    /// Computes the update from the sums that the attempt's claim asks for.
    ///
    /// # Errors
    /// Fails where the trainer fails or there is no randomness.
    pub fn run<S: Steps>(&mut self, mut sums: S, global: &[f32]) -> Result<S::Values, TrainingError> {
        let trained = self.plan.trained();
        let (steps, change_max) = match &self.plan.training.site {
            SiteTraining::Gradient => {
                let values = self.sum(&mut sums, global, self.plan.update_values())?;
                return Ok(sums.finish(values));
            }
            SiteTraining::Sgd(LocalSgd { steps, change_max, .. })
            | SiteTraining::Adam(LocalAdam { steps, change_max, .. }) => (steps.get(), change_max.get()),
        };
        let mut before = Vec::with_capacity(trained.values());
        trained.gather(global, &mut before);
        let mut optimiser = LocalOptimiser::new(&self.plan.training.site, &before)
            .expect("a plan with local steps has a local optimiser");
        let scale = self.gradient_scale();
        let (mut weights, mut after) = (global.to_vec(), before.clone());
        for _step in 0..steps {
            let sum = self.sum(&mut sums, &weights, trained.values())?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                reason = "weights are single precision"
            )]
            let gradient = sum.iter().map(|&units| (units as f64 * scale) as f32);
            optimiser.step(&mut after, gradient);
            // Of noisy sums alone, like all of this: a trainer is never asked about what is no model.
            after.iter_mut().for_each(|weight| *weight = into_range(*weight));
            trained.scatter(&after, &mut weights);
        }
        Ok(sums.finish(self.change(&before, &after, change_max)))
    }

    /// One step: the sum over a fresh Poisson sample, with noise where the claim asks for it.
    ///
    /// # Shapes
    /// `weights`: all of the model's values; the sum has the `length` of the trained ones.
    fn sum(
        &mut self,
        sums: &mut impl Steps,
        weights: &[f32],
        length: usize,
    ) -> Result<Vec<i64>, TrainingError> {
        sums.take(self.noise, length, || self.exact_sum(weights, length))
    }

    fn exact_sum(&mut self, weights: &[f32], length: usize) -> Result<IntegerSum, TrainingError> {
        let sampled = poisson(self.plan.training.sampling, self.patients, self.random)?;
        let mut seed = [0; 8];
        self.random.fill(&mut seed)?;
        let drawn = sampled.len();
        let sum = self.trainer.sum(weights, sampled, u64::from_le_bytes(seed), self.clip)?;
        if sum.len() != length {
            return Err(TrainerError::OtherAnswer.into());
        }
        if !within(&sum, drawn, self.plan.calibrated.c_int) {
            let message = format!("no sum of {drawn} clipped contributions is that long");
            return Err(TrainerError::BeyondBounds(message).into());
        }
        Ok(IntegerSum(sum))
    }

    /// From the integer sum to the mean gradient over the nominal batch.
    fn gradient_scale(&self) -> f64 {
        self.plan.gradient_unit(self.clip) / (self.plan.training.sampling.to_f64() * f64::from(self.patients))
    }

    /// The trained weights' change times the declared patients, in the plan's units. Post-processing of noisy sums.
    fn change(&self, global: &[f32], weights: &[f32], change_max: f64) -> Vec<i64> {
        let scale = f64::from(self.patients) / self.plan.update_unit(self.clip);
        let changes =
            global.iter().zip(weights).map(|(&before, &after)| f64::from(after) - f64::from(before));
        #[expect(
            clippy::cast_possible_truncation,
            reason = "bounded by change_max, for which the plan has room"
        )]
        changes.map(|change| (change.clamp(-change_max, change_max) * scale).round() as i64).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Mutex;

    use fedtwin_plan::text_file::parse;
    use fedtwin_plan::{Digest, PatientId};
    use fedtwin_privacy::accountant::NoiseBits;
    use fedtwin_privacy::noise::OpendpNoise;
    use fedtwin_privacy::protected::{Noised, Plain, Protected as _};
    use fedtwin_privacy::random::SecureRandom;
    use fedtwin_privacy::steps::{NoisySteps, PlainSteps};
    use fedtwin_trainer::Stopper;
    use fedtwin_trainer::pipe::Loaded;
    use fedtwin_trainer::report::Report;

    use super::*;

    const PATIENTS: u32 = 100;

    fn plan(site: &str, sampling: &str, privacy: &str) -> Plan {
        let text = format!(
            r#"
            study = {{ id = "s", title = "t", sites = ["a"], expires = "2099-01-01" }}
            cohort = {{ name = "c", patients_max = {PATIENTS} }}
            data.table = {{ outcome = "o", features.x.number = {{ unit = "u", low = 0, high = 1 }} }}
            model = {{ family = "linear-risk", seed = 1 }}
            rounds = {{ count = 1, attempts_max = 1, blocks = 1, sites_min = 1, join_s = 1, deadline_s = 1, slot_s = 1 }}
            training = {{ sampling = "{sampling}", loss = "bce", site = {site}, server.fedavg.learning_rate = 1.0 }}
            {privacy}
            "#
        );
        parse("plan", &text).unwrap()
    }

    fn local(site: &str, steps: u32, sampling: &str) -> Plan {
        let privacy = format!(
            "privacy.local = {{ clip = 1.0, delta = 1e-3, target.noise-multiplier = 1.0 }}
             calibrated = {{ m = 12, c_int = 4096, modulus_bits = 32, steps = {steps}, epsilon = 100.0 }}"
        );
        plan(site, sampling, &privacy)
    }

    /// Notes what happens in which order.
    #[derive(Default)]
    struct Log(Mutex<Vec<String>>);

    impl Log {
        fn push(&self, event: impl Into<String>) {
            self.0.lock().unwrap().push(event.into());
        }
    }

    struct Noted<'a>(&'a Log, OpendpNoise);

    impl NoiseSource for Noted<'_> {
        fn fill(&self, m: NoiseBits, values: &mut [i64]) -> Result<(), NoiseError> {
            self.0.push("noise");
            self.1.fill(m, values)
        }
    }

    /// Sums one unit per sampled patient in each trained coordinate, and notes the weights.
    struct Counting<'a> {
        log: &'a Log,
        trained: usize,
        /// What a patient adds to each value.
        each: i64,
        weights: Vec<Vec<f32>>,
    }

    impl Trainer for Counting<'_> {
        fn load(&mut self, _plan: &str, _cohort_file: &Path) -> Result<Loaded, TrainerError> {
            Ok(Loaded { train: PATIENTS, test: 0, digest: Digest::of(b"") })
        }

        fn sum(
            &mut self,
            weights: &[f32],
            sampled: Vec<PatientId>,
            _seed: u64,
            _clip: Positive,
        ) -> Result<Vec<i64>, TrainerError> {
            self.log.push(format!("data of {}", sampled.len()));
            self.weights.push(weights.to_vec());
            Ok(vec![self.each * i64::try_from(sampled.len()).unwrap(); self.trained])
        }

        fn score(&mut self, _weights: &[f32], _fit: bool) -> Result<Report, TrainerError> {
            Err(TrainerError::OtherAnswer)
        }

        fn stopper(&self) -> Stopper {
            Stopper::default()
        }
    }

    fn noisy(plan: &Plan) -> NoisySteps {
        NoisySteps::new(plan.calibrated.m)
    }

    fn run(plan: &Plan) -> (Noised, Vec<String>) {
        run_by(plan, noisy(plan))
    }

    fn run_plain(plan: &Plan) -> (Plain, Vec<String>) {
        run_by(plan, PlainSteps)
    }

    fn run_by<S: Steps>(plan: &Plan, sums: S) -> (S::Values, Vec<String>) {
        let log = Log::default();
        let mut trainer = counting(&log, plan.update_values());
        let update = run_with((plan, sums), &log, &mut trainer).unwrap();
        (update, log.0.into_inner().unwrap())
    }

    fn counting(log: &Log, trained: usize) -> Counting<'_> {
        Counting { log, trained, each: 1, weights: Vec::new() }
    }

    fn run_with<S: Steps>(
        (plan, sums): (&Plan, S),
        log: &Log,
        trainer: &mut Counting<'_>,
    ) -> Result<S::Values, TrainingError> {
        let mut training = LocalTraining {
            plan,
            patients: PATIENTS,
            clip: plan.clip(),
            trainer,
            noise: &Noted(log, OpendpNoise),
            random: &mut SecureRandom::new(),
        };
        training.run(sums, &[0.0; 3])
    }

    #[test]
    fn noise_is_drawn_before_data_is_read_in_every_step() {
        let (_, events) =
            run(&local("{ sgd = { steps = 2, learning_rate = 0.1, change_max = 1.0 } }", 2, "1"));
        assert_eq!(events, ["noise", "data of 100", "noise", "data of 100"]);
    }

    #[test]
    fn an_empty_sample_still_sends_noise() {
        let (update, events) = run(&local("\"gradient\"", 1, "1/4294967295"));
        assert_eq!(events, ["noise", "data of 0"]);
        // All three discrete Gaussians of sigma 4096 are zero with a probability of 1e-12.
        assert!(update.values().iter().any(|&value| value != 0));
    }

    #[test]
    fn whoever_was_sampled_leaves_the_same_trace() {
        let trace = |sampling: &str| {
            let site = "{ sgd = { steps = 2, learning_rate = 0.1, change_max = 1.0 } }";
            let (update, events) = run(&local(site, 2, sampling));
            let kinds = events.iter().map(|event| event.split(' ').next().unwrap().to_owned());
            (update.values().len(), kinds.collect::<Vec<_>>())
        };
        let nobody = trace("1/4294967295");
        assert_eq!(nobody.1, ["noise", "data", "noise", "data"]);
        assert!(["1", "1/2", "1/20"].iter().all(|sampling| trace(sampling) == nobody));
    }

    #[test]
    fn without_noise_a_gradient_is_the_exact_sum() {
        let privacy = "privacy.none.clip = 1.0
             calibrated = { m = 12, c_int = 4096, modulus_bits = 32, steps = 1 }";
        let (update, events) = run_plain(&plan("\"gradient\"", "1", privacy));
        assert_eq!((update.values(), events), (&[100; 3][..], vec!["data of 100".to_owned()]));
    }

    #[test]
    fn the_divisor_is_the_nominal_batch_and_changes_are_in_the_plans_unit() {
        let privacy = "privacy.none.clip = 1.0
             calibrated = { m = 12, c_int = 4096, modulus_bits = 32, steps = 1 }";
        let plan = plan("{ sgd = { steps = 1, learning_rate = 0.5, change_max = 1.0 } }", "1", privacy);
        let (update, _) = run_plain(&plan);
        // Mean gradient 100 units / 100 patients = 1/4096; one step of 0.5 against it, times 100 patients.
        let change =
            f64::from(i32::try_from(update.values()[0]).unwrap()) * plan.update_unit(plan.clip()) / 100.0;
        assert!((change + 0.5 / 4096.0).abs() < 1e-7, "{change}");
    }

    #[test]
    fn a_change_is_cut_to_what_the_sum_has_room_for() {
        let privacy = "privacy.none.clip = 1e6
             calibrated = { m = 12, c_int = 4096, modulus_bits = 32, steps = 1 }";
        let plan = plan("{ sgd = { steps = 1, learning_rate = 1e6, change_max = 1.0 } }", "1", privacy);
        let change = run_plain(&plan).0.values()[0] as f64 * plan.update_unit(plan.clip()) / 100.0;
        assert!((change + 1.0).abs() < 1e-6, "{change}");
    }

    #[test]
    fn only_trained_values_move_are_noised_and_are_sent() {
        let privacy = "privacy.none.clip = 1.0
             calibrated = { m = 12, c_int = 4096, modulus_bits = 32, steps = 2 }";
        let site = "{ sgd = { steps = 2, learning_rate = 0.5, change_max = 1.0 } }, trainable.biases = true";
        let plan = plan(site, "1", privacy);
        let log = Log::default();
        let mut trainer = counting(&log, 1);
        let update = run_with((&plan, PlainSteps), &log, &mut trainer).unwrap();
        assert_eq!(update.values().len(), 1);
        assert_eq!(trainer.weights[0], [0.0; 3]);
        let second = &trainer.weights[1];
        assert!(second[0] == 0.0 && second[1] == 0.0 && second[2] < 0.0, "{second:?}");
        let noised = local(&site.replace("steps = 2", "steps = 1"), 1, "1");
        assert_eq!(run(&noised).0.values().len(), 1);
    }

    #[test]
    fn an_adaptive_clip_sends_its_indicator_under_the_same_noise() {
        let adaptive = "\"gradient\", adaptive_clip = { quantile = 0.5, learning_rate = 0.2, bounds = [0.1, 9.0], share = 0.5 }";
        let (update, _) = run(&local(adaptive, 1, "1"));
        assert_eq!(update.values().len(), 4);
    }

    #[test]
    fn local_steps_never_leave_the_range_of_weights() {
        let (plan, log) = (
            local("{ sgd = { steps = 3, learning_rate = 1e38, change_max = 1.0 } }", 3, "1"),
            Log::default(),
        );
        let mut trainer = counting(&log, 3);
        run_with((&plan, noisy(&plan)), &log, &mut trainer).unwrap();
        let asked: Vec<f32> = trainer.weights.concat();
        assert!(asked.iter().all(|&weight| fedtwin_plan::model_file::is_weight(weight)), "{asked:?}");
        assert!(asked.iter().any(|weight| weight.abs() >= fedtwin_plan::model_file::WEIGHT_MAX), "{asked:?}");
    }

    #[test]
    fn a_sum_that_is_too_long_is_refused_in_the_step_with_an_indicator_and_without() {
        let adaptive = "\"gradient\", adaptive_clip = { quantile = 0.5, learning_rate = 0.2, bounds = [0.1, 9.0], share = 0.5 }";
        for site in ["\"gradient\"", adaptive] {
            let (plan, log) = (local(site, 1, "1"), Log::default());
            let mut trainer = counting(&log, plan.update_values());
            trainer.each = 4096;
            let refused = run_with((&plan, noisy(&plan)), &log, &mut trainer).err().unwrap();
            assert!(matches!(refused, TrainingError::Trainer(TrainerError::BeyondBounds(_))), "{refused}");
        }
    }

    #[test]
    fn a_sum_of_another_length_is_no_answer() {
        let log = Log::default();
        let plan = local("\"gradient\"", 1, "1");
        let refused = run_with((&plan, noisy(&plan)), &log, &mut counting(&log, 2)).err().unwrap();
        assert!(matches!(refused, TrainingError::Trainer(TrainerError::OtherAnswer)), "{refused}");
    }
}
