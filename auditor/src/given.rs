//! Texts that somebody handed in.

/// A text, with the name by which messages mean it: a file's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The name.
    pub name: String,
    /// The text.
    pub text: String,
}
