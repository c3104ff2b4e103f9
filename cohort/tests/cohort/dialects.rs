//! Tables as hospitals export them: line ends, quotes, encodings, numbers and totals.

use fedtwin_plan::inventory::{LeftOut, LeftOutReason};
use fedtwin_plan::record::{Part, Value};

use crate::common::{Folder, rows};

const COHORT: &str = "
name = 'c'
patients = 60
source.table = { file = 'rows.csv', schema = 'schema.toml' }
";

const MODULO: &str = "split.modulo = { divisor = 5, test = 3 }";

const SCHEMA: &str = "
patient_id = 'id'
outcome = { name = 'died', rule = { above = 0 } }
features.x.number = { unit = 'u', low = 0, high = 100 }
";

/// One hospital's files.
struct Case {
    folder: Folder,
    cohort: String,
}

impl Case {
    fn new(rows: impl AsRef<[u8]>) -> Self {
        let case = Self { folder: Folder::new(), cohort: format!("{COHORT}{MODULO}\n") };
        case.folder.write("rows.csv", rows);
        case.folder.write("schema.toml", SCHEMA);
        case
    }

    /// Puts lines before the schema's.
    fn schema(self, lines: &str) -> Self {
        self.folder.write("schema.toml", format!("{lines}\n{SCHEMA}"));
        self
    }

    fn whole_schema(self, text: &str) -> Self {
        self.folder.write("schema.toml", text);
        self
    }

    fn listed(mut self, list: &str) -> Self {
        self.folder.write("split.csv", list);
        self.cohort =
            format!("{COHORT}split.listed = {{ file = 'split.csv', line = 'line', part = 'part' }}\n");
        self
    }

    fn confirmed(mut self, line: &str) -> Self {
        self.cohort.push_str(&format!("{line}\n"));
        self
    }

    /// Returns the values of x of the test patients, or the reason of the check's refusal.
    fn tested(&self) -> Result<Vec<f64>, String> {
        let cohort = self.folder.cohort(&self.cohort).map_err(|e| self.folder.message(&e))?;
        cohort.take_inventory().map_err(|e| self.folder.message(&e))?;
        let text = std::fs::read_to_string(self.folder.path("schema.toml")).unwrap();
        let schema: fedtwin_cohort::schema::TableSchema =
            fedtwin_plan::text_file::parse("schema", &text).unwrap();
        let test = rows(cohort.read(&schema.need(), Part::Test).unwrap());
        let x = |value: &Value| if let Value::Number(x) = value { *x } else { f64::NEG_INFINITY };
        Ok(test.iter().map(|row| x(&row.values[0])).collect())
    }

    fn refused(&self, expected: &str) {
        let message = self.tested().unwrap_err();
        assert!(message.contains(expected), "{message}");
    }
}

fn sixty(end: &str) -> String {
    let lines = (1..=60).map(|i| format!("p{i},{i},{}{end}", i % 2));
    format!("id,x,died{end}{}", lines.collect::<String>())
}

/// 3, 8, 13 and so on.
fn every_fifth() -> Vec<f64> {
    (0..12).map(|i| f64::from(3 + 5 * i)).collect()
}

#[test]
fn lines_are_those_of_an_editor_whatever_ends_them() {
    let list: String =
        (1..60).map(|i| format!("{},{}\n", i + 1, if i % 5 == 3 { "test" } else { "train" })).collect();
    for end in ["\n", "\r\n", "\r"] {
        let case = Case::new(sixty(end)).listed(&format!("line,part\n{list}"));
        assert_eq!(case.tested(), Ok(every_fifth()), "{end:?}");
        let bad = sixty(end).replace("p30,30,0", "p30,secret,0");
        Case::new(bad).refused("rows.csv:31: column \"x\": expected a number");
    }
    // A blank line counts, and so do the lines within a cell.
    let blank = sixty("\r\n").replace("p20,", "\r\n \r\np20,").replace("p40,40,0", "p40,secret,0");
    Case::new(blank).refused("rows.csv:43: ");
    let within = sixty("\n").replace("p20,20", "p20,\"\n20\n\"").replace("p40,40,0", "p40,secret,0");
    Case::new(within).refused("rows.csv:43: ");
    let mixed = sixty("\n").replace("p20,20,0\n", "p20,20,0\r\n").replace("p40,40,0", "p40,secret,0");
    Case::new(format!("\u{feff}{mixed}")).refused("rows.csv:41: ");
}

#[test]
fn a_list_that_names_no_patients_line_is_refused() {
    let all = |from: u32| (from..=61).map(|i| format!("{i},{}\n", if i % 5 == 3 { "test" } else { "train" }));
    let list = |from: u32| format!("line,part\n{}", all(from).collect::<String>());
    assert_eq!(Case::new(sixty("\n")).listed(&list(2)).tested().unwrap().len(), 12);
    Case::new(sixty("\n"))
        .listed(&list(1))
        .refused("split.csv:2: assigns line 1, which names the table's columns");
    let with_blank = sixty("\n").replace("p20,", "\np20,");
    Case::new(with_blank).listed(&list(2)).refused("split.csv:21: assigns line 21, which holds no patient");
    Case::new(sixty("\n")).listed("line,part\n").refused("split.csv: has no line");
}

