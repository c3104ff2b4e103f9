//! What the coordinator's audit log says: one signed line per decision, from which a study can resume.

use std::collections::BTreeMap;

use fedtwin_plan::numbers::Positive;
use fedtwin_plan::{Digest, SiteName, StudyId};
use serde::{Deserialize, Serialize};

use crate::study::{Models, Progress};

/// One line's body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Record {
    /// A researcher opened a study.
    StudyOpened {
        /// The study.
        study: StudyId,
        /// The plan's digest.
        plan: Digest,
        /// The initial model.
        model: Digest,
    },
    /// A site answered the plan.
    SiteAnswered {
        /// The study.
        study: StudyId,
        /// The site.
        site: SiteName,
        /// Its declared patients, where it accepted.
        patients: Option<u32>,
        /// Why it refused, where it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<String>,
    },
    /// An attempt began.
    RoundStarted {
        /// The study.
        study: StudyId,
        /// The round.
        round: u32,
        /// The attempt.
        attempt: u32,
    },
    /// An attempt closed.
    RoundClosed {
        /// The study.
        study: StudyId,
        /// The round.
        round: u32,
        /// The attempt.
        attempt: u32,
        /// The updates in the new model, by site.
        updates: BTreeMap<SiteName, Digest>,
        /// The new model, unless too few updates came.
        model: Option<Digest>,
        /// The averaged model, after the last round of a study that has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        average: Option<Digest>,
        /// The next round's clip, where the plan's adapts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clip: Option<Positive>,
    },
    /// The sites' noised counts of a model's scores were summed.
    MetricsReleased {
        /// The study.
        study: StudyId,
        /// The round.
        round: u32,
        /// The attempt that made the model.
        attempt: u32,
        /// The sites whose counts are in the sums.
        sites: Vec<SiteName>,
        /// The sums, in the plan's grid units.
        counts: Vec<i64>,
    },
    /// A study ended.
    StudyClosed {
        /// The study.
        study: StudyId,
        /// Why it failed, if it did.
        failure: Option<String>,
    },
}

/// Returns the studies that were open when the log ended, and all identifiers ever used.
#[must_use]
pub fn replay(records: impl IntoIterator<Item = Record>) -> BTreeMap<StudyId, Option<Progress>> {
    let mut studies = BTreeMap::new();
    for record in records {
        apply(&mut studies, record);
    }
    studies
}

fn apply(studies: &mut BTreeMap<StudyId, Option<Progress>>, record: Record) {
    let mut change = |study: &StudyId, change: &mut dyn FnMut(&mut Progress)| {
        if let Some(Some(progress)) = studies.get_mut(study) {
            change(progress);
        }
    };
    match record {
        Record::StudyOpened { study, model, .. } => {
            studies.insert(study, Some(Progress::begin(model)));
        }
        Record::SiteAnswered { study, site, patients, .. } => change(&study, &mut |progress| {
            progress.answers.insert(site.clone(), patients);
        }),
        Record::RoundStarted { study, attempt, .. } => {
            change(&study, &mut |progress| progress.attempts = attempt);
        }
        Record::RoundClosed { study, round, model, average, clip, .. } => change(&study, &mut |progress| {
            if let Some(global) = model {
                progress.rounds = round;
                progress.models = Models { global, average, clip };
            }
        }),
        Record::MetricsReleased { study, round, .. } => {
            change(&study, &mut |progress| progress.measured = round);
        }
        Record::StudyClosed { study, .. } => {
            studies.insert(study, None);
        }
    }
}
