//! The built-in synthetic federation: four sites that differ in equipment and case mix; and hippocampi to
//! pre-train on.
//!
//! Every patient is made from the federation's seed, the site and the patient's number alone, so that no
//! patient depends on another, and cohorts need no files. The numbers are invented; no real patient's
//! data went into them.

mod draw;
mod field;
mod hippocampus;
mod phantom;
mod records;

use fedtwin_plan::text_file;

use crate::source::SyntheticSource;
use crate::table::schema::TableSchema;

pub(crate) use hippocampus::{SHAPE_MAX as HIPPOCAMPUS_SHAPE_MAX, volume as hippocampus};
pub(crate) use phantom::{SHAPE_MAX as PHANTOM_SHAPE_MAX, volume as phantom};

/// Returns the schema of the invented health records: the heart schema that the examples ship.
pub(crate) fn schema() -> TableSchema {
    text_file::parse("heart.schema.toml", HEART_SCHEMA).expect("a test parses the built-in schema")
}

/// Returns the columns of the invented health records.
pub(crate) fn columns() -> Vec<String> {
    records::COLUMNS.map(str::to_owned).to_vec()
}

/// Makes a site's health records, one line per patient.
pub(crate) fn lines(source: SyntheticSource) -> impl Iterator<Item = Vec<String>> {
    (1..=source.patients.get()).map(move |patient| records::line(source, patient))
}

const HEART_SCHEMA: &str = include_str!("../../../../examples/cohorts/heart.schema.toml");
