//! Where a cohort's records come from, as the cohort file says it: one file for each source.
//!
//! [`Source`] is the only place that names them all. A source has its keys in the cohort file, says where its records are,
//! and opens rows for the reader of tables or shows scans to the reader of images.

mod csv;
mod json_lines;
mod nifti;
pub(crate) mod parquet;
mod png;
mod series;
mod synthetic;

use serde::Deserialize;

use crate::description::Description;
use crate::error::CohortError;
use crate::mismatch::RecordKind;
use crate::reader::Reader;
use crate::reader::rows::RowReader;
use crate::reader::scans::ScanReader;

pub use csv::TableSource;
pub use json_lines::JsonLinesSource;
pub(crate) use json_lines::sheet as sheet_of_objects;
pub use nifti::ImageSource;
pub use parquet::ParquetSource;
pub use png::PictureSource;
pub use series::SeriesSource;
pub use synthetic::{HippocampiSource, SyntheticSource};

/// Where a cohort's records come from; paths are relative to the cohort file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A table in a text file, one line per patient.
    Table(TableSource),
    /// A table in a text file of JSON objects, one line per patient.
    JsonLines(JsonLinesSource),
    /// A table in a Parquet file, one row per patient.
    Parquet(ParquetSource),
    /// A table, one row per patient, and one of events, of which features are summaries.
    Series(SeriesSource),
    /// A folder of NIfTI images and one of masks, one volume per patient.
    Images(ImageSource),
    /// A folder of PNG pictures and one of masks, one picture per patient.
    Pictures(PictureSource),
    /// Invented health records with the columns of the heart schema.
    SyntheticTable(SyntheticSource),
    /// Invented scans of phantom organs with their masks.
    SyntheticImages(SyntheticSource),
    /// Invented scans of hippocampi with their masks, to pre-train on.
    SyntheticHippocampi(HippocampiSource),
}

impl Source {
    /// Returns what kind of records there are.
    pub(crate) fn kind(&self) -> RecordKind {
        match self {
            Self::Table(_)
            | Self::JsonLines(_)
            | Self::Parquet(_)
            | Self::Series(_)
            | Self::SyntheticTable(_) => RecordKind::Table,
            Self::Images(_) | Self::Pictures(_) | Self::SyntheticImages(_) | Self::SyntheticHippocampi(_) => {
                RecordKind::Images
            }
        }
    }

    /// Makes what reads the source; a table's schema is read into the cohort's description.
    pub(crate) fn reader(self, description: &mut Description) -> Result<Box<dyn Reader>, CohortError> {
        Ok(match self {
            Self::Table(source) => Box::new(source.reader(description)?),
            Self::JsonLines(source) => Box::new(source.reader(description)?),
            Self::Parquet(source) => Box::new(source.reader(description)?),
            Self::Series(source) => Box::new(source.reader(description)?),
            Self::Images(source) => Box::new(ScanReader(source)),
            Self::Pictures(source) => Box::new(ScanReader(source)),
            Self::SyntheticTable(source) => Box::new(RowReader { schema: synthetic::schema(), source }),
            Self::SyntheticImages(source) => Box::new(ScanReader(source)),
            Self::SyntheticHippocampi(source) => Box::new(ScanReader(source)),
        })
    }
}
