//! Audits of plans with a trainer in plain Rust: sound, and with a bug that no noise shows.

use std::path::Path;
use std::sync::Arc;

use fedtwin_attack::report::AttackReport;
use fedtwin_cohort::CohortFile;
use fedtwin_plan::cohort_need::{DataNeed, TableNeed};
use fedtwin_plan::numbers::Positive;
use fedtwin_plan::plan::Privacy;
use fedtwin_plan::record::{Part, Records, TableRecord};
use fedtwin_plan::{PatientId, Plan, text_file};
use fedtwin_privacy::noise::FastNoise;
use fedtwin_privacy::patient_sum::PatientSum;
use fedtwin_trainer::pipe::Loaded;
use fedtwin_trainer::report::Report;
use fedtwin_trainer::stand_in::StandIn;
use fedtwin_trainer::{Stopper, Trainer, TrainerError};
use tempfile::TempDir;

use super::*;

/// A trainer of linear risk models without a tensor library.
#[derive(Default)]
struct PlainTrainer {
    plan: Option<Plan>,
    rows: Vec<TableRecord>,
    /// Scales the inputs by the cohort's own share of outcomes: the bug.
    scales_by_cohort: bool,
}

impl PlainTrainer {
    fn need(&self) -> &TableNeed {
        match &self.plan.as_ref().unwrap().data {
            DataNeed::Table(need) => need,
            DataNeed::Images(_) => panic!("the plans of these tests have tables"),
        }
    }

    fn gradient(&self, weights: &[f32], row: &TableRecord) -> Vec<f32> {
        let mut inputs = Vec::new();
        for (feature, &value) in self.need().features.values().zip(&row.values) {
            feature.encode(value, &mut inputs);
        }
        if self.scales_by_cohort {
            let share =
                self.rows.iter().filter(|row| row.outcome.happened()).count() as f32 / self.rows.len() as f32;
            inputs.iter_mut().for_each(|input| *input *= share);
        }
        inputs.push(1.0);
        let logit: f32 = weights.iter().zip(&inputs).map(|(weight, input)| weight * input).sum();
        let residual = 1.0 / (1.0 + (-logit).exp()) - row.outcome.value();
        inputs.iter().map(|input| input * residual).collect()
    }
}

impl Trainer for PlainTrainer {
    fn load(&mut self, plan: &str, cohort_file: &Path) -> Result<Loaded, TrainerError> {
        self.load_altered(plan, cohort_file, None)
    }

    fn load_altered(
        &mut self,
        plan: &str,
        cohort_file: &Path,
        altered: Option<(PatientId, StandIn)>,
    ) -> Result<Loaded, TrainerError> {
        let failed = |error: String| TrainerError::Failed(error);
        let plan: Plan = text_file::parse("plan", plan).map_err(|error| failed(format!("{error:?}")))?;
        let file = CohortFile::load(cohort_file).map_err(|error| failed(error.to_string()))?;
        let mut train = file.read(&plan.data, Part::Train).map_err(|error| failed(error.to_string()))?;
        if let Some((patient, stand_in)) = altered {
            stand_in.replace(&mut train, patient);
        }
        let Records::Table(rows) = train else { return Err(TrainerError::OtherAnswer) };
        (self.plan, self.rows) = (Some(plan), rows);
        let digest = file.digest().map_err(|error| failed(error.to_string()))?;
        Ok(Loaded { train: u32::try_from(self.rows.len()).unwrap(), test: 0, digest })
    }

    fn sum(
        &mut self,
        weights: &[f32],
        sampled: Vec<PatientId>,
        _slice_seed: u64,
        clip: Positive,
    ) -> Result<Vec<i64>, TrainerError> {
        let plan = self.plan.as_ref().ok_or(TrainerError::OtherAnswer)?;
        let mut sum = PatientSum::new(weights.len(), clip.get(), plan.calibrated.c_int).unwrap();
        for patient in sampled.into_iter().filter(|patient| (patient.0 as usize) < self.rows.len()) {
            sum.add(patient, &self.gradient(weights, &self.rows[patient.0 as usize]));
        }
        Ok(sum.finish().0)
    }

    fn score(&mut self, _weights: &[f32], _fit_intercept: bool) -> Result<Report, TrainerError> {
        Err(TrainerError::OtherAnswer)
    }

    fn stopper(&self) -> Stopper {
        Stopper::default()
    }
}

