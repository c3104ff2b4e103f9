//! The tables of docs/PROTOCOL.md, computed anew.

use std::path::Path;

use fedtwin_plan::secure_group::{colluders_max, threshold};

/// Returns the rows of the table after a mark, without its head.
fn rows(mark: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PROTOCOL.md");
    let text = std::fs::read_to_string(path).expect("the document is there");
    let (_, table) =
        text.split_once(&format!("<!-- table: {mark} -->\n")).expect("the document has the table");
    table.lines().take_while(|line| line.starts_with('|')).skip(2).map(str::to_owned).collect()
}

/// The first cells of a row, which say what it is about.
fn key<const N: usize>(row: &str) -> [usize; N] {
    let cells: Vec<_> =
        row.trim_matches('|').split('|').take(N).map(|cell| cell.trim().parse().expect("a number")).collect();
    cells.try_into().expect("a row has these cells")
}

#[test]
fn the_margins_are_those_of_the_code() {
    let found = rows("margins");
    assert!(found.len() > 10);
    for row in found {
        let [n] = key(&row);
        let bare = 2 * threshold(n) - n;
        let (all, fewer) = (colluders_max(n, n), colluders_max(n - n / 5, n));
        assert_eq!(row, format!("| {n} | {} | {bare} | {all} | {fewer} |", threshold(n)));
    }
}

#[test]
fn the_rings_probabilities_are_hypergeometric_tails() {
    let found = rows("ring");
    assert!(found.len() > 5);
    for row in found {
        let [n, c] = key(&row);
        let (text, bare) = (log2_tail(n, c, threshold(101)), log2_tail(n, c, 2 * threshold(101) - 101));
        let honest = f64::from(u32::try_from(n - c).unwrap());
        let tries = bare.map(|bare| bare + honest.log2() + 40.0);
        assert_eq!(row, format!("| {n} | {c} | {} | {} | {} |", cell(text), cell(bare), cell(tries)));
    }
}

/// Returns log2 of the probability that of the 100 others in a neighbourhood `least` or more are corrupt, if `c` of `n`
/// are and the site itself is not.
fn log2_tail(n: usize, c: usize, least: usize) -> Option<f64> {
    let terms: Vec<f64> = (least..=c.min(100))
        .map(|k| log2_choose(c, k) + log2_choose(n - 1 - c, 100 - k) - log2_choose(n - 1, 100))
        .collect();
    let largest = terms.iter().copied().reduce(f64::max)?;
    Some(largest + terms.iter().map(|term| (term - largest).exp2()).sum::<f64>().log2())
}

/// Returns log2 of a binomial coefficient; minus infinity where there is nothing to choose.
fn log2_choose(from: usize, count: usize) -> f64 {
    if count > from {
        return f64::NEG_INFINITY;
    }
    let log2 = |number: usize| f64::from(u32::try_from(number).expect("few sites")).log2();
    (0..count).map(|taken| log2(from - taken) - log2(count - taken)).sum()
}

fn cell(value: Option<f64>) -> String {
    value.map_or("never".to_owned(), |value| format!("{value:.1}"))
}