#[test]
fn a_list_may_name_patients_and_its_cells_are_trimmed() {
    let list: String =
        (1..=60).map(|i| format!("p{i} , {}, a\n", if i % 5 == 3 { "Test" } else { "train" })).collect();
    let mut case = Case::new(sixty("\n")).listed(&format!("who, part, centre\n{list}"));
    case.cohort = format!(
        "{COHORT}split.listed = {{ file = 'split.csv', patient = 'who', part = 'part', where = {{ centre = 'a' }} }}\n"
    );
    assert_eq!(case.tested(), Ok(every_fifth()));
    case.folder.write("split.csv", format!("who,part,centre\n{list}p61,test,a\n"));
    case.refused("split.csv:62: assigns a patient who is not in the cohort");
    case.folder.write("split.csv", "who,part,centre\np1,train,b\n");
    case.refused("split.csv: has no line with the texts that split.listed.where asks for");
}

#[test]
fn a_quote_that_is_left_open_is_refused_where_it_opens() {
    let notes = |changed: &[(usize, &str)]| {
        let mut lines: Vec<String> = (1..=60).map(|i| format!("p{i},{i},{},ok", i % 2)).collect();
        for (line, note) in changed {
            lines[*line] = lines[*line].replace("ok", note);
        }
        Case::new(format!("id,x,died,note\n{}\n", lines.join("\n")))
    };
    assert_eq!(notes(&[(20, "\"fell, \"\"hard\"\"\n at home\"")]).tested(), Ok(every_fifth()));
    assert_eq!(notes(&[(20, "5'11\" tall")]).tested(), Ok(every_fifth()));
    notes(&[(20, "\"fell at home")]).refused("rows.csv:22: opens a quote (\") that is not closed");
    notes(&[(20, "\"fell"), (40, "\"again")])
        .refused("rows.csv:22: opens a quote (\") behind which, where it is");
    // Two notes that are a lone quote each make one cell of the twenty lines between them.
    let swallowed = notes(&[(20, "\""), (40, "\"")]);
    swallowed.refused("rows.csv:22: opens a quote that holds whole lines with as many cells");
    let meant = notes(&[(20, "\"a\nb,c,d,e\nf\"")]).confirmed("confirmed.lines_in_cells = true");
    assert_eq!(meant.tested(), Ok(every_fifth()));
    let case = notes(&[(20, "\"fell at home")]).schema("quote = 'none'");
    assert_eq!(case.tested(), Ok(every_fifth()));
}

#[test]
fn columns_are_those_that_are_named_once() {
    let rows = sixty("\n").replace("id,x,died", "id, x ,died");
    assert_eq!(Case::new(rows).tested(), Ok(every_fifth()));
    let twice =
        sixty("\n").replacen("x,died", "x,died, x", 1).replace(",0\n", ",0,1\n").replace(",1\n", ",1,1\n");
    Case::new(twice).refused("rows.csv:1: names column \"x\" twice, as columns 2 and 4");
    let unread = sixty("\n").replacen("died", "died,w,w", 1).replace(",0\n", ",0,a,b\n");
    Case::new(unread).refused("rows.csv:2: has 3 cells, expected 5");
    let header = Case::new(sixty("\n")).schema("columns = ['id', 'x', 'died']");
    header.refused("rows.csv:1: names the columns, as the schema does");
    Case::new("").refused("rows.csv: is empty");
}

#[test]
fn other_encodings_are_named_and_unread_columns_need_none() {
    let text = sixty("\n")
        .replace("died\n", "died,ward\n")
        .replace(",0\n", ",0,H\u{e4}ma\n")
        .replace(",1\n", ",1,H\u{e4}ma\n");
    let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    assert_eq!(Case::new(&latin).tested(), Ok(every_fifth()));
    let schema = "patient_id = 'id'\nencoding = 'ENC'\noutcome = { name = 'died', rule = { above = 0 } }\n\
                  features.ward.category.codes = { 'H\u{e4}ma' = 'blood', Chir = 'surgery' }\n\
                  features.x.number = { unit = 'u', low = 0, high = 100 }\n";
    let ward = |bytes: &[u8], encoding: &str| Case::new(bytes).whole_schema(&schema.replace("ENC", encoding));
    ward(&latin, "utf-8").refused("rows.csv:2: column \"ward\": holds a byte that is no letter in UTF-8");
    assert_eq!(ward(&latin, "latin-1").tested().unwrap().len(), 12);
    let wide: Vec<u8> =
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(ward(&wide, "utf-8").tested().unwrap().len(), 12, "a byte order mark says it");
    assert_eq!(ward(&wide[2..], "utf-16le").tested().unwrap().len(), 12);
    ward(&wide[2..], "latin-1").refused("rows.csv:1: holds a byte of 0");
    ward(&latin, "ebcdic").refused("schema.toml:2: is no encoding");
}

