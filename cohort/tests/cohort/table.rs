//! Tables: what is read, and what is refused with which message.

use fedtwin_cohort::CohortFile;
use fedtwin_plan::cohort_need::{DataNeed, Feature, NumberRange, TableNeed};
use fedtwin_plan::outcome::{AskedOutcome, Outcome, OutcomeNeed};
use fedtwin_plan::record::{Part, Value};

use crate::common::{Folder, rows};

const COHORT: &str = "
name = 'small'
patients = 3
source.table = { file = 'rows.csv', schema = 'schema.toml' }
split.modulo = { divisor = 5, test = 0 }
";

const SCHEMA: &str = "
missing = ['?', '']
patient_id = 'id'

[outcome]
name = 'died'
rule = { texts = { yes = ['y'], no = ['n'] } }

[features.sbp.number]
column = 'pressure'
unit = 'mmHg'
low = 80
high = 220
sentinels = [0]

[features.sex.category]
codes = { 0 = 'female', 1 = 'male' }
sentinels = ['9']
";

const ROWS: &str = "id,pressure,sex,died\np1,120,1,y\np2,?,0.0,n\np3, 0.0 ,9,n\np5,99.5,1,y\n";

fn folder(rows: &str) -> Folder {
    let folder = Folder::new();
    folder.write("rows.csv", rows);
    folder.write("schema.toml", SCHEMA);
    folder
}

fn need(unit: &str, categories: &[&str]) -> TableNeed {
    let sbp = Feature::Number(NumberRange::linear(unit, 80.0, 220.0));
    let sex = Feature::Category(categories.iter().map(|&name| name.to_owned()).collect());
    TableNeed { outcome: "died".into(), features: [("sbp".to_owned(), sbp), ("sex".to_owned(), sex)].into() }
}

fn good_need() -> DataNeed {
    DataNeed::Table(need("mmHg", &["male", "female"]))
}

#[test]
fn cells_become_typed_values_in_the_order_of_lines() {
    let folder = folder(ROWS);
    let cohort = folder.cohort(COHORT).unwrap();
    assert_eq!((cohort.name().as_str(), cohort.patients()), ("small", 3));
    cohort.fits(&good_need()).unwrap();
    let train = rows(cohort.read(&good_need(), Part::Train).unwrap());
    let values: Vec<_> = train.iter().map(|row| row.values.clone()).collect();
    assert_eq!(
        values,
        [
            vec![Value::Number(120.0), Value::Category(0)],
            vec![Value::Missing, Value::Category(1)],
            vec![Value::Missing, Value::Missing],
        ]
    );
    assert_eq!(train.iter().map(|row| row.outcome.happened()).collect::<Vec<_>>(), [true, false, false]);
    let test = rows(cohort.read(&good_need(), Part::Test).unwrap());
    assert_eq!(test[0].values, [Value::Number(99.5), Value::Category(0)]);
}

#[test]
fn tables_without_header_and_with_other_delimiters_are_read() {
    let folder = folder("p1;120;1;y\r\n\"p2\";;0;n\r\n");
    folder.write(
        "schema.toml",
        format!("delimiter = ';'\ncolumns = ['id', 'pressure', 'sex', 'died']\n{SCHEMA}"),
    );
    let train = rows(folder.cohort(COHORT).unwrap().read(&good_need(), Part::Train).unwrap());
    assert_eq!(train[1].values, [Value::Missing, Value::Category(1)]);
    folder.write("schema.toml", SCHEMA);
    folder.write("rows.csv", format!("\u{feff}{ROWS}"));
    assert_eq!(folder.cohort(COHORT).unwrap().read(&good_need(), Part::Train).unwrap().patients(), 3);
}

#[test]
fn a_plan_that_does_not_fit_is_refused_without_the_table() {
    let folder = folder(ROWS);
    std::fs::remove_file(folder.path("rows.csv")).unwrap();
    let cohort = folder.cohort(COHORT).unwrap();
    let check = |need: DataNeed, expected: &str| {
        let message = cohort.fits(&need).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    };
    cohort.fits(&good_need()).unwrap();
    check(
        DataNeed::Table(need("mmol/L", &["male", "female"])),
        "column \"sbp\": the plan expects \"mmol/L\", the cohort has \"mmHg\"",
    );
    check(
        DataNeed::Table(need("mmHg", &["male", "woman"])),
        "column \"sex\": the cohort has category \"female\", the plan expects one of male, woman",
    );
    let mut other = need("mmHg", &["male", "female"]);
    let sbp = other.features["sbp"].clone();
    other.features.insert("chol".into(), sbp.clone());
    check(DataNeed::Table(other), "it expects a column \"chol\", the cohort has sbp, sex");
    let mut other = need("mmHg", &["male", "female"]);
    other.features.insert("sex".into(), sbp);
    check(DataNeed::Table(other), "column \"sex\": the plan expects numbers, the cohort has categories");
    let mut other = need("mmHg", &["male", "female"]);
    let range = NumberRange::linear("mmHg", 8.0, 30.0);
    other.features.insert("sbp".into(), Feature::Number(range));
    check(
        DataNeed::Table(other),
        "the plan expects 8 to 30 mmHg, the cohort's values are plausible from 80 to 220",
    );
    let other = TableNeed { outcome: "lived".into(), ..need("mmHg", &["male", "female"]) };
    check(DataNeed::Table(other), "it predicts outcome \"lived\", the cohort has \"died\"");
    check(crate::common::image_need(64, 48), "it expects images, the cohort has a table");
}

