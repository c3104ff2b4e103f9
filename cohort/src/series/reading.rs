//! One walk over a table of events, each of which is added to its row and signal.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use fedtwin_plan::inventory::{EventsFound, SignalCount};

use super::events::{EventLayout, Events, JoinKey, LongColumns};
use super::rows::{RowKeys, key};
use super::signal::{Signal, Units};
use super::statistic::Wanted;
use super::summary::Summaries;
use crate::error::CohortError;
use crate::split::identity::Place;
use crate::table::reading::Reading;
use crate::table::row::{Cell, Row};
use crate::table::sheet::Sheet;
use crate::table::text::trimmed;

/// What is asked of a table of events.
pub(crate) struct Asked<'a> {
    pub(crate) events: &'a Events,
    pub(crate) signals: &'a BTreeMap<String, Signal>,
    pub(crate) wanted: &'a Wanted,
    pub(crate) keys: &'a RowKeys,
    /// Whether quoted cells may hold whole lines that look like rows.
    pub(crate) lines_in_cells: bool,
}

/// What one walk goes by, and what it has met.
struct Walk<'a> {
    events: &'a Events,
    keys: &'a RowKeys,
    reading: Reading,
    signals: Vec<Used<'a>>,
    summaries: Summaries,
    key: usize,
    time: usize,
    values: Values<'a>,
    found: EventsFound,
    /// The key that was met last, as it is written, and its row: nearly always that of the next line, too.
    last: (Written, Option<usize>),
}

/// A key as it is written.
enum Written {
    Text(String),
    Whole(i64),
}

/// A signal that some column is made of.
struct Used<'a> {
    name: &'a str,
    signal: &'a Signal,
    units: Units,
    values: u64,
    implausible: u64,
}

/// Where a line has its values.
enum Values<'a> {
    Long {
        signal: usize,
        value: usize,
        unit: Option<usize>,
        names: HashMap<&'a str, Named>,
        columns: &'a LongColumns,
    },
    /// By the place of the signal.
    Wide(Vec<usize>),
}

/// What a declared name is.
#[derive(Clone, Copy)]
enum Named {
    /// A signal by its place in [`Walk::signals`].
    Used(usize),
    /// A signal of which no column is made.
    Unused,
}

/// Reads all events of a table, and returns what is kept of them.
pub(crate) fn read(asked: &Asked<'_>, file: &Path) -> Result<(Summaries, EventsFound), CohortError> {
    let Asked { events, signals, wanted, keys, lines_in_cells } = asked;
    let used = || wanted.signals.iter().map(|name| (name.as_str(), &signals[name]));
    let mut sheet = events.open(file, &columns(events, used()))?;
    if *lines_in_cells {
        sheet = sheet.with_lines_in_cells();
    }
    let own: Vec<_> = used().map(|(_, signal)| signal).collect();
    let summaries = Summaries::new(wanted, &own, events, keys.count).ok_or_else(|| {
        let (rows, signals) = (keys.count, own.len());
        CohortError::file(file, format!("has too little memory for {signals} signals of {rows} rows"))
    })?;
    let missing = events.format.missing.iter().cloned().chain([String::new()]).collect::<Vec<_>>();
    let mut walk = Walk {
        events,
        keys,
        reading: Reading::of(events.format.numbers(), events.format.encoding, &missing),
        signals: used()
            .map(|(name, signal)| Used { name, signal, units: signal.units(), values: 0, implausible: 0 })
            .collect(),
        summaries,
        key: sheet.column(&events.key.events)?,
        time: sheet.column(&events.time)?,
        values: values(asked, &sheet)?,
        found: EventsFound::default(),
        last: (Written::Text(String::new()), None),
    };
    let counted = sheet.counted;
    while let Some(row) = sheet.next_row()? {
        let place = Place::Line { table: file, line: row.line, counted };
        walk.line(&row).map_err(|message| place.refuse(message))?;
    }
    Ok(walk.finish())
}

/// Returns the columns that are used, each once.
fn columns<'a>(events: &Events, used: impl Iterator<Item = (&'a str, &'a Signal)>) -> Vec<String> {
    let JoinKey { events: key, .. } = &events.key;
    let mut columns = vec![key.clone(), events.time.clone()];
    match &events.layout {
        EventLayout::Long(LongColumns { signal, value, unit }) => {
            columns.extend([signal.clone(), value.clone()]);
            columns.extend(unit.clone());
        }
        EventLayout::Wide(_) => {
            columns.extend(used.map(|(name, signal)| signal.written(name).to_owned()));
        }
    }
    let columns: BTreeSet<_> = columns.iter().map(|column| trimmed(column).to_owned()).collect();
    columns.into_iter().collect()
}

fn values<'a>(asked: &Asked<'a>, sheet: &Sheet) -> Result<Values<'a>, CohortError> {
    let Asked { events, signals, wanted, .. } = asked;
    Ok(match &events.layout {
        EventLayout::Long(columns) => {
            let named = |(name, signal): (&'a String, &'a Signal)| {
                let place = wanted.signals.binary_search(name);
                (trimmed(signal.written(name)), place.map_or(Named::Unused, Named::Used))
            };
            Values::Long {
                signal: sheet.column(&columns.signal)?,
                value: sheet.column(&columns.value)?,
                unit: columns.unit.as_deref().map(|unit| sheet.column(unit)).transpose()?,
                names: signals.iter().map(named).collect(),
                columns,
            }
        }
        EventLayout::Wide(_) => {
            let column = |name: &String| sheet.column(signals[name].written(name));
            Values::Wide(wanted.signals.iter().map(column).collect::<Result<_, _>>()?)
        }
    })
}

