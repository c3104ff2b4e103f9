//! A second trainer with a clip that cuts nothing and a fine grid: it shows one patient's whole gradient.
//!
//! For a linear risk model that gradient is (p - y) (x, 1): the last value says how well the model expects
//! the patient's outcome, and at weights of zero, where p = 1/2, the others say what the record is. So the
//! agent still reads no record: it asks the trainer for sums, and an audit's figures are about many.

use std::path::PathBuf;

use fedtwin_attack::inversion::AttackedPatient;
use fedtwin_attack::neighbours::Alterable;
use fedtwin_attack::step::{AttackError, Contributions};
use fedtwin_plan::family::Family;
use fedtwin_plan::numbers::{Count, Positive};
use fedtwin_plan::plan::{Calibrated, NoNoise, Privacy};
use fedtwin_plan::{PatientId, Plan, WireBits};
use fedtwin_trainer::NewTrainer;

use super::cohort::LoadedCohort;

/// Whole gradients of single patients.
pub(super) struct Probe {
    cohort: LoadedCohort,
    /// The real value of one integer.
    unit: f64,
    targets: u32,
}

impl Probe {
    /// Starts the probe of a linear risk model; nothing for other models.
    pub(super) fn load(
        new_trainer: &NewTrainer,
        plan: &Plan,
        cohort_file: PathBuf,
    ) -> Result<Option<Self>, AttackError> {
        let whole = plan.training.trainable.is_none() && plan.training.adaptive_clip.is_none();
        if !whole || plan.model.family != Family::LinearRisk {
            return Ok(None);
        }
        // A weight for each input and the bias: inputs are in [-1, 1], so that no gradient is longer.
        let clip = (plan.architecture().values() as f64).sqrt();
        let mut probing = plan.file().clone();
        probing.study.sites.truncate(1);
        let clip_value = Positive::try_from(clip).map_err(AttackError::step)?;
        probing.privacy = Privacy::None(NoNoise { clip: clip_value, sums_only: false });
        probing.rounds.sites_min = Count::try_from(1).map_err(AttackError::step)?;
        probing.calibrated =
            Calibrated { c_int: FINE, modulus_bits: WireBits::B64, epsilon: None, ..plan.calibrated.clone() };
        let text = toml::to_string(&probing).map_err(AttackError::step)?;
        let probing = Plan::new(probing).map_err(AttackError::step)?;
        let cohort = LoadedCohort::load(new_trainer, (&probing, &text), cohort_file)?;
        let targets = cohort.patients().min(TARGETS_MAX);
        Ok(Some(Self { cohort, unit: clip / FINE as f64, targets }))
    }

    /// Returns how many patients are attacked: the first ones.
    pub(super) fn targets(&self) -> u32 {
        self.targets
    }

    /// Returns the probability, at these weights, of each target's recorded outcome.
    pub(super) fn confidences(&mut self, weights: &[f32]) -> Result<Vec<f64>, AttackError> {
        let residual = |gradient: Vec<i64>| gradient.last().map_or(1.0, |&bias| bias as f64 * self.unit);
        let of = |patient| Ok(self.cohort.sum(weights, &[PatientId(patient)], 0)?.0);
        let gradients = (0..self.targets).map(of).collect::<Result<Vec<_>, AttackError>>()?;
        Ok(gradients.into_iter().map(|gradient| 1.0 - residual(gradient).abs()).collect())
    }

    /// Returns the records of at most `count` targets, as the model sees them.
    pub(super) fn records(
        &mut self,
        weights: usize,
        count: u32,
    ) -> Result<Vec<AttackedPatient>, AttackError> {
        let zeros = vec![0.0; weights];
        let mut records = Vec::new();
        for patient in (0..self.targets.min(count)).map(PatientId) {
            let gradient = self.cohort.sum(&zeros, &[patient], 0)?.0;
            let Some((&bias, slopes)) = gradient.split_last() else { continue };
            let residual = if bias > 0 { 0.5 } else { -0.5 };
            let inputs = slopes.iter().map(|&slope| slope as f64 * self.unit / residual).collect();
            records.push(AttackedPatient { patient, inputs });
        }
        Ok(records)
    }
}

/// The norm of the longest gradient in grid units: a resolution of nine digits.
const FINE: u64 = 1 << 30;
/// Each target costs a request for each model.
const TARGETS_MAX: u32 = 200;
