//! Who is who: one stated form of identifiers, and identifiers that only look different.
//!
//! The stated form is what is left without blanks and unseen marks at either end and without a fraction of zeros, since
//! table programs write 1001 as 1001.0; of three zeros it stays, since 1,000 is a thousand elsewhere. Two identifiers of
//! one stated form are one patient. Two that differ in leading zeros, capital letters, blanks, dashes or signs alone look
//! alike, and are one patient too until people say that they are two.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use unicode_normalization::UnicodeNormalization;

use crate::error::CohortError;
use crate::fingerprint::same_bytes;
use crate::table::text::{is_unseen, trimmed};

/// Where a patient's record is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// A line of a table.
    Line { table: &'a Path, line: u64 },
    /// A file of its own.
    File(&'a Path),
}

/// The patients of a cohort so far.
#[derive(Debug, Default)]
pub(crate) struct Patients {
    /// Whether people said that identifiers which look alike are different patients.
    look_alikes_differ: bool,
    /// By the form in which look-alikes are equal: the stated form, and where it was.
    seen: HashMap<String, Vec<(String, Seen)>>,
}

#[derive(Debug)]
enum Seen {
    Line(u64),
    File(PathBuf),
}

/// Why an identifier has no number to split by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoNumber {
    /// It has no digit.
    None,
    /// It has several numbers, and nobody said which.
    Several,
}

impl Patients {
    pub(crate) fn new(look_alikes_differ: bool) -> Self {
        Self { look_alikes_differ, seen: HashMap::new() }
    }

    /// Enters a patient by the stated form of the identifier; nobody may be entered twice.
    pub(crate) fn enter(&mut self, stated: &str, place: Place<'_>) -> Result<(), CohortError> {
        let folds = folds(stated);
        let alike: Vec<_> = folds.iter().filter_map(|fold| self.seen.get(fold)).flatten().collect();
        if let Some((_, first)) = alike.iter().find(|(other, _)| other == stated) {
            return Err(place.refuse(match first {
                Seen::Line(first) => {
                    format!("is of the same patient as line {first}, expected one line per patient")
                }
                Seen::File(first) => {
                    format!("is of the same patient as {}, expected one scan per patient", first.display())
                }
            }));
        }
        if let (Some((_, first)), false) = (alike.first(), self.look_alikes_differ) {
            let other = match first {
                Seen::Line(line) => format!("line {line}"),
                Seen::File(file) => file.display().to_string(),
            };
            return Err(place.refuse(format!(
                "is of the same patient as {other}, as it seems: the two identifiers differ in leading zeros, capital \
                 letters, blanks, dashes or signs alone; make them one, or add confirmed.look_alikes = \"different\" to the cohort file"
            )));
        }
        if let Place::File(file) = place {
            alike.iter().try_for_each(|(_, first)| first.check_is_not_copied(file))?;
        }
        for fold in folds {
            self.seen.entry(fold).or_default().push((stated.to_owned(), place.seen()));
        }
        Ok(())
    }
}

impl Seen {
    /// Refuses a file that holds the same as this one: whoever the patients are, nobody scans two alike.
    fn check_is_not_copied(&self, file: &Path) -> Result<(), CohortError> {
        match self {
            Self::File(first) if same_bytes(first, file)? => {
                let message = format!(
                    "has the same bytes as {}, and a name that looks alike: it is a copy, expected one scan per patient",
                    first.display()
                );
                Err(CohortError::file(file, message))
            }
            Self::File(_) | Self::Line(_) => Ok(()),
        }
    }
}

impl Place<'_> {
    /// Refuses what is here.
    pub(crate) fn refuse(self, message: impl Into<String>) -> CohortError {
        match self {
            Self::Line { table, line } => CohortError::table(table, line, message),
            Self::File(file) => CohortError::file(file, message),
        }
    }

    fn seen(self) -> Seen {
        match self {
            Self::Line { line, .. } => Seen::Line(line),
            Self::File(file) => Seen::File(file.to_owned()),
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
            let of = digits.bytes().fold(0, |remainder, b| (remainder * 10 + u64::from(b - b'0')) % divisor);
            Ok(u32::try_from(of).expect("a remainder is below its divisor"))
        }
        (None, _) => Err(NoNumber::None),
        (Some(_), Some(_)) => Err(NoNumber::Several),
    }
}

/// Returns the forms in which look-alikes are equal: two where zeros behind a sign are a fraction or thousands, as in
/// `7.000`, which a table program may have made of 7 or of 7000.
fn folds(stated: &str) -> Vec<String> {
    let small = stated.nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    let seen: String = small.filter(|&c| !is_unseen(c) && !is_mark(c)).map(one_dash).collect();
    let seen = without_copy(&seen);
    let readings = [Some(seen), without_doubtful_fraction(seen)];
    readings.into_iter().flatten().map(folded).collect()
}

