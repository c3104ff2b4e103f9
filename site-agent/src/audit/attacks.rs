//! Each attack on one plan, with its controls.

use fedtwin_attack::attempts::compare_attempts;
use fedtwin_attack::canary::Canaries;
use fedtwin_attack::claim::ClaimedCost;
use fedtwin_attack::inversion::{invert_releases, invert_sums};
use fedtwin_attack::membership::infer_membership;
use fedtwin_attack::neighbours::{Alterable, Differences, compare_cohorts, compare_releases};
use fedtwin_attack::planted::{Bug, Planted};
use fedtwin_attack::report::{
    AttackReport, AttemptReport, CanaryReport, Control, Finding, InversionReport, MembershipReport,
    NeighbourReport, SamplingReport, VERSION,
};
use fedtwin_attack::sampling::watch_samples;
use fedtwin_attack::step::{AttackError, Chance, Step};
use fedtwin_plan::Digest;
use fedtwin_plan::cohort_need::DataNeed;
use fedtwin_plan::model_file::initial_values;
use fedtwin_privacy::accountant::GaussianEvent;
use fedtwin_privacy::accountant::gdp;
use fedtwin_privacy::random::SecureRandom;

use super::Target;
use super::cohort::LoadedCohort;
use super::probe::Probe;
use super::step::AgentStep;
use super::study::SiteStudy;

/// The attacks on a target, and what they need of it.
pub(super) struct Attacks<'a> {
    target: &'a Target,
    /// What one noisy sum of the plan is, and the delta of its claim; absent without noise.
    priced: Option<(GaussianEvent, f64)>,
    /// The initial weights.
    weights: Vec<f32>,
    c_int: u32,
}

impl<'a> Attacks<'a> {
    pub(super) fn new(target: &'a Target) -> Result<Self, AttackError> {
        let plan = &target.plan;
        // The update that is attacked has this site's noise alone, as if all others colluded with the coordinator.
        let delta = plan.privacy.delta();
        let event = GaussianEvent::of_updates(plan, 1, 1).map_err(AttackError::step)?;
        Ok(Self {
            target,
            priced: delta.map(|delta| (event, delta)),
            weights: initial_values(plan.architecture(), plan.model.seed),
            c_int: event.c_int.get(),
        })
    }

    /// Carries all attacks out.
    pub(super) fn report(&self, plan: Digest) -> Result<AttackReport, AttackError> {
        let target = self.target;
        let steps = target.plan.steps();
        let priced = self.priced.map(|(event, delta)| (GaussianEvent { steps, ..event }, delta));
        let mut cohort = self.load()?;
        let mut probe = Probe::load(&target.new_trainer, &target.plan, target.cohort_file.clone())?;
        let mut report = AttackReport {
            version: VERSION,
            study: target.plan.study.id.clone(),
            plan,
            records: target.records.clone(),
            event: priced.map(|(event, _delta)| event),
            claim: priced.map(|(event, delta)| ClaimedCost::of(&event, delta)),
            canaries: self.where_noised(|event, delta| self.canaries(event, delta))?,
            neighbours: Finding::Done(self.neighbours(&mut cohort)?),
            sampling: Finding::Done(self.sampling()?),
            attempts: self.where_noised(|event, _delta| self.attempts(event))?,
            membership: Finding::Skipped(NOT_LINEAR.to_owned()),
            inversion: Finding::Skipped(NOT_LINEAR.to_owned()),
            findings: Vec::new(),
        };
        if let Some(probe) = &mut probe {
            report.membership = Finding::Done(self.membership(&mut cohort, probe)?);
            report.inversion = Finding::Done(self.inversion(&mut cohort, probe)?);
        }
        report.findings = findings(&report);
        Ok(report)
    }

    fn load(&self) -> Result<LoadedCohort, AttackError> {
        let target = self.target;
        LoadedCohort::load(&target.new_trainer, (&target.plan, &target.text), target.cohort_file.clone())
    }

    fn where_noised<T>(
        &self,
        attack: impl FnOnce(GaussianEvent, f64) -> Result<T, AttackError>,
    ) -> Result<Finding<T>, AttackError> {
        match self.priced {
            Some((event, delta)) => attack(event, delta).map(Finding::Done),
            None => Ok(Finding::Skipped("the plan adds no noise".to_owned())),
        }
    }

