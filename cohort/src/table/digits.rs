//! Numbers as tables write them: signs, groups and codes.

use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

use crate::table::text::{is_unseen, trimmed};

/// How the numbers of a table are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NumberFormat {
    pub(crate) decimal: DecimalSign,
    pub(crate) thousands: Option<ThousandsSign>,
}

/// What stands before a number's fraction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum DecimalSign {
    /// `36.6`
    #[default]
    #[serde(rename = ".")]
    Point,
    /// `36,6`
    #[serde(rename = ",")]
    Comma,
}

/// What stands between groups of three digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum ThousandsSign {
    /// `43,832`
    #[serde(rename = ",")]
    Comma,
    /// `43.832`
    #[serde(rename = ".")]
    Point,
    /// `43 832`, with a blank of any width
    #[serde(rename = " ")]
    Blank,
    /// `43'832`
    #[serde(rename = "'")]
    Apostrophe,
}

impl NumberFormat {
    /// How this project writes numbers, in schemas and for invented patients.
    pub(crate) const PLAIN: Self = Self { decimal: DecimalSign::Point, thousands: None };

    /// As [`Self::PLAIN`], but with a comma.
    pub(crate) const COMMA: Self = Self { decimal: DecimalSign::Comma, thousands: None };

    /// Says whether the two signs can be told apart.
    pub(crate) fn is_clear(self) -> bool {
        !matches!(
            (self.decimal, self.thousands),
            (DecimalSign::Point, Some(ThousandsSign::Point))
                | (DecimalSign::Comma, Some(ThousandsSign::Comma))
        )
    }

    /// Reads a finite number; nothing if the text is none in this format.
    pub(crate) fn number(self, text: &str) -> Option<f64> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (text, None),
        };
        let mut plain = self.plain(mantissa)?;
        if let Some(exponent) = exponent {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if !is_digits(digits) {
                return None;
            }
            plain.push('e');
            plain.push_str(exponent);
        }
        plain.parse().ok().filter(|x: &f64| x.is_finite())
    }

    /// Writes a number without an exponent in one form: `01`, `1.0` and `+1` are `1`. Exact, however many digits.
    pub(crate) fn canonical(self, text: &str) -> Option<String> {
        let plain = self.plain(text)?;
        let (sign, digits) = plain.strip_prefix('-').map_or(("", plain.as_str()), |digits| ("-", digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let whole = if whole.is_empty() { "0" } else { whole };
        Some(match (whole, fraction) {
            ("0", "") => "0".to_owned(),
            (whole, "") => format!("{sign}{whole}"),
            (whole, fraction) => format!("{sign}{whole}.{fraction}"),
        })
    }

    /// Rewrites a number without an exponent with a point and without groups.
    fn plain(self, text: &str) -> Option<String> {
        let (sign, rest) = match text.strip_prefix(['-', '\u{2212}']) {
            Some(rest) => ("-", rest),
            None => ("", text.strip_prefix('+').unwrap_or(text)),
        };
        let decimal = match self.decimal {
            DecimalSign::Point => '.',
            DecimalSign::Comma => ',',
        };
        let (whole, fraction) = rest.split_once(decimal).unwrap_or((rest, ""));
        let whole = self.ungrouped(whole)?;
        let all_digits = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
        if !all_digits || whole.len() + fraction.len() == 0 {
            return None;
        }
        let point = if fraction.is_empty() { "" } else { "." };
        Some(format!("{sign}{whole}{point}{fraction}"))
    }

    /// Joins groups of digits, of which all but the first have three, and the first does not begin with 0: `0,123` is a
    /// fraction in another format.
    fn ungrouped(self, whole: &str) -> Option<String> {
        let Some(sign) = self.thousands else { return Some(whole.to_owned()) };
        let between = |c: char| match sign {
            ThousandsSign::Comma => c == ',',
            ThousandsSign::Point => c == '.',
            ThousandsSign::Blank => is_unseen(c),
            ThousandsSign::Apostrophe => matches!(c, '\'' | '\u{2019}'),
        };
        let mut groups = whole.split(between);
        let first = groups.next()?;
        let mut joined = first.to_owned();
        for group in groups {
            if group.len() != 3 || !(1..=3).contains(&first.len()) || first.starts_with('0') {
                return None;
            }
            joined.push_str(group);
        }
        Some(joined)
    }
}

/// A code of a category or an outcome; two spellings of one number, and of one letter, are one code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Code(String);

impl Code {
    /// Reads a code from a schema or, in the table's own format, from a cell. A code has no groups: `1.234` is another one than
    /// `1234`, whatever stands between thousands.
    pub(crate) fn new(text: &str, format: NumberFormat) -> Self {
        let (text, format) = (trimmed(text), NumberFormat { thousands: None, ..format });
        Self(format.canonical(text).unwrap_or_else(|| text.nfc().collect()))
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GERMAN: NumberFormat =
        NumberFormat { decimal: DecimalSign::Comma, thousands: Some(ThousandsSign::Point) };
    const SWISS: NumberFormat =
        NumberFormat { decimal: DecimalSign::Point, thousands: Some(ThousandsSign::Apostrophe) };
    const FRENCH: NumberFormat =
        NumberFormat { decimal: DecimalSign::Comma, thousands: Some(ThousandsSign::Blank) };

    #[test]
    fn numbers_are_read_in_the_declared_format_and_in_no_other() {
        let plain = NumberFormat::PLAIN;
        for (format, text, expected) in [
            (plain, "36.6", Some(36.6)),
            (plain, "+7", Some(7.0)),
            (plain, "\u{2212}0.5", Some(-0.5)),
            (plain, ".5", Some(0.5)),
            (plain, "5.", Some(5.0)),
            (plain, "1.5e3", Some(1500.0)),
            (plain, "36,6", None),
            (plain, "1,234", None),
            (plain, "1e400", None),
            (GERMAN, "36,6", Some(36.6)),
            (GERMAN, "-43.832,25", Some(-43_832.25)),
            (GERMAN, "1.234.567", Some(1_234_567.0)),
            (GERMAN, "36.6", None),
            (GERMAN, "1234.567", None),
            (GERMAN, "43832", Some(43_832.0)),
            (SWISS, "43'832.5", Some(43_832.5)),
            (SWISS, "43\u{2019}832", Some(43_832.0)),
            (FRENCH, "43\u{202f}832,5", Some(43_832.5)),
            (FRENCH, "43 83", None),
            (SWISS, "0'123", None),
            (GERMAN, "-0.500", None),
            (GERMAN, "012.345", None),
            (GERMAN, "0,500", Some(0.5)),
        ] {
            assert_eq!(format.number(text), expected, "{text}");
        }
        for text in
            ["", "-", ".", "+-1", "nan", "inf", "Infinity", "0x10", "1_000", "1 000", "1e", "e5", "12a", "٣"]
        {
            assert_eq!(plain.number(text), None, "{text}");
        }
    }

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
}
