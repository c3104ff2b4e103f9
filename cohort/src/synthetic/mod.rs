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

use csv::StringRecord;
use fedtwin_plan::cohort_need::ImageNeed;
use fedtwin_plan::record::VolumeRecord;
use fedtwin_plan::text_file;

use crate::error::CohortError;
use crate::schema::TableSchema;
use crate::source::SyntheticSource;
use crate::split::{Patient, Selection};

pub(crate) use hippocampus::{SHAPE_MAX as HIPPOCAMPUS_SHAPE_MAX, volume as hippocampus};
pub(crate) use phantom::{SHAPE_MAX as PHANTOM_SHAPE_MAX, volume as phantom};

/// Returns the schema of the invented health records: the heart schema that the examples ship.
pub(crate) fn schema() -> TableSchema {
    text_file::parse("heart.schema.toml", HEART_SCHEMA).expect("a test parses the built-in schema")
}

/// Returns the columns of the invented health records.
pub(crate) fn columns() -> StringRecord {
    StringRecord::from(records::COLUMNS.as_slice())
}

/// Makes a site's health records, one line per patient.
pub(crate) fn lines(source: SyntheticSource) -> impl Iterator<Item = StringRecord> {
    (1..=source.patients.get()).map(move |patient| records::line(source, patient))
}

/// Checks that volumes of at most this shape fit the plan's size.
pub(crate) fn check_size(need: ImageNeed, [_, rows, columns]: [usize; 3]) -> Result<(), CohortError> {
    let (height, width) = (need.height.size(), need.width.size());
    if rows > height || columns > width {
        let message = format!(
            "it expects slices of at most {height} x {width}, those of phantoms are up to {rows} x {columns}"
        );
        return Err(CohortError::mismatch(message));
    }
    Ok(())
}

/// Makes the selected ones of `count` volumes.
pub(crate) fn volumes(
    count: u32,
    volume: impl Fn(u32) -> VolumeRecord,
    mut selection: Selection,
) -> Result<Vec<VolumeRecord>, CohortError> {
    let mut records = Vec::new();
    for number in 1..=count {
        let id = format!("phantom-{number}");
        if selection.takes(Patient { id: &id, line: u64::from(number) })? {
            records.push(volume(number));
        }
    }
    Ok(records)
}

const HEART_SCHEMA: &str = include_str!("../../../examples/cohorts/heart.schema.toml");