    /// Runs one step of made-up vectors over `patients` patients, sound or with a bug.
    fn made_up<T>(
        &self,
        bug: Option<Bug>,
        patients: u32,
        attack: impl FnOnce(&mut dyn Step, &mut Chance<'_>) -> Result<T, AttackError>,
    ) -> Result<T, AttackError> {
        let step = AgentStep::of_made_up_vectors(&self.target.plan, patients)?;
        self.with(step, bug, patients, attack)
    }

    fn with<T>(
        &self,
        mut step: AgentStep,
        bug: Option<Bug>,
        patients: u32,
        attack: impl FnOnce(&mut dyn Step, &mut Chance<'_>) -> Result<T, AttackError>,
    ) -> Result<T, AttackError> {
        let mut random = SecureRandom::new();
        let chance = &mut Chance { noise: self.target.noise, random: &mut random };
        let batch = self.target.plan.training.sampling.to_f64() * f64::from(patients);
        match bug {
            None => attack(&mut step, chance),
            Some(bug) => attack(&mut Planted::new(&mut step, bug, (patients, batch), self.c_int), chance),
        }
    }

    /// Seeks canaries in as many of the plan's steps as cost a mu of at most 2: more would claim what no
    /// such number of canaries can refute.
    fn canaries(&self, event: GaussianEvent, delta: f64) -> Result<CanaryReport, AttackError> {
        let claim = |steps| ClaimedCost::of(&GaussianEvent { steps, ..event }, delta);
        let mut steps = self.target.plan.steps().min(CANARY_STEPS_MAX);
        while steps > 1 && claim(steps).mu > 2.0 {
            steps /= 2;
        }
        let claim = claim(steps);
        let event = GaussianEvent { steps, ..event };
        let clip = self.target.plan.clip().get();
        let canaries = Canaries { count: CANARIES, event, clip, miss: 0.01 };
        let hunt = |bug| self.made_up(bug, CANARIES, |step, chance| canaries.hunt(step, chance));
        let bounds = hunt(None)?;
        let mut controls = Vec::new();
        for bug in [Bug::NoNoise, Bug::HalfNoise, Bug::DoubleClip] {
            controls.push(Control { bug, caught: hunt(Some(bug))?.mu > claim.mu });
        }
        let (epsilon_low, epsilon_low_one_run) = (bounds.epsilon(delta), bounds.one_run_epsilon(delta));
        Ok(CanaryReport {
            claim,
            bounds,
            epsilon_low,
            epsilon_low_gaussian: gdp::epsilon(bounds.mu, delta),
            epsilon_low_one_run,
            holds: bounds.mu <= claim.mu
                && epsilon_low <= claim.epsilon
                && epsilon_low_one_run <= claim.epsilon,
            controls,
        })
    }

    /// Compares neighbours: the trainer's sums with hostile records, and the agent's releases.
    fn neighbours(&self, cohort: &mut LoadedCohort) -> Result<NeighbourReport, AttackError> {
        let (trials, pairs, bugs): (_, _, &[Bug]) = match &self.target.plan.data {
            DataNeed::Table(_) => (4, 4, &[Bug::UnclippedBias, Bug::CoupledPatients, Bug::FailsOnOnePatient]),
            // A volume takes as long as thousands of rows.
            DataNeed::Images(_) => (1, 1, &[Bug::UnclippedBias, Bug::FailsOnOnePatient]),
        };
        let cohorts = compare_cohorts(cohort, &self.weights, self.c_int, trials, &mut SecureRandom::new())?;
        let mut compare = |bug| {
            let step = AgentStep::of_one_sum(&self.target.plan, self.target.slots)?;
            self.with(step, bug, self.target.slots, |step, chance| {
                let mut found = Differences::default();
                for _pair in 0..pairs {
                    found += compare_releases(step, cohort, &self.weights, self.c_int, chance)?;
                }
                Ok::<_, AttackError>(found)
            })
        };
        let releases = compare(None)?;
        let mut controls = Vec::new();
        for &bug in bugs {
            let caught = match compare(Some(bug)) {
                Ok(found) => !found.none_beyond_the_claim(),
                // The agent refuses a sum that is longer than its patients can make it.
                Err(AttackError::Step(_refused)) => true,
                Err(other) => return Err(other),
            };
            controls.push(Control { bug, caught });
        }
        let holds = cohorts.none_beyond_the_claim() && releases.none_beyond_the_claim();
        Ok(NeighbourReport { cohorts, releases, holds, controls })
    }

    fn sampling(&self) -> Result<SamplingReport, AttackError> {
        let rate = self.target.plan.training.sampling;
        let patients = self.target.slots.min(PATIENTS_WATCHED);
        let watch = |bug| {
            self.made_up(bug, patients, |step, chance| watch_samples(step, (rate, patients), SAMPLES, chance))
        };
        let statistics = watch(None)?;
        let mut controls = Vec::new();
        if !rate.is_one() {
            let caught = !watch(Some(Bug::ShuffledBatches))?.are_of_poisson_samples();
            controls.push(Control { bug: Bug::ShuffledBatches, caught });
        }
        Ok(SamplingReport { statistics, holds: statistics.are_of_poisson_samples(), controls })
    }

    fn attempts(&self, event: GaussianEvent) -> Result<AttemptReport, AttackError> {
        let patients = self.target.slots.min(PATIENTS_WATCHED);
        let compare = |bug| {
            self.made_up(bug, patients, |step, chance| {
                compare_attempts(step, (event.sampling, patients), event.m, chance)
            })
        };
        let shared = compare(None)?;
        let caught = !compare(Some(Bug::ReusedNoise))?.are_none();
        let controls = vec![Control { bug: Bug::ReusedNoise, caught }];
        Ok(AttemptReport { shared, holds: shared.are_none(), controls })
    }

    fn membership(
        &self,
        cohort: &mut LoadedCohort,
        probe: &mut Probe,
    ) -> Result<MembershipReport, AttackError> {
        let plan = &self.target.plan;
        let rounds = plan.rounds.count.get().min((SHADOW_STEPS_MAX / plan.local_steps()).max(1));
        let steps = u64::from(rounds) * u64::from(plan.local_steps());
        let claim =
            self.priced.map(|(event, delta)| ClaimedCost::of(&GaussianEvent { steps, ..event }, delta));
        let patients = cohort.patients();
        let mut infer = |noise| {
            let slots = self.target.slots;
            let study = &mut SiteStudy { plan, slots, cohort, probe, rounds, noise };
            infer_membership(study, SHADOW_MODELS, &mut SecureRandom::new())
        };
        let without_noise = infer(None)?;
        let with_noise = if claim.is_some() { infer(Some(self.target.noise))? } else { Vec::new() };
        let within = |claim: ClaimedCost| with_noise.iter().all(|inference| inference.is_within(claim.mu));
        let holds = claim.is_none_or(within);
        Ok(MembershipReport { models: SHADOW_MODELS, patients, claim, with_noise, without_noise, holds })
    }

    fn inversion(
        &self,
        cohort: &mut LoadedCohort,
        probe: &mut Probe,
    ) -> Result<InversionReport, AttackError> {
        let steps = self.target.plan.steps().min(INVERSION_STEPS_MAX);
        let targets = probe.records(self.weights.len(), INVERSION_TARGETS)?;
        let without_noise = invert_sums(cohort, &self.weights, &targets)?;
        let with_noise = match self.priced {
            None => None,
            Some(_) => {
                let step = AgentStep::of_one_sum(&self.target.plan, self.target.slots)?;
                let invert = |step: &mut dyn Step, chance: &mut Chance<'_>| {
                    invert_releases(step, steps, cohort, (&self.weights, &targets), chance)
                };
                Some(self.with(step, None, self.target.slots, invert)?)
            }
        };
        Ok(InversionReport { steps, with_noise, without_noise })
    }
}

/// Says what contradicts the claim.
fn findings(report: &AttackReport) -> Vec<String> {
    let holds = [
        ("canaries refute the claim", report.canaries.done().map(|part| part.holds)),
        (
            "neighbouring cohorts differ by more than one patient",
            report.neighbours.done().map(|part| part.holds),
        ),
        ("the samples are no Poisson samples", report.sampling.done().map(|part| part.holds)),
        ("two attempts share their noise or their sample", report.attempts.done().map(|part| part.holds)),
        ("membership inference refutes the claim", report.membership.done().map(|part| part.holds)),
    ];
    holds.into_iter().filter(|(_, holds)| *holds == Some(false)).map(|(what, _)| what.to_owned()).collect()
}

const NOT_LINEAR: &str =
    "carried out on linear risk models, all of whose weights are trained, with a clip that stays";

const CANARIES: u32 = 4096;
/// Each step draws 4,096 values of noise, four times over.
const CANARY_STEPS_MAX: u64 = 200;
const PATIENTS_WATCHED: u32 = 200;
const SAMPLES: u32 = 1000;
/// Shadow models, with noise and without; each has up to so many steps through the pipe.
const SHADOW_MODELS: u32 = 64;
const SHADOW_STEPS_MAX: u32 = 100;
const INVERSION_TARGETS: u32 = 50;
const INVERSION_STEPS_MAX: u64 = 100;
