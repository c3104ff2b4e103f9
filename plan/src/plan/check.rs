//! What a plan's values must be in relation to each other.

use super::{Calibrated, MetricsNoise, NormDivision, PlanFile, Privacy, Rounds, SharedNoise, SiteTraining};
use crate::cohort_need::DataNeed;
use crate::numbers::{Interval, Positive};
use crate::secure_group;
use crate::text_file::Problem;

impl<C> PlanFile<C> {
    pub(super) fn check_terms(&self) -> Result<(), Problem> {
        let title = &self.study.title;
        if title.len() > TITLE_BYTES_MAX || title.chars().any(char::is_control) {
            let message = format!("expected one line of at most {TITLE_BYTES_MAX} bytes");
            return Err(Problem::new("study.title", message));
        }
        self.check_readers()?;
        let Rounds { count, attempts_max, blocks, sites_min, .. } = self.rounds;
        let at_least = |key: &str, value: u32, min: u32, what: &str| {
            if value >= min {
                return Ok(());
            }
            Err(Problem::new(key, format!("is {value}, expected at least {what} ({min})")))
        };
        at_least("rounds.attempts_max", attempts_max.get(), count.get(), "rounds.count")?;
        at_least("rounds.attempts_max", attempts_max.get(), blocks.get(), "rounds.blocks")?;
        if let Some(average) = &self.training.average {
            let from_round = average.from_round.get();
            at_least("rounds.count", count.get(), from_round, "training.average.from_round")?;
        }
        let sites = self.sites()?;
        if sites_min.get() > sites {
            let message =
                format!("is {}, expected at most the number of study.sites ({sites})", sites_min.get());
            return Err(Problem::new("rounds.sites_min", message));
        }
        if self.metrics.is_some() && self.model.family.histogram().is_none() {
            return Err(Problem::new("metrics", "expected a model whose scores are counted"));
        }
        self.check_slot()?;
        self.check_adaptive_clip()?;
        self.check_secure_aggregation(sites)?;
        self.check_shared_noise(sites)?;
        self.check_data()
    }

    /// A price of sampled steps holds as long as nobody knows who was in a step, or how many were: the time of an
    /// update may tell neither.
    fn check_slot(&self) -> Result<(), Problem> {
        if !self.has_secret_samples() || self.rounds.slot_s.get() > 0 {
            return Ok(());
        }
        let message = format!(
            "is 0, expected at least 1 where training.sampling is below 1 ({}) and there is noise: without slots the \
             time of an update tells how many patients are in the step",
            self.training.sampling
        );
        Err(Problem::new("rounds.slot_s", message))
    }

    fn check_adaptive_clip(&self) -> Result<(), Problem> {
        let Some(adaptive) = &self.training.adaptive_clip else { return Ok(()) };
        let refuse = |key: &str, message: &str| {
            Err(Problem::new(format!("training.adaptive_clip{key}"), message.to_owned()))
        };
        if self.training.site != SiteTraining::Gradient {
            return refuse("", "expected training.site = \"gradient\" with it: one sum in each round");
        }
        if adaptive.bounds.low() <= 0.0 {
            return refuse(".bounds", "expected a range above 0");
        }
        if !self.allows_clip(self.clip()) {
            return refuse(".bounds", "expected the privacy section's clip, which is the first, within");
        }
        Ok(())
    }

    /// More than two thirds have to agree on whose updates are in a sum, and one site has nobody to hide among.
    fn check_secure_aggregation(&self, sites: u32) -> Result<(), Problem> {
        if !self.privacy.is_secure() {
            return Ok(());
        }
        if sites < 3 {
            let message = format!("has {sites}, expected at least 3 for secure aggregation");
            return Err(Problem::new("study.sites", message));
        }
        if sites > secure_group::SITES_MAX {
            let most = secure_group::SITES_MAX;
            let message = format!("has {sites}, expected at most {most} for secure aggregation");
            return Err(Problem::new("study.sites", message));
        }
        let sites_min = self.rounds.sites_min.get();
        if 3 * sites_min <= 2 * sites {
            let message = format!("is {sites_min}, expected more than two thirds of the sites ({sites})");
            return Err(Problem::new("rounds.sites_min", message));
        }
        Ok(())
    }

