//! Counts that are too small to be shown, and those beside them that would tell them.

mod network;

use std::fmt;

use crate::small_cells::network::{Arc, Kind, suppressed};

/// A count as a person may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// The count.
    Count(u64),
    /// That there is none to be seen.
    Suppressed(Suppressed),
}

/// In the place of a count that is not shown; never 0, and no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suppressed {
    below: u64,
    /// Whether it may also be a larger count that would tell a smaller one. It is said of all in a table alike, since
    /// what is known to be small is known better.
    is_beside_others: bool,
}

impl fmt::Display for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let beside = if self.is_beside_others { " or would tell one" } else { "" };
        write!(f, "suppressed (< {}{beside})", self.below)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Suppressed(suppressed) => suppressed.fmt(f),
        }
    }
}

/// The rule of a table that is shown: no count below a bound, and none that others tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmallCells {
    below: u64,
}

/// A table of counts with its totals, some of them suppressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressedTable {
    /// The counts, `[rows][columns]`.
    pub cells: Vec<Vec<Cell>>,
    /// Each row's total, `[rows]`.
    pub row_totals: Vec<Cell>,
    /// Each column's total, `[columns]`.
    pub column_totals: Vec<Cell>,
    /// The total of all.
    pub total: Cell,
}

impl SmallCells {
    /// Returns the rule that counts below `below` are suppressed, 0 among them: a 0 says of everybody that they are not
    /// in it.
    #[must_use]
    pub fn new(below: u64) -> Self {
        Self { below }
    }

    /// Shows a lone count, of which nobody knows what others would add up to with it.
    ///
    /// A share of a known whole is a [`list`](Self::list) of two: the part and the rest.
    #[must_use]
    pub fn count(&self, count: u64) -> Cell {
        self.cell(count, count < self.below, false)
    }

    /// Shows counts and their total, by the rules of [`table`](Self::table); `None` where the total exceeds 64 bits.
    #[must_use]
    pub fn list(&self, counts: &[u64]) -> Option<(Vec<Cell>, Cell)> {
        let total = total(counts.iter().copied())?;
        // All from one place to another, and the total back.
        let parts = counts.iter().map(|&count| Arc { from: 0, to: 1, count, kind: Kind::Cell });
        let arcs: Vec<_> = parts.chain([Arc { from: 1, to: 0, count: total, kind: Kind::Total }]).collect();
        let mut cells = self.shown(&arcs, 2);
        let total = cells.pop().expect("the total is the last");
        Some((cells, total))
    }

    /// Shows a table of counts, `[rows][columns]`, and its totals; `None` where rows are of several lengths, or the total
    /// exceeds 64 bits.
    ///
    /// Counts and totals below the bound are suppressed, and then others, cells before totals and small ones before large
    /// ones, until from what is shown no suppressed count follows, nor of one below the bound that it is. This is exact
    /// for whole numbers: it asks for other tables with the same numbers shown, as flows through the network of rows and
    /// columns (L. H. Cox 1995). It does not hide what other tables of the same patients tell, nor what somebody may guess
    /// from how the others were chosen.
    #[must_use]
    pub fn table(&self, counts: &[Vec<u64>]) -> Option<SuppressedTable> {
        let columns = counts.first().map_or(0, Vec::len);
        if counts.iter().any(|row| row.len() != columns) {
            return None;
        }
        let all = total(counts.iter().flatten().copied())?;
        // Flows from the source over rows and columns to the sink and back: what enters a row leaves it.
        let (source, sink) = (counts.len() + columns, counts.len() + columns + 1);
        let cell = |(row, column): (usize, usize)| Arc {
            from: row,
            to: counts.len() + column,
            count: counts[row][column],
            kind: Kind::Cell,
        };
        let mut arcs: Vec<_> = (0..counts.len())
            .flat_map(|row| (0..columns).map(move |column| (row, column)))
            .map(cell)
            .collect();
        for (row, of_row) in counts.iter().enumerate() {
            arcs.push(Arc { from: source, to: row, count: of_row.iter().sum(), kind: Kind::Total });
        }
        for column in 0..columns {
            let count = counts.iter().map(|row| row[column]).sum();
            arcs.push(Arc { from: counts.len() + column, to: sink, count, kind: Kind::Total });
        }
        arcs.push(Arc { from: sink, to: source, count: all, kind: Kind::Total });
        let mut shown = self.shown(&arcs, sink + 1).into_iter();
        let mut take = |many: usize| shown.by_ref().take(many).collect::<Vec<_>>();
        let cells = (0..counts.len()).map(|_| take(columns)).collect();
        let (row_totals, column_totals) = (take(counts.len()), take(columns));
        Some(SuppressedTable { cells, row_totals, column_totals, total: take(1)[0] })
    }

