//! A table in a text file of separated cells, one line per patient.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::declared::Declared;
use crate::description::Description;
use crate::error::CohortError;
use crate::paths::beside;
use crate::reader::rows::{RowReader, RowSource};
use crate::split::pattern::PatientPattern;
use crate::table::schema::TableSchema;
use crate::table::sheet::Sheet;

/// A table in a text file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSource {
    /// The table.
    pub file: PathBuf,
    /// The schema file, which several cohorts may share.
    pub schema: PathBuf,
    /// Which part of an identifier is the patient; without it, all of it.
    pub patient: Option<PatientPattern>,
}

impl TableSource {
    /// Reads the schema, and no row.
    pub(crate) fn reader(self, description: &mut Description) -> Result<RowReader<Self>, CohortError> {
        let schema = description.read(&self.schema)?;
        Ok(RowReader { source: self, schema })
    }
}

impl RowSource for TableSource {
    fn open(&self, declared: &Declared, schema: &TableSchema) -> Result<Sheet, CohortError> {
        let file = beside(&declared.cohort_file, &self.file);
        let sheet = match &schema.columns {
            Some(columns) => Sheet::open_without_header(&file, schema.format(), columns)?,
            None => Sheet::open(&file, schema.format())?,
        };
        Ok(if declared.confirmed.lines_in_cells { sheet.with_lines_in_cells() } else { sheet })
    }

    fn files(&self, cohort_file: &Path) -> Vec<PathBuf> {
        vec![beside(cohort_file, &self.file), beside(cohort_file, &self.schema)]
    }

    fn pattern(&self) -> Option<&PatientPattern> {
        self.patient.as_ref()
    }
}
