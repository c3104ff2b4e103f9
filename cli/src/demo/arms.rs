//! The demonstration's federations, and what they came to.

use std::path::{Path, PathBuf};

use anyhow::Context;
use fedtwin_plan::{Plan, SiteName};
use indicatif::MultiProgress;

use super::cohorts::{Cohort, Data};
use super::drafts::{self, ArmTerms, Protection};
use super::score::score;
use crate::simulate::arm::{Arm, ArmOutcome};
use crate::simulate::federation::Programs;
use crate::simulate::outcome::StudyOutcome;
use crate::simulate::results::{self, ArmName, Label, Row};
use crate::simulate::site_config::SimulatedSite;

/// Where and with what the arms run.
#[derive(Debug)]
pub struct Stage<'a> {
    /// The folder for everything.
    pub folder: &'a Path,
    /// The programs.
    pub programs: &'a Programs,
    /// The patients.
    pub data: &'a Data,
    /// Progress bars.
    pub bars: &'a MultiProgress,
}

/// Rounds of each study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// Heart without noise.
    pub heart: u32,
    /// Heart with noise.
    pub heart_private: u32,
    /// Hippocampus without noise.
    pub hippocampus: u32,
    /// Hippocampus with noise.
    pub hippocampus_private: u32,
}

impl Stage<'_> {
    /// Returns a draft for all sites of a cohort.
    ///
    /// # Errors
    /// Fails where the data are not there.
    pub fn draft(
        &self,
        cohort: Cohort,
        id: &str,
        rounds: u32,
        protection: Protection,
    ) -> anyhow::Result<(String, String)> {
        let sites = cohort.write(self.data, &self.folder.join("cohorts"))?;
        let patients = declared_patients(&sites)?;
        let sites = sites.into_iter().map(|site| site.name).collect();
        let terms = ArmTerms { id: id.to_owned(), sites, rounds, patients, protection };
        Ok((id.to_owned(), text(cohort, &terms)))
    }

    /// Runs both studies without noise, in a federation whose ledgers say `unbounded` from then on.
    ///
    /// # Errors
    /// As [`Arm::run`].
    pub async fn reference(&self, lengths: Lengths) -> anyhow::Result<ArmOutcome> {
        let none = Protection::None;
        let group = vec![
            self.draft(Cohort::Heart, "heart-none", lengths.heart, none)?,
            self.draft(Cohort::Hippocampus, "hippocampus-none", lengths.hippocampus, none)?,
        ];
        self.federation("reference-run", vec![group], 25).await
    }

    /// Runs both studies with noise, at each epsilon in turn, on the same cohorts and budgets.
    ///
    /// # Errors
    /// As [`Arm::run`].
    pub async fn private(&self, lengths: Lengths, epsilons: &[f64]) -> anyhow::Result<ArmOutcome> {
        let group = |&epsilon: &f64| {
            let local = Protection::Local { epsilon };
            let images = format!("hippocampus-e{epsilon}");
            Ok(vec![
                self.draft(Cohort::Heart, &format!("heart-e{epsilon}"), lengths.heart_private, local)?,
                self.draft(Cohort::Hippocampus, &images, lengths.hippocampus_private, local)?,
            ])
        };
        let groups = epsilons.iter().map(group).collect::<anyhow::Result<_>>()?;
        self.federation("private", groups, 10).await
    }

    /// Runs drafts at all sites of both cohorts.
    ///
    /// # Errors
    /// As [`Arm::run`].
    pub async fn federation(
        &self,
        name: &str,
        drafts: Vec<Vec<(String, String)>>,
        score_every_rounds: u32,
    ) -> anyhow::Result<ArmOutcome> {
        let cohorts = self.folder.join("cohorts");
        let mut sites = Cohort::Heart.write(self.data, &cohorts)?;
        sites.extend(Cohort::Hippocampus.write(self.data, &cohorts)?);
        let arm = Arm { federation: name.parse()?, sites, drafts, initial_model: None, score_every_rounds };
        arm.run(self.folder, self.programs, self.bars).await
    }

    /// Runs one study at one site alone, as a federation of one, and scores its model at all sites.
    ///
    /// # Errors
    /// As [`Arm::run`], and where the trainer cannot score.
    pub async fn alone(&self, cohort: Cohort, site: &SimulatedSite, rounds: u32) -> anyhow::Result<Alone> {
        let name = format!("alone-{}", site.name);
        let terms = ArmTerms {
            id: format!("{}-{name}", cohort_id(cohort)),
            sites: vec![site.name.clone()],
            rounds,
            patients: declared_patients(std::slice::from_ref(site))?,
            protection: Protection::None,
        };
        let arm = Arm {
            federation: name.parse()?,
            sites: vec![site.clone()],
            drafts: vec![vec![(terms.id.clone(), text(cohort, &terms))]],
            initial_model: None,
            score_every_rounds: 0,
        };
        let outcome = arm.run(self.folder, self.programs, self.bars).await?;
        let study = outcome.studies.into_iter().next().context("an arm of one draft has one study")?;
        Ok(Alone { study, federation: self.folder.join(&name) })
    }

    /// Scores a model that one site trained on the test patients of all sites of the cohort.
    ///
    /// # Errors
    /// Fails where the trainer cannot score.
    pub fn everywhere(&self, cohort: Cohort, alone: &Alone, arm: ArmName) -> anyhow::Result<Vec<Row>> {
        let plan: &Plan = &alone.study.plan;
        let site = &plan.study.sites[0];
        let study = alone
            .federation
            .join("sites")
            .join(site.as_str())
            .join("state/studies")
            .join(plan.study.id.as_str());
        let spec = plan.model_spec().map_err(|problem| anyhow::anyhow!("{}", problem.message))?;
        let trainer = self.programs.site.with_file_name("fedtwin-trainer");
        let sites = cohort.write(self.data, &self.folder.join("cohorts"))?;
        let mut reports = Vec::new();
        for target in sites {
            let file = target.cohort_files.first().context("a site of the demonstration has a cohort")?;
            let report =
                score(&trainer, &study.join("plan.toml"), &spec, &study.join("model.safetensors"), file)?;
            reports.push((target.name.to_string(), report));
        }
        let named: Vec<_> = reports.iter().map(|(name, report)| (name.clone(), report)).collect();
        let mut rows = results::reports(&Label::of(&alone.study), arm, &named);
        if arm == ArmName::Alone {
            // Which site trained is in the study's name; its figure is the mean over all test patients.
            rows.retain(|row| row.site == "mean");
            rows.iter_mut().for_each(|row| row.site = site.to_string());
        }
        Ok(rows)
    }

    /// Returns the one site with all patients.
    ///
    /// # Errors
    /// Fails where the data are not there.
    pub fn pooled_site(&self, cohort: Cohort) -> anyhow::Result<SimulatedSite> {
        let mut site = cohort.write_pooled(self.data, &self.folder.join("cohorts"))?;
        site.name = format!("pooled-{}", cohort_id(cohort)).parse::<SiteName>()?;
        Ok(site)
    }
}

/// A study at one site, and its federation's folder.
#[derive(Debug)]
pub struct Alone {
    /// The study.
    pub study: StudyOutcome,
    /// The folder.
    pub federation: PathBuf,
}

/// Adds up the declared training patients of sites.
fn declared_patients(sites: &[SimulatedSite]) -> anyhow::Result<u32> {
    let mut patients = 0;
    for file in sites.iter().flat_map(|site| &site.cohort_files) {
        let table: toml::Table = std::fs::read_to_string(file)?.parse()?;
        let declared = table.get("patients").and_then(toml::Value::as_integer);
        patients += u32::try_from(declared.context("a cohort file declares its patients")?)?;
    }
    Ok(patients)
}

fn text(cohort: Cohort, terms: &ArmTerms) -> String {
    match cohort {
        Cohort::Heart => drafts::heart(terms),
        Cohort::Hippocampus => drafts::hippocampus(terms),
    }
}

fn cohort_id(cohort: Cohort) -> &'static str {
    match cohort {
        Cohort::Heart => "heart",
        Cohort::Hippocampus => "hippocampus",
    }
}
