//! The reader of cells against the csv crate, on whatever the latter writes.

use fedtwin_plan::cohort_need::DataNeed;
use fedtwin_plan::record::{Part, Value};
use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

use crate::common::{Folder, rows};

/// Categories by cells as strange as cells may be.
const CELLS: [&str; 12] = [
    "a",
    "b c",
    "d\"e",
    "\"f\"",
    "g,h",
    "i;j",
    "k\nl",
    "m\r\nn",
    "\u{e4}\u{f6}",
    "5'11\"",
    "\"\"",
    "o,\"p\n\",q",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cells_are_what_was_written(
        picked in proptest::collection::vec(0..CELLS.len(), 1..40),
        crlf: bool,
        always: bool,
        blank in 0_usize..3,
    ) {
        let style = if always { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
        let end = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().quote_style(style).terminator(end).from_writer(Vec::new());
        writer.write_record(["x", "died"]).unwrap();
        for &at in &picked {
            writer.write_record([CELLS[at], "1"]).unwrap();
        }
        let folder = Folder::new();
        let mut bytes = "\n".repeat(blank).into_bytes();
        bytes.extend(writer.into_inner().unwrap());
        folder.write("rows.csv", bytes);
        let codes = CELLS.iter().enumerate().map(|(at, cell)| {
            // Line ends within a cell are one letter, however they are written.
            format!("{} = 'c{at:02}'\n", toml_text(&cell.replace("\r\n", "\n")))
        });
        folder.write("schema.toml", format!(
            "outcome = {{ name = 'died', rule = {{ above = 0 }} }}\n[features.x.category.codes]\n{}",
            codes.collect::<String>()
        ));
        let cohort = folder.cohort(
            "name = 'c'\npatients = 99\nsource.table = { file = 'rows.csv', schema = 'schema.toml' }\n\
             split.hashed = { test = '1/1000000', seed = 1 }\n",
        ).unwrap();
        let names = (0..CELLS.len()).map(|at| format!("c{at:02}")).collect();
        let features = [("x".to_owned(), fedtwin_plan::cohort_need::Feature::Category(names))].into();
        let need = DataNeed::Table(fedtwin_plan::cohort_need::TableNeed { outcome: "died".into(), features });
        let found = rows(cohort.read(&need, Part::Train).unwrap());
        let found: Vec<_> = found.iter().map(|row| row.values[0]).collect();
        let expected: Vec<_> =
            picked.iter().map(|&at| Value::Category(u32::try_from(at).unwrap())).collect();
        prop_assert_eq!(found, expected);
    }
}

proptest! {
    #[test]
    fn rubbish_is_read_or_refused_and_never_panics(
        mut bytes in proptest::collection::vec(proptest::sample::select(b"ix1,;\"' \r\n\t\0.-+eE\xe4\xff\xfe".as_slice()), 0..80),
        header: bool,
        quote in proptest::sample::select(vec!["double", "single", "none"]),
        encoding in proptest::sample::select(vec!["utf-8", "utf-16", "latin-1", "shift_jis"]),
    ) {
        if header {
            bytes.splice(0..0, *b"id,x,died\n");
        }
        let folder = Folder::new();
        folder.write("rows.csv", bytes);
        folder.write("schema.toml", format!(
            "patient_id = 'id'\nquote = '{quote}'\nencoding = '{encoding}'\ndecimal = ','\nthousands = ' '\n\
             outcome = {{ name = 'died', rule = {{ above = 0 }} }}\n\
             features.x.number = {{ unit = 'u', low = 0, high = 9 }}\n"
        ));
        let cohort = folder.cohort(
            "name = 'c'\npatients = 99\n\
             source.table = { file = 'rows.csv', schema = 'schema.toml', patient = '*i{patient}' }\n\
             split.modulo = { divisor = 2, test = 1 }\n",
        ).unwrap();
        let _any_answer = cohort.take_inventory();
    }
}

fn toml_text(cell: &str) -> String {
    format!("\"{}\"", cell.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