#[test]
fn numbers_are_written_as_the_schema_declares() {
    let german =
        sixty("\n").replace(',', ";").replace("p30;30;", "p30;\"3.000,5\";").replace("p8;8;", "p8;8,5;");
    let schema = SCHEMA.replace("high = 100", "high = 9000");
    let case = Case::new(format!("sep=;\n{german}"))
        .whole_schema(&format!("delimiter = ';'\ndecimal = ','\nthousands = '.'\n{schema}"));
    let mut expected = every_fifth();
    expected[1] = 8.5;
    assert_eq!(case.tested(), Ok(expected));
    let plain = Case::new(german.as_str()).whole_schema(&format!("delimiter = ';'\n{schema}"));
    plain.refused("rows.csv:9: column \"x\": expected a number or one of the schema's texts for missing; numbers with a");
    Case::new("")
        .whole_schema(&format!("decimal = ','\nthousands = ','\n{SCHEMA}"))
        .refused("schema.toml:2: thousands");
}

#[test]
fn a_number_that_means_missing_does_however_it_is_written() {
    let rows = sixty("\n")
        .replace("p3,3,", "p3,-9.00,")
        .replace("p8,8,", "p8,\u{2212}9,")
        .replace("p13,13,", "p13,NA,");
    let tested = Case::new(rows).schema("missing = ['', 'NA', '-9']").tested().unwrap();
    assert_eq!(tested.iter().filter(|x| x.is_infinite()).count(), 3);
    assert!((tested[3] - 18.0).abs() < 1e-9);
}

#[test]
fn unknown_outcomes_are_left_out_and_counted() {
    let schema = "patient_id = 'id'\nfeatures.x.number = { unit = 'u', low = 0, high = 100 }\n\
                  [outcome]\nname = 'died'\nunknown = ['9', '']\nrule.texts = { yes = ['1'], no = ['0'] }\n";
    let rows = sixty("\n")
        .replace("p8,8,0", "p8,8,9.0")
        .replace("p1,1,1", "p1,1,")
        .replace("p2,2,0", "p2,2,00")
        .replace("p5,5,1", "p5,5,1.0");
    let case = Case::new(rows).whole_schema(schema);
    let found = case.folder.cohort(&case.cohort).unwrap().take_inventory().unwrap();
    assert_eq!((found.train, found.test), (47, 11));
    assert_eq!(found.left_out, [LeftOut { reason: LeftOutReason::OutcomeUnknown, count: 2 }]);
    Case::new("").whole_schema(&schema.replace("'9', ''", "'01'")).refused("for \"yes\" and for \"unknown\"");
}

#[test]
fn a_last_line_of_totals_is_no_patient() {
    for line in ["Total,1830,30", "Summe:,30.5,0.5", "all,50,1", "p61,1830,30", "SD,17.3,0.5", "p61,30.5,0.5"]
    {
        Case::new(format!("{}{line}\n", sixty("\n"))).refused("rows.csv:62: is the last line and ");
    }
    Case::new(format!("{},1830,30\n", sixty("\n"))).refused("rows.csv:62: ");
    Case::new(format!("{}60 rows\n", sixty("\n"))).refused("rows.csv:62: has 1 cells, expected 3");
    let meant = Case::new(format!("{}all-63,50,1\n", sixty("\n"))).confirmed("confirmed.last_line = true");
    assert_eq!(meant.tested().unwrap().len(), 13);
    // In the middle; and two lines, one after the other.
    let middle = sixty("\n").replace("p8,8,0", "Subtotal 4,28,4\np8,8,0");
    Case::new(middle).refused("rows.csv:9: begins with a word for totals");
    Case::new(format!("{}Mean 1,30.5,0.5\nSD 2,17.3,0.5\n", sixty("\n")))
        .refused("rows.csv:63: is the last line");
    // Spreadsheets leave rows of delimiters behind.
    assert_eq!(Case::new(format!("{},,\n,,\n", sixty("\n"))).tested(), Ok(every_fifth()));
}

#[test]
fn an_implausible_value_is_missing_and_many_of_them_are_another_unit() {
    let fahrenheit = |patients: &[u32]| {
        let lines =
            (1..=60).map(|i| format!("p{i},{},{}\n", if patients.contains(&i) { 98.6 } else { 37.0 }, i % 2));
        let rows = format!("id,x,died\n{}", lines.collect::<String>());
        Case::new(rows).whole_schema(&SCHEMA.replace("low = 0, high = 100", "low = 30, high = 45"))
    };
    let few = fahrenheit(&[3, 8]);
    assert_eq!(few.tested().unwrap().iter().filter(|x| x.is_infinite()).count(), 2);
    let many = fahrenheit(&[3, 13, 23, 33, 43, 53]);
    many.refused("cohort.toml: has 6 values of feature \"x\" among 60 outside the plausible range");
    let meant = many.confirmed("confirmed.implausible.x = '1/10'");
    assert_eq!(meant.tested().unwrap().iter().filter(|x| x.is_infinite()).count(), 6);
    let other = fahrenheit(&[]).confirmed("confirmed.implausible.y = '1/10'");
    other.refused("cohort.toml: has confirmed.implausible.y, and the schema has no such feature");
}
