//! Signals: their units, and numbers in other units.

use std::collections::HashMap;

use fedtwin_plan::text_file::Problem;
use fedtwin_units::{Conversion, Decimal, NoConversion, NotComparable};
use serde::Deserialize;

use crate::table::digits::NumberFormat;
use crate::table::row::Cell;
use crate::table::schema::NumberColumn;

/// What is measured again and again, like a heart rate.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// The unit of the summaries, and of values where no column of units is.
    pub unit: String,
    /// The lowest plausible value, in that unit: public medical knowledge, never a statistic of the cohort.
    pub low: f64,
    /// The highest plausible value, likewise.
    pub high: f64,
    /// What the column of signals has, or how the signal's own column is called, if not as the signal.
    pub name: Option<String>,
    /// Grams in a mole of the analyte, where some values are its mass and others its amount.
    pub molar_mass: Option<f64>,
    /// Charges of one ion of the analyte, likewise for equivalents.
    pub valence: Option<u8>,
}

/// The units in which a signal's values were met, and the way from each to the signal's own.
#[derive(Debug)]
pub(crate) struct Units {
    own: String,
    column: NumberColumn,
    met: HashMap<String, Option<Conversion>>,
}

impl Signal {
    /// Returns what the table of events calls the signal `name`.
    pub(crate) fn written<'a>(&'a self, name: &'a str) -> &'a str {
        self.name.as_deref().unwrap_or(name)
    }

    /// Checks ranges and constants; `key` is where the signal stands.
    pub(crate) fn check(&self, key: &str) -> Result<(), Problem> {
        self.column().check(key)?;
        let bound = self.bound();
        if !(1.0 / BOUND_MAX..=BOUND_MAX).contains(&bound) {
            let message =
                format!("is plausible up to {bound:e}, expected a number that something measured has");
            return Err(Problem::new(key, message));
        }
        Ok(())
    }

    /// Returns the largest size of a plausible value.
    pub(crate) fn bound(&self) -> f64 {
        self.low.abs().max(self.high.abs())
    }

    /// Says whether a value is plausible.
    pub(crate) fn is_plausible(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Prepares to meet values in other units.
    pub(crate) fn units(&self) -> Units {
        Units { own: self.unit.clone(), column: self.column(), met: HashMap::new() }
    }

    fn column(&self) -> NumberColumn {
        NumberColumn {
            column: None,
            unit: self.unit.clone(),
            molar_mass: self.molar_mass,
            valence: self.valence,
            low: self.low,
            high: self.high,
            sentinels: Vec::new(),
            below: None,
            above: None,
        }
    }
}

impl Units {
    /// Returns a value in the signal's unit, which `cell` has as the number `x` in the unit `written`; says what a unit is that
    /// cannot be, without its letters. Where no unit is written, it is the number 1.
    pub(crate) fn converted(
        &mut self,
        written: &str,
        x: f64,
        cell: Cell<'_>,
        format: NumberFormat,
    ) -> Result<f64, String> {
        if written == self.own {
            return Ok(x);
        }
        if !self.met.contains_key(written) {
            if self.met.len() >= MET_MAX {
                self.met.clear();
            }
            let unit = if written.is_empty() { "1" } else { written };
            let column = NumberColumn { unit: unit.to_owned(), ..self.column.clone() };
            let conversion = column.conversion(&self.own).map_err(|why| self.refusal(&why))?;
            self.met.insert(written.to_owned(), conversion);
        }
        match self.met.get(written) {
            Some(Some(conversion)) => {
                let digits = cell.decimal(format).or_else(|| Decimal::try_from(x).ok());
                Ok(digits.map_or(f64::INFINITY, |digits| conversion.apply(&digits)))
            }
            Some(None) | None => Ok(x),
        }
    }

    /// Says why there is no way to the signal's unit. What a cell has between braces may be anything, and is not repeated.
    fn refusal(&self, why: &NoConversion) -> String {
        let own = &self.own;
        let why = match why {
            NoConversion::NotAUnit(_) => "what stands there is no known unit".to_owned(),
            NoConversion::NotComparable(
                why @ (NotComparable::Kinds { .. }
                | NotComparable::MolarMassNeeded
                | NotComparable::ValenceNeeded
                | NotComparable::ValenceAndMolarMassNeeded),
            ) => why.to_string(),
            NoConversion::NotComparable(NotComparable::Annotations { .. } | NotComparable::Share(_)) => {
                "one counts something else than the other".to_owned()
            }
            NoConversion::NotComparable(NotComparable::Divisors { .. }) => {
                "they are by different things".to_owned()
            }
        };
        format!("expected a unit that is comparable with the signal's {own:?}: {why}")
    }
}

/// Within it, sums and grids stay finite.
const BOUND_MAX: f64 = 1e100;

/// More units than a signal is written in; a table in which they all differ costs time and no memory.
const MET_MAX: usize = 1000;
