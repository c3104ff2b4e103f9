//! What studies may ask of this site. Whatever is not allowed here is refused.

use std::collections::BTreeSet;

use fedtwin_plan::numbers::{Positive, Probability};
use fedtwin_plan::plan::{LocalNoise, Privacy};
use fedtwin_plan::{CohortName, Plan, SiteName};
use serde::{Deserialize, Serialize};

/// The site's own rules; the coordinator can neither see nor change them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Model families that may be trained here.
    pub models: BTreeSet<String>,
    /// The largest number of weights.
    pub parameters_max: usize,
    /// Cohorts that studies may use.
    pub cohorts: BTreeSet<CohortName>,
    /// Researchers whose plans count; empty allows all that the federation vouches for.
    #[serde(default)]
    pub researchers: BTreeSet<String>,
    /// How releases may be protected.
    pub modes: BTreeSet<Mode>,
    /// The least ratio of noise to clip in one step.
    pub noise_multiplier_min: Positive,
    /// The largest delta that a plan may state its epsilon at.
    pub delta_max: Probability,
    /// The most attempts that a plan may ask for.
    pub attempts_max: u32,
    /// The fewest sites that a plan may go on with.
    pub sites_min: u32,
}

/// How releases are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Not at all: the cohort's total reads `unbounded` from then on.
    None,
    /// By this site's own noise.
    Local,
}

/// Why the policy refuses a plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("this site's policy {rule}; the plan asks for {asked}")]
pub struct Denied {
    /// The rule.
    pub rule: String,
    /// What the plan asks for.
    pub asked: String,
}

impl Policy {
    /// Checks a verified plan that `researcher` signed.
    ///
    /// # Errors
    /// Returns the first rule that the plan breaks.
    pub fn check(&self, plan: &Plan, researcher: &str, site: &SiteName) -> Result<(), Denied> {
        let spec = plan.model_spec().expect("a checked plan has a model");
        let rule = |holds: bool, rule: String, asked: String| {
            if holds { Ok(()) } else { Err(Denied { rule, asked }) }
        };
        rule(
            plan.study.sites.contains(site),
            format!("is that of {site}"),
            format!("the sites {:?}", plan.study.sites),
        )?;
        rule(
            self.researchers.is_empty() || self.researchers.contains(researcher),
            format!("allows the researchers {:?}", self.researchers),
            format!("{researcher:?}"),
        )?;
        rule(
            self.models.contains(spec.family()),
            format!("allows the models {:?}", self.models),
            format!("{:?}", spec.family()),
        )?;
        rule(
            spec.values() <= self.parameters_max,
            format!("allows {} weights", self.parameters_max),
            spec.values().to_string(),
        )?;
        rule(
            self.cohorts.contains(&plan.cohort.name),
            format!("allows the cohorts {:?}", self.cohorts),
            format!("{:?}", plan.cohort.name),
        )?;
        let attempts = plan.rounds.attempts_max.get();
        rule(
            attempts <= self.attempts_max,
            format!("allows {} attempts", self.attempts_max),
            attempts.to_string(),
        )?;
        let sites_min = plan.rounds.sites_min.get();
        rule(
            sites_min >= self.sites_min,
            format!("asks for at least {} sites", self.sites_min),
            sites_min.to_string(),
        )?;
        self.check_noise(plan)
    }

    fn check_noise(&self, plan: &Plan) -> Result<(), Denied> {
        let mode = match plan.privacy {
            Privacy::None(_) => Mode::None,
            Privacy::Local(_) => Mode::Local,
        };
        if !self.modes.contains(&mode) {
            let rule = format!("allows the privacy modes {:?}", self.modes);
            return Err(Denied { rule, asked: format!("{mode:?}") });
        }
        let Privacy::Local(LocalNoise { delta, .. }) = &plan.privacy else { return Ok(()) };
        if delta.get() > self.delta_max.get() {
            let rule = format!("allows a delta of at most {}", self.delta_max.get());
            return Err(Denied { rule, asked: delta.get().to_string() });
        }
        #[expect(clippy::cast_precision_loss, reason = "c_int is below 2^31")]
        let multiplier = f64::from(plan.calibrated.m.get()).exp2() / plan.calibrated.c_int as f64;
        if multiplier < self.noise_multiplier_min.get() {
            let rule = format!("asks for a noise multiplier of at least {}", self.noise_multiplier_min.get());
            return Err(Denied { rule, asked: format!("{multiplier:.3}") });
        }
        Ok(())
    }
}
