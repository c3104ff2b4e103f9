//! Splits: which patients train and which test. A patient is in one part or left out.

pub(crate) mod identity;
pub(crate) mod list;
mod look_alike;
mod patients;
pub(crate) mod pattern;

use std::path::{Path, PathBuf};

use fedtwin_plan::digest::RunningDigest;
use fedtwin_plan::numbers::{Count, Ratio};
use fedtwin_plan::record::Part;
use serde::Deserialize;

use crate::error::CohortError;
use crate::paths::beside;
use identity::{NoNumber, Place};
use list::{Key, Lines, List};
use patients::Patients;
use pattern::{PatientPattern, Unmatched};

pub use list::ListedSplit;

/// How patients are assigned to parts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// A list names lines of the table, or patients; those that it does not name are left out.
    Listed(ListedSplit),
    /// By the number in the patient's identifier, which is the line in a table without one.
    Modulo(ModuloSplit),
    /// By a hash of the patient's identifier.
    Hashed(HashedSplit),
}

/// A rule on the patient's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuloSplit {
    /// Divides the patient's number.
    pub divisor: Count<2, 1000>,
    /// The remainder of test patients, below the divisor.
    pub test: Count<0, 999>,
}

/// A rule on a hash of the patient's identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HashedSplit {
    /// The expected share of test patients.
    pub test: Ratio,
    /// Another seed, another split.
    pub seed: u64,
}

/// Whom a split is asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patient<'a> {
    /// The hospital's identifier: from the table or the file name. Without one the line is the patient.
    pub(crate) id: Option<&'a str>,
    pub(crate) place: Place<'a>,
}

/// How patients are told apart and assigned, as a cohort file says it.
pub(crate) struct Rules<'a> {
    pub(crate) cohort_file: &'a Path,
    pub(crate) split: &'a Split,
    /// Which part of an identifier is the patient; without it, all of it.
    pub(crate) pattern: Option<&'a PatientPattern>,
    pub(crate) look_alikes_differ: bool,
    /// The declared number of training patients.
    pub(crate) declared: u32,
}

/// Assigns patients to parts: each once, and no more training patients than are declared.
pub(crate) struct Selection {
    rule: Rule,
    pattern: Option<PatientPattern>,
    patients: Patients,
    trained: u32,
    declared: u32,
    cohort_file: PathBuf,
}

enum Rule {
    Listed(List),
    Modulo(ModuloSplit),
    Hashed(HashedSplit),
}

impl Selection {
    /// Prepares the split, and reads its list where there is one.
    pub(crate) fn new(rules: &Rules<'_>) -> Result<Self, CohortError> {
        let rule = match rules.split {
            Split::Listed(listed) => {
                Rule::Listed(list::read(&beside(rules.cohort_file, &listed.file), listed)?)
            }
            Split::Modulo(modulo) => Rule::Modulo(*modulo),
            Split::Hashed(hashed) => Rule::Hashed(*hashed),
        };
        Ok(Self {
            rule,
            pattern: rules.pattern.cloned(),
            patients: Patients::new(rules.look_alikes_differ),
            trained: 0,
            declared: rules.declared,
            cohort_file: rules.cohort_file.to_owned(),
        })
    }

    /// Returns the patient's part, if the split names one.
    ///
    /// Refuses an identifier that says nobody, and one of somebody who was met before.
    pub(crate) fn part_of(&mut self, patient: Patient<'_>) -> Result<Option<Part>, CohortError> {
        let mut room = String::new();
        let id = self.identify(patient, &mut room)?;
        let is_test = match &mut self.rule {
            Rule::Listed(list) => return Ok(list.meet(id, patient.place)),
            Rule::Modulo(ModuloSplit { divisor, test }) => {
                let of = identity::remainder(id, divisor.get());
                of.map_err(|why| patient.place.refuse(no_number(why)))? == test.get()
            }
            Rule::Hashed(HashedSplit { test, seed }) => {
                u128::from(hash(*seed, id)) * u128::from(test.denominator())
                    < u128::from(test.numerator()) << 64
            }
        };
        Ok(Some(if is_test { Part::Test } else { Part::Train }))
    }

    /// Takes a place for a training patient.
    pub(crate) fn admit(&mut self, part: Part) -> Result<(), CohortError> {
        if part == Part::Train {
            if self.trained == self.declared {
                let file = self.cohort_file.clone();
                return Err(CohortError::Undeclared { file, declared: self.declared });
            }
            self.trained += 1;
        }
        Ok(())
    }

    /// Checks that the list names nobody who was not met; a table says what lines it has.
    pub(crate) fn finish(self, lines: Option<Lines>) -> Result<(), CohortError> {
        match self.rule {
            Rule::Listed(list) => list.finish(lines),
            Rule::Modulo(_) | Rule::Hashed(_) => Ok(()),
        }
    }

    /// Returns the patient's stated identifier; `room` is for that of a table without identifiers.
    fn identify<'a>(
        &mut self,
        Patient { id, place }: Patient<'a>,
        room: &'a mut String,
    ) -> Result<&'a str, CohortError> {
        let Some(id) = id else {
            *room = match place {
                Place::Line { line, .. } => line.to_string(),
                Place::File(file) => file.display().to_string(),
            };
            return Ok(room);
        };
        let mut id = identity::stated(id).ok_or_else(|| place.refuse("has no patient's identifier"))?;
        if identity::is_rounded(id) {
            return Err(place.refuse(
                "has an identifier that a table program has rounded to a few digits: export that column as text",
            ));
        }
        if let Some(pattern) = &self.pattern {
            id = pattern.patient(id).map_err(|why| place.refuse(unmatched(why)))?;
        }
        self.patients.enter(id, place)?;
        Ok(id)
    }
}

impl ListedSplit {
    /// Says whether the list is of a table's lines.
    pub(crate) fn is_of_lines(&self) -> bool {
        matches!(self.key, Key::Line(_))
    }
}

fn no_number(why: NoNumber) -> &'static str {
    match why {
        NoNumber::None => {
            "has no number in its patient's identifier, and split.modulo goes by one; split.hashed needs none"
        }
        NoNumber::Several => {
            "has several numbers in its patient's identifier, and split.modulo goes by one: say which part is the \
             patient, as in patient = \"sub-{patient}_*\" in the cohort file's source, or use split.hashed"
        }
    }
}

fn unmatched(why: Unmatched) -> &'static str {
    match why {
        Unmatched::Otherwise => "has another form of name than the cohort file's `patient` says",
        Unmatched::Ambiguous => {
            "has a name in which the cohort file's `patient` could be either of two parts"
        }
    }
}

fn hash(seed: u64, id: &str) -> u64 {
    let mut digest = RunningDigest::new();
    digest.update(b"fedtwin split v1\n");
    digest.update(&seed.to_le_bytes());
    digest.update(id.as_bytes());
    let bytes = digest.finish().0;
    u64::from_le_bytes(bytes[..8].try_into().expect("a SHA-256 digest has 32 bytes"))
}
