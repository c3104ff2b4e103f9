//! How the cohort file describes a table of events.

use std::path::{Path, PathBuf};

use fedtwin_plan::text_file::Problem;
use fedtwin_units::{Analyte, conversion};
use serde::Deserialize;

use crate::error::CohortError;
use crate::source::parquet;
use crate::table::cells::{Dialect, Quote};
use crate::table::digits::{DecimalSign, NumberFormat, ThousandsSign};
use crate::table::sheet::{self, Format, Sheet};
use crate::table::text::Encoding;

/// A table of events: who, when, and one signal's value or those of several.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "EventsKeys")]
pub struct Events {
    /// The table: cells or Parquet, packed or not.
    pub file: PathBuf,
    /// How cells are written; says nothing of Parquet but for numbers that are stored as texts.
    pub format: EventsFormat,
    /// The columns by which events belong to rows.
    pub key: JoinKey,
    /// The column of times, numbers since an origin that all rows have.
    pub time: String,
    /// The unit of times.
    pub unit: String,
    /// Which events count.
    pub window: Window,
    /// Where signals and values are.
    pub layout: EventLayout,
}

/// The keys of [`Events`] as people write them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsKeys {
    file: PathBuf,
    #[serde(default)]
    format: EventsFormat,
    key: JoinKey,
    time: String,
    unit: String,
    window: Window,
    long: Option<LongColumns>,
    wide: Option<WideColumns>,
}

/// A description of events that does not say where signals are, or says it twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("has {}, expected either: one line for each value (long), or one for each time (wide)", match .both {
    true => "long and wide",
    false => "neither long nor wide",
})]
struct NoLayout {
    both: bool,
}

/// Where in a table of events the signals and their values are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventLayout {
    /// A line for each value.
    Long(LongColumns),
    /// A line for each time, and a column for each signal.
    Wide(WideColumns),
}

/// The columns of a table with a line for each value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongColumns {
    /// The column that names the signal.
    pub signal: String,
    /// The column of values.
    pub value: String,
    /// The column of units; without it, values are in the units that the signals state.
    pub unit: Option<String>,
}

/// The columns of a table with a line for each time: they are called as the signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WideColumns {}

/// The columns whose equal texts say that an event belongs to a row.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "KeyWritten")]
pub struct JoinKey {
    /// The column of the table of rows.
    pub rows: String,
    /// The column of the table of events.
    pub events: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a column's name, or { rows = \"column\", events = \"column\" }")]
enum KeyWritten {
    Same(String),
    Each(KeyColumns),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyColumns {
    rows: String,
    events: String,
}

/// The times of events that count: `from < time <= to`, and time 0 too where `from` is 0.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// What lies at or before it does not count, in the unit of times; an origin of 0 counts.
    pub from: f64,
    /// The landmark: what lies behind it does not count, in the unit of times.
    pub to: f64,
}

/// How the cells of a table of events are written, with the keys and defaults of a table's schema.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventsFormat {
    /// What stands between two cells.
    pub delimiter: char,
    /// What stands around a cell that holds delimiters or line ends.
    pub quote: Quote,
    /// How letters are stored; a byte order mark outweighs it.
    pub encoding: Encoding,
    /// What stands before a number's fraction.
    pub decimal: DecimalSign,
    /// What stands between groups of three digits; without it, nothing does.
    pub thousands: Option<ThousandsSign>,
    /// The texts that mean that there is no value; the empty cell always does.
    pub missing: Vec<String>,
    /// The columns of a table without a header line; absent where the first line names them.
    pub columns: Option<Vec<String>>,
}

impl Default for EventsFormat {
    fn default() -> Self {
        Self {
            delimiter: sheet::comma(),
            quote: Quote::default(),
            encoding: Encoding::default(),
            decimal: DecimalSign::default(),
            thousands: None,
            missing: Vec::new(),
            columns: None,
        }
    }
}

impl TryFrom<EventsKeys> for Events {
    type Error = NoLayout;

    fn try_from(keys: EventsKeys) -> Result<Self, NoLayout> {
        let EventsKeys { file, format, key, time, unit, window, long, wide } = keys;
        let layout = match (long, wide) {
            (Some(long), None) => EventLayout::Long(long),
            (None, Some(wide)) => EventLayout::Wide(wide),
            (long, _) => return Err(NoLayout { both: long.is_some() }),
        };
        Ok(Self { file, format, key, time, unit, window, layout })
    }
}

impl From<KeyWritten> for JoinKey {
    fn from(written: KeyWritten) -> Self {
        match written {
            KeyWritten::Same(column) => Self { rows: column.clone(), events: column },
            KeyWritten::Each(KeyColumns { rows, events }) => Self { rows, events },
        }
    }
}

impl Events {
    /// Checks what concerns several values; `key` is where the description stands.
    pub(crate) fn check(&self, key: &str) -> Result<(), Problem> {
        if self.units_an_hour().is_none() {
            let message = format!("is {:?}, expected a unit of time, like h, min or d", self.unit);
            return Err(Problem::new(format!("{key}.unit"), message));
        }
        let Window { from, to } = self.window;
        let is_counted = |x: f64| x.is_finite() && x.abs() <= TIME_MAX;
        if !(is_counted(from) && is_counted(to) && from < to) {
            let message =
                format!("is from {from} to {to}, expected from below to, and both within {TIME_MAX:e}");
            return Err(Problem::new(format!("{key}.window"), message));
        }
        let EventsFormat { decimal, thousands, delimiter, .. } = self.format;
        if !(NumberFormat { decimal, thousands }).is_clear() {
            return Err(Problem::new(format!("{key}.format.thousands"), "is the decimal sign, too"));
        }
        if !sheet::may_delimit(delimiter) {
            let message = "is no character that can stand between two cells";
            return Err(Problem::new(format!("{key}.format.delimiter"), message));
        }
        Ok(())
    }

    /// Returns how many units of time an hour has, if the unit is one of time.
    pub(crate) fn units_an_hour(&self) -> Option<f64> {
        let conversion = conversion("h", &self.unit, &Analyte::default()).ok()?;
        Some(conversion.apply(&"1".parse().expect("1 is a decimal")))
    }

    /// Opens the table, of which `columns` are used.
    pub(crate) fn open(&self, file: &Path, columns: &[String]) -> Result<Sheet, CohortError> {
        let EventsFormat { delimiter, quote, encoding, columns: named, .. } = &self.format;
        let dialect = Dialect { delimiter: *delimiter, quote: *quote };
        open(file, Format { dialect, encoding: *encoding }, named.as_deref(), columns)
    }
}

impl EventsFormat {
    /// Returns how numbers are written.
    pub(crate) fn numbers(&self) -> NumberFormat {
        NumberFormat { decimal: self.decimal, thousands: self.thousands }
    }
}

impl Window {
    /// Says whether an event at `time` counts.
    pub(crate) fn holds(self, time: f64) -> bool {
        let Self { from, to } = self;
        time <= to && (time > from || (time == 0.0 && from == 0.0))
    }
}

/// Opens a table of cells, whose columns `named` are if no line names them, or a Parquet file, of which `used` are read.
pub(crate) fn open(
    file: &Path,
    format: Format,
    named: Option<&[String]>,
    used: &[String],
) -> Result<Sheet, CohortError> {
    if parquet::is_parquet(file)? {
        return parquet::open(file, used);
    }
    match named {
        Some(columns) => Sheet::open_without_header(file, format, columns),
        None => Sheet::open(file, format),
    }
}

/// Far beyond any time since an origin, and within what grids of powers of two hold.
const TIME_MAX: f64 = 1e15;
