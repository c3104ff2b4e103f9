//! The demonstration's federations, and what they came to.

use std::path::{Path, PathBuf};

use anyhow::Context;
use fedtwin_plan::SiteName;
use fedtwin_simulation::arm::{Arm, ArmDraft, ArmOutcome};
use fedtwin_simulation::federation::Programs;
use fedtwin_simulation::outcome::FinishedStudy;
use fedtwin_simulation::results::{self, ArmName, Label, Row};
use fedtwin_simulation::site_config::SimulatedSite;
use indicatif::MultiProgress;

use super::cohorts::{Cohort, Data};
use super::drafts::{self, ArmPrivacy, ArmTerms, DraftTerms};
use super::pretrained;
use super::score::score;

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
    /// The file with the weights that hippocampus studies begin with.
    pretrained: PathBuf,
}

impl<'a> Stage<'a> {
    /// Prepares the folder.
    ///
    /// # Errors
    /// Fails where the folder cannot be written.
    pub fn new(
        folder: &'a Path,
        programs: &'a Programs,
        data: &'a Data,
        bars: &'a MultiProgress,
    ) -> anyhow::Result<Self> {
        Ok(Self { folder, programs, data, bars, pretrained: pretrained::file(folder)? })
    }

    /// Returns a draft for all sites of a cohort.
    ///
    /// # Errors
    /// Fails where the data are not there.
    pub fn draft(&self, cohort: Cohort, study: &DraftTerms<'_>) -> anyhow::Result<ArmDraft> {
        self.draft_for(cohort, &cohort.write(self.data, &self.folder.join("cohorts"))?, study)
    }

    /// Returns a draft for some sites.
    ///
    /// # Errors
    /// Fails where a file cannot be read or written.
    pub fn draft_for(
        &self,
        cohort: Cohort,
        sites: &[SimulatedSite],
        study: &DraftTerms<'_>,
    ) -> anyhow::Result<ArmDraft> {
        let patients = declared_patients(sites)?;
        let sites = sites.iter().map(|site| site.name.clone()).collect();
        let terms = ArmTerms { study: *study, sites, patients };
        let (text, initial_model) = match cohort {
            Cohort::Heart => (drafts::heart(&terms), None),
            Cohort::Hippocampus | Cohort::HippocampusHalves => {
                (drafts::hippocampus(&terms), Some(self.pretrained.clone()))
            }
            Cohort::Nuclei => (drafts::nuclei(&terms), None),
        };
        Ok(ArmDraft { name: study.id.to_owned(), text, initial_model })
    }

    /// Runs studies of some cohorts at the same time and without noise, in a federation whose ledgers say `unbounded`
    /// from then on.
    ///
    /// # Errors
    /// As [`Arm::run`].
    pub async fn reference(&self, cohorts: &[Cohort]) -> anyhow::Result<ArmOutcome> {
        let draft = |&cohort: &Cohort| {
            let id = format!("{}-none", cohort.name());
            self.draft(cohort, &DraftTerms::new(&id, cohort.rounds(), ArmPrivacy::None))
        };
        let group = cohorts.iter().map(draft).collect::<anyhow::Result<_>>()?;
        self.federation("reference-run", cohorts, vec![group], 25).await
    }

    /// Runs studies of some cohorts at the same time and with shared noise, at each epsilon in turn on the same budgets.
    ///
    /// # Errors
    /// As [`Arm::run`].
    pub async fn private(&self, cohorts: &[Cohort], epsilons: &[f64]) -> anyhow::Result<ArmOutcome> {
        let group = |&epsilon: &f64| {
            let draft = |&cohort: &Cohort| {
                let id = format!("{}-e{epsilon}", cohort.name());
                let protection = ArmPrivacy::shared(cohort, epsilon);
                self.draft(cohort, &DraftTerms::new(&id, cohort.private_rounds(), protection))
            };
            cohorts.iter().map(draft).collect()
        };
        let groups = epsilons.iter().map(group).collect::<anyhow::Result<_>>()?;
        self.federation("private", cohorts, groups, 10).await
    }

    /// Runs drafts at all sites of some cohorts.
    ///
    /// # Errors
    /// As [`Arm::run`].
    pub async fn federation(
        &self,
        name: &str,
        cohorts: &[Cohort],
        drafts: Vec<Vec<ArmDraft>>,
        score_every_rounds: u32,
    ) -> anyhow::Result<ArmOutcome> {
        let mut sites = Vec::new();
        for cohort in cohorts {
            sites.extend(cohort.write(self.data, &self.folder.join("cohorts"))?);
        }
        let arm = Arm { federation: name.parse()?, sites, drafts, score_every_rounds };
        arm.run(self.folder, self.programs, self.bars).await
    }

