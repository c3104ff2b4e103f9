//! The reader of tables: rows of cells, read as typed records.

use std::fmt;
use std::path::{Path, PathBuf};

use fedtwin_plan::cohort_need::{DataNeed, TableNeed};
use fedtwin_plan::inventory::{EventsFound, LeftOutReason};
use fedtwin_plan::record::{Part, Records};

use super::Reader;
use crate::declared::Declared;
use crate::error::CohortError;
use crate::limits::Limits;
use crate::mismatch::{Mismatch, RecordKind};
use crate::split::identity::Place;
use crate::split::list::Lines;
use crate::split::pattern::PatientPattern;
use crate::split::{Patient, Selection};
use crate::table::layout::{Cells, Layout};
use crate::table::measured::Converted;
use crate::table::row::Row;
use crate::table::schema::TableSchema;
use crate::table::sheet::{Counted, Sheet};
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

    /// Says whether some features are summaries of the signal `name`.
    fn has_signal(&self, _name: &str) -> bool {
        false
    }
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

/// What is met: a row with text in it, nearly always.
enum Met {
    /// A patient of a part.
    Patient(Part, Cells),
    /// Somebody in neither part.
    LeftOut(LeftOutReason),
    /// What the events were of which features are summaries, before any row.
    Events(EventsFound),
}

impl<S: RowSource> Reader for RowReader<S> {
    fn fits(&self, need: &DataNeed, _limits: &Limits) -> Result<(), Mismatch> {
        self.schema.fit(table(need)?)
    }

    fn conversions(&self, need: &DataNeed) -> Vec<Converted> {
        match need {
            DataNeed::Table(need) => self.schema.conversions(need),
            DataNeed::Images(_) => Vec::new(),
        }
    }

    fn files(&self, cohort_file: &Path) -> Result<Vec<PathBuf>, CohortError> {
        Ok(self.source.files(cohort_file))
    }

    fn has_feature(&self, name: &str) -> bool {
        self.schema.features.contains_key(name) || self.source.has_signal(name)
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
            Met::Events(found) => tally.events = Some(found),
        })?;
        Ok(tally)
    }

    fn read(&self, declared: &Declared, need: &DataNeed, part: Part) -> Result<Records, CohortError> {
        let mut records = Vec::new();
        let asked = Asked { need: table(need)?, looks_for_totals: false };
        self.show(declared, asked, |met| match met {
            Met::Patient(its, cells) => records.extend((its == part).then(|| cells.record())),
            Met::LeftOut(_) | Met::Events(_) => {}
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
        if let Some(events) = sheet.events.take() {
            each(Met::Events(events));
        }
        let file = sheet.file.clone();
        let mut pass = Pass {
            layout: Layout::new(&self.schema, asked.need, &sheet)?,
            selection: declared.selection(self.source.pattern())?,
            table: Table { file: &file, counted: sheet.counted },
            totals: asked.looks_for_totals.then(Totals::default),
            numbers: Vec::new(),
            each,
        };
        let mut lines =
            Lines { header: sheet.header, last: sheet.header.unwrap_or(0), counted: sheet.counted };
        while let Some(row) = sheet.next_row()? {
            lines.last = row.line;
            if let Err(refusal) = pass.row(&row) {
                // A line of totals is refused for what it is, before any of its cells.
                if sheet.is_at_end() {
                    pass.check_last()?;
                }
                return Err(refusal);
            }
        }
        pass.check_last()?;
        pass.finish(lines)
    }
}

/// The table, for messages.
#[derive(Debug, Clone, Copy)]
struct Table<'a> {
    file: &'a Path,
    counted: Counted,
}

impl<'a> Table<'a> {
    fn place(self, line: u64) -> Place<'a> {
        Place::Line { table: self.file, line, counted: self.counted }
    }
}

/// One pass over the rows of a table.
struct Pass<'a, E> {
    layout: Layout,
    selection: Selection,
    table: Table<'a>,
    totals: Option<Totals>,
    /// The numbers of one row.
    numbers: Vec<Option<f64>>,
    each: E,
}

impl<E: FnMut(Met)> Pass<'_, E> {
    /// Reads one row.
    fn row(&mut self, row: &Row<'_>) -> Result<(), CohortError> {
        let place = self.table.place(row.line);
        self.layout.numbers(row, &mut self.numbers);
        let mut room = String::new();
        let id = self.layout.identifier(row, &mut room);
        if let Some(totals) = &mut self.totals {
            totals.meet(Suspect {
                line: row.line,
                first: row.first_text(),
                identifier: id.as_ref().ok().copied().flatten(),
                numbers: &self.numbers,
            });
        }
        let id = id.map_err(|message| place.refuse(message))?;
        let part = self.selection.part_of(Patient { id, place })?;
        (self.each)(match part {
            _ if self.layout.is_unknown(row) => Met::LeftOut(LeftOutReason::OutcomeUnknown),
            None => Met::LeftOut(LeftOutReason::NotInSplit),
            Some(part) => {
                self.selection.admit(part)?;
                let cells = self.layout.read(row, &self.numbers);
                Met::Patient(part, cells.map_err(|message| place.refuse(message))?)
            }
        });
        Ok(())
    }

    /// Refuses a last row of totals.
    fn check_last(&self) -> Result<(), CohortError> {
        let Some(totals) = &self.totals else { return Ok(()) };
        let (Some(why), Some(line)) = (totals.betray(), totals.last_line()) else { return Ok(()) };
        let place = self.table.place(line);
        Err(place.refuse(format!(
            "is the last {noun} and {why}, as a line of totals does: remove it, or, if it is a patient's, add \
             confirmed.last_line = true to the cohort file",
            noun = self.table.counted.noun()
        )))
    }

    fn finish(self, lines: Lines) -> Result<(), CohortError> {
        if let Some(line) = self.totals.and_then(Totals::subtotals) {
            let place = self.table.place(line);
            return Err(place.refuse(
                "begins with a word for totals: remove it, or, if it is a patient's, add confirmed.last_line = true to the \
                 cohort file",
            ));
        }
        self.selection.finish(Some(lines))
    }
}

/// Returns the columns that a plan asks for, if it asks for any.
fn table(need: &DataNeed) -> Result<&TableNeed, Mismatch> {
    match need {
        DataNeed::Table(need) => Ok(need),
        DataNeed::Images(_) => Err(Mismatch::Kind { plan: RecordKind::Images, cohort: RecordKind::Table }),
    }
}