/// Returns the form in which look-alikes are equal: compatible letters composed and small, no blanks, no marks by which
/// table programs keep numbers as texts, no leading zeros, no thousands signs and no fraction of zeros, and one dash
/// between numbers alone, where 1-1 is not 11.
fn folded(seen: &str) -> String {
    let is_digit = |c: &char| c.is_ascii_digit();
    let mut folded = String::new();
    let mut in_number = false;
    let without_signs = without_signs(seen);
    let mut letters = without_signs.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '-' {
            while letters.next_if_eq(&'-').is_some() {}
            if !(in_number && letters.peek().is_some_and(is_digit)) {
                continue;
            }
        }
        let leads = letter == '0' && !in_number && letters.peek().is_some_and(is_digit);
        if !leads {
            folded.push(letter);
            in_number = is_digit(&letter);
        }
    }
    folded
}

/// Says whether a letter is a mark of table programs for texts, or stands before numbers: `'3`, `="3"`, `+3`, `#3`.
fn is_mark(letter: char) -> bool {
    matches!(letter, '\'' | '\u{2019}' | '"' | '=' | '+' | '#')
}

/// Writes what word processors make of a hyphen as one.
fn one_dash(letter: char) -> char {
    if matches!(letter, '_' | '\u{2010}'..='\u{2015}' | '\u{2212}') { '-' } else { letter }
}

/// Takes off what file managers add to the name of a copy: `p_1 (1)`, `p_1 - Copy`, `Copy of p_1`.
fn without_copy(seen: &str) -> &str {
    let numbered = seen.strip_suffix(')').and_then(|name| name.rsplit_once('('));
    let name = match numbered {
        Some((name, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => seen,
    };
    let name = name.strip_suffix("copy").map_or(name, |name| name.trim_end_matches('-'));
    let name = name.strip_prefix("copyof").unwrap_or(name);
    if name.is_empty() { seen } else { name }
}

/// Takes three zeros off that are a fraction or thousands: there is one sign, and not too many digits before it.
fn without_doubtful_fraction(seen: &str) -> Option<&str> {
    let whole = seen.strip_suffix("000")?;
    let sign = whole.chars().next_back().filter(|sign| matches!(sign, '.' | ','))?;
    let whole = whole.strip_suffix(sign)?;
    let digits = whole.bytes().rev().take_while(u8::is_ascii_digit).count();
    ((1..=3).contains(&digits) && !whole.contains(sign)).then_some(whole)
}

/// Joins groups of three digits, as in `1,001`, and takes a fraction of one or two zeros off.
fn without_signs(seen: &str) -> String {
    let digits_before = |at: usize| seen[..at].bytes().rev().take_while(u8::is_ascii_digit).count();
    let mut joined = String::new();
    for (at, letter) in seen.char_indices() {
        let behind: Vec<u8> = seen[at + letter.len_utf8()..].bytes().take_while(u8::is_ascii_digit).collect();
        let is_sign = matches!(letter, '.' | ',') && digits_before(at) > 0;
        if is_sign && digits_before(at) <= 3 && behind.len() == 3 {
            continue;
        }
        let at_end = at + letter.len_utf8() + behind.len() == seen.len();
        if is_sign && at_end && behind.iter().all(|&digit| digit == b'0') {
            break;
        }
        joined.push(letter);
    }
    joined
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
    fn look_alikes_fold_to_one_form_and_others_do_not() {
        for (a, b) in [
            ("3", "003"),
            ("p3", "P03"),
            ("sub-1", "sub-001"),
            ("a 1", "a1"),
            ("Mu\u{308}ller", "M\u{fc}ller"),
            ("\u{ff11}2", "12"),
            ("0", "00"),
            ("1,001", "1001"),
            ("1.000", "1000"),
            ("P\u{2013}3", "p-3"),
            ("P_3", "P-3"),
            ("p3", "P-3"),
            ("p3", "P_3"),
            ("p 3", "P\u{2013}3"),
            ("p-03-a", "p3a"),
            ("1--1", "1-1"),
            ("7", "7.000"),
            ("7000", "7.000"),
            ("p7", "p7,000"),
            ("1001", "1.001,000"),
            ("'3", "3"),
            ("=\"3\"", "+3"),
            ("-9.0", "-9"),
            ("P-3.0", "P-3"),
            ("Stra\u{df}e", "STRASSE"),
            ("\u{202a}3\u{202c}", "3\u{fe0f}"),
            ("p_1 (1)", "p_1"),
            ("p_1 - Copy", "Copy of p_1"),
            ("p_1 - Copy (2)", "p-1"),
        ] {
            assert!(are_alike(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("3", "30"),
            ("1-1", "11"),
            ("p1-1", "p11"),
            ("1-01", "101"),
            ("10", "1"),
            ("p3", "q3"),
            ("a0b", "ab"),
            ("1.10", "1.1"),
            ("1,001,000", "1001"),
            ("7.001", "7"),
        ] {
            assert!(!are_alike(a, b), "{a} {b}");
        }
    }

    fn are_alike(a: &str, b: &str) -> bool {
        folds(a).iter().any(|fold| folds(b).contains(fold))
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
