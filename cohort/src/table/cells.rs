//! Lines of separated cells as RFC 4180 has them; what other readers guess at is refused.
//!
//! Lines are counted as an editor counts them: LF, CR LF and a lone CR each end one, within quotes too, and blank lines
//! count. A cell is trimmed; one that begins with a quote ends with one, and nothing but blanks may follow it.

use std::path::Path;

use serde::Deserialize;

use super::stream::Stream;
use super::text::{Encoding, trimmed};
use crate::error::CohortError;

/// What stands between and around cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) delimiter: char,
    pub(crate) quote: Quote,
}

/// What stands around a cell that may hold delimiters and line ends; twice within it, it stands for itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quote {
    /// `"`
    #[default]
    Double,
    /// `'`
    Single,
    /// Nothing: a quote is a letter like any other.
    None,
}

/// The cells of one line, or of several where a cell holds line ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// The first line, counted from 1.
    pub(crate) line: u64,
    pub(crate) cells: Vec<String>,
    /// Delimiters in each whole line that lies within a quoted cell, and in the one in which it ends: as many as in a row
    /// betray a quote that was opened by mistake.
    pub(crate) swallowed: Vec<usize>,
}

impl Row {
    /// Makes a row of cells whose text says for certain where each ends.
    pub(crate) fn of_cells(line: u64, cells: Vec<String>) -> Self {
        Self { line, cells, swallowed: Vec::new() }
    }
}

/// What cannot be read, and in which line.
struct Unreadable {
    line: u64,
    message: String,
}

/// The rows of a text still to come; blank lines are passed over.
pub(crate) struct Rows {
    text: Stream,
    /// Where in the text's window the next row begins.
    at: usize,
    line: u64,
    dialect: Dialect,
    /// Whether a row could not be read: nobody knows where the next one begins.
    is_broken: bool,
}

impl Rows {
    /// Opens a file, and passes over its first line if it is one of those in which spreadsheets name the delimiter, `sep=;`.
    pub(crate) fn open(file: &Path, encoding: Encoding, dialect: Dialect) -> Result<Self, CohortError> {
        let text = Stream::open(file, encoding)?;
        let mut rows = Self { text, at: 0, line: 1, dialect, is_broken: false };
        rows.skip_delimiter_line().map_err(|unreadable| rows.refusal(unreadable))?;
        Ok(rows)
    }

    fn skip_delimiter_line(&mut self) -> Result<(), Unreadable> {
        let first = self.text.window().split(['\n', '\r']).next().unwrap_or_default();
        let Some(named) = first.strip_prefix("sep=") else { return Ok(()) };
        if named.chars().eq([self.dialect.delimiter]) {
            self.at = first.len();
            self.end_line();
            return Ok(());
        }
        let message = format!("names another delimiter than {:?}, which is expected", self.dialect.delimiter);
        Err(Unreadable { line: 1, message })
    }

    fn refusal(&self, Unreadable { line, message }: Unreadable) -> CohortError {
        CohortError::table(self.text.file(), line, message)
    }

