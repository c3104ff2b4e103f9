//! What studies may ask of this site. Whatever is not allowed here is refused.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use fedtwin_plan::numbers::{Count, Positive, Probability};
use fedtwin_plan::plan::Mode;
use fedtwin_plan::{CohortName, Plan, SiteName};
use serde::Deserialize;

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
    /// The least ratio of noise to clip in one step; of shared noise, that which surely counts.
    pub noise_multiplier_min: Positive,
    /// The largest delta that a plan may state its epsilon at.
    pub delta_max: Probability,
    /// The most attempts that a plan may ask for.
    pub attempts_max: u32,
    /// The fewest sites that a plan may go on with.
    pub sites_min: u32,
    /// What plans may ask of metrics; without it no plan with metrics is accepted.
    pub metrics: Option<MetricsPolicy>,
    /// Whom this site hides among; without it no plan with shared noise is accepted.
    pub secure_aggregation: Option<SecurePolicy>,
}

/// Whom this site hides among.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurePolicy {
    /// The folder with the identity certificates of the other sites, which people here have checked: `NAME.pem`
    /// each. Nobody else counts, whatever the federation's authority certifies.
    pub peers: PathBuf,
    /// The fewest sites to hide among, this one included.
    pub sites_min: Count<3, 10_000>,
}

/// What plans may ask of metrics.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsPolicy {
    /// The least noise in each count, in patients.
    pub noise_patients_min: Positive,
    /// The most releases in one study.
    pub releases_max: u32,
}

/// Why the policy refuses a plan: for people at the site. What others may know of it is the line alone.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("this site's policy {rule}; the plan asks for {asked}")]
pub struct Denied {
    /// The plan's line that asks for too much.
    pub line: PlanLine,
    /// The rule, with this site's own limits and lists.
    pub rule: String,
    /// What the plan asks for.
    pub asked: String,
}

/// What a plan asks for and a policy may deny, by the words of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanLine {
    /// The sites.
    Sites,
    /// Who signed it.
    Signer,
    /// The model's family.
    ModelFamily,
    /// How many weights the model has.
    ModelSize,
    /// The cohort.
    Cohort,
    /// The attempts.
    Attempts,
    /// The fewest sites that it goes on with.
    SitesMin,
    /// The metrics.
    Metrics,
    /// How releases are protected.
    Mode,
    /// The delta.
    Delta,
    /// The noise.
    Noise,
    /// The sites that hide each other.
    Hiding,
}

impl fmt::Display for PlanLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sites => "study.sites",
            Self::Signer => "its signer",
            Self::ModelFamily => "model.family",
            Self::ModelSize => "the size of its model",
            Self::Cohort => "cohort.name",
            Self::Attempts => "rounds.attempts_max",
            Self::SitesMin | Self::Hiding => "rounds.sites_min",
            Self::Metrics => "metrics",
            Self::Mode => "the mode of its privacy",
            Self::Delta => "privacy.delta",
            Self::Noise => "its noise",
        })
    }
}

impl Policy {
    /// Checks a verified plan that `researcher` signed.
    ///
    /// # Errors
    /// Returns the first rule that the plan breaks.
    pub fn check(&self, plan: &Plan, researcher: &str, site: &SiteName) -> Result<(), Denied> {
        let spec = plan.model_spec().expect("a checked plan has a model");
        let rule = |line: PlanLine, holds: bool, rule: String, asked: String| {
            if holds { Ok(()) } else { Err(Denied { line, rule, asked }) }
        };
        rule(
            PlanLine::Sites,
            plan.study.sites.contains(site),
            format!("is that of {site}"),
            format!("the sites {}", list(&plan.study.sites)),
        )?;
        rule(
            PlanLine::Signer,
            self.researchers.is_empty() || self.researchers.contains(researcher),
            format!("allows the researchers {}", list(&self.researchers)),
            researcher.to_owned(),
        )?;
        rule(
            PlanLine::ModelFamily,
            self.models.contains(spec.family()),
            format!("allows the models {}", list(&self.models)),
            spec.family().to_owned(),
        )?;
        rule(
            PlanLine::ModelSize,
            spec.values() <= self.parameters_max,
            format!("allows {} weights", self.parameters_max),
            spec.values().to_string(),
        )?;
        rule(
            PlanLine::Cohort,
            self.cohorts.contains(&plan.cohort.name),
            format!("allows the cohorts {}", list(&self.cohorts)),
            plan.cohort.name.to_string(),
        )?;
        let attempts = plan.rounds.attempts_max.get();
        rule(
            PlanLine::Attempts,
            attempts <= self.attempts_max,
            format!("allows {} attempts", self.attempts_max),
            attempts.to_string(),
        )?;
        let sites_min = plan.rounds.sites_min.get();
        rule(
            PlanLine::SitesMin,
            sites_min >= self.sites_min,
            format!("asks for at least {} sites", self.sites_min),
            sites_min.to_string(),
        )?;
        self.check_metrics(plan)?;
        self.check_noise(plan)?;
        self.check_secure_aggregation(plan)
    }

