//! An index of images: which of them belong to a cohort.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::CohortError;
use crate::paths::beside;
use crate::table::code::Code;
use crate::table::digits::NumberFormat;
use crate::table::sheet::{self, Format, Sheet};
use crate::table::text::{not_utf8, trimmed};

/// Chooses images by a column of an index.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexFilter {
    /// The index: separated cells with a header.
    pub file: PathBuf,
    /// The column with the patient, as in the file names.
    pub id: String,
    /// The column that decides.
    pub column: String,
    /// What stands in it for the images of this cohort.
    pub equals: String,
    /// What stands between two cells of the index.
    #[serde(default = "sheet::comma")]
    pub delimiter: char,
}

/// The names that an index chooses.
pub(crate) struct Index {
    file: PathBuf,
    /// By name: the line in the index.
    chosen: BTreeMap<String, u64>,
}

impl IndexFilter {
    /// Reads the index, which names each image once and chooses at least one.
    pub(crate) fn read(&self, cohort_file: &Path) -> Result<Index, CohortError> {
        let file = beside(cohort_file, &self.file);
        let mut sheet = Sheet::open(&file, Format::separated_by(self.delimiter))?;
        let (id, column) = (sheet.column(&self.id)?, sheet.column(&self.column)?);
        let equals = Code::new(&self.equals, NumberFormat::PLAIN);
        let (mut named, mut chosen) = (BTreeMap::new(), BTreeMap::new());
        let (mut letters, mut room) = (String::new(), String::new());
        while let Some(row) = sheet.next_row()? {
            let name = row.cell(id).letters(&mut letters);
            if let Some(first) = named.insert(name.to_owned(), row.line) {
                let message = format!("names an image that line {first} names already");
                return Err(CohortError::table(&file, row.line, message));
            }
            if let Some(lost) = [id, column].into_iter().find(|&at| row.cell(at).is_lost()) {
                return Err(CohortError::table(&file, row.line, not_utf8(lost)));
            }
            if equals.is(row.cell(column).code(NumberFormat::PLAIN, &mut room)) {
                chosen.insert(name.to_owned(), row.line);
            }
        }
        if chosen.is_empty() {
            let (column, equals) = (&self.column, &self.equals);
            let message = format!("has no line with {equals:?} in column {column:?}: it chooses nobody");
            return Err(CohortError::file(&file, message));
        }
        Ok(Index { file, chosen })
    }
}

impl Index {
    /// Says whether the index chooses the image `name`.
    pub(crate) fn chooses(&self, name: &str) -> bool {
        self.chosen.contains_key(trimmed(name))
    }

    /// Refuses an index that chooses an image of which `is_there` knows nothing.
    pub(crate) fn check(&self, folder: &Path, is_there: impl Fn(&str) -> bool) -> Result<(), CohortError> {
        match self.chosen.iter().find(|(name, _)| !is_there(name)) {
            Some((name, &line)) => {
                let message = format!("names {name}, of which there is no image in {}", folder.display());
                Err(CohortError::table(&self.file, line, message))
            }
            None => Ok(()),
        }
    }
}
