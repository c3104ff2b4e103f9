//! What was measured, part by part, as the JSON file keeps it.

use std::fmt;

use fedtwin_plan::StudyId;
use fedtwin_simulation::arm::ArmOutcome;
use fedtwin_simulation::outcome::FinishedStudy;
use fedtwin_simulation::results::Row;
use fedtwin_simulation::summary::megabytes;
use serde::{Deserialize, Serialize};

use crate::demo::cohorts::Cohort;

/// A part of the page that is measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Part {
    /// Heart disease at four hospitals.
    Heart,
    /// The hippocampus from three scanners.
    Hippocampus,
    /// The hippocampus at six sites.
    HippocampusSix,
    /// Nuclei from four laboratories.
    Nuclei,
}

impl Part {
    /// Returns whose figures they are.
    pub(super) fn cohort(self) -> Cohort {
        match self {
            Self::Heart => Cohort::Heart,
            Self::Hippocampus => Cohort::Hippocampus,
            Self::HippocampusSix => Cohort::HippocampusHalves,
            Self::Nuclei => Cohort::Nuclei,
        }
    }
}

/// What a part's studies came to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Measured {
    /// All figures.
    pub(super) results: Vec<Row>,
    /// What studies took.
    pub(super) took: Vec<Took>,
}

/// What a study took.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Took {
    pub(super) run: String,
    pub(super) study: StudyId,
    pub(super) rounds: u32,
    pub(super) training_seconds: f64,
    pub(super) update_mb: f64,
    pub(super) coordinator_mb: u64,
    pub(super) site_mb: u64,
}

impl Measured {
    /// Adds an arm's figures and what it took.
    pub(super) fn add(&mut self, run: &str, arm: &ArmOutcome) {
        self.results.extend(arm.rows());
        self.took.extend(Took::of(run, arm));
    }
}

impl Took {
    /// Returns what an arm's studies took; of many of one kind, the first two.
    pub(super) fn of(run: &str, arm: &ArmOutcome) -> Vec<Self> {
        let took = |study: &FinishedStudy| Self {
            run: run.to_owned(),
            study: study.plan.study.id.clone(),
            rounds: study.plan.rounds.count.get(),
            training_seconds: study.training_seconds,
            update_mb: megabytes(study.update_bytes),
            coordinator_mb: arm.coordinator_mb,
            site_mb: arm.site_mb,
        };
        arm.studies.iter().take(2).map(took).collect()
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = clap::ValueEnum::to_possible_value(self).expect("no part is hidden");
        f.write_str(value.get_name())
    }
}