    fn check_metrics(&self, plan: &Plan) -> Result<(), Denied> {
        let Some(noise) = &plan.calibrated.metrics else { return Ok(()) };
        let denied = |rule: String, asked: String| Err(Denied { line: PlanLine::Metrics, rule, asked });
        let Some(MetricsPolicy { noise_patients_min, releases_max }) = &self.metrics else {
            let rule = "has no line `metrics`: no score leaves, noised or not".to_owned();
            return denied(rule, format!("{} releases of metrics", noise.releases));
        };
        if noise.releases > *releases_max {
            let rule = format!("allows {releases_max} releases of metrics");
            return denied(rule, noise.releases.to_string());
        }
        if noise.patients() < noise_patients_min.get() {
            let least = noise_patients_min.get();
            let rule = format!("asks for a noise of at least {least} patients in each count of metrics");
            return denied(rule, format!("{:.3}", noise.patients()));
        }
        Ok(())
    }

    fn check_secure_aggregation(&self, plan: &Plan) -> Result<(), Denied> {
        if !plan.privacy.is_secure() {
            return Ok(());
        }
        let Some(SecurePolicy { sites_min, .. }) = &self.secure_aggregation else {
            let rule = "has no line `secure_aggregation`: there is nobody to hide among".to_owned();
            let asked = "secure aggregation".to_owned();
            return Err(Denied { line: PlanLine::Mode, rule, asked });
        };
        let asked = plan.rounds.sites_min.get();
        if asked < sites_min.get() {
            let rule = format!("hides among at least {} sites", sites_min.get());
            return Err(Denied { line: PlanLine::Hiding, rule, asked: asked.to_string() });
        }
        Ok(())
    }

    fn check_noise(&self, plan: &Plan) -> Result<(), Denied> {
        let mode = plan.privacy.mode();
        if !self.modes.contains(&mode) {
            let rule = format!("allows the privacy modes {}", list(&self.modes));
            return Err(Denied { line: PlanLine::Mode, rule, asked: mode.to_string() });
        }
        let Some(delta) = plan.privacy.delta() else { return Ok(()) };
        if delta > self.delta_max.get() {
            let rule = format!("allows a delta of at most {}", self.delta_max.get());
            return Err(Denied { line: PlanLine::Delta, rule, asked: delta.to_string() });
        }
        #[expect(clippy::cast_precision_loss, reason = "c_int is below 2^31")]
        let multiplier = f64::from(plan.calibrated.m.get()).exp2() / plan.calibrated.c_int as f64;
        let multiplier = multiplier * f64::from(plan.noise_shares()).sqrt();
        if multiplier < self.noise_multiplier_min.get() {
            let rule = format!("asks for a noise multiplier of at least {}", self.noise_multiplier_min.get());
            return Err(Denied { line: PlanLine::Noise, rule, asked: format!("{multiplier:.3}") });
        }
        Ok(())
    }
}

