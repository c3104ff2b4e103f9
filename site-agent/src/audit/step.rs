//! A study's step as the agent makes it, for attacks to be carried out on: the product's own code.

use std::path::Path;

use fedtwin_attack::step::{AttackError, Chance, Contributions, Step, read_back};
use fedtwin_plan::family::VectorSize;
use fedtwin_plan::numbers::{Count, Positive};
use fedtwin_plan::plan::{Privacy, SiteTraining};
use fedtwin_plan::{Family, PatientId, Plan, PlanFile};
use fedtwin_privacy::protected::Protected as _;
use fedtwin_privacy::steps::{NoisySteps, PlainSteps};
use fedtwin_trainer::pipe::Loaded;
use fedtwin_trainer::report::Report;
use fedtwin_trainer::{Stopper, Trainer, TrainerError};

use crate::local_training::LocalTraining;

/// [`LocalTraining`] as a step that can be attacked.
#[derive(Debug, Clone)]
pub(super) struct AgentStep {
    plan: Plan,
    patients: u32,
    /// Whether the cohort is an attack's own, with as many values as it likes.
    bare: bool,
}

impl AgentStep {
    /// Takes the plan's own step: what a site sends in an attempt.
    pub(super) fn of_study(plan: &Plan, patients: u32) -> Self {
        Self { plan: plan.clone(), patients, bare: false }
    }

    /// Takes one noisy sum at the plan's sampling, clip and noise.
    pub(super) fn of_one_sum(plan: &Plan, patients: u32) -> Result<Self, AttackError> {
        Self::of_study(plan, patients).changed(|file| {
            file.training.site = SiteTraining::Gradient;
            file.calibrated.steps = file.steps();
        })
    }

    /// Takes one noisy sum of vectors of any length, which an attack makes up.
    pub(super) fn of_made_up_vectors(plan: &Plan, patients: u32) -> Result<Self, AttackError> {
        let bare = Self { bare: true, ..Self::of_one_sum(plan, patients)? };
        bare.changed(|file| {
            file.training.trainable = None;
            file.training.adaptive_clip = None;
            (file.metrics, file.calibrated.metrics) = (None, None);
        })
    }

    /// Takes a step of another plan.
    fn changed(self, change: impl FnOnce(&mut PlanFile)) -> Result<Self, AttackError> {
        let mut file = self.plan.file().clone();
        change(&mut file);
        Ok(Self { plan: Plan::new(file).map_err(AttackError::step)?, ..self })
    }
}

impl Step for AgentStep {
    fn release(
        &mut self,
        cohort: &mut dyn Contributions,
        weights: &[f32],
        chance: &mut Chance<'_>,
    ) -> Result<Vec<i64>, AttackError> {
        if self.bare && cohort.values() != self.plan.update_values() {
            let values = i64::try_from(cohort.values()).unwrap_or(i64::MAX);
            let parameters = Count::try_from(values).map_err(AttackError::step)?;
            let vector = Family::Vector(VectorSize { parameters });
            *self = self.clone().changed(|file| file.model.family = vector)?;
        }
        let mut training = LocalTraining {
            plan: &self.plan,
            patients: self.patients,
            clip: self.plan.clip(),
            trainer: &mut SumsOnly(cohort),
            noise: chance.noise,
            random: &mut chance.random,
        };
        // There is no claim yet: the sums are those that the plan's would ask for.
        let bits = self.plan.calibrated.modulus_bits;
        match &self.plan.privacy {
            Privacy::None(_) => {
                let update = training.run(PlainSteps, weights).map_err(AttackError::step)?;
                read_back(update.values(), bits)
            }
            Privacy::Local(_) | Privacy::Shared(_) => {
                let sums = NoisySteps::new(self.plan.calibrated.m);
                let update = training.run(sums, weights).map_err(AttackError::step)?;
                read_back(update.values(), bits)
            }
        }
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
