//! Lists of who trains and who tests: by the table's lines, or by patients.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fedtwin_plan::record::Part;
use serde::Deserialize;

use crate::error::CohortError;
use crate::split::identity::{self, Place};
use crate::table::code::Code;
use crate::table::digits::NumberFormat;
use crate::table::sheet::{self, Counted, Format, Sheet};
use crate::table::text::not_utf8;

/// A list of parts: separated cells with a header.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Keys")]
pub struct ListedSplit {
    /// The list, relative to the cohort file.
    pub file: PathBuf,
    /// The column that says whose part it is.
    pub key: Key,
    /// The column with `train` or `test`.
    pub part: String,
    /// Only lines of the list with these texts in these columns count.
    pub only: BTreeMap<String, String>,
    /// What stands between two cells of the list.
    pub delimiter: char,
}

/// What a list names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Lines of the table, counted from 1 as an editor counts them.
    Line(String),
    /// Patients by their identifiers.
    Patient(String),
}

/// The keys as they are written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    file: PathBuf,
    line: Option<String>,
    patient: Option<String>,
    part: String,
    #[serde(default, rename = "where")]
    only: BTreeMap<String, String>,
    #[serde(default = "sheet::comma")]
    delimiter: char,
}

/// A list that names lines and patients, or neither.
#[derive(Debug, thiserror::Error)]
#[error("expected the list's column of lines (line = ...) or of patients (patient = ...), and not both")]
struct NoKey;

/// The lines of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines {
    pub(crate) header: Option<u64>,
    pub(crate) last: u64,
    pub(crate) counted: Counted,
}

/// A list that was read.
#[derive(Debug)]
pub(crate) struct List {
    file: PathBuf,
    parts: Parts,
}

#[derive(Debug)]
enum Parts {
    Lines(BTreeMap<u64, Entry>),
    Patients(BTreeMap<String, Entry>),
}

/// One line of the list.
#[derive(Debug)]
struct Entry {
    part: Part,
    /// Where it stands in the list.
    line: u64,
    /// Whether its patient was met.
    met: bool,
}

/// Reads a list whose every line that counts names one part of somebody else.
pub(crate) fn read(file: &Path, listed: &ListedSplit) -> Result<List, CohortError> {
    let mut sheet = Sheet::open(file, Format::separated_by(listed.delimiter))?;
    let (Key::Line(key) | Key::Patient(key)) = &listed.key;
    let (key, part) = (sheet.column(key)?, sheet.column(&listed.part)?);
    let code = |text: &str| Code::new(text, NumberFormat::PLAIN);
    let only = listed.only.iter().map(|(column, text)| Ok((sheet.column(column)?, code(text))));
    let only = only.collect::<Result<Vec<_>, CohortError>>()?;
    let (mut lines, mut patients) = (BTreeMap::new(), BTreeMap::new());
    let mut room = String::new();
    while let Some(row) = sheet.next_row()? {
        let mut used = only.iter().map(|(at, _)| *at).chain([key, part]);
        if let Some(lost) = used.find(|&at| row.cell(at).is_lost()) {
            return Err(CohortError::table(file, row.line, not_utf8(lost)));
        }
        if only.iter().any(|(at, text)| !text.is(row.cell(*at).code(NumberFormat::PLAIN, &mut room))) {
            continue;
        }
        let refuse = |message: &str| CohortError::table(file, row.line, message);
        let part = match row.cell(part).letters(&mut room).to_lowercase().as_str() {
            "train" => Part::Train,
            "test" => Part::Test,
            _ => return Err(refuse("expected train or test")),
        };
        let entry = Entry { part, line: row.line, met: false };
        let key = row.cell(key).letters(&mut room);
        let twice = match &listed.key {
            Key::Line(_) => {
                let line = key.parse().ok().filter(|&line: &u64| line > 0);
                lines.insert(line.ok_or_else(|| refuse("expected a line counted from 1"))?, entry).is_some()
            }
            Key::Patient(_) => {
                let patient = identity::stated(key);
                let patient = patient.ok_or_else(|| refuse("expected a patient's identifier"))?;
                patients.insert(patient.to_owned(), entry).is_some()
            }
        };
        if twice {
            return Err(refuse("assigns somebody, or a line, for the second time"));
        }
    }
    if lines.is_empty() && patients.is_empty() {
        let wanted = if only.is_empty() { "" } else { " with the texts that split.listed.where asks for" };
        return Err(CohortError::file(file, format!("has no line{wanted}: nobody would be in a part")));
    }
    let parts = match listed.key {
        Key::Line(_) => Parts::Lines(lines),
        Key::Patient(_) => Parts::Patients(patients),
    };
    Ok(List { file: file.to_owned(), parts })
}

impl List {
    /// Returns the part of a patient, and remembers that there is one.
    pub(crate) fn meet(&mut self, id: &str, place: Place<'_>) -> Option<Part> {
        let entry = match (&mut self.parts, place) {
            (Parts::Lines(lines), Place::Line { line, .. }) => lines.get_mut(&line),
            (Parts::Lines(_), Place::File(_)) => None,
            (Parts::Patients(patients), Place::Line { .. } | Place::File(_)) => patients.get_mut(id),
        };
        entry.map(|entry| {
            entry.met = true;
            entry.part
        })
    }

    /// Refuses a list that names somebody whom nobody met.
    pub(crate) fn finish(self, lines: Option<Lines>) -> Result<(), CohortError> {
        let (at, message) = match self.parts {
            Parts::Lines(parts) => {
                let Some((line, entry)) = parts.into_iter().find(|(_, entry)| !entry.met) else {
                    return Ok(());
                };
                let message = match lines {
                    Some(Lines { header: Some(header), .. }) if line == header => {
                        format!(
                            "assigns line {line}, which names the table's columns: lines count from 1 with it"
                        )
                    }
                    Some(Lines { last, counted, .. }) if line > last => {
                        let noun = counted.noun();
                        format!("assigns {noun} {line} of a table that ends at {noun} {last}")
                    }
                    Some(_) | None => format!("assigns line {line}, which holds no patient"),
                };
                (entry.line, message)
            }
            Parts::Patients(parts) => {
                let Some(entry) = parts.into_values().find(|entry| !entry.met) else { return Ok(()) };
                (entry.line, "assigns a patient who is not in the cohort".to_owned())
            }
        };
        Err(CohortError::table(&self.file, at, message))
    }
}

impl TryFrom<Keys> for ListedSplit {
    type Error = NoKey;

    fn try_from(keys: Keys) -> Result<Self, NoKey> {
        let Keys { file, line, patient, part, only, delimiter } = keys;
        let key = match (line, patient) {
            (Some(line), None) => Key::Line(line),
            (None, Some(patient)) => Key::Patient(patient),
            (Some(_), Some(_)) | (None, None) => return Err(NoKey),
        };
        Ok(Self { file, key, part, only, delimiter })
    }
}
