//! A table in a Parquet file, one row per patient.
//!
//! The schema and all that goes by it are those of tables of cells, and values keep their types. Read are the columns that are
//! used, row group by row group and page by page, so that a table may be larger than memory.
//!
//! Files are read by the crate `parquet`, behind checks of our own: sizes and page headers before anything is allocated
//! ([`pages`], [`header`]), and a panic of its decoders on rubbish is a refusal ([`guard`]). What it says is never repeated,
//! since it may hold a value.

mod guard;
mod header;
mod kind;
mod pages;
mod rows;
mod time;
mod values;

use std::fs::File;
use std::io::{self, Read};
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
use pages::Source;
use rows::GroupRows;

/// A table in a Parquet file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParquetSource {
    /// The table.
    pub file: PathBuf,
    /// The schema file, which several cohorts may share. What it says of delimiters, quotes, encoding and a header is for
    /// tables of cells, and its decimal and thousands signs are for numbers that are stored as texts.
    pub schema: PathBuf,
    /// Which part of an identifier is the patient; without it, all of it.
    pub patient: Option<PatientPattern>,
}

/// Reads a table in memory, for which `file` stands in messages.
pub(crate) fn sheet(file: &Path, bytes: &[u8], schema: &TableSchema) -> Result<Sheet, CohortError> {
    let columns = schema.used_columns();
    let rows = GroupRows::of(file, Source::of_bytes(bytes.to_vec()), &columns)?;
    Ok(Sheet::of_rows(file, columns, rows).without_lines())
}

/// Opens a file, of which `columns` are used.
pub(crate) fn open(file: &Path, columns: &[String]) -> Result<Sheet, CohortError> {
    let rows = GroupRows::open(file, columns)?;
    Ok(Sheet::of_rows(file, columns.to_vec(), rows).without_lines())
}

/// Says whether a file begins as those do.
pub(crate) fn is_parquet(file: &Path) -> Result<bool, CohortError> {
    let mut first = [0; 4];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut first));
    match read {
        Ok(()) => Ok(&first == b"PAR1"),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(CohortError::storage(file)(error)),
    }
}

impl ParquetSource {
    /// Reads the schema, and no row.
    pub(crate) fn reader(self, description: &mut Description) -> Result<RowReader<Self>, CohortError> {
        let schema = description.read::<TableSchema>(&self.schema)?.with_nothing(&self.schema, "Parquet")?;
        Ok(RowReader { source: self, schema })
    }
}

impl RowSource for ParquetSource {
    fn open(&self, declared: &Declared, schema: &TableSchema) -> Result<Sheet, CohortError> {
        let file = beside(&declared.cohort_file, &self.file);
        open(&file, &schema.used_columns())
    }

    fn files(&self, cohort_file: &Path) -> Vec<PathBuf> {
        vec![beside(cohort_file, &self.file), beside(cohort_file, &self.schema)]
    }

    fn pattern(&self) -> Option<&PatientPattern> {
        self.patient.as_ref()
    }
}
