//! A study's step as the agent makes it, for attacks to be carried out on: the product's own code.

use std::path::Path;

use fedtwin_attack::step::{AttackError, Chance, Contributions, Step, read_back};
use fedtwin_plan::model::VectorSpec;
use fedtwin_plan::numbers::{Count, Positive};
use fedtwin_plan::plan::{Family, SiteTraining};
use fedtwin_plan::{PatientId, Plan, WireBits};
use fedtwin_trainer::pipe::Loaded;
use fedtwin_trainer::report::Report;
use fedtwin_trainer::{Stopper, Trainer, TrainerError};

use crate::local_training::LocalTraining;

/// [`LocalTraining`] as a step that can be attacked.
#[derive(Debug, Clone)]
pub(super) struct AgentStep {
    plan: Plan,
    patients: u32,
    bits: WireBits,
    /// Whether the cohort is an attack's own, with as many values as it likes.
    bare: bool,
}

impl AgentStep {
    /// Takes the plan's own step: what a site sends in an attempt.
    pub(super) fn of_study(plan: &Plan, patients: u32) -> Result<Self, AttackError> {
        let bits = WireBits::try_from(plan.calibrated.modulus_bits.get()).map_err(AttackError::step)?;
        Ok(Self { plan: plan.clone(), patients, bits, bare: false })
    }

    /// Takes one noisy sum at the plan's sampling, clip and noise.
    pub(super) fn of_one_sum(plan: &Plan, patients: u32) -> Result<Self, AttackError> {
        let mut step = Self::of_study(plan, patients)?;
        step.plan.training.site = SiteTraining::Gradient;
        Ok(step)
    }

    /// Takes one noisy sum of vectors of any length, which an attack makes up.
    pub(super) fn of_made_up_vectors(plan: &Plan, patients: u32) -> Result<Self, AttackError> {
        let mut step = Self { bare: true, ..Self::of_one_sum(plan, patients)? };
        step.plan.training.trainable = None;
        step.plan.training.adaptive_clip = None;
        Ok(step)
    }
}

impl Step for AgentStep {
    fn release(
        &mut self,
        cohort: &mut dyn Contributions,
        weights: &[f32],
        chance: &mut Chance<'_>,
    ) -> Result<Vec<i64>, AttackError> {
        if self.bare {
            let values = i64::try_from(cohort.values()).unwrap_or(i64::MAX);
            let parameters = Count::try_from(values).map_err(AttackError::step)?;
            self.plan.model.family = Family::Vector(VectorSpec { parameters });
        }
        let mut training = LocalTraining {
            plan: &self.plan,
            patients: self.patients,
            clip: self.plan.clip(),
            trainer: &mut SumsOnly(cohort),
            noise: chance.noise,
            random: &mut chance.random,
        };
        let update = training.run(weights).map_err(AttackError::step)?;
        read_back(&update.values, self.bits)
    }
}

/// A trainer that has nothing but an attack's sums.
struct SumsOnly<'a>(&'a mut dyn Contributions);

impl Trainer for SumsOnly<'_> {
    fn load(&mut self, _plan: &str, _cohort_file: &Path) -> Result<Loaded, TrainerError> {
        Err(TrainerError::OtherAnswer)
    }

    fn sum(
        &mut self,
        weights: &[f32],
        sampled: Vec<PatientId>,
        slice_seed: u64,
        _clip: Positive,
    ) -> Result<Vec<i64>, TrainerError> {
        let sum = self.0.sum(weights, &sampled, slice_seed);
        Ok(sum.map_err(|error| TrainerError::Failed(error.to_string()))?.0)
    }

    fn score(&mut self, _weights: &[f32], _fit_intercept: bool) -> Result<Report, TrainerError> {
        Err(TrainerError::OtherAnswer)
    }

    fn stopper(&self) -> Stopper {
        Stopper::default()
    }
}
