//! The rows of a cohort's table, with summaries of their events as further cells.

use std::collections::HashMap;
use std::path::Path;

use super::summary::Summaries;
use crate::error::CohortError;
use crate::split::identity::{Place, is_rounded, stated};
use crate::table::reading::Reading;
use crate::table::row::{Cell, Row, Rows};
use crate::table::sheet::Sheet;

/// Which row has which key.
#[derive(Debug)]
pub(crate) struct RowKeys {
    places: HashMap<Box<str>, RowPlace>,
    /// How many rows there are.
    pub(crate) count: usize,
}

#[derive(Debug, Clone, Copy)]
struct RowPlace {
    /// Among all rows, from 0.
    nth: usize,
    /// As people count it.
    line: u64,
}

/// The table's rows as they are read again, each with its summaries.
struct SummarisedRows {
    rows: Sheet,
    summaries: Summaries,
    nth: usize,
    cells: Vec<Cell<'static>>,
}

impl RowKeys {
    /// Reads the keys of all rows, each of which has one of its own.
    pub(crate) fn read(mut rows: Sheet, column: &str, reading: &Reading) -> Result<Self, CohortError> {
        let at = rows.column(column)?;
        let (file, counted) = (rows.file.clone(), rows.counted);
        let (mut places, mut room) = (HashMap::new(), String::new());
        let mut nth = 0;
        while let Some(row) = rows.next_row()? {
            let place = Place::Line { table: &file, line: row.line, counted };
            let refuse = |message: String| place.refuse(format!("column {column:?}: {message}"));
            let cell = row.cell(at);
            reading.check_letters(column, cell).map_err(|message| place.refuse(message))?;
            let is_missing = reading.is_missing(cell, cell.number(reading.format));
            let key = key(cell, &mut room).map_err(|message| refuse(message.to_owned()))?;
            let Some(key) = key.filter(|_| !is_missing) else {
                return Err(refuse("has no key, by which events belong to the row".to_owned()));
            };
            if let Some(first) = places.insert(Box::from(key), RowPlace { nth, line: row.line }) {
                let (noun, first) = (counted.noun(), first.line);
                return Err(refuse(format!(
                    "has the key of {noun} {first}, expected one row for each: events of which row?"
                )));
            }
            nth += 1;
        }
        Ok(Self { places, count: nth })
    }

    /// Finds the row with a key in its stated form.
    pub(crate) fn find(&self, key: &str) -> Option<usize> {
        self.places.get(key).map(|place| place.nth)
    }
}

/// Returns a key in its stated form, as identifiers have one; nothing if nothing can be seen of it. `room` is for digits.
pub(crate) fn key<'r>(cell: Cell<'r>, room: &'r mut String) -> Result<Option<&'r str>, &'static str> {
    if matches!(cell, Cell::Number(_)) {
        return Err(
            "holds keys that are stored as floating-point numbers, and may have been rounded: store that column as text \
                    or as whole numbers",
        );
    }
    let letters = cell.letters(room);
    if is_rounded(letters) {
        return Err("holds keys that a table program has rounded: store that column as text");
    }
    Ok(stated(letters))
}

/// Adds the summaries' columns to a table, whose rows are those that [`RowKeys`] has read.
pub(crate) fn summarised(rows: Sheet, summaries: Summaries) -> Sheet {
    let (file, header, counted) = (rows.file.clone(), rows.header, rows.counted);
    let added = summaries.columns().map(str::to_owned);
    let columns = rows.columns().iter().cloned().chain(added).collect();
    let rows = SummarisedRows { rows, summaries, nth: 0, cells: Vec::new() };
    let mut sheet = Sheet::of_rows(&file, columns, rows);
    (sheet.header, sheet.counted) = (header, counted);
    sheet
}

impl Rows for SummarisedRows {
    fn advance(&mut self) -> Result<bool, CohortError> {
        if self.rows.next_row()?.is_none() {
            return Ok(false);
        }
        let cells = self.summaries.cells(self.nth, &mut self.cells);
        self.nth += 1;
        cells.map(|()| true).ok_or_else(|| changed(&self.rows.file))
    }

    fn row(&self) -> Row<'_> {
        self.rows.row().with_more(&self.cells)
    }
}

fn changed(file: &Path) -> CohortError {
    CohortError::file(file, "changed while it was read: it had fewer rows before")
}
