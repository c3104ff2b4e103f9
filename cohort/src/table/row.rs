//! Rows, which lend their cells for as long as they are read: no cell is copied, and none is looked at that nobody uses.

use std::fmt::Write as _;

use fedtwin_units::Decimal;

use crate::error::CohortError;
use crate::table::code::Written;
use crate::table::column::Column;
use crate::table::digits::NumberFormat;
use crate::table::text::{is_lost, trimmed};

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'r> {
    /// A text without blanks at its ends, in which numbers are written as the table's schema says; empty where there is
    /// nothing.
    Text(&'r str),
    /// A number with a point and without groups, to the last digit, whatever the schema says.
    Digits(&'r str),
    /// A finite number that was never a text.
    Number(f64),
    /// A whole number that was never a text.
    Whole(i64),
}

/// A row of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'r> {
    /// The first line, or the row of a table that has no lines, counted from 1.
    pub(crate) line: u64,
    cells: Cells<'r>,
    /// Cells of columns that the source does not have.
    more: &'r [Cell<'r>],
    /// Delimiters in each whole line that lies within a quoted cell, and in the one in which it ends: as many as in a row
    /// betray a quote that was opened by mistake.
    pub(crate) swallowed: &'r [usize],
}

#[derive(Debug, Clone, Copy)]
enum Cells<'r> {
    Texts { window: &'r str, texts: &'r Texts },
    Columns { columns: &'r [Column], nth: usize },
}

/// What makes rows one after the other.
pub(crate) trait Rows {
    /// Reads the next row; says whether there was one.
    fn advance(&mut self) -> Result<bool, CohortError>;

    /// Lends the row that was read last.
    fn row(&self) -> Row<'_>;
}

/// Where the letters of a row's cells are; used again for each row.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    spans: Vec<Span>,
    /// Letters that are not in the source's window as they are meant.
    own: String,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    place: Place,
    start: usize,
    end: usize,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// In the source's window.
    Window,
    /// In [`Texts::own`].
    Own,
    /// There too, and a number whatever the schema says.
    OwnDigits,
}

impl<'r> Cell<'r> {
    /// What is in a cell that holds nothing.
    pub(crate) const NOTHING: Self = Cell::Text("");

    /// Reads a finite number; nothing if the cell is none in this format.
    pub(crate) fn number(self, format: NumberFormat) -> Option<f64> {
        match self {
            Self::Text(text) => format.number(text),
            Self::Digits(digits) => NumberFormat::PLAIN.number(digits),
            Self::Number(x) => Some(x),
            #[expect(clippy::cast_precision_loss, reason = "the nearest, as for a text of the same digits")]
            Self::Whole(whole) => Some(whole as f64),
        }
    }

    /// Reads the same number with all its digits; nothing where they were never written.
    pub(crate) fn decimal(self, format: NumberFormat) -> Option<Decimal> {
        match self {
            Self::Text(text) => format.decimal(text),
            Self::Digits(digits) => NumberFormat::PLAIN.decimal(digits),
            Self::Number(_) | Self::Whole(_) => None,
        }
    }