fn list<T: fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| name.to_string()).collect();
    if names.is_empty() { "(none)".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use fedtwin_plan::text_file::parse;

    use super::*;

    const PLAN: &str = r#"
        [study]
        id = "risk"
        title = "A plan that the policy below just allows"
        sites = ["va", "other"]
        expires = "2099-12-31"
        [cohort]
        name = "heart"
        patients_max = 100
        [data.table]
        outcome = "disease"
        features.age.number = { unit = "years", low = 20, high = 100 }
        [model]
        family = "linear-risk"
        seed = 1
        [rounds]
        count = 10
        attempts_max = 12
        blocks = 1
        sites_min = 2
        join_s = 60
        deadline_s = 60
        slot_s = 0
        [training]
        sampling = "1"
        loss = "bce"
        site = "gradient"
        server.fedavg.learning_rate = 1.0
        [privacy.local]
        clip = 1.0
        delta = 1e-5
        target.noise-multiplier = 8.0
        [calibrated]
        m = 20
        c_int = 131072
        modulus_bits = 32
        steps = 12
        epsilon = 3.0
    "#;

    const POLICY: &str = r#"
        models = ["linear-risk"]
        parameters_max = 3
        cohorts = ["heart"]
        researchers = ["ada"]
        modes = ["local"]
        noise_multiplier_min = 8.0
        delta_max = 1e-5
        attempts_max = 12
        sites_min = 2
    "#;

    /// Replaces one text of the policy or the plan, and returns what the policy says.
    fn check(from: &str, to: &str) -> Result<(), String> {
        let change = |text: &str| text.replacen(from, to, 1);
        assert!(PLAN.contains(from) || POLICY.contains(from), "nothing says {from:?}");
        let policy: Policy = toml::from_str(&change(POLICY)).unwrap();
        let plan: Plan = parse("the plan", &change(PLAN)).unwrap();
        policy.check(&plan, "ada", &"va".parse().unwrap()).map_err(|denied| denied.to_string())
    }

    #[test]
    fn a_plan_at_every_limit_is_allowed() {
        assert_eq!(check("", ""), Ok(()));
        assert_eq!(check(r#"researchers = ["ada"]"#, ""), Ok(()), "an empty list allows all researchers");
    }

    #[test]
    fn each_rule_refuses_and_names_itself_and_what_was_asked() {
        for (from, to, expected) in [
            (r#"sites = ["va", "other"]"#, r#"sites = ["cleveland", "other"]"#, "is that of va"),
            (r#"researchers = ["ada"]"#, r#"researchers = ["eve"]"#, "allows the researchers eve"),
            (r#"models = ["linear-risk"]"#, r#"models = ["unet"]"#, "allows the models unet"),
            ("parameters_max = 3", "parameters_max = 2", "allows 2 weights; the plan asks for 3"),
            (r#"name = "heart""#, r#"name = "lung""#, "allows the cohorts"),
            (
                "attempts_max = 12\n        sites_min",
                "attempts_max = 11\n        sites_min",
                "allows 11 attempts",
            ),
            (
                "sites_min = 2\n        join_s",
                "sites_min = 1\n        join_s",
                "at least 2 sites; the plan asks for 1",
            ),
            (r#"modes = ["local"]"#, r#"modes = ["none"]"#, "allows the privacy modes none"),
            ("delta = 1e-5", "delta = 1e-4", "allows a delta of at most 0.00001; the plan asks for 0.0001"),
            ("c_int = 131072", "c_int = 131073", "asks for a noise multiplier of at least 8"),
        ] {
            let denied = check(from, to).expect_err(expected);
            assert!(denied.contains("this site's policy") && denied.contains(expected), "{to}: {denied}");
        }
    }

    #[test]
    fn metrics_need_a_line_that_allows_them() {
        let section = "[metrics]\nepsilon = 1.0\ndelta = 1e-5\nevery_rounds = 5\n[privacy.local]";
        let noise = "\n[calibrated.metrics]\nm = 20\nc_int = 262144\nreleases = 2\nepsilon = 9.0";
        let plan = format!("{}{noise}", PLAN.replace("[privacy.local]", section));
        let plan: Plan = parse("the plan", &plan).unwrap();
        let check = |line: &str| {
            let policy: Policy = toml::from_str(&format!("{POLICY}\n{line}")).unwrap();
            policy.check(&plan, "ada", &"va".parse().unwrap()).map_err(|denied| denied.to_string())
        };
        assert!(check("").unwrap_err().contains("has no line `metrics`"));
        let line = |noise: f64, releases: u32| {
            format!("metrics = {{ noise_patients_min = {noise:?}, releases_max = {releases} }}")
        };
        assert_eq!(check(&line(4.0, 2)), Ok(()));
        assert!(
            check(&line(4.0, 1)).unwrap_err().contains("allows 1 releases of metrics; the plan asks for 2")
        );
        assert!(check(&line(4.1, 2)).unwrap_err().contains("at least 4.1 patients in each count"));
    }

    #[test]
    fn shared_noise_is_allowed_by_its_own_line_alone() {
        let shared = PLAN
            .replace("[privacy.local]", "[privacy.shared]\ncolluders = 0\ndropouts = 0")
            .replace(r#""other"]"#, r#""other", "third"]"#)
            .replace("sites_min = 2", "sites_min = 3");
        let plan: Plan = parse("the plan", &shared).unwrap();
        let check = |modes: &str, line: &str| {
            let text = format!("{}\n{line}", POLICY.replace(r#"["local"]"#, modes));
            let policy: Policy = toml::from_str(&text).unwrap();
            policy.check(&plan, "ada", &"va".parse().unwrap()).map_err(|denied| denied.to_string())
        };
        let line =
            |sites_min: u32| format!("secure_aggregation = {{ peers = \"peers\", sites_min = {sites_min} }}");
        assert_eq!(check(r#"["shared"]"#, &line(3)), Ok(()));
        let denied = check(r#"["local", "none"]"#, &line(3)).unwrap_err();
        assert!(denied.contains("asks for shared"), "{denied}");
        let denied = check(r#"["shared"]"#, "").unwrap_err();
        assert!(denied.contains("has no line `secure_aggregation`"), "{denied}");
        let denied = check(r#"["shared"]"#, &line(4)).unwrap_err();
        assert!(denied.contains("hides among at least 4 sites; the plan asks for 3"), "{denied}");
    }

    #[test]
    fn a_plan_without_noise_needs_a_line_that_allows_it() {
        let plan = PLAN
            .replace("[privacy.local]", "[privacy.none]")
            .replace("delta = 1e-5", "")
            .replace("target.noise-multiplier = 8.0", "")
            .replace("epsilon = 3.0", "");
        let plan: Plan = parse("the plan", &plan).unwrap();
        let allowed = |modes: &str| {
            let policy: Policy = toml::from_str(&POLICY.replace(r#"["local"]"#, modes)).unwrap();
            policy.check(&plan, "ada", &"va".parse().unwrap()).is_ok()
        };
        assert!(!allowed(r#"["local"]"#) && allowed(r#"["none"]"#));
    }
}
