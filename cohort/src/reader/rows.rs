//! Tables: rows of text cells, read as typed records.

use std::path::Path;

use fedtwin_plan::cohort_need::TableNeed;
use fedtwin_plan::inventory::LeftOutReason;
use fedtwin_plan::record::Part;

use crate::error::CohortError;
use crate::split::identity::Place;
use crate::split::list::Lines;
use crate::split::{Patient, Selection};
use crate::table::layout::{Cells, Layout};
use crate::table::schema::TableSchema;
use crate::table::sheet::Sheet;
use crate::table::totals::{Suspect, Totals};

/// How a table is read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) schema: &'a TableSchema,
    pub(crate) need: &'a TableNeed,
    /// Whether to look for lines of totals: for people who check, over all that the schema has. In a study that would be an
    /// answer that depends on records.
    pub(crate) looks_for_totals: bool,
}

/// A row with text in it.
pub(crate) enum Met {
    /// A patient of a part.
    Patient(Part, Cells),
    /// Somebody in neither part.
    LeftOut(LeftOutReason),
}

/// Opens a table as the schema says it.
pub(crate) fn open(file: &Path, schema: &TableSchema) -> Result<Sheet, CohortError> {
    match &schema.columns {
        Some(columns) => Sheet::open_without_header(file, schema.format(), columns),
        None => Sheet::open(file, schema.format()),
    }
}

/// Reads all rows in the order of their lines and shows each to `each`.
pub(crate) fn read(
    mut sheet: Sheet,
    reading: Reading<'_>,
    mut selection: Selection,
    mut each: impl FnMut(Met),
) -> Result<(), CohortError> {
    let layout = Layout::new(reading.schema, reading.need, &sheet)?;
    let mut lines = Lines { header: sheet.header, last: sheet.header.unwrap_or(0) };
    let mut totals = reading.looks_for_totals.then(Totals::default);
    while let Some(row) = sheet.next_row() {
        let row = row?;
        let place = Place::Line { table: &sheet.file.clone(), line: row.line };
        let id = layout.identifier(&row.cells);
        if let Some(totals) = &mut totals {
            let suspect = Suspect {
                line: row.line,
                cells: &row.cells,
                identifier: id.as_ref().ok().copied().flatten(),
                numbers: layout.numbers(&row.cells),
            };
            if sheet.is_at_end()
                && let Some(why) = totals.betray(&suspect)
            {
                return Err(place.refuse(format!(
                    "is the last line and {why}, as a line of totals does: remove it, or, if it is a patient's, add \
                     confirmed.last_line = true to the cohort file"
                )));
            }
            totals.add(&suspect);
        }
        let id = id.map_err(|message| place.refuse(message))?;
        lines.last = row.line;
        let part = selection.part_of(Patient { id, place })?;
        each(match part {
            _ if layout.is_unknown(&row.cells) => Met::LeftOut(LeftOutReason::OutcomeUnknown),
            None => Met::LeftOut(LeftOutReason::NotInSplit),
            Some(part) => {
                selection.admit(part)?;
                Met::Patient(part, layout.read(&row.cells).map_err(|message| place.refuse(message))?)
            }
        });
    }
    if let Some(line) = totals.as_ref().and_then(Totals::subtotals) {
        let place = Place::Line { table: &sheet.file.clone(), line };
        return Err(place.refuse(
            "begins with a word for totals: remove it, or, if it is a patient's, add confirmed.last_line = true to the \
             cohort file",
        ));
    }
    selection.finish(Some(lines))
}
