//! Which part of a name is the patient.

use serde::Deserialize;

/// A pattern of names: `{patient}` stands for the patient, `*` for anything, all else for itself.
///
/// `sub-{patient}_*` reads `sub-01_T1w` as patient `01`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PatientPattern {
    before: String,
    behind: String,
}

/// A pattern that does not say where the patient is.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a pattern with one {{patient}} and no * beside it, like \"sub-{{patient}}_*\"")]
pub struct NoPattern;

/// Why a name does not tell its patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unmatched {
    /// The pattern is another.
    Otherwise,
    /// Two parts of the name could be the patient.
    Ambiguous,
}

impl PatientPattern {
    /// Returns the part of the name that is the patient: letters and digits, where nothing else can be.
    pub(crate) fn patient<'n>(&self, name: &'n str) -> Result<&'n str, Unmatched> {
        let ends: Vec<usize> = name.char_indices().map(|(at, _)| at).chain([name.len()]).collect();
        let mut found = None;
        for (nth, &start) in ends.iter().enumerate() {
            if !matches(&self.before, &name[..start]) {
                continue;
            }
            for &end in &ends[nth + 1..] {
                let patient = &name[start..end];
                if !patient.chars().all(char::is_alphanumeric) {
                    break;
                }
                if matches(&self.behind, &name[end..])
                    && found.replace(patient).is_some_and(|other| other != patient)
                {
                    return Err(Unmatched::Ambiguous);
                }
            }
        }
        found.ok_or(Unmatched::Otherwise)
    }
}

impl TryFrom<String> for PatientPattern {
    type Error = NoPattern;

    fn try_from(text: String) -> Result<Self, NoPattern> {
        let (before, behind) = text.split_once("{patient}").ok_or(NoPattern)?;
        if before.ends_with('*') || behind.starts_with('*') || behind.contains("{patient}") {
            return Err(NoPattern);
        }
        Ok(Self { before: before.to_owned(), behind: behind.to_owned() })
    }
}

/// Says whether `pattern`, in which `*` stands for anything, is the whole of `text`.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patient<'n>(pattern: &str, name: &'n str) -> Result<&'n str, Unmatched> {
        PatientPattern::try_from(pattern.to_owned()).unwrap().patient(name)
    }

    #[test]
    fn the_patient_is_the_part_that_the_pattern_names() {
        for (pattern, name, expected) in [
            ("{patient}", "p01", Ok("p01")),
            ("sub-{patient}_T1w", "sub-01_T1w", Ok("01")),
            ("sub-{patient}_*", "sub-01_ses-2_T1w", Ok("01")),
            ("*_{patient}_0000", "liver_2_017_0000", Ok("017")),
            ("{patient}_*", "p_01_T1w", Ok("p")),
            ("*-{patient}", "a-b-7", Ok("7")),
            ("sub-{patient}_*", "ses-01_T1w", Err(Unmatched::Otherwise)),
            ("{patient}", "p_01", Err(Unmatched::Otherwise)),
            ("sub-{patient}_*", "sub-_T1w", Err(Unmatched::Otherwise)),
            ("*_{patient}_*", "a_1_b_2_c", Err(Unmatched::Ambiguous)),
            ("M\u{fc}nster{patient}", "M\u{fc}nster7", Ok("7")),
        ] {
            assert_eq!(patient(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_that_leave_it_open_are_refused() {
        for text in ["", "sub-*", "sub-{patient}{patient}", "*{patient}", "{patient}*", "{patient}_{patient}"]
        {
            assert_eq!(PatientPattern::try_from(text.to_owned()), Err(NoPattern), "{text}");
        }
    }
}