    /// Returns the cell as codes are compared; `letters` is room for what is no text.
    pub(crate) fn code(self, format: NumberFormat, letters: &'r mut String) -> Written<'r> {
        match self {
            Self::Text(text) => Written::new(text, format),
            Self::Digits(digits) => Written::new(digits, NumberFormat::PLAIN),
            Self::Whole(whole) => Written::Whole(whole),
            Self::Number(_) => Written::new(self.letters(letters), NumberFormat::PLAIN),
        }
    }

    /// Returns the cell's letters; `room` is for those of what is no text.
    pub(crate) fn letters(self, room: &'r mut String) -> &'r str {
        room.clear();
        let written = match self {
            Self::Text(text) | Self::Digits(text) => return text,
            Self::Number(x) => write!(room, "{x}"),
            Self::Whole(whole) => write!(room, "{whole}"),
        };
        written.expect("a string takes whatever is written");
        room
    }

    /// Says whether the cell holds a byte that is no letter.
    pub(crate) fn is_lost(self) -> bool {
        match self {
            Self::Text(text) => is_lost(text),
            Self::Digits(_) | Self::Number(_) | Self::Whole(_) => false,
        }
    }
}

impl<'r> Row<'r> {
    /// Lends texts, of which some may be in `window`.
    pub(crate) fn of_texts(line: u64, window: &'r str, texts: &'r Texts) -> Self {
        Self { line, cells: Cells::Texts { window, texts }, more: &[], swallowed: &[] }
    }

    /// Lends what each of `columns` has in the place `nth`.
    pub(crate) fn of_columns(line: u64, columns: &'r [Column], nth: usize) -> Self {
        Self { line, cells: Cells::Columns { columns, nth }, more: &[], swallowed: &[] }
    }

    /// Says how many delimiters lie within quoted cells of the row.
    pub(crate) fn with_swallowed(self, swallowed: &'r [usize]) -> Self {
        Self { swallowed, ..self }
    }

    /// Adds cells behind those of a row that is known to be whole.
    pub(crate) fn with_more(self, more: &'r [Cell<'r>]) -> Self {
        Self { more, swallowed: &[], ..self }
    }

    /// Returns the number of cells.
    pub(crate) fn len(&self) -> usize {
        let own = match self.cells {
            Cells::Texts { texts, .. } => texts.spans.len(),
            Cells::Columns { columns, .. } => columns.len(),
        };
        own + self.more.len()
    }

    /// Returns a cell, which must be there.
    #[inline]
    pub(crate) fn cell(&self, at: usize) -> Cell<'r> {
        match self.cells {
            Cells::Texts { window, texts } => {
                let Some(&Span { place, start, end }) = texts.spans.get(at) else {
                    return self.more[at - texts.spans.len()];
                };
                match place {
                    Place::Window => Cell::Text(trimmed(&window[start..end])),
                    Place::Own => Cell::Text(trimmed(&texts.own[start..end])),
                    Place::OwnDigits => Cell::Digits(&texts.own[start..end]),
                }
            }
            Cells::Columns { columns, nth } => match columns.get(at) {
                Some(column) => column.cell(nth),
                None => self.more[at - columns.len()],
            },
        }
    }

    /// Returns the first cell's text that is not empty.
    pub(crate) fn first_text(&self) -> Option<&'r str> {
        (0..self.len()).find_map(|at| match self.cell(at) {
            Cell::Text("") => None,
            Cell::Text(text) | Cell::Digits(text) => Some(text),
            // No word stands in it.
            Cell::Number(_) | Cell::Whole(_) => Some(""),
        })
    }

    /// Says whether the row holds nothing but empty texts.
    pub(crate) fn is_blank(&self) -> bool {
        (0..self.len()).all(|at| self.cell(at) == Cell::NOTHING)
    }
}

impl Texts {
    pub(crate) fn clear(&mut self) {
        self.spans.clear();
        self.own.clear();
    }

    /// Adds a cell with these letters of the source's window.
    #[inline]
    pub(crate) fn add_span(&mut self, start: usize, end: usize) {
        self.spans.push(Span { place: Place::Window, start, end });
    }

    /// Adds a cell with letters of its own.
    pub(crate) fn add(&mut self, text: &str) {
        let start = self.own.len();
        self.own.push_str(text);
        self.end_own(start);
    }

    /// Adds letters to those of a cell that [`Self::end_own`] will end.
    pub(crate) fn extend_own(&mut self, text: &str) {
        self.own.push_str(text);
    }

    /// Returns where letters begin that are added now.
    pub(crate) fn own_len(&self) -> usize {
        self.own.len()
    }

    /// Adds a cell of all own letters from `start` on.
    pub(crate) fn end_own(&mut self, start: usize) {
        self.spans.push(Span { place: Place::Own, start, end: self.own.len() });
    }

    /// Makes a row of `count` cells in which there is nothing.
    pub(crate) fn fill_with_nothing(&mut self, count: usize) {
        self.clear();
        self.spans.resize(count, Span { place: Place::Own, start: 0, end: 0 });
    }

    /// Puts a text, or with `is_digits` a number, into a cell of [`Self::fill_with_nothing`].
    pub(crate) fn set(&mut self, at: usize, letters: &str, is_digits: bool) {
        let start = self.own.len();
        self.own.push_str(letters);
        let place = if is_digits { Place::OwnDigits } else { Place::Own };
        self.spans[at] = Span { place, start, end: self.own.len() };
    }
}
