//! Rows of cells with named columns: a table, a list of lines, an index.

use std::path::{Path, PathBuf};

use fedtwin_plan::inventory::EventsFound;

use crate::error::CohortError;
use crate::table::cells::{Dialect, Quote, TextRows};
use crate::table::row::{Row, Rows};
use crate::table::stream::Stream;
use crate::table::text::{Encoding, is_lost, trimmed};

/// How a file's bytes become cells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format {
    pub(crate) dialect: Dialect,
    pub(crate) encoding: Encoding,
}

impl Format {
    /// Cells as programs write them: in UTF-8, with double quotes.
    pub(crate) fn separated_by(delimiter: char) -> Self {
        Self { dialect: Dialect { delimiter, quote: Quote::Double }, encoding: Encoding::default() }
    }
}

/// What stands between two cells where nobody declares anything else.
pub(crate) fn comma() -> char {
    ','
}

/// Says whether a character can stand between two cells.
pub(crate) fn may_delimit(delimiter: char) -> bool {
    !delimiter.is_alphanumeric() && !matches!(delimiter, '\n' | '\r' | '"' | '\'' | '.' | '-')
}

/// What people count to find a row of a table again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Lines of a text, as an editor counts them.
    Lines,
    /// Rows of a table that has no lines.
    Rows,
}

/// Names of columns, and the rows still to come.
pub(crate) struct Sheet {
    pub(crate) file: PathBuf,
    columns: Vec<String>,
    /// The line that names the columns, if one does.
    pub(crate) header: Option<u64>,
    rows: Box<dyn Rows>,
    /// Whether the rows' first is read and was not returned yet.
    is_ahead: bool,
    /// Whether rows without text are passed over: spreadsheets leave rows of nothing but delimiters behind.
    skips_blank: bool,
    /// Whether a quoted cell may hold whole lines that look like rows.
    lines_in_cells: bool,
    /// What the rows are counted as.
    pub(crate) counted: Counted,
    /// What the events were, of which some columns are made.
    pub(crate) events: Option<EventsFound>,
}

impl Sheet {
    /// Opens a file whose first row names the columns.
    pub(crate) fn open(file: &Path, format: Format) -> Result<Self, CohortError> {
        Self::of_text(Stream::open(file, format.encoding)?, format)
    }

    /// Reads a text whose first row names the columns.
    pub(crate) fn of_text(text: Stream, format: Format) -> Result<Self, CohortError> {
        let file = &text.file().to_owned();
        let mut rows = TextRows::new(text, format.dialect)?;
        if !rows.advance()? {
            let message = "is empty, expected a first line with the columns' names";
            return Err(CohortError::file(file, message));
        }
        let (line, columns) = (rows.row().line, names(rows.row()));
        Ok(Self { header: Some(line), skips_blank: true, ..Self::of_rows(file, columns, rows) })
    }

    /// Opens a file whose columns are named elsewhere.
    pub(crate) fn open_without_header(
        file: &Path,
        format: Format,
        columns: &[String],
    ) -> Result<Self, CohortError> {
        let rows = TextRows::new(Stream::open(file, format.encoding)?, format.dialect)?;
        let columns: Vec<_> = columns.iter().map(|column| trimmed(column).to_owned()).collect();
        let mut sheet = Self { skips_blank: true, ..Self::of_rows(file, columns, rows) };
        sheet.is_ahead = sheet.advance()?;
        if sheet.is_ahead && names(sheet.rows.row()) == sheet.columns {
            let message = "names the columns, as the schema does: without `columns` there, this line does";
            return Err(CohortError::table(file, sheet.rows.row().line, message));
        }
        Ok(sheet)
    }

    /// Makes a sheet of rows that are read elsewhere, whose columns are known; `file` stands for them in messages.
    pub(crate) fn of_rows(file: &Path, columns: Vec<String>, rows: impl Rows + 'static) -> Self {
        Self {
            file: file.to_owned(),
            columns,
            header: None,
            rows: Box::new(rows),
            is_ahead: false,
            skips_blank: false,
            lines_in_cells: false,
            counted: Counted::Lines,
            events: None,
        }
    }

    /// Says that rows are counted, and no lines.
    pub(crate) fn without_lines(self) -> Self {
        Self { counted: Counted::Rows, ..self }
    }

    /// Lets quoted cells hold whole lines with as many cells as there are columns.
    pub(crate) fn with_lines_in_cells(self) -> Self {
        Self { lines_in_cells: true, ..self }
    }

    /// Finds a column by its name, which no other column may have.
    pub(crate) fn column(&self, name: &str) -> Result<usize, CohortError> {
        let refuse = |message| CohortError::table(&self.file, self.header.unwrap_or(1), message);
        column(&self.columns, name).map_err(refuse)
    }

    /// Returns the next row, which has as many cells as there are columns.
    pub(crate) fn next_row(&mut self) -> Result<Option<Row<'_>>, CohortError> {
        if !std::mem::take(&mut self.is_ahead) && !self.advance()? {
            return Ok(None);
        }
        let (row, expected) = (self.rows.row(), self.columns.len());
        if !self.lines_in_cells && row.swallowed.iter().any(|delimiters| delimiters + 1 == expected) {
            let message = "opens a quote that holds whole lines with as many cells as there are columns; \
                           a quote within a cell is written twice; if such cells are meant, add \
                           confirmed.lines_in_cells = true to the cohort file";
            return Err(CohortError::table(&self.file, row.line, message));
        }
        if row.len() != expected {
            let message = format!("has {} cells, expected {expected}", row.len());
            return Err(CohortError::table(&self.file, row.line, message));
        }
        Ok(Some(row))
    }

    /// Returns the columns' names.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Lends the row that was read last.
    pub(crate) fn row(&self) -> Row<'_> {
        self.rows.row()
    }

    /// Says whether no row follows, not even one that cannot be read.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.is_ahead = self.is_ahead || self.advance().unwrap_or(true);
        !self.is_ahead
    }

    /// Reads the next row that counts.
    fn advance(&mut self) -> Result<bool, CohortError> {
        loop {
            if !self.rows.advance()? {
                return Ok(false);
            }
            if !self.skips_blank || !self.rows.row().is_blank() {
                return Ok(true);
            }
        }
    }
}

/// Finds a column by its name, which no other of the table's columns may have; or says what there is instead.
pub(crate) fn column(columns: &[String], name: &str) -> Result<usize, String> {
    let named = columns.iter().enumerate().filter(|(_, own)| *own == trimmed(name));
    match named.map(|(at, _)| at).collect::<Vec<_>>()[..] {
        [at] => Ok(at),
        [] => {
            let own = columns.join(", ");
            let hint = if is_lost(&own) {
                "; the encoding is another one: see encoding in docs/DATA.md"
            } else {
                ""
            };
            Err(format!("expected a column {name:?}, found {own}{hint}"))
        }
        [first, second, ..] => {
            let (first, second) = (first + 1, second + 1);
            Err(format!("names column {name:?} twice, as columns {first} and {second}: which one is meant?"))
        }
    }
}

/// Returns the texts of a row.
fn names(row: Row<'_>) -> Vec<String> {
    let mut room = String::new();
    (0..row.len()).map(|at| row.cell(at).letters(&mut room).to_owned()).collect()
}

impl Counted {
    /// Returns the word for one of them.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Lines => "line",
            Self::Rows => "row",
        }
    }
}
