//! Tables in Parquet files: what is read of files that others wrote, and what is refused in which row.
//!
//! `data/make_parquet.py` wrote the files with pyarrow, polars and pandas, and beside them the values as pyarrow has them.

use std::path::{Path, PathBuf};

use fedtwin_cohort::CohortFile;
use fedtwin_cohort::schema::TableSchema;
use fedtwin_plan::record::{Part, TableRecord, Value};
use fedtwin_plan::text_file;
use proptest::prelude::*;

use crate::common::{Folder, rows};

/// All columns that every file has.
const SCHEMA: &str = "
patient_id = 'id'
outcome = { name = 'died', rule = { texts = { yes = ['true'], no = ['false'] } } }
features.bmi.number = { unit = 'kg/m2', low = 10, high = 80 }
features.dose.number = { unit = 'mg', low = 0, high = 80 }
features.small.number = { unit = '1', low = -100, high = 80 }
features.count.number = { unit = '1', low = 0, high = 5e9 }
features.stage.category.codes = { 1 = 'i', 2 = 'ii', '3.0' = 'iii', 4 = 'iv' }
features.ward.category.codes = { a = 'a', b = 'b', 'H\u{e4}ma' = 'c' }
features.note.category.codes = { x = 'x', y = 'y' }
features.price.category.codes = { '-0.01' = 'a', '12345678901234567890123456789012345.67' = 'b', '1.5' = 'c', 0 = 'd' }
features.day.category.codes = { 2024-02-29 = 'a', 1969-12-31 = 'b', 1582-10-14 = 'c' }
";

/// Columns that some programs or versions store otherwise.
const TIMES: &str = "
features.local.category.codes = { '2024-02-29T12:34:56.789012' = 'a', '1969-12-31T23:59:59.999999' = 'b' }
features.moment.category.codes = { '2024-02-29T12:34:56.789012Z' = 'a', '1969-12-31T23:59:59.999999Z' = 'b' }
features.clock.category.codes = { '00:00:00.000000' = 'a', '23:59:59.999999' = 'b' }
features.big.category.codes = { 18446744073709551615 = 'a', 9223372036854775808 = 'b', 5 = 'c' }
";

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cohort/data").join(name)
}

/// Reads a file as a source of this kind, or returns the refusal without its folder.
fn read(source: &str, file: &Path, schema: &str) -> Result<Vec<TableRecord>, String> {
    let folder = Folder::new();
    folder.write("schema.toml", schema);
    let (name, text) =
        (file.display(), "name = 'c'\npatients = 40\nsplit.hashed = { test = '1/1000000', seed = 1 }\n");
    let confirmed = "confirmed = { no_test = true, one_outcome = true }\n";
    let source = format!("source.{source} = {{ file = '{name}', schema = 'schema.toml' }}\n");
    let message = |error| {
        let folder = format!("{}/", file.parent().unwrap().display());
        Folder::message(&Folder::new(), &error).replace(&folder, "")
    };
    let cohort: CohortFile =
        folder.cohort(&format!("{confirmed}{text}{source}")).map_err(|e| folder.message(&e))?;
    cohort.take_inventory().map_err(message)?;
    let need = text_file::parse::<TableSchema>("schema", schema).unwrap().need();
    cohort.read(&need, Part::Train).map(rows).map_err(message)
}

fn expected(schema: &str) -> Vec<TableRecord> {
    let rows = read("table", &data("expected.csv"), schema).unwrap();
    assert_eq!(rows.len(), 40);
    rows
}

#[test]
fn every_codec_and_page_of_pyarrow_is_read() {
    let schema = [SCHEMA, TIMES].concat();
    let expected = expected(&schema);
    let missing =
        expected.iter().flat_map(|row| &row.values).filter(|value| **value == Value::Missing).count();
    assert!(missing > 40, "{missing}");
    for codec in ["none", "snappy", "gzip", "zstd", "lz4", "pages", "encodings"] {
        let file = data(&format!("pyarrow-{codec}.parquet"));
        assert_eq!(read("parquet", &file, &schema).as_ref(), Ok(&expected), "{codec}");
    }
}