    /// Returns what of the window is still to come.
    fn rest(&self) -> &str {
        &self.text.window()[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Passes over blanks that are no delimiter and end no line.
    fn skip_blanks(&mut self) {
        while let Some(letter) = self.peek().filter(|&c| self.is_blank(c)) {
            self.at += letter.len_utf8();
        }
    }

    fn is_blank(&self, letter: char) -> bool {
        letter.is_whitespace() && letter != self.dialect.delimiter && !matches!(letter, '\n' | '\r')
    }

    /// Passes over a line's end, if one is here.
    fn end_line(&mut self) -> bool {
        let rest = self.rest();
        let end = ["\r\n", "\n", "\r"].into_iter().find(|end| rest.starts_with(end));
        if let Some(end) = end {
            self.at += end.len();
            self.line += 1;
        }
        end.is_some()
    }

    fn quote(&self) -> Option<char> {
        match self.dialect.quote {
            Quote::Double => Some('"'),
            Quote::Single => Some('\''),
            Quote::None => None,
        }
    }

    fn read_row(&mut self) -> Option<Result<Row, Unreadable>> {
        loop {
            self.skip_blanks();
            self.peek()?;
            if !self.end_line() {
                break;
            }
        }
        let mut row = Row::of_cells(self.line, Vec::new());
        loop {
            match self.read_cell(&mut row.swallowed) {
                Ok(cell) => row.cells.push(cell),
                Err(unreadable) => return Some(Err(unreadable)),
            }
            if self.peek() == Some(self.dialect.delimiter) {
                self.at += self.dialect.delimiter.len_utf8();
            } else {
                return Some(Ok(row));
            }
        }
    }

    /// Reads up to the delimiter, line end or end of text behind the cell.
    fn read_cell(&mut self, swallowed: &mut Vec<usize>) -> Result<String, Unreadable> {
        self.skip_blanks();
        if let Some(quote) = self.quote().filter(|&quote| self.peek() == Some(quote)) {
            return self.read_quoted(quote, swallowed);
        }
        let ends = |c: char| c == self.dialect.delimiter || matches!(c, '\n' | '\r');
        let rest = self.rest();
        let length = rest.find(ends).unwrap_or(rest.len());
        let cell = trimmed(&rest[..length]).to_owned();
        self.at += length;
        Ok(cell)
    }

    fn read_quoted(&mut self, quote: char, swallowed: &mut Vec<usize>) -> Result<String, Unreadable> {
        let opened = self.line;
        let refuse = |message: String| Err(Unreadable { line: opened, message });
        let mut cell = String::new();
        let mut delimiters = None;
        self.at += quote.len_utf8();
        loop {
            if self.end_line() {
                cell.push('\n');
                swallowed.extend(delimiters);
                delimiters = Some(0);
                continue;
            }
            let Some(letter) = self.peek() else {
                return refuse(format!("opens a quote ({quote}) that is not closed up to the end"));
            };
            self.at += letter.len_utf8();
            if letter == quote && self.peek() == Some(quote) {
                self.at += quote.len_utf8();
            } else if letter == quote {
                break;
            }
            if letter == self.dialect.delimiter {
                delimiters = delimiters.map(|count: usize| count + 1);
            }
            cell.push(letter);
        }
        // Without a delimiter before it, the cell is the first of a row and may end in any way.
        if let Some(before) = delimiters.filter(|&count| count > 0) {
            let rest = self.rest().split(['\n', '\r']).next().unwrap_or_default();
            swallowed.push(before + rest.matches(self.dialect.delimiter).count());
        }
        self.skip_blanks();
        match self.peek() {
            Some(letter) if letter != self.dialect.delimiter && !matches!(letter, '\n' | '\r') => {
                refuse(format!(
                    "opens a quote ({quote}) behind which, where it is closed in line {}, there is more than the next \
                     cell or line; a quote within a cell is written twice",
                    self.line
                ))
            }
            Some(_) | None => Ok(trimmed(&cell).to_owned()),
        }
    }
}

impl Iterator for Rows {
    type Item = Result<Row, CohortError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_broken {
            return None;
        }
        loop {
            let (at, line) = (self.at, self.line);
            let row = self.read_row();
            // A row that ends with the window may go on behind it, and is read again with more.
            if self.rest().is_empty() {
                self.at -= at;
                match self.text.advance(at, line) {
                    Ok(true) => {
                        (self.at, self.line) = (0, line);
                        continue;
                    }
                    Ok(false) => {}
                    Err(error) => {
                        self.is_broken = true;
                        return Some(Err(error));
                    }
                }
            }
            self.is_broken = row.as_ref().is_some_and(Result::is_err);
            return row.map(|row| row.map_err(|unreadable| self.refusal(unreadable)));
        }
    }
}
