//! Bytes as text: the encoding is what the schema says, or what a byte order mark says.

use std::fmt;

use serde::Deserialize;

/// How letters are stored, by a name of the WHATWG's encoding standard or `latin-1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Encoding(&'static encoding_rs::Encoding);

/// A name that no encoding has.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no encoding, expected one like \"utf-8\", \"utf-16\", \"latin-1\" or \"windows-1252\"")]
pub struct NoEncoding;

impl Encoding {
    /// Begins to decode a text in this encoding, or in that of its byte order mark.
    pub(super) fn decoder(self) -> encoding_rs::Decoder {
        self.0.new_decoder()
    }
}

impl Default for Encoding {
    fn default() -> Self {
        Self(encoding_rs::UTF_8)
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl TryFrom<String> for Encoding {
    type Error = NoEncoding;

    fn try_from(name: String) -> Result<Self, NoEncoding> {
        // The standard calls it latin1; people do not.
        let label = if name.eq_ignore_ascii_case("latin-1") { "latin1" } else { &name };
        encoding_rs::Encoding::for_label_no_replacement(label.as_bytes()).map(Self).ok_or(NoEncoding)
    }
}

/// Takes off what cannot be seen at either end: blanks of any kind, and marks of no width.
#[inline]
pub(crate) fn trimmed(text: &str) -> &str {
    // All letters of ASCII leave ink, and nearly every cell begins and ends with one.
    match text.as_bytes() {
        [] => text,
        [only] if only.is_ascii_graphic() => text,
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim_matches(is_unseen),
    }
}

/// Says whether a character leaves no ink: blanks, control characters, and marks of no width or of direction.
pub(crate) fn is_unseen(letter: char) -> bool {
    let is_mark = |c| {
        matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
            || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
    };
    letter.is_whitespace() || letter.is_control() || is_mark(letter)
}

/// Says whether a cell holds a byte that is no letter.
pub(crate) fn is_lost(cell: &str) -> bool {
    !cell.is_ascii() && cell.contains(char::REPLACEMENT_CHARACTER)
}

/// Refuses such a cell of a list or an index.
pub(crate) fn not_utf8(column: usize) -> String {
    format!("holds a byte that is no letter in UTF-8, in its column {}: store it in UTF-8", column + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_encodings_are_those_that_people_use() {
        for name in
            ["utf-8", "UTF-16", "utf-16be", "latin-1", "latin1", "iso-8859-15", "windows-1252", "cp1250"]
        {
            assert!(Encoding::try_from(name.to_owned()).is_ok(), "{name}");
        }
        for name in ["", "utf-7", "ebcdic", "ascii-8"] {
            assert_eq!(Encoding::try_from(name.to_owned()), Err(NoEncoding), "{name}");
        }
    }
}