#[test]
fn a_table_without_the_schemas_column_is_refused() {
    let folder = folder("id,sex,died\n");
    let error = folder.cohort(COHORT).unwrap().take_inventory().unwrap_err();
    assert_eq!(folder.message(&error), "rows.csv:1: expected a column \"pressure\", found id, sex, died");
}

#[test]
fn bad_cells_are_refused_with_file_line_and_column_but_no_value() {
    let check = |line: &str, expected: &str| {
        let folder = folder(&format!("id,pressure,sex,died\np1,120,1,y\n{line}\n"));
        let error = folder.cohort(COHORT).unwrap().read(&good_need(), Part::Train).unwrap_err();
        assert_eq!(folder.message(&error), format!("rows.csv:3: {expected}"));
    };
    let number = "column \"pressure\": expected a number or one of the schema's texts for missing";
    check("p2,secret,1,n", number);
    check("p2,nan,1,n", number);
    check("p2,inf,1,n", number);
    check("p2,120,7,n", "column \"sex\": expected one of the schema's codes or texts for missing");
    check(
        "p2,120,1,?",
        "column \"died\": expected the outcome, which may not be missing; texts in outcome.unknown leave such a patient \
         out",
    );
    check("p2,120,1,maybe", "column \"died\": expected one of the schema's texts for yes or no");
    check("p2,120,1", "has 3 cells, expected 4");
    check("p1,120,1,n", "is of the same patient as line 2, expected one line per patient");
}

#[test]
fn an_identifier_among_the_texts_for_missing_is_refused_with_what_to_change() {
    let folder = folder("id,pressure,sex,died\n1,120,1,y\n9,?,1,n\n");
    let refused = |missing: &str| {
        folder.write("schema.toml", SCHEMA.replace("missing = ['?', '']", &format!("missing = {missing}")));
        let taken = folder.cohort(COHORT).unwrap().read(&good_need(), Part::Train);
        folder.message(&taken.unwrap_err())
    };
    for missing in ["['', '?', '9']", "['', '?', '9.0']"] {
        assert_eq!(
            refused(missing),
            "rows.csv:3: has an identifier that the schema lists in `missing`, for every column: if it is a patient's, make \
             it a feature's `sentinels`"
        );
    }
}

#[test]
fn more_training_patients_than_declared_are_refused_and_fewer_are_fine() {
    let folder = folder(ROWS);
    let cohort = folder.cohort(&COHORT.replace("patients = 3", "patients = 2")).unwrap();
    for part in [Part::Train, Part::Test] {
        let message = folder.message(&cohort.read(&good_need(), part).unwrap_err());
        assert!(message.starts_with("cohort.toml declares 2 patients"), "{message}");
    }
    let cohort = folder.cohort(&COHORT.replace("patients = 3", "patients = 30")).unwrap();
    assert_eq!(cohort.read(&good_need(), Part::Train).unwrap().patients(), 3);
}

#[test]
fn a_list_assigns_lines_and_leaves_out_the_others() {
    let folder = folder(ROWS);
    let text = COHORT.replace(
        "split.modulo = { divisor = 5, test = 0 }",
        "split.listed = { file = 'split.csv', line = 'line', part = 'part', where = { centre = 'a' } }",
    );
    let read = |list: &str, part| {
        folder.write("split.csv", format!("centre,line,part\n{list}"));
        let cohort = folder.cohort(&text).unwrap();
        cohort.read(&good_need(), part).map(|records| records.patients()).map_err(|e| folder.message(&e))
    };
    let list = "a,2,train\na,5,test\nb,3,train\n";
    assert_eq!((read(list, Part::Train), read(list, Part::Test)), (Ok(1), Ok(1)));
    let refused = |list: &str, expected: &str| assert_eq!(read(list, Part::Train), Err(expected.to_owned()));
    refused("a,2,train\na,2,test\n", "split.csv:3: assigns somebody, or a line, for the second time");
    refused("a,2,dev\n", "split.csv:2: expected train or test");
    refused("a,two,train\n", "split.csv:2: expected a line counted from 1");
    refused("a,6,train\n", "split.csv:2: assigns line 6 of a table that ends at line 5");
}

