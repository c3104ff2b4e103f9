//! How a schema reads cells: letters that were lost, numbers, and what means missing.

use crate::table::code::Code;
use crate::table::digits::NumberFormat;
use crate::table::row::Cell;
use crate::table::schema::TableSchema;
use crate::table::text::{Encoding, trimmed};

/// What a schema says of all of its columns.
pub(crate) struct Reading {
    pub(crate) format: NumberFormat,
    encoding: String,
    pub(crate) missing: Missing,
}

/// What texts mean missing; in a column of numbers, they do as numbers.
pub(crate) struct Missing {
    pub(crate) texts: Vec<String>,
    pub(crate) codes: Vec<Code>,
    numbers: Vec<f64>,
    /// Whether a text here is a number in the table's format, and not the same one as in a schema.
    pub(crate) has_other_numbers: bool,
}

impl Reading {
    pub(crate) fn new(schema: &TableSchema) -> Self {
        Self::of(schema.numbers(), schema.encoding, &schema.missing)
    }

    /// Reads numbers in this format, of a text in this encoding, in which `missing` is no value.
    pub(crate) fn of(format: NumberFormat, encoding: Encoding, missing: &[String]) -> Self {
        Self { format, encoding: encoding.to_string(), missing: Missing::new(missing, format) }
    }

    /// Refuses a cell that is used and whose letters were lost.
    pub(crate) fn check_letters(&self, column: &str, cell: Cell<'_>) -> Result<(), String> {
        if cell.is_lost() {
            return Err(format!(
                "column {column:?}: holds a byte that is no letter in {}; name the table's encoding in the schema, as in \
                 encoding = \"latin-1\"",
                self.encoding
            ));
        }
        Ok(())
    }

    /// Says what was expected in a column, and never what stands there.
    pub(crate) fn refusal(&self, column: &str, cell: Cell<'_>, expected: &str) -> String {
        let has_comma = match cell {
            Cell::Text(text) => text.contains(',') && NumberFormat::COMMA.number(text).is_some(),
            Cell::Digits(_) | Cell::Number(_) | Cell::Whole(_) => false,
        };
        let comma = self.format == NumberFormat::PLAIN && has_comma;
        let hint = if comma { "; numbers with a comma: decimal = \",\" in the schema" } else { "" };
        format!("column {column:?}: expected {expected}{hint}")
    }

    /// Says whether a cell means missing, whose number this is if it is one.
    pub(crate) fn is_missing(&self, cell: Cell<'_>, number: Option<f64>) -> bool {
        self.missing.is_text(cell) || number.is_some_and(|x| self.missing.is_number(x))
    }
}

impl Missing {
    pub(crate) fn new(texts: &[String], format: NumberFormat) -> Self {
        let is_other = |text: &String| {
            let plain = NumberFormat::PLAIN.number(text).map(f64::to_bits);
            format.number(trimmed(text)).is_some_and(|x| plain != Some(x.to_bits()))
        };
        Self {
            has_other_numbers: texts.iter().any(is_other),
            texts: texts.iter().map(|text| trimmed(text).to_owned()).collect(),
            codes: texts.iter().map(|text| Code::new(text, NumberFormat::PLAIN)).collect(),
            numbers: texts.iter().filter_map(|text| NumberFormat::PLAIN.number(text)).collect(),
        }
    }

    pub(crate) fn is_number(&self, x: f64) -> bool {
        self.numbers.iter().any(|&missing| same(missing, x))
    }

    pub(crate) fn is_text(&self, cell: Cell<'_>) -> bool {
        match cell {
            Cell::Text(text) | Cell::Digits(text) => self.texts.iter().any(|missing| missing == text),
            Cell::Number(_) | Cell::Whole(_) => false,
        }
    }

    /// Says whether a cell is one of these, as a code or as a number.
    pub(crate) fn is_met(&self, cell: Cell<'_>, format: NumberFormat) -> bool {
        if self.texts.is_empty() {
            return false;
        }
        let mut room = String::new();
        let written = cell.code(format, &mut room);
        self.codes.iter().any(|code| code.is(written))
            || cell.number(format).is_some_and(|x| self.is_number(x))
    }
}

#[expect(clippy::float_cmp, reason = "sentinels are exact, not measured")]
pub(crate) fn same(a: f64, b: f64) -> bool {
    a == b
}
