//! The reader of tables: rows of text cells, read as typed records.

use std::fmt;
use std::path::{Path, PathBuf};

use fedtwin_plan::cohort_need::{DataNeed, TableNeed};
use fedtwin_plan::inventory::LeftOutReason;
use fedtwin_plan::record::{Part, Records};

use super::Reader;
use crate::declared::Declared;
use crate::error::CohortError;
use crate::limits::Limits;
use crate::mismatch::{Mismatch, RecordKind};
use crate::split::Patient;
use crate::split::identity::Place;
use crate::split::list::Lines;
use crate::split::pattern::PatientPattern;
use crate::table::layout::{Cells, Layout};
use crate::table::schema::TableSchema;
use crate::table::sheet::Sheet;
use crate::table::totals::{Suspect, Totals};
use crate::tally::Tally;

/// Where the rows of a table come from.
pub(crate) trait RowSource: fmt::Debug + Send + Sync {
    /// Opens the table, whose rows are read one by one.
    fn open(&self, declared: &Declared, schema: &TableSchema) -> Result<Sheet, CohortError>;

    /// Lists the files beside `cohort_file` that the table is made of, with its schema.
    fn files(&self, cohort_file: &Path) -> Vec<PathBuf>;

    /// Returns which part of an identifier is the patient, where the cohort file says it.
    fn pattern(&self) -> Option<&PatientPattern>;
}

/// Reads the rows of a source as its schema says.
#[derive(Debug)]
pub(crate) struct RowReader<S> {
    pub(crate) source: S,
    pub(crate) schema: TableSchema,
}

/// What is asked of each row.
struct Asked<'a> {
    need: &'a TableNeed,
    /// Whether to look for lines of totals: for people who check, over all that the schema has. In a study that would be an
    /// answer that depends on records.
    looks_for_totals: bool,
}

/// A row with text in it.
enum Met {
    /// A patient of a part.
    Patient(Part, Cells),
    /// Somebody in neither part.
    LeftOut(LeftOutReason),
}

impl<S: RowSource> Reader for RowReader<S> {
    fn fits(&self, need: &DataNeed, _limits: &Limits) -> Result<(), Mismatch> {
        self.schema.fit(table(need)?)
    }

    fn files(&self, cohort_file: &Path) -> Result<Vec<PathBuf>, CohortError> {
        Ok(self.source.files(cohort_file))
    }

    fn has_feature(&self, name: &str) -> bool {
        self.schema.features.contains_key(name)
    }

    fn count(&self, declared: &Declared) -> Result<Tally, CohortError> {
        let need = &self.schema.all();
        let mut tally = Tally::of_table(need);
        let asked = Asked { need, looks_for_totals: !declared.confirmed.last_line };
        self.show(declared, asked, |met| match met {
            Met::Patient(part, cells) => {
                tally.add(part);
                tally.add_cells(&cells);
            }
            Met::LeftOut(reason) => tally.leave_out(reason, 1),
        })?;
        Ok(tally)
    }

    fn read(&self, declared: &Declared, need: &DataNeed, part: Part) -> Result<Records, CohortError> {
        let mut records = Vec::new();
        let asked = Asked { need: table(need)?, looks_for_totals: false };
        self.show(declared, asked, |met| match met {
            Met::Patient(its, cells) => records.extend((its == part).then(|| cells.record())),
            Met::LeftOut(_) => {}
        })?;
        Ok(Records::Table(records))
    }
}

impl<S: RowSource> RowReader<S> {
    /// Shows each row to `each`, in the order of the lines.
    fn show(
        &self,
        declared: &Declared,
        asked: Asked<'_>,
        mut each: impl FnMut(Met),
    ) -> Result<(), CohortError> {
        let mut sheet = self.source.open(declared, &self.schema)?;
        let mut selection = declared.selection(self.source.pattern())?;
        let layout = Layout::new(&self.schema, asked.need, &sheet)?;
        let mut lines = Lines { header: sheet.header, last: sheet.header.unwrap_or(0) };
        let mut totals = asked.looks_for_totals.then(Totals::default);
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
}

/// Returns the columns that a plan asks for, if it asks for any.
fn table(need: &DataNeed) -> Result<&TableNeed, Mismatch> {
    match need {
        DataNeed::Table(need) => Ok(need),
        DataNeed::Images(_) => Err(Mismatch::Kind { plan: RecordKind::Images, cohort: RecordKind::Table }),
    }
}
