//! Lines of separated cells as RFC 4180 has them; what other readers guess at is refused.
//!
//! Lines are counted as an editor counts them: LF, CR LF and a lone CR each end one, within quotes too, and blank lines
//! count. A cell is trimmed where it is used; one that begins with a quote ends with one, and nothing but blanks may follow it.

use serde::Deserialize;

use super::row::{Row, Rows, Texts};
use super::scan;
use super::stream::Stream;
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

/// What cannot be read, and in which line.
struct Unreadable {
    line: u64,
    message: String,
}

/// The rows of a text still to come; blank lines are passed over.
pub(crate) struct TextRows {
    text: Stream,
    /// Where in the text's window the next row begins.
    at: usize,
    line: u64,
    dialect: Dialect,
    /// Whether a row could not be read: nobody knows where the next one begins.
    is_broken: bool,
    found: Found,
}

/// The row that was read last: the cells of one line, or of several where a cell holds line ends.
#[derive(Default)]
struct Found {
    line: u64,
    texts: Texts,
    swallowed: Vec<usize>,
}

/// Finds the cells of one row in a window.
struct Scanner<'w> {
    window: &'w str,
    at: usize,
    line: u64,
    delimiter: char,
    /// The delimiter, if it is one byte.
    delimiter_byte: Option<u8>,
    quote: Option<u8>,
    found: &'w mut Found,
}

impl TextRows {
    /// Begins a text, and passes over its first line if it is one of those in which spreadsheets name the delimiter, `sep=;`.
    pub(crate) fn new(text: Stream, dialect: Dialect) -> Result<Self, CohortError> {
        let mut rows = Self { text, at: 0, line: 1, dialect, is_broken: false, found: Found::default() };
        rows.skip_delimiter_line().map_err(|unreadable| rows.refusal(unreadable))?;
        Ok(rows)
    }

    fn skip_delimiter_line(&mut self) -> Result<(), Unreadable> {
        let first = self.text.window().split(['\n', '\r']).next().unwrap_or_default();
        let Some(named) = first.strip_prefix("sep=") else { return Ok(()) };
        if named.chars().eq([self.dialect.delimiter]) {
            self.at = first.len();
            let mut scanner = self.scanner();
            scanner.end_line();
            (self.at, self.line) = (scanner.at, scanner.line);
            return Ok(());
        }
        let message = format!("names another delimiter than {:?}, which is expected", self.dialect.delimiter);
        Err(Unreadable { line: 1, message })
    }

    fn refusal(&self, Unreadable { line, message }: Unreadable) -> CohortError {
        CohortError::table(self.text.file(), line, message)
    }

    fn scanner(&mut self) -> Scanner<'_> {
        let Dialect { delimiter, quote } = self.dialect;
        Scanner {
            window: self.text.window(),
            at: self.at,
            line: self.line,
            delimiter,
            delimiter_byte: delimiter.is_ascii().then(|| u8::try_from(delimiter).expect("of ASCII")),
            quote: match quote {
                Quote::Double => Some(b'"'),
                Quote::Single => Some(b'\''),
                Quote::None => None,
            },
            found: &mut self.found,
        }
    }
}

impl Rows for TextRows {
    fn advance(&mut self) -> Result<bool, CohortError> {
        if self.is_broken {
            return Ok(false);
        }
        loop {
            let mut scanner = self.scanner();
            let read = scanner.row();
            let (at, line, is_at_end) = (scanner.at, scanner.line, scanner.peek().is_none());
            // A row that ends with the window may go on behind it, and is read again with more.
            if is_at_end {
                self.is_broken = true;
                if self.text.advance(self.at, self.line)? {
                    (self.at, self.is_broken) = (0, false);
                    continue;
                }
            }
            (self.at, self.line, self.is_broken) = (at, line, read.is_err());
            return read.map_err(|unreadable| self.refusal(unreadable));
        }
    }

    fn row(&self) -> Row<'_> {
        let Found { line, texts, swallowed } = &self.found;
        Row::of_texts(*line, self.text.window(), texts).with_swallowed(swallowed)
    }
}

