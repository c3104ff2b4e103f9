//! Tells a last line of totals from a patient.

use crate::text::trimmed;

/// What a line of totals is compared with: the lines before it.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Identifiers so far, and how many of them have a digit.
    identifiers: u64,
    with_digit: u64,
    columns: Vec<Column>,
}

/// A column of numbers so far.
#[derive(Debug, Clone, Copy)]
struct Column {
    values: u32,
    sum: f64,
    high: f64,
}

/// A line as far as it tells whether it is one of totals.
pub(crate) struct Suspect<'a> {
    pub(crate) cells: &'a [String],
    /// The cell that identifies the patient, if there is one.
    pub(crate) identifier: Option<&'a str>,
    /// The numbers of all columns of numbers.
    pub(crate) numbers: Vec<Option<f64>>,
}

impl Totals {
    /// Says why the last line is one of totals, if it is.
    pub(crate) fn betray(&self, last: &Suspect<'_>) -> Option<&'static str> {
        let first = last.cells.iter().map(String::as_str).find(|cell| !cell.is_empty());
        if first.into_iter().chain(last.identifier).any(is_word_of_totals) {
            return Some("begins with a word for totals");
        }
        let foreign = |id: &str| !id.is_empty() && !has_digit(id);
        if last.identifier.is_some_and(foreign) && self.with_digit == self.identifiers && self.identifiers > 1
        {
            return Some("has an identifier without a digit, and all others have one");
        }
        if self.adds_up(&last.numbers) {
            return Some("holds the sums of the lines above it");
        }
        None
    }

    /// Remembers a patient's line.
    pub(crate) fn add(&mut self, line: &Suspect<'_>) {
        self.identifiers += 1;
        self.with_digit += u64::from(line.identifier.is_some_and(has_digit));
        self.columns.resize(line.numbers.len(), Column { values: 0, sum: 0.0, high: f64::NEG_INFINITY });
        for (column, number) in self.columns.iter_mut().zip(&line.numbers) {
            if let Some(x) = number {
                column.values += 1;
                column.sum += x;
                column.high = column.high.max(*x);
            }
        }
    }

    /// Says whether every number is the sum of those above it, and larger than each of them.
    fn adds_up(&self, numbers: &[Option<f64>]) -> bool {
        let both = self.columns.iter().zip(numbers).filter_map(|(column, number)| Some((column, (*number)?)));
        let mut columns = both.filter(|(column, _)| column.values >= VALUES_MIN).peekable();
        columns.peek().is_some()
            && columns.all(|(column, x)| {
                x > column.high && (x - column.sum).abs() <= ROUNDING * column.sum.abs().max(1.0)
            })
    }
}

fn has_digit(text: &str) -> bool {
    text.chars().any(char::is_numeric)
}

fn is_word_of_totals(cell: &str) -> bool {
    let mut words = cell.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let is_label = trimmed(cell).chars().count() <= LABEL_LETTERS_MAX;
    is_label && words.next().is_some_and(|word| WORDS.contains(&word.to_lowercase().as_str()))
}

/// Fewer values can add up by chance.
const VALUES_MIN: u32 = 5;

/// What sums in a spreadsheet lose.
const ROUNDING: f64 = 1e-6;

/// A label, not a sentence in a note.
const LABEL_LETTERS_MAX: usize = 24;

/// What spreadsheets and databases write in front of totals, in the languages of the hospitals that we know of.
const WORDS: &[&str] = &[
    "total",
    "totals",
    "totale",
    "totaal",
    "sum",
    "sums",
    "summe",
    "summen",
    "somme",
    "suma",
    "soma",
    "somma",
    "gesamt",
    "gesamtsumme",
    "insgesamt",
    "subtotal",
    "mean",
    "average",
    "avg",
    "median",
    "mittelwert",
    "durchschnitt",
    "moyenne",
    "gemiddelde",
    "count",
    "anzahl",
    "nombre",
    "stdev",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(lines: &[(&str, f64)], last: (&str, f64)) -> Option<&'static str> {
        let mut totals = Totals::default();
        let cells = |(id, x): (&str, f64)| [id.to_owned(), x.to_string()];
        for &line in lines {
            let cells = cells(line);
            totals.add(&Suspect { cells: &cells, identifier: Some(line.0), numbers: vec![Some(line.1)] });
        }
        let cells = cells(last);
        totals.betray(&Suspect { cells: &cells, identifier: Some(last.0), numbers: vec![Some(last.1)] })
    }

    #[test]
    fn totals_are_known_by_word_by_identifier_and_by_sum() {
        let five = [("p1", 1.5), ("p2", 2.5), ("p3", 3.0), ("p4", 4.0), ("p5", 5.0)];
        for id in ["Total", "SUMME:", "Mean (n=5)", "-- count --", "\u{2211} total"] {
            assert_eq!(reason(&five, (id, 3.0)), Some("begins with a word for totals"), "{id}");
        }
        assert!(reason(&five, ("all", 3.0)).is_some_and(|why| why.contains("without a digit")));
        assert!(reason(&five, ("p6", 16.0)).is_some_and(|why| why.contains("sums")));
    }

    #[test]
    fn patients_are_not_taken_for_totals() {
        let five = [("p1", 1.5), ("p2", 2.5), ("p3", 3.0), ("p4", 4.0), ("p5", 5.0)];
        assert_eq!(reason(&five, ("p6", 4.5)), None);
        assert_eq!(reason(&[("a", 1.0), ("b", 2.0)], ("c", 3.0)), None, "letters name everybody");
        assert_eq!(reason(&five[..2], ("p3", 4.0)), None, "two values may add up by chance");
        let none = [("p1", 0.0), ("p2", 0.0), ("p3", 0.0), ("p4", 0.0), ("p5", 0.0)];
        assert_eq!(reason(&none, ("p6", 0.0)), None, "a constant column");
        assert_eq!(reason(&five, ("n17", 2.0)), None, "a letter before a number");
    }
}
