//! Who is who: where patients are, and the one stated form of their identifiers.
//!
//! The stated form is what is left without blanks and unseen marks at either end and without a fraction of zeros, since
//! table programs write 1001 as 1001.0; of three zeros it stays, since 1,000 is a thousand elsewhere. Two identifiers of
//! one stated form are one patient.

use std::path::Path;

use crate::error::CohortError;
use crate::table::sheet::Counted;
use crate::table::text::trimmed;

/// Where a patient's record is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// A line or a row of a table.
    Line { table: &'a Path, line: u64, counted: Counted },
    /// A file of its own.
    File(&'a Path),
}

/// Why an identifier has no number to split by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoNumber {
    /// It has no digit.
    None,
    /// It has several numbers, and nobody said which.
    Several,
}

impl Place<'_> {
    /// Refuses what is here.
    pub(crate) fn refuse(self, message: impl Into<String>) -> CohortError {
        match self {
            Self::Line { table, line, counted: Counted::Lines } => CohortError::table(table, line, message),
            Self::Line { table, line, counted: Counted::Rows } => CohortError::File {
                file: table.to_owned(),
                message: format!("row {line}: {}", message.into()),
            },
            Self::File(file) => CohortError::file(file, message),
        }
    }
}

/// Returns the stated form of an identifier; nothing if nothing can be seen of it.
pub(crate) fn stated(identifier: &str) -> Option<&str> {
    let identifier = trimmed(identifier);
    let whole = identifier.split_once(['.', ',']).and_then(|(whole, fraction)| {
        let is_number = !whole.is_empty() && whole.bytes().all(|b| b.is_ascii_digit());
        let may_be_group = whole.len() <= 3 && fraction.len() == 3;
        (is_number && !may_be_group && fraction.bytes().all(|b| b == b'0')).then_some(whole)
    });
    Some(whole.unwrap_or(identifier)).filter(|identifier| !identifier.is_empty())
}

/// Says whether an identifier was a number that a table program rounded, like `1.23457E+12`.
pub(crate) fn is_rounded(identifier: &str) -> bool {
    let Some((mantissa, exponent)) = identifier.split_once(['E', 'e']) else { return false };
    let (whole, fraction) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, ""));
    let are_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    whole.len() == 1
        && are_digits(whole)
        && are_digits(fraction)
        && exponent.strip_prefix('+').is_some_and(|digits| !digits.is_empty() && are_digits(digits))
}

/// Returns the remainder of the one number in an identifier, however many digits it has.
pub(crate) fn remainder(stated: &str, divisor: u32) -> Result<u32, NoNumber> {
    let mut numbers = stated.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    match (numbers.next(), numbers.next()) {
        (Some(digits), None) => {
            let divisor = u64::from(divisor);
            // As many digits at once as fit into 64 bits beside what remains.
            let of = digits.as_bytes().chunks(9).fold(0, |remainder, digits| {
                digits.iter().fold(remainder, |number, b| number * 10 + u64::from(b - b'0')) % divisor
            });
            Ok(u32::try_from(of).expect("a remainder is below its divisor"))
        }
        (None, _) => Err(NoNumber::None),
        (Some(_), Some(_)) => Err(NoNumber::Several),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_one_stated_form() {
        for (written, form) in [
            ("3", "3"),
            (" 3\u{a0}", "3"),
            ("\u{feff}3\u{200b}", "3"),
            ("1001.0", "1001"),
            ("1001,00", "1001"),
            ("1001.", "1001"),
            ("003", "003"),
            ("3.5", "3.5"),
            ("p3.0", "p3.0"),
            ("1,000", "1,000"),
            ("1001.000", "1001"),
            ("900000000000207008.0", "900000000000207008"),
        ] {
            assert_eq!(stated(written), Some(form), "{written:?}");
        }
        assert_eq!((stated(""), stated(" \u{200b}")), (None, None));
    }

    #[test]
    fn a_number_to_split_by_is_the_only_one_and_of_any_length() {
        assert_eq!(remainder("hippocampus_003", 5), Ok(3));
        // 10^30 + 7, which no integer type holds.
        assert_eq!(remainder("1000000000000000000000000000007", 10), Ok(7));
        assert_eq!(remainder("1000000000000000000000000000007", 999), Ok(8));
        assert_eq!(remainder("sub-01_T1w", 5), Err(NoNumber::Several));
        assert_eq!(remainder("patient", 5), Err(NoNumber::None));
    }

    #[test]
    fn rounded_numbers_are_known_and_hexadecimal_ones_are_none() {
        for (identifier, rounded) in [
            ("1.23457E+12", true),
            ("1,23457E+12", true),
            ("1E+12", true),
            ("1e10", false),
            ("12E+3", false),
            ("3.5", false),
            ("aE+1", false),
        ] {
            assert_eq!(is_rounded(identifier), rounded, "{identifier}");
        }
    }
}
