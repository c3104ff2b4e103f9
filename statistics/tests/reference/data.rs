//! Real tables, read as text.

use std::path::PathBuf;

use fedtwin_metrics::survival::Survival;

/// A table of text cells.
pub(crate) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Reads `folder/file` of the real data, or says that the calling test is skipped.
    #[expect(clippy::print_stdout, reason = "what `cargo xtask test` counts")]
    pub(crate) fn read(folder: &str, file: &str) -> Option<Self> {
        let data = std::env::var_os("FEDTWIN_DATA").filter(|data| !data.is_empty());
        let path = data.map(|data| PathBuf::from(data).join(folder).join(file));
        let Some(text) = path.and_then(|path| std::fs::read_to_string(path).ok()) else {
            println!("skipped: FEDTWIN_DATA names no folder with {folder}/{file}");
            return None;
        };
        let cells = |line: &str| line.split(',').map(|cell| cell.trim_matches('"').to_owned()).collect();
        let mut lines = text.lines().map(cells);
        Some(Self { header: lines.next().unwrap(), rows: lines.collect() })
    }

    /// Returns the cells of the named columns, row by row.
    pub(crate) fn columns<const N: usize>(&self, names: [&str; N]) -> Vec<[&str; N]> {
        let places = names.map(|name| self.header.iter().position(|column| column == name).unwrap());
        self.rows.iter().map(|row| places.map(|place| row[place].as_str())).collect()
    }

    /// Returns the numbers of the named columns, of the rows that have them all.
    pub(crate) fn numbers<const N: usize>(&self, names: [&str; N]) -> Vec<[f64; N]> {
        let number = |cells: [&str; N]| {
            let numbers = cells.map(|cell| cell.parse().unwrap_or(f64::NAN));
            numbers.iter().all(|n| !n.is_nan()).then_some(numbers)
        };
        self.columns(names).into_iter().filter_map(number).collect()
    }
}

/// Returns an observation from the start.
pub(crate) fn follow_up(time: f64, event: bool) -> Survival {
    Survival::new(0.0, time, event).unwrap()
}

/// Compares numbers one by one, to a part of the expected.
pub(crate) fn check(found: &[f64], expected: &[f64], relative: f64) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= relative * b.abs(), "{found:?} is not {expected:?}");
    }
}
