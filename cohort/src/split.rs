//! Splits: which patients train and which test. A patient is in one part or left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fedtwin_plan::digest::RunningDigest;
use fedtwin_plan::numbers::{Count, Ratio};
use fedtwin_plan::record::Part;
use serde::Deserialize;

use crate::error::CohortError;
use crate::table::{position, text_reader};

/// How patients are assigned to parts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// A list names the lines of the table; lines it does not name are left out.
    Listed(ListedSplit),
    /// By the last number in the patient's identifier, which is the line in a table without one.
    Modulo(ModuloSplit),
    /// By a hash of the patient's identifier.
    Hashed(HashedSplit),
}

/// A list of lines and parts: a comma-separated file with a header.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedSplit {
    /// The list, relative to the cohort file.
    pub file: PathBuf,
    /// The column with the table's line, counted from 1.
    pub line: String,
    /// The column with `train` or `test`.
    pub part: String,
    /// Only lines of the list with these texts in these columns count.
    #[serde(default, rename = "where")]
    pub only: BTreeMap<String, String>,
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
    /// The hospital's identifier: from the table, from the file name, or the line.
    pub id: &'a str,
    /// The table's line, or the place among the files, counted from 1.
    pub line: u64,
}

/// Assigns patients to parts, and counts those that train against the declared size.
pub(crate) struct Selection {
    rule: Rule,
    trained: u32,
    declared: u32,
    cohort_file: PathBuf,
}

enum Rule {
    Lines { file: PathBuf, parts: BTreeMap<u64, Part> },
    Modulo(ModuloSplit),
    Hashed(HashedSplit),
}

impl Selection {
    /// Prepares the split of the cohort file at `cohort_file`, which declares `declared` patients.
    pub(crate) fn new(split: &Split, cohort_file: &Path, declared: u32) -> Result<Self, CohortError> {
        let rule = match split {
            Split::Listed(listed) => {
                let file = crate::cohort_file::beside(cohort_file, &listed.file);
                let parts = read_list(&file, listed)?;
                Rule::Lines { file, parts }
            }
            Split::Modulo(modulo) => Rule::Modulo(*modulo),
            Split::Hashed(hashed) => Rule::Hashed(*hashed),
        };
        Ok(Self { rule, trained: 0, declared, cohort_file: cohort_file.to_owned() })
    }

    /// Returns the patient's part, if it is in one; each patient is asked about once.
    pub(crate) fn assign(&mut self, patient: Patient<'_>) -> Result<Option<Part>, CohortError> {
        let part = self.part_of(patient)?;
        if part == Some(Part::Train) {
            if self.trained == self.declared {
                let file = self.cohort_file.clone();
                return Err(CohortError::Undeclared { file, declared: self.declared });
            }
            self.trained += 1;
        }
        Ok(part)
    }

    /// Checks that the list names no line beyond the last.
    pub(crate) fn finish(self, last_line: u64) -> Result<(), CohortError> {
        match self.rule {
            Rule::Lines { file, parts } => match parts.last_key_value() {
                Some((&line, _)) if line > last_line => {
                    let message = format!("assigns line {line} of a table that ends at line {last_line}");
                    Err(CohortError::file(&file, message))
                }
                Some(_) | None => Ok(()),
            },
            Rule::Modulo(_) | Rule::Hashed(_) => Ok(()),
        }
    }

    fn part_of(&self, patient: Patient<'_>) -> Result<Option<Part>, CohortError> {
        let is_test = match &self.rule {
            Rule::Lines { parts, .. } => return Ok(parts.get(&patient.line).copied()),
            Rule::Modulo(ModuloSplit { divisor, test }) => {
                let number = last_number(patient.id).ok_or_else(|| {
                    let message = format!(
                        "splits by the number in a patient's identifier, and patient {} has none",
                        patient.line
                    );
                    CohortError::file(&self.cohort_file, message)
                })?;
                number % u64::from(divisor.get()) == u64::from(test.get())
            }
            Rule::Hashed(HashedSplit { test, seed }) => {
                u128::from(hash(*seed, patient.id)) * u128::from(test.denominator())
                    < u128::from(test.numerator()) << 64
            }
        };
        Ok(Some(if is_test { Part::Test } else { Part::Train }))
    }
}

/// Reads the last run of digits; nothing if there is none, or if it is no 64-bit number.
fn last_number(id: &str) -> Option<u64> {
    id.split(|c: char| !c.is_ascii_digit()).rfind(|digits| !digits.is_empty())?.parse().ok()
}

fn hash(seed: u64, id: &str) -> u64 {
    let mut digest = RunningDigest::new();
    digest.update(b"fedtwin split v1\n");
    digest.update(&seed.to_le_bytes());
    digest.update(id.as_bytes());
    let bytes = digest.finish().0;
    u64::from_le_bytes(bytes[..8].try_into().expect("a SHA-256 digest has 32 bytes"))
}

fn read_list(file: &Path, listed: &ListedSplit) -> Result<BTreeMap<u64, Part>, CohortError> {
    let mut reader = text_reader(file, b',', true)?;
    let header = reader.headers().map_err(CohortError::csv(file))?.clone();
    let (line_at, part_at) = (position(file, &header, &listed.line)?, position(file, &header, &listed.part)?);
    let only = listed.only.iter().map(|(column, text)| Ok((position(file, &header, column)?, text)));
    let only = only.collect::<Result<Vec<_>, CohortError>>()?;
    let mut parts = BTreeMap::new();
    for record in reader.records() {
        let record = record.map_err(CohortError::csv(file))?;
        if only.iter().any(|&(at, text)| record.get(at) != Some(text.as_str())) {
            continue;
        }
        let here = record.position().map_or(0, csv::Position::line);
        let refuse = |message: &str| CohortError::table(file, here, message);
        let line = record
            .get(line_at)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| refuse("expected a line counted from 1"))?;
        let part = match record.get(part_at) {
            Some("train") => Part::Train,
            Some("test") => Part::Test,
            Some(_) | None => return Err(refuse("expected train or test")),
        };
        if parts.insert(line, part).is_some() {
            return Err(refuse("assigns a line for the second time"));
        }
    }
    Ok(parts)
}