    fn shown(&self, arcs: &[Arc], places: usize) -> Vec<Cell> {
        let hidden = suppressed(arcs, places, self.below);
        arcs.iter().zip(hidden).map(|(arc, hidden)| self.cell(arc.count, hidden, true)).collect()
    }

    fn cell(&self, count: u64, is_hidden: bool, is_beside_others: bool) -> Cell {
        if is_hidden {
            Cell::Suppressed(Suppressed { below: self.below, is_beside_others })
        } else {
            Cell::Count(count)
        }
    }
}

fn total(counts: impl IntoIterator<Item = u64>) -> Option<u64> {
    counts.into_iter().try_fold(0_u64, u64::checked_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(cells: &[Cell]) -> Vec<Option<u64>> {
        let count = |cell: &Cell| match cell {
            Cell::Count(count) => Some(*count),
            Cell::Suppressed(_) => None,
        };
        cells.iter().map(count).collect()
    }

    #[test]
    fn small_counts_are_words_and_never_a_number() {
        let rule = SmallCells::new(5);
        assert_eq!(rule.count(5).to_string(), "5");
        for count in [0, 1, 4] {
            assert_eq!(rule.count(count).to_string(), "suppressed (< 5)");
        }
        assert_eq!(rule.list(&[3, 22]).unwrap().0[1].to_string(), "suppressed (< 5 or would tell one)");
    }

    #[test]
    fn a_small_part_takes_the_rest_with_it() {
        let rule = SmallCells::new(5);
        let (parts, total) = rule.list(&[3, 97]).unwrap();
        assert_eq!((shown(&parts), total), (vec![None, None], Cell::Count(100)));
        let (parts, total) = rule.list(&[50, 60]).unwrap();
        assert_eq!((shown(&parts), total), (vec![Some(50), Some(60)], Cell::Count(110)));
    }

    #[test]
    fn the_smallest_of_the_others_is_suppressed_too() {
        let (parts, total) = SmallCells::new(5).list(&[164, 413, 22, 3]).unwrap();
        assert_eq!((shown(&parts), total), (vec![Some(164), Some(413), None, None], Cell::Count(602)));
    }

    #[test]
    fn small_counts_that_together_are_small_take_another() {
        // 1 and 2 of 103 leave 3 for the two: both are below 5.
        let (parts, _) = SmallCells::new(5).list(&[1, 2, 40, 60]).unwrap();
        assert_eq!(shown(&parts), [None, None, None, Some(60)]);
        let (parts, _) = SmallCells::new(5).list(&[4, 4, 40, 60]).unwrap();
        assert_eq!(shown(&parts), [None, None, Some(40), Some(60)]);
        // Where all are small, so is the total, or it goes too.
        let (parts, total) = SmallCells::new(5).list(&[1, 2]).unwrap();
        assert_eq!((shown(&parts), shown(&[total])), (vec![None, None], vec![None]));
    }

    #[test]
    fn a_suppressed_cell_takes_a_rectangle() {
        let table = SmallCells::new(5).table(&[vec![3, 20, 30], vec![40, 50, 60], vec![70, 80, 90]]).unwrap();
        let cells: Vec<_> = table.cells.iter().map(|row| shown(row)).collect();
        assert_eq!(cells[0], [None, None, Some(30)]);
        assert_eq!(cells[1], [None, None, Some(60)]);
        assert_eq!(cells[2], [Some(70), Some(80), Some(90)]);
        assert_eq!(shown(&table.row_totals), [Some(53), Some(150), Some(240)]);
        assert_eq!(table.total, Cell::Count(443));
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let rule = SmallCells::new(5);
        assert_eq!(rule.table(&[vec![1, 2], vec![3]]), None);
        assert_eq!((rule.table(&[vec![u64::MAX, 1]]), rule.list(&[u64::MAX, 1])), (None, None));
        assert_eq!(shown(&[rule.table(&[]).unwrap().total]), [None]);
        assert_eq!(shown(&SmallCells::new(0).list(&[0, 1]).unwrap().0), [Some(0), Some(1)]);
    }
}
