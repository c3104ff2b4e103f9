//! What people declare of a cohort, whatever its records are.

use std::path::PathBuf;

use crate::confirmed::{Confirmed, LookAlikes};
use crate::error::CohortError;
use crate::limits::Limits;
use crate::split::pattern::PatientPattern;
use crate::split::{Rules, Selection, Split};

/// The parts of a cohort file that every reader goes by.
#[derive(Debug)]
pub(crate) struct Declared {
    /// The cohort file, beside which all others are.
    pub(crate) cohort_file: PathBuf,
    /// The public number of training patients.
    pub(crate) patients: u32,
    pub(crate) limits: Limits,
    pub(crate) confirmed: Confirmed,
    pub(crate) split: Split,
}

impl Declared {
    /// Prepares to assign patients, whom `pattern` finds in identifiers; without it, all of one is the patient.
    pub(crate) fn selection(&self, pattern: Option<&PatientPattern>) -> Result<Selection, CohortError> {
        Selection::new(&Rules {
            cohort_file: &self.cohort_file,
            split: &self.split,
            pattern,
            look_alikes_differ: self.confirmed.look_alikes == Some(LookAlikes::Different),
            declared: self.patients,
        })
    }
}
