//! Utility under privacy: figures at every epsilon, by who trains and whose noise hides a patient.

use fedtwin_simulation::arm::ArmOutcome;
use fedtwin_simulation::results::{ArmName, Row, mean, rows};
use fedtwin_simulation::site_config::SimulatedSite;

use super::draws;
use crate::demo::arms::{Finished, Stage};
use crate::demo::cohorts::Cohort;
use crate::demo::drafts::{ArmPrivacy, DraftTerms};

/// Who trains, and whose noise hides a patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Each site for itself.
    Alone,
    /// All sites, each with noise that suffices on its own.
    Local,
    /// All sites, whose noise suffices together.
    Shared {
        /// Sites whose noise is known to the coordinator.
        colluders: usize,
        /// Sites that may be missing.
        dropouts: usize,
    },
}

impl Scheme {
    fn protection(self, epsilon: f64) -> ArmPrivacy {
        match self {
            Self::Alone | Self::Local => ArmPrivacy::Local { epsilon },
            Self::Shared { colluders, dropouts } => ArmPrivacy::Shared { epsilon, colluders, dropouts },
        }
    }
}

/// What the rows of one cell of the table are called.
pub(super) fn cell(cohort: Cohort, epsilon: f64, scheme: Scheme) -> String {
    let study = at(cohort, epsilon);
    match scheme {
        Scheme::Alone => format!("{study}-alone"),
        Scheme::Local => format!("{study}-local"),
        Scheme::Shared { colluders, dropouts } => format!("{study}-shared-c{colluders}d{dropouts}"),
    }
}

/// Names a cohort's studies at one epsilon; names have no dots.
fn at(cohort: Cohort, epsilon: f64) -> String {
    format!("{}-e{epsilon}", cohort.name()).replace('.', "-")
}

/// One cohort's part of the table.
#[derive(Debug)]
pub(super) struct Grid {
    /// The cohort.
    pub(super) cohort: Cohort,
    /// What a study costs a patient.
    pub(super) epsilons: &'static [f64],
    /// Who trains, with how many draws of the noise.
    pub(super) schemes: Vec<(Scheme, u32)>,
    /// Studies that run at the same time.
    pub(super) at_once: usize,
}

/// One study of the table.
struct Job {
    scheme: Scheme,
    draw: u32,
    /// The site, if one trains alone.
    site: Option<SimulatedSite>,
}

impl Grid {
    /// Runs all studies at one epsilon in one federation; returns the means over draws, and what it took.
    ///
    /// # Errors
    /// As [`fedtwin_simulation::arm::Arm::run`].
    pub(super) async fn run(
        &self,
        stage: &Stage<'_>,
        epsilon: f64,
    ) -> anyhow::Result<(Vec<Row>, ArmOutcome)> {
        let sites = self.cohort.write(stage.data, &stage.folder.join("cohorts"))?;
        let jobs: Vec<Job> = self.schemes.iter().flat_map(|scheme| jobs(*scheme, &sites)).collect();
        let draft = |(index, job): (usize, &Job)| {
            let sites = job.site.as_ref().map_or(&sites[..], std::slice::from_ref);
            let id = format!("{}-{index}", at(self.cohort, epsilon));
            let study = DraftTerms::new(&id, self.cohort.private_rounds(), job.scheme.protection(epsilon));
            stage.draft_for(self.cohort, sites, &study)
        };
        let drafts = jobs.iter().enumerate().map(draft).collect::<anyhow::Result<Vec<_>>>()?;
        let groups = drafts.chunks(self.at_once).map(<[_]>::to_vec).collect();
        let name = at(self.cohort, epsilon);
        let outcome = stage.federation(&name, &[self.cohort], groups, 0).await?;
        let folder = stage.folder.join(&name);
        let mut figures = Vec::new();
        for (scheme, count) in &self.schemes {
            let mut single = vec![Vec::new(); *count as usize];
            for (job, study) in jobs.iter().zip(&outcome.studies).filter(|(job, _)| job.scheme == *scheme) {
                single[job.draw as usize].extend(match scheme {
                    Scheme::Alone => {
                        let alone = Finished { study: study.clone(), federation: folder.clone() };
                        stage.of_alone(self.cohort, &alone)?
                    }
                    Scheme::Local | Scheme::Shared { .. } => rows(study, ArmName::Federated),
                });
            }
            if *scheme == Scheme::Alone {
                single.iter_mut().for_each(add_means);
            }
            figures.extend(draws::means(&single, &cell(self.cohort, epsilon, *scheme)));
        }
        Ok((figures, outcome))
    }
}

fn jobs((scheme, draws): (Scheme, u32), sites: &[SimulatedSite]) -> Vec<Job> {
    let who: Vec<Option<SimulatedSite>> = match scheme {
        Scheme::Alone => sites.iter().cloned().map(Some).collect(),
        Scheme::Local | Scheme::Shared { .. } => vec![None],
    };
    let job = |draw: u32| who.iter().cloned().map(move |site| Job { scheme, draw, site });
    (0..draws).flat_map(job).collect()
}

/// Adds the mean over sites that train alone, each of which has one row per metric.
pub(super) fn add_means(figures: &mut Vec<Row>) {
    let mut means = Vec::new();
    for (index, row) in figures.iter().enumerate() {
        if figures[..index].iter().all(|earlier| earlier.metric != row.metric) {
            let values = figures.iter().filter(|other| other.metric == row.metric).map(|other| other.value);
            let value = mean(values).unwrap_or(row.value);
            means.push(Row { site: "mean".to_owned(), value, ..row.clone() });
        }
    }
    figures.extend(means);
}
