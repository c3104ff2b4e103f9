//! Tables of JSON lines: what is read, and what is refused in which line.

use fedtwin_cohort::CohortFile;
use fedtwin_cohort::schema::TableSchema;
use fedtwin_plan::record::{Part, TableRecord, Value};
use fedtwin_plan::text_file;

use crate::common::{Folder, gzipped, rows};

const SCHEMA: &str = "
patient_id = 'id'
missing = ['?', '-9']
outcome = { name = 'died', rule = { texts = { yes = ['true', '1'], no = ['false', '0'] } } }
features.bmi.number = { unit = 'kg/m2', low = 10, high = 80, sentinels = [0] }
features.ward.category.codes = { 1 = 'a', 'H\u{e4}ma' = 'b', 900000000000207008 = 'c', 900000000000207009 = 'd' }
";

/// One hospital's files.
struct Case {
    folder: Folder,
    /// The cohort file's line with its source.
    source: &'static str,
}

impl Case {
    fn new(lines: impl AsRef<[u8]>) -> Self {
        let case = Self {
            folder: Folder::new(),
            source: "source.json-lines = { file = 'rows.jsonl', schema = 'schema.toml' }",
        };
        case.folder.write("rows.jsonl", lines);
        case.schema(SCHEMA)
    }

    fn schema(self, text: &str) -> Self {
        self.folder.write("schema.toml", text);
        self
    }

    fn cohort(&self) -> Result<CohortFile, String> {
        let text = format!(
            "name = 'c'\npatients = 9\nconfirmed = {{ no_train = true, one_outcome = true }}\n{}\n\
             split.modulo = {{ divisor = 2, test = 1 }}\n",
            self.source
        );
        self.folder.cohort(&text).map_err(|e| self.folder.message(&e))
    }

    /// Returns the test patients, whose numbers are odd, or the reason of the check's refusal.
    fn tested(&self) -> Result<Vec<TableRecord>, String> {
        let cohort = self.cohort()?;
        cohort.take_inventory().map_err(|e| self.folder.message(&e))?;
        let text = std::fs::read_to_string(self.folder.path("schema.toml")).unwrap();
        let need = text_file::parse::<TableSchema>("schema", &text).unwrap().need();
        cohort.read(&need, Part::Test).map(rows).map_err(|e| self.folder.message(&e))
    }

    fn values(&self) -> Vec<[Value; 2]> {
        self.tested().unwrap().into_iter().map(|row| row.values.try_into().unwrap()).collect()
    }

    fn refused(&self, expected: &str) {
        let message = self.tested().unwrap_err();
        assert!(message.contains(expected), "{message}\nexpected {expected}");
        assert!(!message.contains("secret"), "{message}");
    }
}

/// Lines in which every column is there, before `line`.
fn behind_a_good_line(line: &str) -> String {
    format!("{{\"id\": 1, \"bmi\": 20, \"ward\": 1, \"died\": true}}\n{line}\n")
}

#[test]
fn records_are_those_of_the_same_table_of_cells() {
    let lines = "\
        {\"id\": \"p1\", \"bmi\": 22.5, \"ward\": 1, \"died\": true, \"note\": \"not read\"}\n\
        {\"ward\": \"H\u{e4}ma\", \"died\": 0, \"id\": \"p3\", \"bmi\": \" 31 \"}\n\
        {\"id\": \"p5\", \"bmi\": null, \"died\": false}\n\
        {\"id\": \"p7\", \"bmi\": -9, \"ward\": \"?\", \"died\": 1}\n\
        {\"id\": \"p9\", \"bmi\": 0.0, \"ward\": \"H\\u00e4ma\", \"died\": \"1\"}\n\
        {\"id\": \"p11\", \"bmi\": 100, \"ward\": 1.0, \"died\": \"true\"}\n";
    let cells = "\
        id,note,bmi,ward,died\n\
        p1,not read,22.5,1,true\n\
        p3,,31,H\u{e4}ma,0\n\
        p5,,,,false\n\
        p7,,-9,?,1\n\
        p9,,0.0,H\u{e4}ma,1\n\
        p11,,100,1.0,true\n";
    let expected = Case {
        source: "source.table = { file = 'rows.csv', schema = 'schema.toml' }",
        ..Case::new("").schema(&SCHEMA.replace("['?',", "['', '?',"))
    };
    expected.folder.write("rows.csv", cells);
    let read = Case::new(lines);
    assert_eq!(read.tested(), expected.tested());
    assert_eq!(read.tested().unwrap().len(), 6);
    let counts = |case: &Case| {
        let found = case.cohort().unwrap().take_inventory().unwrap();
        (found.positive, found.features.iter().map(|f| (f.missing, f.implausible)).collect::<Vec<_>>())
    };
    assert_eq!(counts(&read), (4, vec![(3, 1), (2, 0)]));
    assert_eq!(counts(&read), counts(&expected));
}

