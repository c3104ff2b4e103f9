//! The built-in synthetic federation: four sites that differ in equipment and case mix.
//!
//! Every patient is made from the federation's seed, the site and the patient's number alone, so that no
//! patient depends on another, and cohorts need no files. The numbers are invented; no real patient's
//! data went into them.

mod draw;
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

/// Checks that the largest phantom fits the plan's size.
pub(crate) fn check_size(need: ImageNeed) -> Result<(), CohortError> {
    let (height, width) = (need.height.size(), need.width.size());
    let [_, rows, columns] = phantom::SHAPE_MAX;
    if rows > height || columns > width {
        let message = format!(
            "it expects slices of at most {height} x {width}, those of phantoms are up to {rows} x {columns}"
        );
        return Err(CohortError::mismatch(message));
    }
    Ok(())
}

/// Makes the selected phantoms of a site.
pub(crate) fn volumes(
    source: SyntheticSource,
    mut selection: Selection,
) -> Result<Vec<VolumeRecord>, CohortError> {
    let mut records = Vec::new();
    for patient in 1..=source.patients.get() {
        let id = format!("phantom-{patient}");
        if selection.takes(Patient { id: &id, line: u64::from(patient) })? {
            records.push(phantom::volume(source, patient));
        }
    }
    Ok(records)
}

const HEART_SCHEMA: &str = include_str!("../../../examples/cohorts/heart.schema.toml");