    /// Runs one study without noise at one site alone, as a federation of one.
    ///
    /// # Errors
    /// As [`Arm::run`].
    pub async fn alone(&self, cohort: Cohort, site: &SimulatedSite, rounds: u32) -> anyhow::Result<Finished> {
        let name = format!("alone-{}", site.name);
        let id = format!("{}-{name}", cohort.name());
        let sites = std::slice::from_ref(site);
        let arm = Arm {
            federation: name.parse()?,
            sites: vec![site.clone()],
            drafts: vec![vec![self.draft_for(
                cohort,
                sites,
                &DraftTerms::new(&id, rounds, ArmPrivacy::None),
            )?]],
            score_every_rounds: 0,
        };
        let outcome = arm.run(self.folder, self.programs, self.bars).await?;
        let study = outcome.studies.into_iter().next().context("an arm of one draft has one study")?;
        Ok(Finished { study, federation: self.folder.join(&name) })
    }

    /// Returns the figures of a model that one site trained: on its own test patients for the heart, since a
    /// hospital on its own would use its model for them, and on those of all sites for images.
    ///
    /// # Errors
    /// Fails where the trainer cannot score.
    pub fn of_alone(&self, cohort: Cohort, alone: &Finished) -> anyhow::Result<Vec<Row>> {
        match cohort {
            Cohort::Heart => {
                let mut rows = results::rows(&alone.study, ArmName::Alone);
                rows.retain(|row| row.site == alone.site().as_str());
                Ok(rows)
            }
            Cohort::Hippocampus | Cohort::HippocampusHalves | Cohort::Nuclei => {
                self.everywhere(cohort, alone, ArmName::Alone)
            }
        }
    }

    /// Scores a model that one site trained on the test patients of all sites of the cohort.
    ///
    /// # Errors
    /// Fails where the trainer cannot score.
    pub fn everywhere(&self, cohort: Cohort, alone: &Finished, arm: ArmName) -> anyhow::Result<Vec<Row>> {
        let mut rows = self.scored(cohort, alone, &alone.folder().join("model.safetensors"), arm)?;
        if arm == ArmName::Alone {
            // Which site trained is in the study's name; its figure is the mean over all test patients.
            rows.retain(|row| row.site == "mean");
            rows.iter_mut().for_each(|row| row.site = alone.site().to_string());
        }
        Ok(rows)
    }

    /// Scores the pre-trained weights on the hippocampus' test patients, as a study's plan needs them.
    ///
    /// # Errors
    /// Fails where the trainer cannot score.
    pub fn pretrained(&self, study: &Finished, name: &str) -> anyhow::Result<Vec<Row>> {
        let mut rows = self.scored(Cohort::Hippocampus, study, &self.pretrained, ArmName::Federated)?;
        for row in &mut rows {
            (row.study, row.privacy, row.epsilon, row.delta) = (name.parse()?, "none".into(), None, None);
        }
        Ok(rows)
    }

    /// Scores a model file at all sites of the cohort, under the plan of a study, which labels the figures.
    fn scored(
        &self,
        cohort: Cohort,
        study: &Finished,
        model: &Path,
        arm: ArmName,
    ) -> anyhow::Result<Vec<Row>> {
        let plan = study.folder().join("plan.toml");
        let architecture = study.study.plan.architecture();
        let trainer = self.programs.trainer();
        let mut reports = Vec::new();
        for target in cohort.write(self.data, &self.folder.join("cohorts"))? {
            let file = target.cohort_files.first().context("a site of the demonstration has a cohort")?;
            reports.push((target.name.to_string(), score(&trainer, &plan, architecture, model, file)?));
        }
        let named: Vec<_> = reports.iter().map(|(name, report)| (name.clone(), report)).collect();
        Ok(results::reports(&Label::of(&study.study), arm, &named))
    }

    /// Returns the one site with all patients.
    ///
    /// # Errors
    /// Fails where the data are not there.
    pub fn pooled_site(&self, cohort: Cohort) -> anyhow::Result<SimulatedSite> {
        let mut site = cohort.write_pooled(self.data, &self.folder.join("cohorts"))?;
        site.name = format!("pooled-{}", cohort.name()).parse::<SiteName>()?;
        Ok(site)
    }
}

/// A study that ended, and its federation's folder.
#[derive(Debug)]
pub struct Finished {
    /// The study.
    pub study: FinishedStudy,
    /// The folder.
    pub federation: PathBuf,
}

impl Finished {
    /// Returns the study's only site, or the first.
    fn site(&self) -> &SiteName {
        &self.study.plan.study.sites[0]
    }

    /// Returns what that site has of the study.
    fn folder(&self) -> PathBuf {
        let state = self.federation.join("sites").join(self.site().as_str()).join("state");
        state.join("studies").join(self.study.plan.study.id.as_str())
    }
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