#[test]
fn one_number_is_one_code_however_json_writes_it() {
    for number in ["1", "1.0", "1e0", "10E-1", "0.1e+1", "\"1\"", "\"01\""] {
        let line = format!("{{\"id\": 3, \"bmi\": 2.5e1, \"ward\": {number}, \"died\": 1e0}}");
        let expected = [[Value::Number(20.0), Value::Category(0)], [Value::Number(25.0), Value::Category(0)]];
        assert_eq!(Case::new(behind_a_good_line(&line)).values(), expected, "{number}");
    }
    // More digits than a number in double precision has, and the nearest to what is written.
    for (number, category) in [("900000000000207008", 2), ("900000000000207009", 3)] {
        let line = format!("{{\"id\": 3, \"bmi\": 35.300000000000004, \"ward\": {number}, \"died\": 1}}");
        let values = Case::new(behind_a_good_line(&line)).values();
        assert_eq!(
            values[1],
            [Value::Number("35.300000000000004".parse().unwrap()), Value::Category(category)]
        );
    }
}

#[test]
fn a_schema_with_a_decimal_comma_is_for_strings() {
    let schema = format!(
        "decimal = ','\nthousands = '.'\ndelimiter = ';'\ncolumns = ['id', 'bmi', 'ward', 'died']\n{SCHEMA}"
    );
    let line = "{\"id\": 3, \"bmi\": \"36,6\", \"ward\": 1.0, \"died\": true}\n\
                {\"id\": 5.0, \"bmi\": 36.6, \"ward\": 1, \"died\": true}";
    let case = Case::new(behind_a_good_line(line)).schema(&schema);
    assert_eq!(case.values()[1..], [[Value::Number(36.6), Value::Category(0)]; 2]);
}

#[test]
fn lines_are_those_of_an_editor_in_utf_8_plain_or_gzipped() {
    let good = |id: u32| format!("{{\"id\":{id},\"bmi\":20,\"ward\":1,\"died\":true}}");
    let bad = "{\"id\": 7, \"bmi\": \"secret\", \"ward\": 1, \"died\": true}";
    for end in ["\n", "\r\n", "\r"] {
        let text = [&good(1), "", " \t", &good(3), bad].join(end);
        for text in [text.clone(), format!("\u{feff}{text}{end}")] {
            Case::new(&text).refused("rows.jsonl:5: column \"bmi\": expected a number");
            Case::new(gzipped(text.as_bytes())).refused("rows.jsonl:5: ");
            let mended = text.replace("\"secret\"", "30");
            assert_eq!(Case::new(gzipped(mended.as_bytes())).values().len(), 3, "{end:?}");
        }
    }
    // Lines go on behind a piece of the file, 64 KiB, wherever it ends.
    for note in 65_400..65_500 {
        let long = good(3).replace('}', &format!(",\"note\":\"{}\u{e4}\"}}", "n".repeat(note)));
        let text = [&good(1), &long, bad].join("\r\n");
        Case::new(&text).refused("rows.jsonl:3: ");
    }
}

