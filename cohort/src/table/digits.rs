//! Numbers as tables write them: signs, groups and digits.

use std::fmt;

use fedtwin_units::Decimal;
use serde::Deserialize;

use crate::table::text::is_unseen;

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

    /// Reads a finite number, the nearest to what is written; nothing if the text is none in this format.
    pub(crate) fn number(self, text: &str) -> Option<f64> {
        self.short(text.as_bytes()).or_else(|| self.long(text))
    }

    /// Reads a number of few digits without groups and exponent, as nearly all are; nothing if it is any other, or none.
    ///
    /// Digits and a power of ten that are both exact in double precision have a quotient that is rounded once, and so to the
    /// nearest (Clinger 1990, "How to read floating point numbers accurately", section 4).
    fn short(self, text: &[u8]) -> Option<f64> {
        let (is_negative, unsigned) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if unsigned.len() > SHORT_BYTES_MAX {
            return None;
        }
        let decimal = self.decimal.byte();
        let (mut mantissa, mut point) = (0_u64, None);
        for (at, &byte) in unsigned.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 {
                // Of 19 digits at most: it does not wrap.
                mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            } else if byte == decimal && point.is_none() {
                point = Some(at);
            } else {
                return None;
            }
        }
        let digits = unsigned.len() - usize::from(point.is_some());
        if digits == 0 || mantissa > EXACT_MAX {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "at most 2^53, and so exact")]
        let whole = mantissa as f64;
        let size = point.map_or(whole, |point| whole / POWERS_OF_TEN[digits - point]);
        Some(if is_negative { -size } else { size })
    }

    /// Reads any number.
    fn long(self, text: &str) -> Option<f64> {
        self.unsigned(text)?;
        let is_plain = self.decimal == DecimalSign::Point && is_plain(text.as_bytes());
        let number = if is_plain { text.parse() } else { self.point_number(text)?.parse() };
        number.ok().filter(|x: &f64| x.is_finite())
    }

    /// Reads the same number with all its digits; nothing also if they are more than anything measured has.
    pub(crate) fn decimal(self, text: &str) -> Option<Decimal> {
        self.point_number(text)?.parse().ok()
    }

    /// Rewrites a number with a point and without groups.
    fn point_number(self, text: &str) -> Option<String> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (text, None),
        };
        let digits = exponent.map(|exponent| exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
        if !digits.is_none_or(is_digits) {
            return None;
        }
        let mut plain = self.plain(mantissa)?;
        plain.extend(exponent.iter().flat_map(|exponent| ["e", *exponent]));
        Some(plain)
    }

    /// Takes a number without an exponent and without groups apart.
    pub(crate) fn digits(self, text: &str) -> Option<Digits<'_>> {
        let (is_negative, unsigned) = self.unsigned(text)?;
        let decimal = char::from(self.decimal.byte());
        let (whole, fraction) = unsigned.split_once(decimal).unwrap_or((unsigned, ""));
        let all_digits = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
        if !all_digits || whole.len() + fraction.len() == 0 {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let is_zero = whole.is_empty() && fraction.is_empty();
        let whole = if whole.is_empty() { "0" } else { whole };
        Some(Digits { is_negative: is_negative && !is_zero, whole, fraction })
    }

    /// Takes the sign off, and says whether it is a minus. Most of what is no number is none by its first letter.
    fn unsigned(self, text: &str) -> Option<(bool, &str)> {
        let (is_negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            0x80.. => (true, text.strip_prefix('\u{2212}')?),
            _ => (false, text),
        };
        let begins = |first: u8| first.is_ascii_digit() || first == self.decimal.byte();
        unsigned.bytes().next().is_some_and(begins).then_some((is_negative, unsigned))
    }

    /// Rewrites a number without an exponent with a point and without groups.
    fn plain(self, text: &str) -> Option<String> {
        let (is_negative, rest) = self.unsigned(text)?;
        let sign = if is_negative { "-" } else { "" };
        let decimal = char::from(self.decimal.byte());
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

/// A number without an exponent in one form, however it was written and however many digits it has: `01`, `1.0` and `+1` are
/// `1`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Digits<'t> {
    /// Whether it is below 0.
    is_negative: bool,
    /// Without zeros before it, or one zero.
    whole: &'t str,
    /// Without zeros behind it.
    fraction: &'t str,
}

impl Digits<'_> {
    /// Says whether `text` is what [`fmt::Display`] writes.
    pub(crate) fn are_written(self, text: &str) -> bool {
        let unsigned = if self.is_negative { text.strip_prefix('-') } else { Some(text) };
        let rest = unsigned.and_then(|text| text.strip_prefix(self.whole));
        rest.is_some_and(|rest| match rest.strip_prefix('.') {
            Some(fraction) => !fraction.is_empty() && fraction == self.fraction,
            None => rest.is_empty() && self.fraction.is_empty(),
        })
    }
}

impl fmt::Display for Digits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative { "-" } else { "" };
        let point = if self.fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{}{point}{}", self.whole, self.fraction)
    }
}

impl DecimalSign {
    /// Returns the letter.
    fn byte(self) -> u8 {
        match self {
            Self::Point => b'.',
            Self::Comma => b',',
        }
    }
}

/// Says whether a text is digits with at most a sign, a point and an exponent, as the standard library reads them.
fn is_plain(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unsigned = |text: &'_ [u8]| usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let rest = &text[unsigned(text)..];
    let whole = digits(rest);
    let rest = &rest[whole..];
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => (digits(rest), &rest[digits(rest)..]),
        rest => (0, rest),
    };
    let has_digits = whole + fraction > 0;
    match rest {
        [] => has_digits,
        [b'e' | b'E', rest @ ..] => {
            let exponent = &rest[unsigned(rest)..];
            has_digits && !exponent.is_empty() && digits(exponent) == exponent.len()
        }
        _ => false,
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Up to here, whole numbers are exact in double precision: 2^53.
const EXACT_MAX: u64 = 1 << 53;

/// So many digits fit into 64 bits, and a sign for the fraction.
const SHORT_BYTES_MAX: usize = 19;

/// The powers of ten of short numbers, all exact in double precision, as those up to 10^22 are.
const POWERS_OF_TEN: [f64; SHORT_BYTES_MAX + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    proptest! {
        /// The bits are those of the standard library, which reads any text exactly.
        #[test]
        fn numbers_are_the_nearest_to_what_is_written(
            text in "[-+]?[0-9]{0,20}([.,][0-9]{0,24})?([eE][-+]?[0-9]{0,3})?",
            comma: bool,
        ) {
            let format = NumberFormat { decimal: if comma { DecimalSign::Comma } else { DecimalSign::Point }, thousands: None };
            let other = if comma { '.' } else { ',' };
            let expected = (!text.contains(other)).then(|| text.replace(',', ".").parse().ok()).flatten();
            let expected = expected.filter(|x: &f64| x.is_finite());
            prop_assert_eq!(format.number(&text).map(f64::to_bits), expected.map(f64::to_bits));
        }

        #[test]
        fn doubles_are_read_as_they_were(x: f64) {
            prop_assume!(x.is_finite());
            for text in [format!("{x}"), format!("{x:e}")] {
                prop_assert_eq!(NumberFormat::PLAIN.number(&text).map(f64::to_bits), Some(x.to_bits()));
            }
        }
    }
}
