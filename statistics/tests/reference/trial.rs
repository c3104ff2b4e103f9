//! A trial of indomethacin against placebo in four centres, as it was published (Elmunzer et al. 2012).

use std::collections::BTreeMap;

use fedtwin_statistics::{Cell, Level, Scale, SmallCells, TwoByTwo, sum};

use crate::data::Table;

/// Each centre's patients with and without pancreatitis: of indomethacin, of placebo.
fn centres() -> Option<BTreeMap<String, [u32; 4]>> {
    let table = Table::read("multicentre_trials", "indo_rct.csv")?;
    let mut centres = BTreeMap::<String, [u32; 4]>::new();
    for [site, outcome, rx] in table.columns(["site", "outcome", "rx"]) {
        let place = usize::from(rx == "0_placebo") * 2 + usize::from(outcome == "0_no");
        centres.entry(site.to_owned()).or_default()[place] += 1;
    }
    Some(centres)
}

#[test]
fn four_centres_sums_are_the_published_table() {
    let Some(centres) = centres() else { return };
    let scale = Scale::new(1000.0, 1.0).unwrap();
    let sites: Vec<_> =
        centres.values().map(|counts| counts.map(|n| scale.to_integer(f64::from(n)))).collect();
    let all = sum(sites.iter().map(|site| &site[..])).unwrap().unwrap();
    assert_eq!(all, [27, 268, 52, 255]);
    let [a, b, c, d] = [0, 1, 2, 3].map(|place| scale.value(all[place]));
    let table = TwoByTwo { with: [a, c], without: [b, d], noise_sd: 0.0 };
    // 9.2 % of 295 and 16.9 % of 307; the publication's difference is 7.7 points.
    assert!((a / (a + b) - 0.092).abs() < 5e-4 && (c / (c + d) - 0.169).abs() < 5e-4);
    let found = table.risk_difference_newcombe(Level::default()).unwrap();
    assert!((found.value + 0.078).abs() < 5e-4 && found.high < 0.0, "{found:?}");
}

#[test]
fn the_centres_of_22_and_of_3_are_suppressed() {
    let Some(centres) = centres() else { return };
    let sizes: Vec<_> = centres.values().map(|counts| u64::from(counts.iter().sum::<u32>())).collect();
    assert_eq!(sizes, [164, 413, 22, 3]);
    let (cells, total) = SmallCells::new(5).list(&sizes).unwrap();
    assert_eq!((cells[0], cells[1], total), (Cell::Count(164), Cell::Count(413), Cell::Count(602)));
    for cell in &cells[2..] {
        assert_eq!(cell.to_string(), "suppressed (< 5 or would tell one)");
    }
    // By centre and outcome the small centres' rows cannot be got from the columns' totals.
    let rows: Vec<_> =
        centres.values().map(|&[a, b, c, d]| vec![u64::from(a + c), u64::from(b + d)]).collect();
    let table = SmallCells::new(5).table(&rows).unwrap();
    let is_hidden = |cell: &Cell| matches!(cell, Cell::Suppressed(_));
    assert!(table.cells[3].iter().all(is_hidden) && is_hidden(&table.row_totals[3]), "{table:?}");
    let is_told = |cells: Vec<&Cell>, total: &Cell| {
        !is_hidden(total) && cells.iter().filter(|cell| is_hidden(cell)).count() == 1
    };
    for (column, total) in table.column_totals.iter().enumerate() {
        assert!(!is_told(table.cells.iter().map(|row| &row[column]).collect(), total), "{table:?}");
    }
    assert!(!is_told(table.row_totals.iter().collect(), &table.total), "{table:?}");
}
