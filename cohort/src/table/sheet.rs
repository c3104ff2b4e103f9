//! A text file of cells with named columns: a table, a list of lines, an index.

use std::iter::Peekable;
use std::path::{Path, PathBuf};

use crate::error::CohortError;
use crate::table::cells::{Dialect, Quote, Row, Rows};
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

/// Names of columns, and the rows still to come.
pub(crate) struct Sheet {
    pub(crate) file: PathBuf,
    columns: Vec<String>,
    /// The line that names the columns, if one does.
    pub(crate) header: Option<u64>,
    rows: Peekable<Box<dyn Iterator<Item = Result<Row, CohortError>>>>,
    /// Whether a quoted cell may hold whole lines that look like rows.
    lines_in_cells: bool,
}

impl Sheet {
    /// Opens a file whose first row names the columns.
    pub(crate) fn open(file: &Path, format: Format) -> Result<Self, CohortError> {
        let mut rows = rows(file, format)?;
        let header = rows.next().ok_or_else(|| {
            CohortError::file(file, "is empty, expected a first line with the columns' names")
        })?;
        let Row { line, cells, .. } = header?;
        Ok(Self::new(file, cells, Some(line), rows.filter(has_text)))
    }

    /// Opens a file whose columns are named elsewhere.
    pub(crate) fn open_without_header(
        file: &Path,
        format: Format,
        columns: &[String],
    ) -> Result<Self, CohortError> {
        let rows = rows(file, format)?.filter(has_text);
        let columns: Vec<_> = columns.iter().map(|column| trimmed(column).to_owned()).collect();
        let mut sheet = Self::new(file, columns, None, rows);
        if let Some(Ok(Row { line, cells, .. })) = sheet.rows.peek()
            && *cells == sheet.columns
        {
            let message = "names the columns, as the schema does: without `columns` there, this line does";
            return Err(CohortError::table(file, *line, message));
        }
        Ok(sheet)
    }

    /// Makes a sheet of rows that are read elsewhere, whose columns are known; `file` stands for them in messages.
    pub(crate) fn of_rows(
        file: &Path,
        columns: Vec<String>,
        rows: impl Iterator<Item = Result<Row, CohortError>> + 'static,
    ) -> Self {
        Self::new(file, columns, None, rows)
    }

    fn new(
        file: &Path,
        columns: Vec<String>,
        header: Option<u64>,
        rows: impl Iterator<Item = Result<Row, CohortError>> + 'static,
    ) -> Self {
        let rows: Box<dyn Iterator<Item = _>> = Box::new(rows);
        Self { file: file.to_owned(), columns, header, rows: rows.peekable(), lines_in_cells: false }
    }

    /// Lets quoted cells hold whole lines with as many cells as there are columns.
    pub(crate) fn with_lines_in_cells(self) -> Self {
        Self { lines_in_cells: true, ..self }
    }

    /// Finds a column by its name, which no other column may have.
    pub(crate) fn column(&self, name: &str) -> Result<usize, CohortError> {
        let refuse = |message: String| Err(CohortError::table(&self.file, self.header.unwrap_or(1), message));
        let named = self.columns.iter().enumerate().filter(|(_, own)| *own == trimmed(name));
        match named.map(|(at, _)| at).collect::<Vec<_>>()[..] {
            [at] => Ok(at),
            [] => {
                let own = self.columns.join(", ");
                let hint = if is_lost(&own) {
                    "; the encoding is another one: see encoding in docs/DATA.md"
                } else {
                    ""
                };
                refuse(format!("expected a column {name:?}, found {own}{hint}"))
            }
            [first, second, ..] => {
                let (first, second) = (first + 1, second + 1);
                refuse(format!(
                    "names column {name:?} twice, as columns {first} and {second}: which one is meant?"
                ))
            }
        }
    }

    /// Returns the next row, which has as many cells as there are columns.
    pub(crate) fn next_row(&mut self) -> Option<Result<Row, CohortError>> {
        let row = self.rows.next()?.and_then(|row| {
            let expected = self.columns.len();
            if !self.lines_in_cells && row.swallowed.iter().any(|delimiters| delimiters + 1 == expected) {
                let message = "opens a quote that holds whole lines with as many cells as there are columns; \
                               a quote within a cell is written twice; if such cells are meant, add \
                               confirmed.lines_in_cells = true to the cohort file";
                return Err(CohortError::table(&self.file, row.line, message));
            }
            if row.cells.len() == expected {
                return Ok(row);
            }
            let message = format!("has {} cells, expected {expected}", row.cells.len());
            Err(CohortError::table(&self.file, row.line, message))
        });
        Some(row)
    }

    /// Says whether no row follows.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.rows.peek().is_none()
    }
}

fn rows(file: &Path, format: Format) -> Result<Rows, CohortError> {
    Rows::open(file, format.encoding, format.dialect)
}

/// Spreadsheets leave rows of nothing but delimiters behind.
fn has_text(row: &Result<Row, CohortError>) -> bool {
    row.as_ref().map_or(true, |row| !row.cells.iter().all(String::is_empty))
}