    fn check_shared_noise(&self, sites: u32) -> Result<(), Problem> {
        let Privacy::Shared(SharedNoise { colluders, dropouts, .. }) = &self.privacy else {
            return Ok(());
        };
        if 3 * dropouts.get() >= sites {
            let message =
                format!("is {}, expected fewer than a third of the sites ({sites})", dropouts.get());
            return Err(Problem::new("privacy.shared.dropouts", message));
        }
        if self.noise_shares() == 0 {
            let message = format!("and dropouts leave none of the {sites} sites whose noise counts");
            return Err(Problem::new("privacy.shared.colluders", message));
        }
        let most = secure_group::colluders_max(self.rounds.sites_min.size(), self.study.sites.len());
        if colluders.size() > most {
            let colluders = colluders.get();
            let message = format!(
                "is {colluders}, expected at most {most}: more could help a lying coordinator to bare one of {sites} sites"
            );
            return Err(Problem::new("privacy.shared.colluders", message));
        }
        // A sum of fewer sites has less noise than the plan promises.
        let (sites_min, needed) = (self.rounds.sites_min.get(), sites - dropouts.get());
        if sites_min < needed {
            let message = format!("is {sites_min}, expected at least the sites without dropouts ({needed})");
            return Err(Problem::new("rounds.sites_min", message));
        }
        if self.training.site != SiteTraining::Gradient {
            let message = "expected \"gradient\" with shared noise: one sum in each round";
            return Err(Problem::new("training.site", message));
        }
        Ok(())
    }

    fn check_data(&self) -> Result<(), Problem> {
        self.model.family.check_loss(self.training.loss)?;
        match (&self.data, &self.training.augmentation) {
            (DataNeed::Table(_), Some(_)) => {
                let message = "expected [data.images] with it, which can be changed at random";
                Err(Problem::new("training.augmentation", message))
            }
            (DataNeed::Table(table), None) => table.check(),
            (DataNeed::Images(need), Some(augmentation)) => augmentation.check(need),
            (DataNeed::Images(_), None) => Ok(()),
        }
    }

    fn check_readers(&self) -> Result<(), Problem> {
        let mut readers: Vec<_> = self.study.readers.iter().collect();
        readers.sort();
        readers.dedup();
        if readers.len() == self.study.readers.len() && readers.len() <= READERS_MAX {
            return Ok(());
        }
        Err(Problem::new("study.readers", format!("expected at most {READERS_MAX} names, each once")))
    }

    /// Checks that the audience names each site once and returns its size.
    fn sites(&self) -> Result<u32, Problem> {
        let mut sites = self.study.sites.clone();
        sites.sort();
        sites.dedup();
        let distinct = sites.len() == self.study.sites.len();
        match u32::try_from(sites.len()) {
            Ok(count @ 1..=SITES_MAX) if distinct => Ok(count),
            Ok(_) | Err(_) => {
                let message = format!("expected 1 to {SITES_MAX} names, each once");
                Err(Problem::new("study.sites", message))
            }
        }
    }
}

impl PlanFile {
    /// Checks the integers that calibration chose.
    pub(super) fn check_calibration(&self) -> Result<(), Problem> {
        let Calibrated { m, c_int, modulus_bits, steps, epsilon, metrics } = &self.calibrated;
        if *steps != self.steps() {
            let message = format!("is {steps}, expected attempts_max times local steps ({})", self.steps());
            return Err(Problem::new("calibrated.steps", message));
        }
        if epsilon.is_some() != self.privacy.delta().is_some() {
            return Err(Problem::new("calibrated.epsilon", "expected with noise, and only then"));
        }
        let sites = self.study.sites.len() as u128;
        let largest = u128::from(self.cohort.patients_max.get()) * u128::from(*c_int) * sites;
        let noise = 8 * (1_u128 << m.get()) * sites;
        if *c_int == 0 || largest.saturating_add(noise) >= 1_u128 << (modulus_bits.bits() - 1) {
            let message = format!(
                "is {c_int}, expected above 0 and small enough for sums modulo 2^{}",
                modulus_bits.bits()
            );
            return Err(Problem::new("calibrated.c_int", message));
        }
        let NormDivision { gradient, below } = self.norm_division();
        if gradient == 0 || (below == 0 && self.training.adaptive_clip.is_some()) {
            let message = "leaves no grid unit for the indicator, or none for the gradient";
            return Err(Problem::new("training.adaptive_clip.share", message));
        }
        if !self.unit_is_normal() {
            let (key, value) = match &self.training.site {
                SiteTraining::Gradient => ("privacy", "clip"),
                SiteTraining::Sgd(_) | SiteTraining::Adam(_) => ("training.site", "change_max"),
            };
            return Err(Problem::new(key, format!("expected a {value} with which updates stay finite")));
        }
        self.check_metrics(metrics.as_ref())
    }

