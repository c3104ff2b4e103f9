//! Codes of categories and outcomes: two spellings of one number, and of one letter, are one code.

use unicode_normalization::UnicodeNormalization;

use crate::table::digits::{Digits, NumberFormat};
use crate::table::text::trimmed;

/// A code of a schema, in the one form in which it is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Code {
    text: String,
    /// The number that it is, if it is a whole one of 64 bits.
    whole: Option<i64>,
}

/// A text, or a whole number, as codes are compared with it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Written<'t> {
    /// A number, whose spelling does not matter.
    Number(Digits<'t>),
    /// A whole number.
    Whole(i64),
    /// A text of ASCII alone, of which there is one form.
    Ascii(&'t str),
    /// Any other text.
    Text(&'t str),
}

impl Code {
    /// Reads a code from a schema or, in the table's own format, from a cell.
    pub(crate) fn new(text: &str, format: NumberFormat) -> Self {
        let text = match Written::new(text, format) {
            Written::Number(digits) => digits.to_string(),
            Written::Whole(whole) => whole.to_string(),
            Written::Ascii(text) => text.to_owned(),
            Written::Text(text) => text.nfc().collect(),
        };
        Self { whole: text.parse().ok(), text }
    }

    /// Says whether something is written that means this code.
    pub(crate) fn is(&self, written: Written<'_>) -> bool {
        match written {
            Written::Number(digits) => digits.are_written(&self.text),
            Written::Whole(whole) => self.whole == Some(whole),
            Written::Ascii(text) => self.text == text,
            Written::Text(text) => text.nfc().eq(self.text.chars()),
        }
    }
}

impl<'t> Written<'t> {
    /// Reads a text. A code has no groups: `1.234` is another one than `1234`, whatever stands between thousands.
    pub(crate) fn new(text: &'t str, format: NumberFormat) -> Self {
        let text = trimmed(text);
        match format.digits(text) {
            Some(digits) => Self::Number(digits),
            None if text.is_ascii() => Self::Ascii(text),
            None => Self::Text(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::table::digits::{DecimalSign, ThousandsSign};

    const GERMAN: NumberFormat =
        NumberFormat { decimal: DecimalSign::Comma, thousands: Some(ThousandsSign::Point) };

    #[test]
    fn one_number_is_one_code_however_it_is_written() {
        let code = |text: &str| Code::new(text, NumberFormat::PLAIN);
        for (a, b) in
            [("1", "01"), ("1", "1.0"), ("1", "+1."), ("-9", "-9.00"), ("0", "-0.0"), ("1.5", "01.50")]
        {
            assert_eq!(code(a), code(b));
        }
        // SNOMED's codes have more digits than a floating-point number.
        assert_ne!(code("900000000000207008"), code("900000000000207009"));
        for (a, b) in [("1", "-1"), ("1e1", "10"), ("a", "A"), ("10", "1")] {
            assert_ne!(code(a), code(b));
        }
        assert_eq!(Code::new("1,0", GERMAN), code("1"));
        assert_ne!(Code::new("1.234", GERMAN), code("1234"));
        assert_eq!(code("Ko\u{308}ln"), code("K\u{f6}ln"));
    }

    #[test]
    fn whole_numbers_are_the_codes_of_their_digits() {
        let code = |text: &str| Code::new(text, NumberFormat::PLAIN);
        for (text, whole, same) in [
            ("1", 1, true),
            ("01.0", 1, true),
            ("-0", 0, true),
            ("-9.0", -9, true),
            ("900000000000207009", 900_000_000_000_207_009, true),
            ("900000000000207009", 900_000_000_000_207_008, false),
            ("1.5", 1, false),
            ("a", 0, false),
        ] {
            assert_eq!(code(text).is(Written::Whole(whole)), same, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_code_is_what_is_written_if_both_have_one_form(
            a in "[-+0-9.,aBK\u{e4}\u{308}\u{212a}]{0,5}",
            b in "[-+0-9.,aBK\u{e4}\u{308}\u{212a}]{0,5}",
            comma: bool,
        ) {
            let format = if comma { GERMAN } else { NumberFormat::PLAIN };
            let code = Code::new(&a, NumberFormat::PLAIN);
            for text in [a, b] {
                prop_assert_eq!(code.is(Written::new(&text, format)), code == Code::new(&text, format));
            }
        }
    }
}