#[test]
fn hashed_splits_are_disjoint_and_change_with_the_seed() {
    let lines: String = (0..1000).map(|patient| format!("id{patient:x},120,1,y\n")).collect();
    let folder = folder(&format!("id,pressure,sex,died\n{lines}"));
    let counts = |seed: u64| {
        let text = COHORT.replace("patients = 3", "patients = 1000").replace(
            "split.modulo = { divisor = 5, test = 0 }",
            &format!("split.hashed = {{ test = '1/5', seed = {seed} }}"),
        );
        let cohort = folder.cohort(&text).unwrap();
        [Part::Train, Part::Test].map(|part| cohort.read(&good_need(), part).unwrap().patients())
    };
    let splits: Vec<_> = (0..5).map(counts).collect();
    for [train, test] in &splits {
        assert_eq!(train + test, 1000);
        // 200 +- 5 standard deviations of 12.6.
        assert!((137..=263).contains(test), "{test}");
    }
    assert!(splits.windows(2).any(|pair| pair[0] != pair[1]));
}

#[test]
fn impossible_descriptions_are_refused_with_their_line() {
    let check = |cohort: &str, schema: &str, expected: &str| {
        let folder = folder(ROWS);
        folder.write("schema.toml", schema);
        let error = folder.cohort(cohort).unwrap_err();
        let message = folder.message(&error);
        assert!(message.contains(expected), "{message}");
    };
    check(&COHORT.replace("patients", "patience"), SCHEMA, "cohort.toml:3: unknown field `patience`");
    check(
        &COHORT.replace("patients = 3", "patients = 0"),
        SCHEMA,
        "cohort.toml:3: is 0, expected an integer from 1",
    );
    check(&COHORT.replace("test = 0", "test = 5"), SCHEMA, "cohort.toml:5: split.modulo.test is 5, expected");
    check(
        "name = 'x'\npatients = 1\nsource.synthetic-images = { seed = 1, site = 0, patients = 1 }\n\
         split.listed = { file = 's', line = 'l', part = 'p' }",
        SCHEMA,
        "cohort.toml:4: split.listed assigns the lines of a table",
    );
    check(
        COHORT,
        &SCHEMA.replace("high = 220", "high = 8"),
        "schema.toml:9: features.sbp.number is plausible from",
    );
    check(
        COHORT,
        &SCHEMA.replace("'pressure'", "'died'"),
        "features.sbp reads column \"died\", which \"outcome\"",
    );
    check(COHORT, &SCHEMA.replace("1 = 'male'", "1 = 'female'"), "names fewer than two categories");
    check(COHORT, &format!("delimiter = 'é'\n{SCHEMA}"), "schema.toml:1: delimiter is no character");
    check(COHORT, &format!("columns = ['id', 'id']\n{SCHEMA}"), "schema.toml:1: columns names \"id\" twice");
    check(COHORT, &format!("columns = ['id', 'sex', 'died']\n{SCHEMA}"), "columns lacks \"pressure\"");
}

#[test]
fn counts_are_whole_numbers_and_of_their_own_kind() {
    let schema = SCHEMA.replace("{ texts = { yes = ['y'], no = ['n'] } }", "'count'");
    let of = |died: &str| {
        let folder = folder(
            &ROWS.replace(",y\np2", &format!(",{died}\np2")).replace(",n\n", ",0\n").replace(",y\n", ",2\n"),
        );
        folder.write("schema.toml", &schema);
        folder
    };
    let need = TableNeed {
        outcome: OutcomeNeed { name: "died".into(), asked: AskedOutcome::Count },
        ..need("mmHg", &["male", "female"])
    };
    let need = DataNeed::Table(need);
    for (died, expected) in [("3", 3), ("0", 0), ("3.0", 3), ("1000000", 1_000_000)] {
        let train = rows(of(died).cohort(COHORT).unwrap().read(&need, Part::Train).unwrap());
        assert_eq!(train[0].outcome, Outcome::Count(expected), "{died}");
    }
    for died in ["-1", "1.5", "1000001", "x", "", "1e9"] {
        let folder = of(died);
        let message = folder.message(&folder.cohort(COHORT).unwrap().read(&need, Part::Train).unwrap_err());
        assert!(message.starts_with("rows.csv:2: column \"died\": expected "), "{died}: {message}");
    }
    let kinds = of("3").cohort(COHORT).unwrap().fits(&good_need()).unwrap_err().to_string();
    assert_eq!(kinds, "it predicts an outcome that is yes or no, the cohort's is a count");
}

#[test]
fn files_that_are_not_there_are_named() {
    let folder = Folder::new();
    let message = folder.message(&CohortFile::load(&folder.path("cohort.toml")).unwrap_err());
    assert!(message.starts_with("cannot read cohort.toml: "), "{message}");
    let message = folder.message(&folder.cohort(COHORT).unwrap_err());
    assert!(message.starts_with("cannot read schema.toml: "), "{message}");
    folder.write("schema.toml", SCHEMA);
    let message = folder.message(&folder.cohort(COHORT).unwrap().take_inventory().unwrap_err());
    assert!(message.starts_with("cannot read rows.csv: "), "{message}");
}
