//! A whole study at one site, as an attacker trains shadow models of it.
//!
//! The site's part is the product's own code. The coordinator's optimiser sees noisy sums alone and costs
//! nothing; here it is plain averaging, or Adam where the plan has one of its kin.

use fedtwin_attack::membership::Victim;
use fedtwin_attack::planted::{Bug, Planted};
use fedtwin_attack::step::{AttackError, Chance, Contributions, Restricted, Step};
use fedtwin_plan::model_file::initial_values;
use fedtwin_plan::numbers::{Count, Positive};
use fedtwin_plan::plan::{
    Fedadagrad, Fedadam, Fedavg, Fedyogi, LocalAdam, LocalSgd, ServerOptimiser, SiteTraining,
};
use fedtwin_plan::{PatientId, Plan};
use fedtwin_privacy::noise::NoiseSource;
use fedtwin_privacy::random::SecureRandom;

use super::cohort::LoadedCohort;
use super::probe::Probe;
use super::step::AgentStep;
use crate::optimiser::LocalOptimiser;

/// A study that can be run on some of the site's patients.
pub(super) struct SiteStudy<'a> {
    pub(super) plan: &'a Plan,
    /// The cohort's declared size.
    pub(super) slots: u32,
    pub(super) cohort: &'a mut LoadedCohort,
    pub(super) probe: &'a mut Probe,
    pub(super) rounds: u32,
    /// Where noise comes from, or nothing to train without.
    pub(super) noise: Option<&'a dyn NoiseSource>,
}

impl SiteStudy<'_> {
    /// From a release's integers to the mean change of the trained weights.
    fn scale(&self) -> f64 {
        let unit = self.plan.update_unit(self.plan.clip()) / f64::from(self.slots);
        match &self.plan.training.site {
            SiteTraining::Gradient => -unit / self.plan.training.sampling.to_f64(),
            SiteTraining::Sgd(_) | SiteTraining::Adam(_) => unit,
        }
    }
}

impl Victim for SiteStudy<'_> {
    fn patients(&self) -> u32 {
        self.probe.targets()
    }

    fn train(&mut self, members: &[bool]) -> Result<Vec<f32>, AttackError> {
        let trained = self.plan.trained();
        let mut weights = initial_values(self.plan.architecture(), self.plan.model.seed);
        let mut moving = Vec::new();
        trained.gather(&weights, &mut moving);
        let mut server = server(&self.plan.training.server, &moving);
        let scale = self.scale();
        let mut step = AgentStep::of_study(self.plan, self.slots);
        let mut random = SecureRandom::new();
        let is_member = &|patient: PatientId| members.get(patient.0 as usize).copied().unwrap_or(true);
        for _round in 0..self.rounds {
            let mut cohort = Restricted::to(self.cohort, is_member);
            let release = match self.noise {
                Some(noise) => {
                    step.release(&mut cohort, &weights, &mut Chance { noise, random: &mut random })?
                }
                None => without_noise(&mut step, &mut cohort, &weights, &mut random)?,
            };
            #[expect(clippy::cast_possible_truncation, reason = "weights are single precision")]
            let gradient = release.iter().map(|&value| (-(value as f64) * scale) as f32);
            server.step(&mut moving, gradient);
            trained.scatter(&moving, &mut weights);
        }
        Ok(weights)
    }

    fn confidences(&mut self, weights: &[f32]) -> Result<Vec<f64>, AttackError> {
        self.probe.confidences(weights)
    }
}

fn without_noise(
    step: &mut AgentStep,
    cohort: &mut dyn Contributions,
    weights: &[f32],
    random: &mut SecureRandom,
) -> Result<Vec<i64>, AttackError> {
    let chance = &mut Chance { noise: &fedtwin_privacy::noise::FastNoise, random };
    Planted::new(step, Bug::NoNoise, (1, 1.0), 1).release(cohort, weights, chance)
}

/// Returns what moves the global model against the mean change.
fn server(optimiser: &ServerOptimiser, global: &[f32]) -> LocalOptimiser {
    let (rate, adaptive) = match optimiser {
        ServerOptimiser::Fedavg(Fedavg { learning_rate }) => (*learning_rate, false),
        ServerOptimiser::Fedadam(Fedadam { learning_rate, .. })
        | ServerOptimiser::Fedyogi(Fedyogi { learning_rate, .. })
        | ServerOptimiser::Fedadagrad(Fedadagrad { learning_rate, .. }) => (*learning_rate, true),
    };
    let steps = Count::try_from(1).expect("one step is in range");
    let change_max = Positive::try_from(1.0).expect("1 is above 0");
    let local = if adaptive {
        SiteTraining::Adam(LocalAdam { steps, learning_rate: rate, change_max, proximal: None })
    } else {
        SiteTraining::Sgd(LocalSgd { steps, learning_rate: rate, change_max, proximal: None })
    };
    LocalOptimiser::new(&local, global).expect("local steps have an optimiser")
}
