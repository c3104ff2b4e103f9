//! Which summaries of a signal there are, and which of them a schema reads.

use std::collections::BTreeMap;

use fedtwin_units::{Analyte, Unit, conversion};

use super::events::Events;
use super::signal::Signal;
use crate::table::schema::{FeatureColumn, TableSchema};
use crate::table::text::trimmed;

/// A summary of one signal's values in the window, by its name in a column: `hr.last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statistic {
    /// The value at the latest time; the largest of several at that time.
    Last,
    /// The value at the earliest time; the smallest of several at that time.
    First,
    /// The smallest value.
    Min,
    /// The largest value.
    Max,
    /// The mean of all values, rounded once.
    Mean,
    /// How many values there are; never missing.
    Count,
    /// The slope of the line of least squares, in the signal's unit by hours; missing where there are not two times.
    Slope,
    /// From the last value's time to the landmark, in the unit of times.
    Age,
}

/// A column that is made of a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    /// The column's name.
    pub(crate) column: String,
    /// The place of its signal in [`Wanted::signals`].
    pub(crate) signal: usize,
    pub(crate) statistic: Statistic,
}

/// What a schema reads of the signals: nothing else is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The signals that some column is made of, sorted by their names.
    pub(crate) signals: Vec<String>,
    pub(crate) summaries: Vec<Summary>,
}

impl Wanted {
    /// Finds the columns that the schema reads and that are made of one of `signals`.
    pub(crate) fn new(schema: &TableSchema, signals: &BTreeMap<String, Signal>) -> Result<Self, String> {
        let mut found = Vec::new();
        for column in schema.used_columns() {
            let Some((name, statistic)) = column.rsplit_once('.') else { continue };
            if !signals.contains_key(name) {
                continue;
            }
            let statistic = Statistic::of(statistic).ok_or_else(|| {
                let all = Statistic::ALL.map(|(name, _)| name).join(", ");
                format!("reads column {column:?}: of signal {name:?} there are {all}")
            })?;
            found.push((name.to_owned(), column.clone(), statistic));
        }
        let mut names: Vec<_> = found.iter().map(|(name, ..)| name.clone()).collect();
        names.sort();
        names.dedup();
        let place = |name: &String| names.binary_search(name).expect("it is one of them");
        let summaries = found
            .iter()
            .map(|(name, column, statistic)| Summary {
                column: column.clone(),
                signal: place(name),
                statistic: *statistic,
            })
            .collect();
        Ok(Self { signals: names, summaries })
    }

    /// Says whether some column is a statistic of the signal at this place.
    pub(crate) fn has(&self, signal: usize, statistic: Statistic) -> bool {
        self.summaries.iter().any(|summary| summary.signal == signal && summary.statistic == statistic)
    }

    /// Checks that the schema reads some summary, and states the unit of each.
    pub(crate) fn check(
        &self,
        schema: &TableSchema,
        signals: &BTreeMap<String, Signal>,
        events: &Events,
    ) -> Result<(), String> {
        if self.summaries.is_empty() {
            return Err(
                "has no feature of a signal, like column = \"hr.last\": without one, source.table is \
                        the table alone"
                    .to_owned(),
            );
        }
        for (name, feature) in &schema.features {
            let column = feature.column(name);
            let Some(summary) = self.summaries.iter().find(|summary| summary.column == trimmed(column))
            else {
                continue;
            };
            let FeatureColumn::Number(number) = feature else { continue };
            let own = &signals[&self.signals[summary.signal]].unit;
            let unit = match summary.statistic {
                Statistic::Last | Statistic::First | Statistic::Min | Statistic::Max | Statistic::Mean => {
                    own.clone()
                }
                Statistic::Slope => slope_unit(own),
                Statistic::Age => events.unit.clone(),
                Statistic::Count => continue,
            };
            if !is_same(&unit, &number.unit) {
                return Err(format!(
                    "features.{name} reads {column:?}, whose unit is {unit:?}, and states {:?}",
                    number.unit
                ));
            }
        }
        Ok(())
    }
}

impl Statistic {
    const ALL: [(&str, Self); 8] = [
        ("last", Self::Last),
        ("first", Self::First),
        ("min", Self::Min),
        ("max", Self::Max),
        ("mean", Self::Mean),
        ("count", Self::Count),
        ("slope", Self::Slope),
        ("age", Self::Age),
    ];

    fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(own, _)| *own == name).map(|(_, statistic)| *statistic)
    }
}

/// Returns the unit of a change by hours; differences of temperatures in Celsius are in kelvin.
fn slope_unit(unit: &str) -> String {
    let is_celsius = Unit::parse(unit).is_ok_and(|unit| unit.code() == "Cel");
    format!("{}/h", if is_celsius { "K" } else { unit })
}

/// Says whether a number in one unit is the same number in the other; texts that are no units are the same if they are equal.
fn is_same(a: &str, b: &str) -> bool {
    a == b || conversion(a, b, &Analyte::default()).is_ok_and(|conversion| conversion.is_identity())
}