#[test]
fn a_line_that_is_not_one_object_of_single_values_is_refused_without_a_value() {
    for (line, expected) in [
        ("[\"secret\"]", "is no object"),
        ("\"secret\"", "is no object"),
        ("{", "is no whole JSON object"),
        ("\"id\": \"secret\",", "is no "),
        ("{\"id\": \"secret}", "is no whole JSON object"),
        ("{\"id\": 3, \"bmi\": secret}", "is no whole JSON object, as its letter 18 shows"),
        ("{\"id\": 3} {\"id\": \"secret\"}", "is no whole JSON object, as its letter 11 shows"),
        ("{\"id\": 3, \"bmi\": 01}", "is no whole JSON object"),
        ("{\"id\": 3, \"bmi\": NaN}", "is no whole JSON object"),
        ("{\"id\": 3, \"bmi\": [1]}", "has an object or a list as its value 2"),
        ("{\"id\": 3, \"unread\": {\"secret\": 1}}", "has an object or a list as its value 2"),
        ("{\"id\": 3, \"bmi\": 1, \"id\": \"secret\"}", "has one key twice, as its keys 1 and 3"),
        ("{\"id\": 3, \"secret\": 1, \"secret \": 1}", "has one key twice, as its keys 2 and 3"),
        ("{\"id\": \"\\ud800 secret\"}", "column \"id\": expected a text of whole letters"),
        ("{\"id\": 3, \"bmi\": true, \"died\": 1}", "column \"bmi\": expected a number"),
        ("{\"id\": 3, \"bmi\": 1e999, \"died\": 1}", "column \"bmi\": expected a number"),
        (
            "{\"id\": 3, \"ward\": \"secret\", \"died\": 1}",
            "column \"ward\": expected one of the schema's codes",
        ),
        ("{\"id\": 3, \"died\": null}", "column \"died\": expected the outcome, which may not be missing"),
        ("{}", "has no patient's identifier"),
        ("{\"id\": null, \"died\": 1}", "has no patient's identifier"),
        (
            "{\"id\": 1.23457e+12, \"died\": 1}",
            "has an identifier that was written as a number with an exponent",
        ),
        ("{\"id\": 1.0, \"died\": 1}", "is of the same patient as line 1"),
        ("{\"id\": \"01\", \"died\": 1}", "is of the same patient as line 1, as it seems"),
    ] {
        Case::new(behind_a_good_line(line)).refused(&format!("rows.jsonl:2: {expected}"));
    }
    let latin = behind_a_good_line("{\"id\": 3, \"died\": 1, \"note\": \"?\"}").replace('?', "\u{fe}");
    let latin: Vec<u8> = latin.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    Case::new(latin).refused("rows.jsonl:2: holds a byte that is no letter in UTF-8");
}

#[test]
fn every_cut_is_read_or_refused() {
    let line = "{\"id\": \"secret3\", \"bmi\": 2.5e1, \"ward\": \"H\\u00e4ma\", \"died\": true}";
    for end in 0..line.len() {
        let case = Case::new(behind_a_good_line(&line[..end]));
        match case.tested() {
            Ok(read) => assert!(end == 0 && read.len() == 1, "{end}"),
            Err(message) => assert!(!message.contains("secret"), "{message}"),
        }
    }
}

#[test]
fn a_key_that_no_line_has_is_refused() {
    let lines = "{\"id\": 1, \"BMI\": 20, \"ward\": 1, \"died\": true}\n{\"id\": 3, \"died\": false}";
    Case::new(lines).refused("rows.jsonl: has no line with a key \"bmi\": another name?");
    assert_eq!(
        Case::new(lines.replace("\"died\": false", "\"died\": false, \"bmi\": null")).values().len(),
        2
    );
    Case::new("").refused("holds no patient");
}

#[test]
fn a_code_for_what_is_not_there_is_refused_in_the_schema() {
    let case = Case::new("").schema(&SCHEMA.replace("1 = 'a'", "'' = 'a'"));
    let message = case.cohort().unwrap_err();
    assert!(message.contains("schema.toml: features.ward.category.codes has code \"\" for "), "{message}");
}
