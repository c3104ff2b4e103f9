//! A logistic model in plain Rust: a cohort whose gradients need no tensor library.

use fedtwin_attack::neighbours::Alterable;
use fedtwin_attack::step::{AttackError, Contributions};
use fedtwin_plan::PatientId;
use fedtwin_plan::cohort_need::{Feature, NumberRange, TableNeed};
use fedtwin_plan::outcome::Outcome;
use fedtwin_plan::record::{Records, TableRecord, Value};
use fedtwin_privacy::patient_sum::{IntegerSum, PatientSum};
use fedtwin_privacy::random::RandomSource;
use fedtwin_trainer::stand_in::StandIn;

/// Patients' rows, and the clip of their gradients.
#[derive(Clone)]
pub(crate) struct Logistic {
    pub(crate) need: TableNeed,
    pub(crate) own: Vec<TableRecord>,
    pub(crate) rows: Vec<TableRecord>,
    pub(crate) clip: f64,
    pub(crate) c_int: u64,
    /// Scales the first feature by the cohort's own mean: the bug that no noise shows.
    pub(crate) coupled: bool,
}

impl Logistic {
    /// Draws patients with `numbers` features each, whose outcome depends on the first ones.
    pub(crate) fn draw(patients: u32, numbers: usize, random: &mut dyn RandomSource) -> Self {
        let range = || NumberRange::linear("u", -1.0, 1.0);
        let features = (0..numbers).map(|i| (format!("f{i:03}"), Feature::Number(range()))).collect();
        let mut uniform = || f64::from(random.below(1 << 20).unwrap()) / f64::from(1 << 20);
        let own: Vec<_> = (0..patients)
            .map(|_patient| {
                let x: Vec<f64> = (0..numbers).map(|_feature| 2.0 * uniform() - 1.0).collect();
                let logit: f64 = x.iter().take(4).map(|x| 2.0 * x).sum();
                let outcome = uniform() < 1.0 / (1.0 + (-logit).exp());
                TableRecord {
                    values: x.into_iter().map(Value::Number).collect(),
                    outcome: Outcome::YesNo(outcome),
                }
            })
            .collect();
        let need = TableNeed { outcome: "o".into(), features };
        Self { need, rows: own.clone(), own, clip: 1.0, c_int: 1 << 16, coupled: false }
    }

    /// Returns a patient's inputs as the model sees them.
    pub(crate) fn inputs(&self, patient: PatientId) -> Vec<f32> {
        let mut inputs = Vec::new();
        for (feature, &value) in self.need.features.values().zip(&self.rows[patient.0 as usize].values) {
            feature.encode(value, &mut inputs);
        }
        if self.coupled {
            let mean =
                self.rows.iter().filter(|row| row.outcome.happened()).count() as f32 / self.rows.len() as f32;
            inputs[0] *= mean;
        }
        inputs
    }

    /// Returns the probability of a patient's true outcome.
    pub(crate) fn confidence(&self, weights: &[f32], patient: PatientId) -> f64 {
        let happened = self.probability(weights, &self.inputs(patient));
        if self.rows[patient.0 as usize].outcome.happened() { happened } else { 1.0 - happened }
    }

    fn probability(&self, weights: &[f32], inputs: &[f32]) -> f64 {
        let (bias, slopes) = weights.split_last().unwrap();
        let logit: f64 = slopes.iter().zip(inputs).map(|(w, x)| f64::from(w * x)).sum();
        1.0 / (1.0 + (-logit - f64::from(*bias)).exp())
    }

    fn gradient(&self, weights: &[f32], patient: PatientId) -> Vec<f32> {
        let mut inputs = self.inputs(patient);
        let outcome = f64::from(self.rows[patient.0 as usize].outcome.value());
        let residual = self.probability(weights, &inputs) - outcome;
        inputs.push(1.0);
        #[expect(clippy::cast_possible_truncation, reason = "gradients are single precision")]
        let residual = residual as f32;
        inputs.iter().map(|x| x * residual).collect()
    }
}

impl Contributions for Logistic {
    fn values(&self) -> usize {
        self.need.inputs() + 1
    }

    fn sum(&mut self, weights: &[f32], sampled: &[PatientId], _seed: u64) -> Result<IntegerSum, AttackError> {
        let mut sum = PatientSum::new(self.values(), self.clip, self.c_int)?;
        for &patient in sampled.iter().filter(|patient| (patient.0 as usize) < self.rows.len()) {
            sum.add(patient, &self.gradient(weights, patient));
        }
        Ok(sum.finish())
    }
}

impl Alterable for Logistic {
    fn patients(&self) -> u32 {
        u32::try_from(self.rows.len()).unwrap()
    }

    fn alter(&mut self, altered: Option<(PatientId, StandIn)>) -> Result<(), AttackError> {
        let mut records = Records::Table(self.own.clone());
        if let Some((patient, stand_in)) = altered {
            stand_in.replace(&mut records, patient);
        }
        let Records::Table(rows) = records else { unreachable!("a table stays one") };
        self.rows = rows;
        Ok(())
    }
}
