//! What the coordinator's audit log says: one signed line per decision, from which a study can resume.

use std::collections::BTreeMap;

use fedtwin_plan::numbers::Positive;
use fedtwin_plan::{Digest, ResearcherName, SiteName, StudyId, Timestamp};
use fedtwin_proto::domain::StudyOutcome;
use serde::{Deserialize, Serialize};

use crate::study::{Models, Progress};

/// One line's body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Record {
    /// A researcher opened a study.
    StudyOpened {
        /// The study, by its plan's `study.id`.
        study: StudyId,
        /// The plan's digest.
        plan: Digest,
        /// The initial model.
        model: Digest,
        /// Who opened it.
        opener: ResearcherName,
    },
    /// A site answered the plan.
    SiteAnswered {
        /// The study, by its plan's `study.id`.
        study: StudyId,
        /// The site, by the name in its certificates.
        site: SiteName,
        /// Its declared patients, where it accepted.
        patients: Option<u32>,
        /// Why it refused, where it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<String>,
    },
    /// An attempt began.
    #[serde(rename = "round-started")]
    AttemptStarted {
        /// The study, by its plan's `study.id`.
        study: StudyId,
        /// The round, counted from 1.
        round: u32,
        /// The attempt, counted from 1 over the whole study.
        attempt: u32,
    },
    /// An attempt closed.
    #[serde(rename = "round-closed")]
    AttemptClosed {
        /// The study, by its plan's `study.id`.
        study: StudyId,
        /// The round, counted from 1.
        round: u32,
        /// The attempt, counted from 1 over the whole study.
        attempt: u32,
        /// The updates in the new model, by site.
        updates: BTreeMap<SiteName, Digest>,
        /// The new model, unless too few updates came.
        model: Option<Digest>,
        /// The averaged model, after the last round of a study that has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        average: Option<Digest>,
        /// The next round's clip, where the plan's adapts.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "as_text")]
        clip: Option<Positive>,
    },
    /// The sites' noised counts of a model's scores were summed.
    MetricsReleased {
        /// The study, by its plan's `study.id`.
        study: StudyId,
        /// The round, counted from 1.
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
        /// The study, by its plan's `study.id`.
        study: StudyId,
        /// Why it failed, if it did.
        failure: Option<String>,
    },
    /// Somebody was refused, all of a day in one line.
    Refused {
        /// Who, as the certificate says.
        who: String,
        /// The first moment of the day, UTC, in milliseconds since the epoch.
        day_ms: u64,
        /// How often.
        count: u32,
        /// The last reason.
        last: String,
    },
}

/// Entries hold no floating-point numbers, of which there is more than one text; the shortest decimal one gives the same
/// bits back on each machine.
mod as_text {
    use fedtwin_plan::numbers::Positive;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(
        number: &Option<Positive>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        number.map(|number| number.get().to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Positive>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let number = |text: String| text.parse::<f64>().map_err(D::Error::custom);
        let number = text.map(number).transpose()?;
        number.map(|number| number.try_into().map_err(D::Error::custom)).transpose()
    }
}

/// A study as the log has it.
#[derive(Debug, Clone)]
pub struct Logged {
    /// Who opened it.
    pub opener: ResearcherName,
    /// When.
    pub opened: Timestamp,
    /// Where it stands.
    pub standing: Standing,
}

/// Where a study stands when the log ends.
#[derive(Debug, Clone)]
pub enum Standing {
    /// It goes on.
    Open(Progress),
    /// It is over.
    Ended(Ended),
}

/// How a study ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub time: Timestamp,
    /// How.
    pub outcome: StudyOutcome,
}

/// Returns all studies of a log.
#[must_use]
pub fn replay(records: impl IntoIterator<Item = (Timestamp, Record)>) -> BTreeMap<StudyId, Logged> {
    let mut studies = BTreeMap::new();
    for (time, record) in records {
        apply(&mut studies, time, record);
    }
    studies
}

fn apply(studies: &mut BTreeMap<StudyId, Logged>, time: Timestamp, record: Record) {
    let mut change = |study: &StudyId, change: &mut dyn FnMut(&mut Progress)| {
        if let Some(Logged { standing: Standing::Open(progress), .. }) = studies.get_mut(study) {
            change(progress);
        }
    };
    match record {
        Record::StudyOpened { study, model, opener, .. } => {
            let standing = Standing::Open(Progress::begin(model));
            studies.insert(study, Logged { opener, opened: time, standing });
        }
        Record::SiteAnswered { study, site, patients, .. } => change(&study, &mut |progress| {
            progress.answers.insert(site.clone(), patients);
        }),
        Record::AttemptStarted { study, attempt, .. } => {
            change(&study, &mut |progress| progress.attempts = attempt);
        }
        Record::AttemptClosed { study, round, model, average, clip, .. } => change(&study, &mut |progress| {
            if let Some(global) = model {
                progress.rounds = round;
                progress.models = Models { global, average, clip };
            }
        }),
        Record::MetricsReleased { study, round, .. } => {
            change(&study, &mut |progress| progress.measured = round);
        }
        Record::StudyClosed { study, failure } => {
            if let Some(Logged { standing, .. }) = studies.get_mut(&study)
                && let Standing::Open(progress) = standing
            {
                *standing = Standing::Ended(progress.end(time, failure));
            }
        }
        Record::Refused { .. } => {}
    }
}

impl Progress {
    fn end(&self, time: Timestamp, failure: Option<String>) -> Ended {
        let model = self.models.average.unwrap_or(self.models.global);
        let outcome = match failure {
            None => StudyOutcome::Finished { model },
            Some(reason) => StudyOutcome::Failed { reason },
        };
        Ended { time, outcome }
    }
}
