//! Tells a last line of totals from a patient.

use crate::table::text::trimmed;

/// What a line of totals is compared with: the lines before it.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Identifiers so far, and how many of them have a digit.
    identifiers: u64,
    with_digit: u64,
    /// Lines so far that begin as totals do: if there are many, patients are called that.
    labelled: u64,
    /// The first line that begins with a word for nothing else than totals, and how many do.
    subtotals: Option<(u64, u64)>,
    columns: Vec<Column>,
    /// The line that was met last, which is none of the above yet.
    last: Option<Last>,
}

/// A column of numbers so far.
#[derive(Debug, Clone, Copy)]
struct Column {
    values: u32,
    sum: f64,
    low: f64,
    high: f64,
}

/// A line as far as it tells whether it is one of totals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Suspect<'a> {
    pub(crate) line: u64,
    /// The first cell's text that is not empty.
    pub(crate) first: Option<&'a str>,
    /// The cell that identifies the patient, if there is one.
    pub(crate) identifier: Option<&'a str>,
    /// The numbers of all columns of numbers.
    pub(crate) numbers: &'a [Option<f64>],
}

/// What is kept of the line that may be the last.
#[derive(Debug, Default)]
struct Last {
    line: u64,
    /// Whether it begins with a word for totals, and whether with one that stands for nothing else.
    is_labelled: bool,
    is_total: bool,
    has_digit: bool,
    /// Whether the identifier is there, without a digit.
    is_foreign: bool,
    numbers: Vec<Option<f64>>,
}

impl Totals {
    /// Meets the next line, before which the one that was met last is a patient's.
    pub(crate) fn meet(&mut self, suspect: Suspect<'_>) {
        self.add_last();
        let last = self.last.get_or_insert_default();
        last.line = suspect.line;
        last.is_labelled = suspect.labels().any(|label| is_word_of_totals(label, SHORT_WORDS));
        last.is_total = last.is_labelled && suspect.labels().any(|label| is_word_of_totals(label, &[]));
        last.has_digit = suspect.identifier.is_some_and(has_digit);
        last.is_foreign = suspect.identifier.is_some_and(|id| !id.is_empty() && !has_digit(id));
        last.numbers.clear();
        last.numbers.extend_from_slice(suspect.numbers);
    }

