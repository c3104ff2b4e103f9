//! The rules of a policy, one after the other: the first that a plan breaks is the answer.

use std::fmt;

use fedtwin_plan::plan::{Privacy, SharedNoise};
use fedtwin_plan::{Plan, SiteName};

use super::{MetricsPolicy, PlanLine, Policy, PolicyError, SecurePolicy};

impl Policy {
    /// Checks a verified plan. Whose it is, [`ResearcherKeys`](super::ResearcherKeys) say.
    ///
    /// # Errors
    /// Returns the first rule that the plan breaks.
    pub fn check(&self, plan: &Plan, site: &SiteName) -> Result<(), PolicyError> {
        let audience = &plan.study.sites;
        let asked = || format!("the sites {}", list(audience));
        rule(audience.contains(site), PlanLine::Sites, || (format!("is that of {site}"), asked()))?;
        self.check_size(plan)?;
        self.check_rounds(plan)?;
        self.check_metrics(plan)?;
        self.check_noise(plan)?;
        self.check_secure_aggregation(plan)?;
        self.check_shared_noise(plan)
    }

    /// Checks that there is room for one study more beside those that run.
    ///
    /// # Errors
    /// Refuses a study too many.
    pub fn check_room(&self, running: usize) -> Result<(), PolicyError> {
        let most = self.studies_max.size();
        let asked = || "one more beside those that run here".to_owned();
        rule(running < most, PlanLine::OneMore, || (format!("allows {most} studies at one time"), asked()))
    }

    fn check_size(&self, plan: &Plan) -> Result<(), PolicyError> {
        let (family, values) = (plan.model.family.name(), plan.architecture().values());
        let cohort = &plan.cohort.name;
        rule(self.models.contains(family), PlanLine::ModelFamily, || {
            (format!("allows the models {}", list(&self.models)), family.to_owned())
        })?;
        rule(values <= self.parameters_max, PlanLine::ModelSize, || {
            (format!("allows {} weights", self.parameters_max), values.to_string())
        })?;
        rule(self.cohorts.contains(cohort), PlanLine::Cohort, || {
            (format!("allows the cohorts {}", list(&self.cohorts)), cohort.to_string())
        })
    }

    fn check_rounds(&self, plan: &Plan) -> Result<(), PolicyError> {
        let rounds = &plan.rounds;
        let (attempts, blocks) = (rounds.attempts_max.get(), rounds.blocks.get());
        rule(attempts <= self.attempts_max, PlanLine::Attempts, || {
            (format!("allows {} attempts", self.attempts_max), attempts.to_string())
        })?;
        rule(blocks <= self.blocks_max, PlanLine::Blocks, || {
            (format!("allows {} blocks", self.blocks_max), blocks.to_string())
        })?;
        let (sites, slot_s) = (rounds.sites_min.get(), rounds.slot_s.get());
        rule(sites >= self.sites_min, PlanLine::SitesMin, || {
            (format!("asks for at least {} sites", self.sites_min), sites.to_string())
        })?;
        rule(!plan.has_secret_samples() || slot_s >= self.slot_s_min, PlanLine::Slot, || {
            let rule = format!("asks for slots of at least {} s, to hide who is in a step", self.slot_s_min);
            (rule, format!("slots of {slot_s} s"))
        })
    }

    fn check_metrics(&self, plan: &Plan) -> Result<(), PolicyError> {
        let Some(noise) = &plan.calibrated.metrics else { return Ok(()) };
        let Some(MetricsPolicy { noise_patients_min, releases_max }) = &self.metrics else {
            let rule = "has no line `metrics`: no score leaves, noised or not".to_owned();
            let asked = format!("{} releases of metrics", noise.releases);
            return Err(PolicyError { line: PlanLine::Metrics, rule, asked });
        };
        rule(noise.releases <= *releases_max, PlanLine::Metrics, || {
            (format!("allows {releases_max} releases of metrics"), noise.releases.to_string())
        })?;
        let (least, patients) = (noise_patients_min.get(), noise.patients());
        rule(patients >= least, PlanLine::Metrics, || {
            let rule = format!("asks for a noise of at least {least} patients in each count of metrics");
            (rule, format!("{patients:.3}"))
        })
    }

    fn check_noise(&self, plan: &Plan) -> Result<(), PolicyError> {
        let mode = plan.privacy.mode();
        rule(self.modes.contains(&mode), PlanLine::Mode, || {
            (format!("allows the privacy modes {}", list(&self.modes)), mode.to_string())
        })?;
        let Some(delta) = plan.privacy.delta() else { return Ok(()) };
        rule(delta <= self.delta_max.get(), PlanLine::Delta, || {
            (format!("allows a delta of at most {}", self.delta_max.get()), delta.to_string())
        })?;
        let multiplier = own_noise_multiplier(plan) * f64::from(plan.noise_shares()).sqrt();
        let least = self.noise_multiplier_min.get();
        rule(multiplier >= least, PlanLine::Noise, || {
            (format!("asks for a noise multiplier of at least {least}"), format!("{multiplier:.3}"))
        })
    }

    fn check_secure_aggregation(&self, plan: &Plan) -> Result<(), PolicyError> {
        if !plan.privacy.is_secure() {
            return Ok(());
        }
        let Some(SecurePolicy { sites_min, .. }) = &self.secure_aggregation else {
            let rule = "has no line `secure_aggregation`: there is nobody to hide among".to_owned();
            let asked = "secure aggregation".to_owned();
            return Err(PolicyError { line: PlanLine::Mode, rule, asked });
        };
        let (least, asked) = (sites_min.get(), plan.rounds.sites_min.get());
        rule(asked >= least, PlanLine::Hiding, || {
            (format!("hides among at least {least} sites"), asked.to_string())
        })
    }

    /// A researcher who says that nobody colludes gets by with little noise at each site.
    fn check_shared_noise(&self, plan: &Plan) -> Result<(), PolicyError> {
        let Privacy::Shared(SharedNoise { colluders, .. }) = &plan.privacy else { return Ok(()) };
        let missing = |line: PlanLine, key: &str| PolicyError {
            line,
            rule: format!("has no line `{key}`, which shared noise needs"),
            asked: "shared noise".to_owned(),
        };
        let least = self.colluders_min.ok_or_else(|| missing(PlanLine::Colluders, "colluders_min"))?;
        rule(colluders.get() >= least, PlanLine::Colluders, || {
            (format!("expects at least {least} colluders"), colluders.get().to_string())
        })?;
        let least = self
            .own_noise_multiplier_min
            .ok_or_else(|| missing(PlanLine::OwnNoise, "own_noise_multiplier_min"))?;
        let own = own_noise_multiplier(plan);
        rule(own >= least.get(), PlanLine::OwnNoise, || {
            let rule = format!("asks for a noise multiplier of its own noise of at least {}", least.get());
            (rule, format!("{own:.3}"))
        })
    }
}

/// Returns the ratio of one site's noise to the clip.
fn own_noise_multiplier(plan: &Plan) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "c_int is below 2^31")]
    let c_int = plan.calibrated.c_int as f64;
    f64::from(plan.calibrated.m.get()).exp2() / c_int
}

fn rule(holds: bool, line: PlanLine, words: impl FnOnce() -> (String, String)) -> Result<(), PolicyError> {
    if holds {
        return Ok(());
    }
    let (rule, asked) = words();
    Err(PolicyError { line, rule, asked })
}

fn list<T: fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| name.to_string()).collect();
    if names.is_empty() { "(none)".to_owned() } else { names.join(", ") }
}