/// A plan over 100 patients; at a sampling of 1 its 20 steps cost a mu of 1.
fn plan(sampling: &str, privacy: &str) -> String {
    format!(
        r#"
        study = {{ id = "audited", title = "t", sites = ["a", "b"], expires = "2099-01-01" }}
        cohort = {{ name = "c", patients_max = 100 }}
        model = {{ family = "linear-risk", seed = 1 }}
        rounds = {{ count = 20, attempts_max = 20, blocks = 1, sites_min = 1, join_s = 1, deadline_s = 1, slot_s = 1 }}
        training = {{ sampling = "{sampling}", loss = "bce", site = "gradient", server.fedadam = {{ learning_rate = 0.2, beta1 = 0.9, beta2 = 0.99, tau = 0.001 }} }}
        {privacy}
        [data.table]
        outcome = "o"
        [data.table.features]
        x.number = {{ unit = "u", low = -3, high = 7 }}
        y.number = {{ unit = "v", low = 0, high = 1 }}
        z.category = ["p", "q", "r"]
        "#
    )
}

const NOISE: &str = r#"
        privacy.local = { clip = 1.0, delta = 1e-5, target.noise-multiplier = 4.47 }
        calibrated = { m = 16, c_int = 14654, modulus_bits = 40, steps = 20, epsilon = 100.0 }
"#;

/// Audits a plan with this trainer and returns what it reports, in full and in words.
fn audit(text: &str, scales_by_cohort: bool) -> (AttackReport, String) {
    let folder = TempDir::new().unwrap();
    let cohort_file = synthetic::write_cohort(
        &text_file::parse("plan", text).unwrap(),
        folder.path(),
        &mut SecureRandom::new(),
    )
    .unwrap();
    let slots = CohortFile::load(&cohort_file).unwrap().patients();
    let new_trainer: NewTrainer = Arc::new(move || {
        Ok(Box::new(PlainTrainer { scales_by_cohort, ..PlainTrainer::default() }) as Box<dyn Trainer>)
    });
    let target = Target {
        plan: text_file::parse("plan", text).unwrap(),
        text: text.to_owned(),
        records: RecordsUsed::Synthetic,
        cohort_file,
        slots,
        noise: &FastNoise,
        new_trainer,
    };
    let report = target.report().unwrap();
    // Parsed numbers may differ in their last digit.
    let again: AttackReport = serde_json::from_slice(&serde_json::to_vec(&report).unwrap()).unwrap();
    assert_eq!((again.plan, again.event, &again.findings), (report.plan, report.event, &report.findings));
    let mut out = Vec::new();
    words::write(&mut out, &report).unwrap();
    (report, String::from_utf8(out).unwrap())
}

/// Fails by chance where a bound at one in a hundred is wrong twice at once: about once in 10^4 runs.
#[test]
fn a_sound_plan_holds_and_every_control_is_caught() {
    for sampling in ["1", "1/2"] {
        let (report, words) = audit(&plan(sampling, NOISE), false);
        assert!(report.findings.is_empty(), "{words}");
        let canaries = report.canaries.done().unwrap();
        assert!(canaries.bounds.mu > 0.25 * canaries.claim.mu, "{words}");
        let neighbours = report.neighbours.done().unwrap();
        assert!(neighbours.cohorts.pairs >= 28 && neighbours.cohorts.largest > 0.5, "{words}");
        let controls = [
            &canaries.controls,
            &neighbours.controls,
            &report.sampling.done().unwrap().controls,
            &report.attempts.done().unwrap().controls,
        ];
        for control in controls.into_iter().flatten() {
            assert!(control.caught, "{}: {words}", control.bug);
        }
        assert_eq!(report.sampling.done().unwrap().controls.len(), usize::from(sampling != "1"));
        let inversion = report.inversion.done().unwrap();
        assert!(inversion.without_noise.low > 0.99, "{words}");
        assert!(inversion.with_noise.unwrap().high < 0.7, "{words}");
        let membership = report.membership.done().unwrap();
        assert_eq!((membership.patients, membership.with_noise.len()), (100, 4));
    }
}

#[test]
fn a_trainer_that_scales_by_its_cohort_is_found_out() {
    let (report, words) = audit(&plan("1", NOISE), true);
    assert!(report.neighbours.done().unwrap().cohorts.dependent > 0);
    assert!(words.contains("FOUND       neighbouring cohorts differ by more than one patient"), "{words}");
}

#[test]
fn a_plan_without_noise_claims_nothing_and_bares_its_records() {
    let privacy = "privacy.none.clip = 1.0
        calibrated = { m = 16, c_int = 14654, modulus_bits = 40, steps = 20 }";
    let text = plan("1", privacy);
    assert!(matches!(text_file::parse::<Plan>("plan", &text).unwrap().privacy, Privacy::None(_)));
    let (report, words) = audit(&text, false);
    assert!(report.claim.is_none() && report.canaries.done().is_none());
    assert!(report.inversion.done().unwrap().without_noise.low > 0.99);
    assert!(words.contains("claim       none: the plan adds no noise"), "{words}");
}
