//! Tables for people: aligned columns of text.

use std::fmt;

/// Rows under a heading; the first column is aligned left, all others right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table<const COLUMNS: usize> {
    heading: [String; COLUMNS],
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// Makes a table without rows.
    #[must_use]
    pub fn new(heading: [&str; COLUMNS]) -> Self {
        Self { heading: heading.map(str::to_owned), rows: Vec::new() }
    }

    /// Appends a row.
    pub fn row(&mut self, row: [String; COLUMNS]) {
        self.rows.push(row);
    }
}

impl<const COLUMNS: usize> fmt::Display for Table<COLUMNS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths = self.heading.each_ref().map(|cell| cell.chars().count());
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in std::iter::once(&self.heading).chain(&self.rows) {
            let mut line = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                line += &if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") };
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["cohort", "left"]);
        table.row(["heart".into(), "0.25".into()]);
        table.row(["hippocampus".into(), "12".into()]);
        assert_eq!(table.to_string(), "cohort       left\nheart        0.25\nhippocampus    12\n");
    }
}
