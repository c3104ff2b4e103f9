//! A piece of one column whose values are typed: what sources that are no text lend their cells from.

use crate::table::row::Cell;
use crate::table::text::trimmed;

/// The values of some rows that follow each other.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) values: Values,
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
    pub(crate) fn new(values: Values) -> Self {
        Self { values, places: Vec::new() }
    }

    /// Lets go of all values.
    pub(crate) fn clear(&mut self) {
        self.places.clear();
        match &mut self.values {
            Values::Numbers(numbers) => numbers.clear(),
            Values::Wholes(wholes) => wholes.clear(),
            Values::Flags(flags) => flags.clear(),
            Values::Texts(texts) | Values::Digits(texts) => {
                texts.letters.clear();
                texts.ends.clear();
            }
        }
    }

    /// Says which rows have one of the values.
    pub(crate) fn place(&mut self, have_values: impl Iterator<Item = bool>) {
        let mut next = 0;
        self.places.extend(have_values.map(|has_value| {
            let place = has_value.then_some(next);
            next += u32::from(has_value);
            place
        }));
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
