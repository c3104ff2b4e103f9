//! Identifiers that only look different.
//!
//! Two that differ in leading zeros, capital letters, blanks, dashes or signs alone look alike, and are one patient until
//! people say that they are two.

use unicode_normalization::UnicodeNormalization;

use crate::table::text::is_unseen;

/// Writes the form in which look-alikes are equal, if `stated` is made of letters and digits of ASCII, dashes and lines alone
/// and is no copy's name: nearly all identifiers are, and their one form needs no other rule of [`folds`].
pub(super) fn fold_plain(stated: &str, fold: &mut String) -> bool {
    fold.clear();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_copy = |part: Option<&str>| part.is_some_and(|part| part.eq_ignore_ascii_case("copy"));
    let bytes = stated.as_bytes();
    if !bytes.iter().all(|&byte| is_plain(byte)) || is_copy(stated.get(..4)) {
        return false;
    }
    if is_copy(bytes.len().checked_sub(4).and_then(|at| stated.get(at..))) {
        return false;
    }
    let mut in_number = false;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        let mut letter = byte.to_ascii_lowercase();
        if matches!(byte, b'-' | b'_') {
            while matches!(bytes.get(at), Some(b'-' | b'_')) {
                at += 1;
            }
            if !(in_number && bytes.get(at).is_some_and(u8::is_ascii_digit)) {
                continue;
            }
            letter = b'-';
        }
        let leads = letter == b'0' && !in_number && bytes.get(at).is_some_and(u8::is_ascii_digit);
        if !leads {
            fold.push(char::from(letter));
            in_number = letter.is_ascii_digit();
        }
    }
    true
}

/// Returns the forms in which look-alikes are equal: two where zeros behind a sign are a fraction or thousands, as in
/// `7.000`, which a table program may have made of 7 or of 7000.
pub(super) fn folds(stated: &str) -> Vec<String> {
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
    use proptest::prelude::*;

    use super::*;

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

    proptest! {
        #[test]
        fn a_plain_identifier_has_the_form_that_the_rules_of_all_give(
            stated in "[-_0-9a-cA-C]{0,8}|[-_]?(COPY|copyof|copy)[-_0-9a]{0,3}|[-_0-9a]{0,3}(copy|Copy)",
        ) {
            let mut fold = String::new();
            if fold_plain(&stated, &mut fold) {
                prop_assert_eq!(folds(&stated), [fold]);
            }
        }
    }
}
