//! TOML files that people write: unknown keys and impossible values are refused with file and line.
//!
//! Values check themselves as they are read; what concerns several values at once is checked by
//! [`Check`] or, where something follows from them, by [`Parsed`], whose [`Problem`] names the key, and this module
//! finds the line.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

/// What is wrong with one key, in relation to others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} {message}")]
pub struct Problem {
    /// The key's path, like `rounds.attempts_max`.
    pub key: String,
    /// What stands there and what was expected.
    pub message: String,
}

impl Problem {
    /// Makes a problem of the key at `path`.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

/// A parsed file that can say whether its values fit together.
pub trait Check {
    /// Checks what concerns more than one value.
    ///
    /// # Errors
    /// Returns the first problem.
    fn check(&self) -> Result<(), Problem>;
}

/// What a file's values become once they fit together.
pub trait Parsed: Sized {
    /// The values as the file writes them.
    type File: DeserializeOwned;

    /// Checks the values and resolves what follows from them.
    ///
    /// # Errors
    /// Returns the first problem.
    fn of(file: Self::File) -> Result<Self, Problem>;
}

impl<T: DeserializeOwned + Check> Parsed for T {
    type File = T;

    fn of(file: T) -> Result<T, Problem> {
        file.check()?;
        Ok(file)
    }
}

/// A text that is refused, with the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct TextError {
    /// The file's name as the person gave it.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong and what was expected.
    pub message: String,
}

/// Parses and checks a TOML text that came from `file`.
///
/// # Errors
/// Refuses bad syntax, unknown keys and impossible values, with the line.
pub fn parse<T: Parsed>(file: &str, text: &str) -> Result<T, TextError> {
    let refuse = |span: Option<Range<usize>>, message: String| TextError {
        file: file.to_owned(),
        line: span.map_or(1, |span| line_of(text, span.start)),
        message,
    };
    let values: T::File =
        toml::from_str(text).map_err(|e| refuse(e.span(), e.message().replace('\n', "; ")))?;
    T::of(values).map_err(|problem| {
        let span = find(text, &problem.key);
        refuse(span, problem.to_string())
    })
}

/// Returns where in a TOML text the value of a dotted key stands, such as `model.seed`.
#[must_use]
pub fn value_span(text: &str, path: &str) -> Option<Range<usize>> {
    let root = DeTable::parse(text).ok()?;
    let (parents, last) = path.rsplit_once('.').map_or(("", path), |(parents, last)| (parents, last));
    let mut table = root.get_ref();
    for part in parents.split('.').filter(|part| !part.is_empty()) {
        let DeValue::Table(inner) = table.get(part)?.get_ref() else { return None };
        table = inner;
    }
    table.get(last).map(toml::Spanned::span)
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&b| b == b'\n').count()
}

/// Finds the deepest part of the dotted `path` that the text spells out; array items are numbers.
fn find(text: &str, path: &str) -> Option<Range<usize>> {
    let root = DeTable::parse(text).ok()?;
    let mut parts = path.split('.');
    let (mut key, mut value) = root.get_ref().get_key_value(parts.next()?)?;
    let mut span = key.span();
    for part in parts {
        match value.get_ref() {
            DeValue::Table(table) => {
                let Some(next) = table.get_key_value(part) else {
                    break;
                };
                (key, value) = next;
                span = key.span();
            }
            DeValue::Array(items) => {
                let Some(item) = part.parse().ok().and_then(|i: usize| items.get(i)) else {
                    break;
                };
                value = item;
                span = item.span();
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => break,
        }
    }
    Some(span)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        low: u32,
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        high: u32,
    }

    impl Check for File {
        fn check(&self) -> Result<(), Problem> {
            if self.inner.high < self.low {
                let message = format!("is {}, expected at least low ({})", self.inner.high, self.low);
                return Err(Problem::new("inner.high", message));
            }
            Ok(())
        }
    }

    #[test]
    fn errors_name_file_line_and_expectation() {
        let refused = |text: &str| parse::<File>("a.toml", text).unwrap_err().to_string();
        assert_eq!(
            refused("low = 3\n\n[inner]\n# a comment\nhigh = 2\n"),
            "a.toml:5: inner.high is 2, expected at least low (3)"
        );
        assert!(refused("low = 3\nhihg = 2\n").starts_with("a.toml:2: unknown field `hihg`"));
        assert!(refused("low = -3\n").starts_with("a.toml:1: "));
        assert!(refused("low = \n").starts_with("a.toml:1: "));
        assert!(parse::<File>("a.toml", "low = 1\n[inner]\nhigh = 2").is_ok());
    }

    #[test]
    fn values_are_found_in_every_style() {
        let found = |text: &str| value_span(text, "inner.high").map(|span| text[span].to_owned());
        for text in ["[inner]\nhigh = 27 # or so", "inner = { high = 27 }", "inner.high = 27"] {
            assert_eq!(found(text), Some("27".to_owned()), "{text}");
        }
        assert_eq!(found("inner = 3"), None);
        assert_eq!(found("low = 3"), None);
    }
}