#[test]
fn polars_and_pandas_are_read() {
    let expected = expected(SCHEMA);
    for program in ["polars", "pyarrow-int96"] {
        let file = data(&format!("{program}.parquet"));
        assert_eq!(read("parquet", &file, SCHEMA).as_ref(), Ok(&expected), "{program}");
    }
    // Pandas makes times of days, and doubles of whole numbers where some are missing.
    let (start, day) = SCHEMA.split_at(SCHEMA.find("features.day").unwrap());
    assert!(day.lines().count() == 1, "the last column");
    assert_eq!(read("parquet", &data("pandas.parquet"), start), read("table", &data("expected.csv"), start));
    // Polars has times of a day in nanoseconds alone.
    let times = TIMES
        .replace("00.000000'", "00.000000000'")
        .replace("59.999999' = 'b' }\nfeatures.big", "59.999999000' = 'b' }\nfeatures.big");
    let own = read("parquet", &data("polars.parquet"), &[SCHEMA, &times].concat());
    assert_eq!(own, read("table", &data("expected.csv"), &[SCHEMA, TIMES].concat()));
    // Times of the old kind are of no stated zone, in nanoseconds.
    let old = "features.local.category.codes = { '2024-02-29T12:34:56.789012000' = 'a', '1969-12-31T23:59:59.999999000' = 'b' }\n";
    let read = read("parquet", &data("pyarrow-int96.parquet"), &[SCHEMA, old].concat()).unwrap();
    let own: Vec<_> = read.iter().map(|row| row.values[4]).collect();
    assert!(own.contains(&Value::Category(0)) && own.contains(&Value::Missing));
}

#[test]
fn what_is_no_column_of_values_is_refused_by_its_name() {
    let file = &data("pyarrow-none.parquet");
    let check = |schema: String, expected: &str| {
        let message = read("parquet", file, &schema).unwrap_err();
        assert!(message.contains(expected), "{message}\nexpected {expected}");
    };
    let nested = format!("{SCHEMA}features.visits.number = {{ unit = '1', low = 0, high = 9 }}\n");
    check(nested, "column \"visits\" holds a list or a structure in each row");
    let other = format!("{SCHEMA}features.sex.number = {{ unit = '1', low = 0, high = 9 }}\n");
    check(other, "pyarrow-none.parquet: expected a column \"sex\", found id, died, bmi");
    check(SCHEMA.replace("'id'", "'bmi2'"), "expected a column \"bmi2\"");
    let by_float = SCHEMA.replace("features.dose", "features.x").replace("'id'", "'dose'");
    check(
        by_float
            .replace("features.x.number = {", "features.x.number = { column = 'small',")
            .replace("features.small.number = { unit = '1', low = -100, high = 80 }\n", ""),
        "row 1: has an identifier that is stored as a floating-point number",
    );
    check(
        SCHEMA.replace("1 = 'i',", "7 = 'i',"),
        "row 1: column \"stage\": expected one of the schema's codes",
    );
    check(
        SCHEMA
            .replace("features.bmi", "features.y")
            .replace("'kg/m2'", "'u'")
            .replace("y.number = {", "y.number = { column = 'note',")
            .replace("features.note.category.codes = { x = 'x', y = 'y' }\n", ""),
        "row 1: column \"note\": expected a number",
    );
    check(
        SCHEMA
            .replace("'id'", "'stage'")
            .replace("features.stage.category.codes = { 1 = 'i', 2 = 'ii', '3.0' = 'iii', 4 = 'iv' }\n", ""),
        "row 5: is of the same patient as row 1, expected one row per patient",
    );
    check(
        SCHEMA.replace("a = 'a', b", "'' = 'a', b").replace("patient_id", "missing = ['?']\npatient_id"),
        "in Parquet, the empty text is what is not there",
    );
}

#[test]
fn what_is_no_parquet_file_is_refused_for_what_it_is() {
    let folder = Folder::new();
    let whole = std::fs::read(data("pyarrow-snappy.parquet")).unwrap();
    let file = folder.path("x.parquet");
    let check = |bytes: &[u8], expected: &str| {
        std::fs::write(&file, bytes).unwrap();
        let message = read("parquet", &file, SCHEMA).unwrap_err();
        assert!(message.contains(expected), "{message}\nexpected {expected}");
    };
    check(b"", "is no Parquet file");
    check(b"id,died\n1,2\n", "is no Parquet file");
    check(b"PAR1PAR1", "is damaged");
    check(&whole[..whole.len() - 1], "is no Parquet file");
    check(&[&whole[..whole.len() - 4], b"PARE"].concat(), "is encrypted");
    let mut longer = whole.clone();
    let at = longer.len() - 8;
    longer[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    check(&longer, "is damaged");
    let mut pages = whole.clone();
    pages[4..400].fill(0xff);
    check(&pages, "column \"id\" cannot be read in row group 1");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_file_with_other_bytes_is_read_or_refused_and_never_panics(
        which in proptest::sample::select(vec!["pyarrow-none", "pyarrow-zstd", "pyarrow-pages", "pyarrow-encodings", "polars"]),
        places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        from_end: bool,
    ) {
        let mut bytes = std::fs::read(data(&format!("{which}.parquet"))).unwrap();
        let length = bytes.len();
        for (place, byte) in places {
            // The end says what is where, and deserves as much as the rest.
            let at = if from_end { length - 1 - place.index(length / 3) } else { place.index(length) };
            bytes[at] = byte;
        }
        let folder = Folder::new();
        folder.write("x.parquet", bytes);
        if let Err(message) = read("parquet", &folder.path("x.parquet"), SCHEMA) {
            prop_assert!(!message.contains("panicked"), "{message}");
        }
    }
}