    /// Releases of metrics are integers modulo 2^64.
    fn check_metrics(&self, noise: Option<&MetricsNoise>) -> Result<(), Problem> {
        let (Some(_), Some(noise)) = (&self.metrics, noise) else {
            if self.metrics.is_none() && noise.is_none() {
                return Ok(());
            }
            return Err(Problem::new("calibrated.metrics", "expected with [metrics], and only then"));
        };
        if noise.releases != self.metrics_releases() {
            let message = format!("is {}, expected {}", noise.releases, self.metrics_releases());
            return Err(Problem::new("calibrated.metrics.releases", message));
        }
        let sites = self.study.sites.len() as u128;
        let largest = u128::from(self.cohort.patients_max.get()) * u128::from(noise.c_int.get());
        let drawn = 8 * (1_u128 << noise.m.get());
        if (largest + drawn) * sites >= 1 << 63 {
            return Err(Problem::new("calibrated.metrics.c_int", "expected sums modulo 2^64 to hold it"));
        }
        Ok(())
    }
}

impl PlanFile {
    /// Says whether updates stay finite and keep their precision at every clip that a round can have.
    fn unit_is_normal(&self) -> bool {
        let bounds = self.training.adaptive_clip.as_ref().map(|adaptive| adaptive.bounds);
        let clips = [Some(self.clip().get()), bounds.map(Interval::low), bounds.map(Interval::high)];
        let unit = |clip: f64| Positive::try_from(clip).map(|clip| self.update_unit(clip));
        clips.into_iter().flatten().all(|clip| unit(clip).is_ok_and(f64::is_normal))
    }
}

/// Bounds what a plan can make a coordinator keep.
const SITES_MAX: u32 = 10_000;

/// A department's people, and some more.
const READERS_MAX: usize = 100;

/// A line on a terminal, and in every log that names the study.
const TITLE_BYTES_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use crate::names::ResearcherName;
    use crate::plan::{Draft, Plan};
    use crate::plan_tests::{HEART, plan};
    use crate::text_file::parse;

    #[test]
    fn readers_are_named_once_and_are_nobody_by_default() {
        assert!(plan(HEART).study.readers.is_empty());
        let readers = "expires = \"2027-06-30\"\nreaders = [\"ada\", \"ben\"]";
        let named = plan(&HEART.replace("expires = \"2027-06-30\"", readers));
        assert_eq!(
            named.study.readers.iter().map(ResearcherName::as_str).collect::<Vec<_>>(),
            ["ada", "ben"]
        );
        for bad in ["[\"ada\", \"ada\"]", "[\"Ada\"]"] {
            let text = HEART
                .replace("expires = \"2027-06-30\"", &format!("expires = \"2027-06-30\"\nreaders = {bad}"));
            assert!(parse::<Plan>("plan.toml", &text).is_err(), "{bad}");
        }
    }

    #[test]
    fn draft_is_a_plan_without_its_calibration() {
        let (draft, _) = HEART.split_once("[calibrated]").unwrap();
        let parsed: Draft = parse("draft.toml", draft).unwrap();
        assert_eq!(parsed.steps(), 60);
        let refused = parse::<Draft>("draft.toml", HEART).unwrap_err();
        assert!(refused.message.contains("remove its [calibrated] section"), "{refused}");
        let refused = parse::<Plan>("draft.toml", draft).unwrap_err();
        assert!(refused.message.contains("missing field `calibrated`"), "{refused}");
    }
}