    /// Says why the line that was met last is one of totals, if it is.
    pub(crate) fn betray(&self) -> Option<&'static str> {
        let last = self.last.as_ref()?;
        if last.is_labelled && self.labelled <= LABELLED_MAX {
            return Some("begins with a word for totals");
        }
        if last.is_foreign && self.with_digit == self.identifiers && self.identifiers > 1 {
            return Some("has an identifier without a digit, and all others have one");
        }
        if self.adds_up(&last.numbers) {
            return Some("holds the sums of the lines above it");
        }
        if self.is_mean(&last.numbers) {
            return Some("holds the means of the lines above it");
        }
        None
    }

    /// Returns the line that was met last.
    pub(crate) fn last_line(&self) -> Option<u64> {
        self.last.as_ref().map(|last| last.line)
    }

    /// Returns a line of totals among those of patients, the last one too, if there are few.
    pub(crate) fn subtotals(mut self) -> Option<u64> {
        self.add_last();
        self.subtotals.filter(|(_, count)| *count <= LABELLED_MAX).map(|(line, _)| line)
    }

    /// Remembers the line that was met last as a patient's.
    fn add_last(&mut self) {
        let Some(last) = &self.last else { return };
        self.identifiers += 1;
        self.with_digit += u64::from(last.has_digit);
        self.labelled += u64::from(last.is_labelled);
        if last.is_total {
            let (first, count) = self.subtotals.unwrap_or((last.line, 0));
            self.subtotals = Some((first, count + 1));
        }
        let none = Column { values: 0, sum: 0.0, low: f64::INFINITY, high: f64::NEG_INFINITY };
        self.columns.resize(last.numbers.len(), none);
        for (column, number) in self.columns.iter_mut().zip(&last.numbers) {
            if let Some(x) = number {
                column.values += 1;
                column.sum += x;
                column.low = column.low.min(*x);
                column.high = column.high.max(*x);
            }
        }
    }

    /// Says whether every number is the mean of those above it, in two columns or more that are not constant: one patient may have
    /// the mean of one by chance.
    fn is_mean(&self, numbers: &[Option<f64>]) -> bool {
        let both = self.columns.iter().zip(numbers).filter_map(|(column, number)| Some((column, (*number)?)));
        let varied = both.filter(|(column, _)| column.values >= VALUES_MIN && column.low < column.high);
        let are_means = varied.map(|(column, x)| {
            let mean = column.sum / f64::from(column.values);
            (x - mean).abs() <= ROUNDING * mean.abs().max(1.0)
        });
        let (means, others): (Vec<bool>, Vec<bool>) = are_means.partition(|&is_mean| is_mean);
        means.len() >= 2 && others.is_empty()
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

impl<'a> Suspect<'a> {
    /// Where a line of totals says what it is.
    fn labels(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.first.into_iter().chain(self.identifier)
    }
}

fn has_digit(text: &str) -> bool {
    text.chars().any(char::is_numeric)
}

/// Says whether a cell is a label of totals: it begins or ends with a word that stands for nothing else, or has none but
/// `short` ones and numbers.
fn is_word_of_totals(cell: &str, short: &[&str]) -> bool {
    // One word with a digit in it, as most identifiers are, is none of those below.
    if cell.bytes().all(|b| b.is_ascii_alphanumeric()) && cell.bytes().any(|b| b.is_ascii_digit()) {
        return false;
    }
    let small = trimmed(cell).to_lowercase();
    if small.chars().count() > LABEL_LETTERS_MAX {
        return false;
    }
    let words: Vec<&str> =
        small.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let is = |list: &[&str], word: Option<&&str>| word.is_some_and(|word| list.contains(word));
    if is(WORDS, words.first()) || is(WORDS, words.last()) {
        return true;
    }
    let is_number = |word: &str| word.bytes().all(|b| b.is_ascii_digit());
    let is_share = !short.is_empty() && small.ends_with('%') && words.iter().all(|word| is_number(word));
    let are_all = words.iter().all(|word| short.contains(word) || is_number(word));
    is_share && !words.is_empty() || are_all && words.iter().any(|word| !is_number(word))
}

/// So many lines may be called as totals are; where there are more, patients are.
const LABELLED_MAX: u64 = 3;

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
    "sumas",
    "media",
    "promedio",
    "moyen",
    "overall",
];

/// Words that stand for totals where nothing else stands beside them; alone in a name they may be anything.
const SHORT_WORDS: &[&str] = &[
    "n",
    "all",
    "patients",
    "cases",
    "rows",
    "records",
    "std",
    "sd",
    "se",
    "sem",
    "dev",
    "deviation",
    "standard",
    "error",
    "min",
    "max",
    "minimum",
    "maximum",
    "range",
    "iqr",
    "ci",
    "of",
    "the",
    "mw",
    "mittel",
    "alle",
    "patienten",
    "tous",
    "todos",
    "tutti",
    "freq",
    "unique",
    "top",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(lines: &[(&str, f64)], last: (&str, f64)) -> Option<&'static str> {
        let mut totals = Totals::default();
        for &(id, x) in lines.iter().chain([&last]) {
            totals.meet(Suspect { line: 1, first: Some(id), identifier: Some(id), numbers: &[Some(x)] });
        }
        totals.betray()
    }

    #[test]
    fn totals_are_known_by_word_by_identifier_and_by_sum() {
        let five = [("p1", 1.5), ("p2", 2.5), ("p3", 3.0), ("p4", 4.0), ("p5", 5.0)];
        for id in ["Total", "SUMME:", "Mean (n=5)", "-- count --", "\u{2211} total"] {
            assert_eq!(reason(&five, (id, 3.0)), Some("begins with a word for totals"), "{id}");
        }
        for id in ["SD", "Std. Dev.", "n = 60", "25%", "All patients", "2024 total", "Overall", "Max"] {
            assert_eq!(reason(&five, (id, 3.0)), Some("begins with a word for totals"), "{id}");
        }
        assert!(reason(&five, ("everybody", 3.0)).is_some_and(|why| why.contains("without a digit")));
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
        assert_eq!(reason(&five, ("p6", 3.2)), None, "the mean of one column is a value like others");
        let numbered = [("N 1", 1.5), ("N 2", 2.5), ("N 3", 3.0), ("N 4", 4.0), ("N 5", 5.0)];
        assert_eq!(reason(&numbered, ("N 6", 2.0)), None, "all are called that");
    }
}
