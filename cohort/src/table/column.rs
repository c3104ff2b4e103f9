//! A piece of one column whose values are typed: what sources that are no text lend their cells from.

use crate::table::row::Cell;
use crate::table::text::trimmed;

/// The values of some rows that follow each other.
#[derive(Debug)]
pub(crate) struct Column {
    values: Values,
    /// For each row, where its value is; nothing where there is none. Empty if all rows have one.
    places: Vec<Option<u32>>,
}

/// Values of one type.
#[derive(Debug)]
pub(crate) enum Values {
    Numbers(Vec<f64>),
    Wholes(Vec<i64>),
    Flags(Vec<bool>),
    Texts(Letters),
    /// Numbers of any number of digits, with a point.
    Digits(Letters),
}

/// Texts one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Letters {
    letters: String,
    ends: Vec<usize>,
}

impl Column {
    /// Makes a column in which each row has a value.
    pub(crate) fn full(values: Values) -> Self {
        Self { values, places: Vec::new() }
    }

    /// Makes a column in which some rows have a value.
    pub(crate) fn with_gaps(values: Values, have_values: impl Iterator<Item = bool>) -> Self {
        let mut next = 0;
        let place = |has_value: bool| {
            let place = has_value.then_some(next);
            next += u32::from(has_value);
            place
        };
        Self { values, places: have_values.map(place).collect() }
    }

    /// Returns what the `nth` row has.
    #[inline]
    pub(crate) fn cell(&self, nth: usize) -> Cell<'_> {
        let nth = match self.places.get(nth) {
            Some(Some(place)) => *place as usize,
            Some(None) => return Cell::NOTHING,
            None => nth,
        };
        match &self.values {
            Values::Numbers(numbers) => number(numbers[nth]),
            Values::Wholes(wholes) => Cell::Whole(wholes[nth]),
            Values::Flags(flags) => Cell::Text(if flags[nth] { "true" } else { "false" }),
            Values::Texts(texts) => Cell::Text(trimmed(texts.get(nth))),
            Values::Digits(digits) => Cell::Digits(digits.get(nth)),
        }
    }
}

impl Letters {
    /// Adds a text.
    pub(crate) fn add(&mut self, text: &str) {
        self.letters.push_str(text);
        self.ends.push(self.letters.len());
    }

    fn get(&self, nth: usize) -> &str {
        let start = nth.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.letters[start..self.ends[nth]]
    }
}

/// A number is a number; what is none is a text, which a schema may call missing.
fn number(x: f64) -> Cell<'static> {
    if x.is_finite() {
        return Cell::Number(x);
    }
    Cell::Text(match (x.is_nan(), x > 0.0) {
        (true, _) => "NaN",
        (false, true) => "inf",
        (false, false) => "-inf",
    })
}