impl Scanner<'_> {
    /// Reads a row; says whether there was one.
    fn row(&mut self) -> Result<bool, Unreadable> {
        loop {
            self.skip_blanks();
            if self.peek().is_none() {
                return Ok(false);
            }
            if !self.end_line() {
                break;
            }
        }
        self.found.line = self.line;
        self.found.texts.clear();
        self.found.swallowed.clear();
        loop {
            self.cell()?;
            if !self.is_at_delimiter() {
                return Ok(true);
            }
            self.at += self.delimiter.len_utf8();
        }
    }

    /// Returns what of the window is still to come.
    fn rest(&self) -> &str {
        &self.window[self.at..]
    }

    fn byte(&self) -> Option<u8> {
        self.window.as_bytes().get(self.at).copied()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn is_at_delimiter(&self) -> bool {
        match self.delimiter_byte {
            Some(delimiter) => self.byte() == Some(delimiter),
            None => self.peek() == Some(self.delimiter),
        }
    }

    /// Passes over blanks that are no delimiter and end no line.
    fn skip_blanks(&mut self) {
        // Nearly every cell begins with such a letter.
        if self.byte().is_some_and(|byte| byte.is_ascii_graphic()) {
            return;
        }
        let is_blank = |&c: &char| c.is_whitespace() && c != self.delimiter && !matches!(c, '\n' | '\r');
        while let Some(letter) = self.peek().filter(is_blank) {
            self.at += letter.len_utf8();
        }
    }

    /// Passes over a line's end, if one is here.
    fn end_line(&mut self) -> bool {
        let bytes = match self.window.as_bytes().get(self.at..).unwrap_or_default() {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => return false,
        };
        self.at += bytes;
        self.line += 1;
        true
    }

    /// Reads up to the delimiter, line end or end of text behind the cell.
    fn cell(&mut self) -> Result<(), Unreadable> {
        self.skip_blanks();
        if let Some(quote) = self.quote
            && self.byte() == Some(quote)
        {
            return self.quoted(quote);
        }
        let start = self.at;
        self.at = match self.delimiter_byte {
            Some(delimiter) => scan::find(self.window.as_bytes(), start, [delimiter, b'\n', b'\r']),
            None => {
                let ends = |c: char| c == self.delimiter || matches!(c, '\n' | '\r');
                self.rest().find(ends).map_or(self.window.len(), |length| start + length)
            }
        };
        self.found.texts.add_span(start, self.at);
        Ok(())
    }

    fn quoted(&mut self, quote: u8) -> Result<(), Unreadable> {
        let opened = self.line;
        let refuse = |message: String| Err(Unreadable { line: opened, message });
        let own = self.found.texts.own_len();
        let mut delimiters: Option<usize> = None;
        self.at += 1;
        let start = self.at;
        // Letters are copied only where the cell is not what stands in the window.
        let mut copied = start;
        loop {
            let end = scan::find(self.window.as_bytes(), self.at, [quote, b'\n', b'\r']);
            delimiters = delimiters.map(|count| count + self.delimiters_to(end));
            self.at = end;
            let Some(ending) = self.byte() else {
                let quote = char::from(quote);
                return refuse(format!("opens a quote ({quote}) that is not closed up to the end"));
            };
            if self.end_line() {
                if ending == b'\r' {
                    self.found.texts.extend_own(&self.window[copied..end]);
                    self.found.texts.extend_own("\n");
                    copied = self.at;
                }
                self.found.swallowed.extend(delimiters);
                delimiters = Some(0);
                continue;
            }
            self.at += 1;
            if self.byte() != Some(quote) {
                break;
            }
            self.found.texts.extend_own(&self.window[copied..self.at]);
            self.at += 1;
            copied = self.at;
        }
        let end = self.at - 1;
        if copied > start {
            self.found.texts.extend_own(&self.window[copied..end]);
            self.found.texts.end_own(own);
        } else {
            self.found.texts.add_span(start, end);
        }
        self.end_quoted(delimiters);
        match self.peek() {
            Some(letter) if letter != self.delimiter && !matches!(letter, '\n' | '\r') => {
                let (quote, line) = (char::from(quote), self.line);
                refuse(format!(
                    "opens a quote ({quote}) behind which, where it is closed in line {line}, there is more than the next \
                     cell or line; a quote within a cell is written twice"
                ))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Counts the delimiters from here up to `end`.
    fn delimiters_to(&self, end: usize) -> usize {
        self.window[self.at..end].matches(self.delimiter).count()
    }

    /// Ends a quoted cell behind its quote; `delimiters` are those in its last line, if there are several.
    fn end_quoted(&mut self, delimiters: Option<usize>) {
        // Without a delimiter before it, the cell is the first of a row and may end in any way.
        if let Some(before) = delimiters.filter(|&count| count > 0) {
            let behind = self.rest().split(['\n', '\r']).next().unwrap_or_default();
            let behind = behind.matches(self.delimiter).count();
            self.found.swallowed.push(before + behind);
        }
        self.skip_blanks();
    }
}
