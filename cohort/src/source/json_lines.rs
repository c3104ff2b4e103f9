//! A table of JSON lines: one object a line, whose keys are the columns.
//!
//! The schema and all that goes by it are those of tables of cells. A number is read as it is written, to the last digit; no
//! key and null are the same, and missing in every column.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::declared::Declared;
use crate::description::Description;
use crate::error::CohortError;
use crate::paths::beside;
use crate::reader::rows::{RowReader, RowSource};
use crate::split::pattern::PatientPattern;
use crate::table::row::{Row, Rows, Texts};
use crate::table::schema::TableSchema;
use crate::table::sheet::Sheet;
use crate::table::stream::Stream;
use crate::table::text::{Encoding, is_lost, trimmed};

/// A table in a file of JSON lines.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonLinesSource {
    /// The table, in UTF-8.
    pub file: PathBuf,
    /// The schema file, which several cohorts may share. What it says of delimiters, quotes, encoding and a header is for
    /// tables of cells, and its decimal and thousands signs are for numbers that are written as strings.
    pub schema: PathBuf,
    /// Which part of an identifier is the patient; without it, all of it.
    pub patient: Option<PatientPattern>,
}

impl JsonLinesSource {
    /// Reads the schema, and no line.
    pub(crate) fn reader(self, description: &mut Description) -> Result<RowReader<Self>, CohortError> {
        let schema =
            description.read::<TableSchema>(&self.schema)?.with_nothing(&self.schema, "JSON lines")?;
        Ok(RowReader { source: self, schema })
    }
}

impl RowSource for JsonLinesSource {
    fn open(&self, declared: &Declared, schema: &TableSchema) -> Result<Sheet, CohortError> {
        let file = beside(&declared.cohort_file, &self.file);
        Ok(sheet(Stream::open(&file, Encoding::default())?, schema))
    }

    fn files(&self, cohort_file: &Path) -> Vec<PathBuf> {
        vec![beside(cohort_file, &self.file), beside(cohort_file, &self.schema)]
    }

    fn pattern(&self) -> Option<&PatientPattern> {
        self.patient.as_ref()
    }
}

/// The rows still to come.
struct ObjectRows {
    text: Stream,
    /// Where in the text's window the next line begins.
    at: usize,
    line: u64,
    cells: Cells,
}

/// The cells of one line.
struct Cells {
    /// The schema's columns, the patient's identifier first.
    columns: Vec<String>,
    /// Whether a line had the column, by column.
    met: Vec<bool>,
    has_identifier: bool,
    texts: Texts,
}

/// Reads a text of JSON lines, of which the schema's columns are used.
pub(crate) fn sheet(text: Stream, schema: &TableSchema) -> Sheet {
    let (file, columns) = (text.file().to_owned(), schema.used_columns());
    let cells = Cells {
        columns: columns.clone(),
        met: vec![false; columns.len()],
        has_identifier: schema.patient_id.is_some(),
        texts: Texts::default(),
    };
    Sheet::of_rows(&file, columns, ObjectRows { text, at: 0, line: 0, cells })
}

impl ObjectRows {
    /// Finds the next line, which an editor counts as [`Self::line`], and returns where in the window it is, without its end.
    fn next_line(&mut self) -> Result<Option<Range<usize>>, CohortError> {
        self.line += 1;
        loop {
            let rest = &self.text.window()[self.at..];
            // What ends with the window may go on behind it, or end with a second letter.
            if rest.find(LINE_ENDS).is_none_or(|end| end + 1 == rest.len())
                && self.text.advance(self.at, self.line)?
            {
                self.at = 0;
                continue;
            }
            let rest = &self.text.window()[self.at..];
            if rest.is_empty() {
                return Ok(None);
            }
            let end = rest.find(LINE_ENDS).unwrap_or(rest.len());
            let end_bytes = if rest[end..].starts_with("\r\n") { 2 } else { usize::from(end < rest.len()) };
            let line = self.at..self.at + end;
            self.at += end + end_bytes;
            return Ok(Some(line));
        }
    }

    /// Refuses a table in which no line has some column: one that is called otherwise would be missing everywhere.
    fn check_met(&mut self) -> Option<CohortError> {
        let Cells { columns, met, .. } = &mut self.cells;
        let never = met.iter().position(|met| !met)?;
        let is_empty = !met.contains(&true);
        // Said once.
        met.fill(true);
        let column = &columns[never];
        (!is_empty).then(|| {
            let message = format!(
                "has no line with a key {column:?}: another name? If nobody has it, write it with null in one line"
            );
            CohortError::file(self.text.file(), message)
        })
    }
}

impl Rows for ObjectRows {
    fn advance(&mut self) -> Result<bool, CohortError> {
        loop {
            let Some(line) = self.next_line()? else {
                return self.check_met().map_or(Ok(false), Err);
            };
            let line = &self.text.window()[line];
            if !trimmed(line).is_empty() {
                let refuse = |message| CohortError::table(self.text.file(), self.line, message);
                return self.cells.read(line).map(|()| true).map_err(refuse);
            }
        }
    }

