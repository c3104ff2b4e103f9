//! Which cohorts are open to studies: those that people at the site have checked, as they were then.
//!
//! `fedtwin-site check` keeps a record of each cohort: what it held, and the digest of every file that it is made of. A
//! cohort without a record, or with another description than was checked, is in no study, and that is decided without
//! a look at its data. Data that changed since are noticed when they are loaded, after the reservation: then it is one
//! failure among others. So no answer to a plan depends on a record.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use fedtwin_cohort::CohortFile;
use fedtwin_plan::inventory::Inventory;
use fedtwin_plan::{CohortName, Digest, Timestamp};
use fedtwin_trainer::pipe::Loaded;
use fedtwin_trainer::{Trainer, TrainerError};
use serde::{Deserialize, Serialize};

use crate::{state_folder, whole_file};

/// What people saw when they checked a cohort.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checked {
    /// Of the cohort file and its schema.
    pub description: Digest,
    /// What the cohort held.
    pub inventory: Inventory,
    /// When it was checked.
    pub time: Timestamp,
}

/// Why a cohort is not open to studies.
#[derive(Debug, thiserror::Error)]
pub enum NotOpen {
    /// Nobody checked it, or the last check failed.
    #[error(
        "cohort {0} was never checked, or its last check failed: `fedtwin-site check` opens it to studies"
    )]
    Never(CohortName),
    /// It is described otherwise than when it was checked.
    #[error(
        "cohort {0} is described otherwise than when it was checked: run `fedtwin-site check`, and start the agent again"
    )]
    OtherDescription(CohortName),
    /// The record is anybody's to change.
    #[error(
        "others than its owner may write the record {0} of the last check: run `fedtwin-site check` again"
    )]
    Writable(PathBuf),
    /// The record cannot be read.
    #[error("the record {path} of the last check cannot be read: run `fedtwin-site check` again")]
    Storage {
        /// The record.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Checked {
    /// Finds the record of a cohort as it is described now. Reads no file with patients.
    ///
    /// # Errors
    /// Says what people have to do before studies may use the cohort.
    pub fn find(state: &Path, cohort: &CohortFile) -> Result<Self, NotOpen> {
        let path = record(state, cohort.name());
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(NotOpen::Never(cohort.name().clone()));
            }
            Err(source) => return Err(NotOpen::Storage { path, source }),
            Ok(text) => text,
        };
        match state_folder::is_others_to_write(&path) {
            Err(source) => return Err(NotOpen::Storage { path, source }),
            Ok(true) => return Err(NotOpen::Writable(path)),
            Ok(false) => {}
        }
        match serde_json::from_slice::<Self>(&text) {
            Err(error) => Err(NotOpen::Storage { path, source: io::Error::other(error) }),
            Ok(checked) if checked.description == cohort.description() => Ok(checked),
            Ok(_) => Err(NotOpen::OtherDescription(cohort.name().clone())),
        }
    }

    /// Keeps the record of a cohort that was found in order, in place of an earlier one.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn keep(state: &Path, cohort: &CohortFile, inventory: Inventory, now: Timestamp) -> io::Result<()> {
        let checked = Self { description: cohort.description(), inventory, time: now };
        fs::create_dir_all(state.join(FOLDER))?;
        whole_file::replace(&record(state, cohort.name()), &serde_json::to_vec_pretty(&checked)?)
    }

    /// Removes the record of a cohort that is not in order any more.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn forget(state: &Path, cohort: &CohortName) -> io::Result<()> {
        match fs::remove_file(record(state, cohort)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// What a study's cohort held when people checked it, for all that loads it.
#[derive(Debug, Clone)]
pub struct Expected {
    /// What it held.
    pub inventory: Inventory,
    /// The site's log has said so.
    said: Arc<Once>,
}

impl From<Inventory> for Expected {
    fn from(inventory: Inventory) -> Self {
        Self { inventory, said: Arc::new(Once::new()) }
    }
}

/// Has a trainer load a cohort, and holds it against what was checked; the site's log then says what was loaded, with its
/// numbers once in a study: they depend on patients, and logs are copied about.
///
/// # Errors
/// As the trainer, and where the data are not those that were checked.
pub fn load(
    trainer: &mut dyn Trainer,
    (plan, cohort_file): (&str, &Path),
    Expected { inventory: checked, said }: &Expected,
) -> Result<Loaded, TrainerError> {
    let loaded = trainer.load(plan, cohort_file)?;
    if loaded.digest != checked.digest {
        return Err(TrainerError::NotAsChecked);
    }
    // Counts and sums are bounded by these: not by what a trainer says of itself.
    if loaded.train > checked.train || loaded.test > checked.test {
        let message = format!(
            "it loaded {} training and {} test patients where {} and {} were checked",
            loaded.train, loaded.test, checked.train, checked.test
        );
        return Err(TrainerError::BeyondBounds(message));
    }
    let cohort_file = cohort_file.display();
    if said.is_completed() {
        tracing::info!(%cohort_file, "loaded again, as checked");
    }
    said.call_once(|| {
        let loaded_as = checked.to_string().replace('\n', "; ");
        tracing::info!(%cohort_file, train = loaded.train, test = loaded.test, "loaded, as checked: {loaded_as}");
    });
    Ok(loaded)
}

fn record(state: &Path, cohort: &CohortName) -> PathBuf {
    state.join(FOLDER).join(format!("{cohort}.json"))
}

const FOLDER: &str = "checked";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::Claims;

    #[test]
    fn no_trainer_loads_more_patients_than_were_checked() {
        let digest = Digest::of(b"files");
        let (left_out, features) = (Vec::new(), Vec::new());
        let (declared, train, test, positive) = (9, 8, 2, 3);
        let inventory =
            Inventory { declared, train, test, positive, left_out, features, events: None, digest };
        let checked = Expected::from(inventory);
        let loads = |train, test, digest| {
            let mut trainer = Claims { declared: None, loaded: Some(Loaded { train, test, digest }) };
            load(&mut trainer, ("", Path::new("cohort.toml")), &checked)
        };
        // A plan may need what some of them lack.
        for (train, test) in [(8, 2), (7, 1), (0, 0)] {
            assert_eq!(loads(train, test, digest).unwrap(), Loaded { train, test, digest });
        }
        for (train, test) in [(9, 2), (8, 3), (8, u32::MAX), (u32::MAX, 0)] {
            let refused = loads(train, test, digest).unwrap_err();
            assert!(matches!(refused, TrainerError::BeyondBounds(_)), "{refused}");
        }
        let other = loads(8, 2, Digest::of(b"others")).unwrap_err();
        assert!(matches!(other, TrainerError::NotAsChecked), "{other}");
    }
}