impl Walk<'_> {
    /// Reads one line; a refusal names the column and never the value.
    ///
    /// Of a line of no row, only the key is looked at, and of one outside the window only key and time: no result depends on
    /// what comes behind the landmark.
    fn line(&mut self, row: &Row<'_>) -> Result<(), String> {
        self.found.lines += 1;
        if self.found.lines > LINES_MAX {
            return Err(format!("is beyond the {LINES_MAX} events that sums are made for"));
        }
        let Some(own) = self.row_of(row.cell(self.key))? else {
            self.found.of_no_row += 1;
            return Ok(());
        };
        let time = row.cell(self.time).number(self.reading.format).ok_or_else(|| {
            let column = &self.events.time;
            format!("column {column:?}: expected a number, the time since the origin")
        })?;
        if !self.events.window.holds(time) {
            self.found.outside_window += 1;
            return Ok(());
        }
        match &self.values {
            Values::Long { signal, value, unit, names, columns } => {
                let mut room = String::new();
                let name = row.cell(*signal).letters(&mut room);
                let nth = match names.get(name) {
                    Some(Named::Used(nth)) => *nth,
                    Some(Named::Unused) => return Ok(()),
                    None => {
                        self.found.of_no_signal += 1;
                        return Ok(());
                    }
                };
                let unit = unit.zip(columns.unit.as_deref()).map(|(at, column)| (row.cell(at), column));
                let met = self.signals[nth].value(row.cell(*value), unit, &self.reading);
                let met = met.map_err(|(column, message)| {
                    format!("column {:?}: {message}", column.unwrap_or(&columns.value))
                })?;
                self.summaries.add(own, nth, time, met);
            }
            Values::Wide(places) => {
                for (nth, (at, used)) in places.iter().zip(&mut self.signals).enumerate() {
                    let met = used.value(row.cell(*at), None, &self.reading);
                    let met = met.map_err(|(_, message)| {
                        format!("column {:?}: {message}", used.signal.written(used.name))
                    })?;
                    self.summaries.add(own, nth, time, met);
                }
            }
        }
        Ok(())
    }

    /// Finds the row of a line.
    fn row_of(&mut self, cell: Cell<'_>) -> Result<Option<usize>, String> {
        let (written, row) = &self.last;
        if written.is(cell) {
            return Ok(*row);
        }
        let mut room = String::new();
        let key = key(cell, &mut room).map_err(|message| {
            let column = &self.events.key.events;
            format!("column {column:?}: {message}")
        })?;
        let row = key.and_then(|key| self.keys.find(key));
        self.last.0.keep(cell);
        self.last.1 = row;
        Ok(row)
    }

    fn finish(self) -> (Summaries, EventsFound) {
        let count = |used: &Used<'_>| SignalCount {
            name: used.name.to_owned(),
            values: used.values,
            implausible: used.implausible,
        };
        let signals = self.signals.iter().map(count).collect();
        (self.summaries, EventsFound { signals, ..self.found })
    }
}

impl Written {
    fn is(&self, cell: Cell<'_>) -> bool {
        match (self, cell) {
            (Self::Text(own), Cell::Text(text)) => own == text,
            (Self::Whole(own), Cell::Whole(whole)) => *own == whole,
            (Self::Text(_) | Self::Whole(_), _) => false,
        }
    }

    fn keep(&mut self, cell: Cell<'_>) {
        match (&mut *self, cell) {
            (Self::Text(own), Cell::Text(text)) => {
                own.clear();
                own.push_str(text);
            }
            (_, Cell::Text(text) | Cell::Digits(text)) => *self = Self::Text(text.to_owned()),
            (_, Cell::Whole(whole)) => *self = Self::Whole(whole),
            // No key.
            (_, Cell::Number(_)) => {}
        }
    }
}

impl Used<'_> {
    /// Reads a value in the signal's unit; nothing if there is none, or nobody believes it. A refusal comes with the unit's
    /// column if it is there.
    fn value<'c>(
        &mut self,
        cell: Cell<'_>,
        unit: Option<(Cell<'_>, &'c str)>,
        reading: &Reading,
    ) -> Result<Option<f64>, (Option<&'c str>, String)> {
        let number = cell.number(reading.format);
        let may_be_text = number.is_none() || reading.missing.has_other_numbers;
        if number.is_some_and(|x| reading.missing.is_number(x))
            || (may_be_text && reading.missing.is_text(cell))
        {
            return Ok(None);
        }
        let Some(x) = number else {
            return Err((None, NUMBER.to_owned()));
        };
        let value = match unit {
            None => x,
            Some((written, column)) => {
                let mut room = String::new();
                let is_missing = reading.missing.is_text(written);
                let written = if is_missing { "" } else { written.letters(&mut room) };
                let converted = self.units.converted(written, x, cell, reading.format);
                converted.map_err(|message| (Some(column), message))?
            }
        };
        if self.signal.is_plausible(value) {
            self.values += 1;
            return Ok(Some(value));
        }
        self.implausible += 1;
        Ok(None)
    }
}

/// So many values of one row and signal are summed exactly.
const LINES_MAX: u64 = u32::MAX as u64;

const NUMBER: &str = "expected a number, or a text for missing that events.format.missing lists";