    fn row(&self) -> Row<'_> {
        Row::of_texts(self.line, "", &self.cells.texts)
    }
}

impl Cells {
    /// Reads the cells of one object, in the order of the columns.
    fn read(&mut self, line: &str) -> Result<(), String> {
        if is_lost(line) {
            return Err("holds a byte that is no letter in UTF-8, in which JSON is stored".to_owned());
        }
        let Object(entries) = serde_json::from_str(line).map_err(|error| no_object(line, &error))?;
        self.texts.fill_with_nothing(self.columns.len());
        for (nth, (key, value)) in entries.iter().enumerate() {
            if let Some(first) = entries[..nth].iter().position(|(earlier, _)| earlier == key) {
                let (first, second) = (first + 1, nth + 1);
                return Err(format!(
                    "has one key twice, as its keys {first} and {second}: which one is meant?"
                ));
            }
            if value.get().starts_with(['{', '[']) {
                let nth = nth + 1;
                return Err(format!("has an object or a list as its value {nth}, expected one value a key"));
            }
            let Some(column) = self.columns.iter().position(|column| column == key) else { continue };
            self.met[column] = true;
            if column == 0 && self.has_identifier && is_rounded_number(value.get()) {
                return Err("has an identifier that was written as a number with an exponent, and may have been rounded: \
                            export it as a string"
                    .to_owned());
            }
            self.set(column, value.get()).ok_or_else(|| {
                let column = &self.columns[column];
                format!("column {column:?}: expected a text of whole letters")
            })?;
        }
        Ok(())
    }

    /// Puts a value into its cell; nothing for a string of half letters.
    fn set(&mut self, column: usize, value: &str) -> Option<()> {
        match value.as_bytes().first()? {
            b'"' => {
                let Text(text) = serde_json::from_str(value).ok()?;
                self.texts.set(column, &text, false);
            }
            b'n' => {}
            b't' | b'f' => self.texts.set(column, value, false),
            _ => self.texts.set(column, &without_exponent(value), true),
        }
        Some(())
    }
}

/// Keys, trimmed as a table's columns are, and values as they are written.
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// A string, which is copied only where it is written with escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

/// Keeps all entries: a map would keep the last of those with one key.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some((Text(key), value)) = map.next_entry::<Text<'de>, &RawValue>()? {
            let key = match key {
                Cow::Borrowed(key) => Cow::Borrowed(trimmed(key)),
                Cow::Owned(key) => Cow::Owned(trimmed(&key).to_owned()),
            };
            entries.push((key, value));
        }
        Ok(Object(entries))
    }
}

/// Says what a line is instead of an object; never in the parser's words, which may hold a value.
fn no_object(line: &str, error: &serde_json::Error) -> String {
    if error.is_data() {
        return "is no object, expected one in each line: {\"column\": value, ...}".to_owned();
    }
    let before = line.get(..error.column().saturating_sub(1)).unwrap_or(line);
    format!(
        "is no whole JSON object, as its letter {} shows: expected one in each line",
        before.chars().count() + 1
    )
}

/// Says whether a value is a number with an exponent, in which programs write floating-point numbers that are large.
fn is_rounded_number(value: &str) -> bool {
    value.starts_with(|first: char| first == '-' || first.is_ascii_digit()) && value.contains(['e', 'E'])
}

/// Writes a JSON number with all its digits, as codes are compared; one with an exponent that no measure has stays as it is.
fn without_exponent(number: &str) -> Cow<'_, str> {
    let power =
        |(_, exponent): &(_, &str)| exponent.parse().ok().filter(|power: &i16| power.abs() <= POWER_MAX);
    let parts = number.split_once(['e', 'E']);
    let (Some((mantissa, _)), Some(power)) = (parts, parts.as_ref().and_then(power)) else {
        return Cow::Borrowed(number);
    };
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |digits| ("-", digits));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let shift = usize::from(power.unsigned_abs());
    if power < 0 {
        let whole = format!("{whole:0>width$}", width = shift + 1);
        let (whole, shifted) = whole.split_at(whole.len() - shift);
        return Cow::Owned(format!("{sign}{whole}.{shifted}{fraction}"));
    }
    let fraction = format!("{fraction:0<shift$}");
    let (shifted, fraction) = fraction.split_at(shift);
    let point = if fraction.is_empty() { "" } else { "." };
    Cow::Owned(format!("{sign}{whole}{shifted}{point}{fraction}"))
}

const LINE_ENDS: [char; 2] = ['\n', '\r'];

/// Beyond it, a number in double precision is infinite or 0 whatever its digits.
const POWER_MAX: i16 = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_lose_their_exponent() {
        for (number, expected) in [
            ("1", "1"),
            ("1.0", "1.0"),
            ("1e0", "1"),
            ("1.0e0", "1.0"),
            ("-1.5E+3", "-1500"),
            ("12.345e1", "123.45"),
            ("5e-1", "0.5"),
            ("-123.4e-4", "-0.01234"),
            ("900000000000207009", "900000000000207009"),
            ("1e401", "1e401"),
            ("1e99999", "1e99999"),
        ] {
            assert_eq!(without_exponent(number), expected, "{number}");
        }
    }
}
