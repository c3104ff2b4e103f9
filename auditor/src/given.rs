//! Texts that somebody handed in.

/// A text, with the name by which messages mean it: a file's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// What the file was called, for messages.
    pub name: String,
    /// What stands in it.
    pub text: String,
}
