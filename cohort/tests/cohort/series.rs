//! Series of events as columns: the same summaries from every layout and order of lines, and what each is.

use fedtwin_plan::record::{Part, TableRecord, Value};
use proptest::prelude::*;

use crate::common::{Folder, gzipped, parquet, rows};

const COHORT: &str = "
name = 'stays'
patients = 3
confirmed = { no_test = true, filled_min = '1/10', one_outcome = true }
[source.series]
file = 'stays.csv'
schema = 'schema.toml'
[source.series.events]
file = 'vitals.csv'
key = { rows = 'stay', events = 'stay_id' }
time = 'hour'
unit = 'h'
window = { from = 0, to = 24 }
LAYOUT
[source.series.signals]
hr = { name = 'Heart Rate', unit = '/min', low = 20, high = 300 }
temp = { name = 'T', unit = 'Cel', low = 25, high = 45 }
unused = { name = 'X', unit = '1', low = 0, high = 1 }
[split.hashed]
test = '1/1000000'
seed = 1
";

pub(crate) const LONG: &str = "long = { signal = 'name', value = 'value', unit = 'uom' }";

pub(crate) const SCHEMA: &str = "
patient_id = 'patient'
outcome = { name = 'died', rule = { texts = { yes = ['1'], no = ['0'] } } }
[features]
'hr.age'.number = { unit = 'h', low = 0, high = 24 }
'hr.count'.number = { unit = '1', low = 0, high = 100 }
'hr.first'.number = { unit = '/min', low = 20, high = 300 }
'hr.last'.number = { unit = '/min', low = 20, high = 300 }
'hr.max'.number = { unit = '/min', low = 20, high = 300 }
'hr.mean'.number = { unit = '/min', low = 20, high = 300 }
'hr.min'.number = { unit = '/min', low = 20, high = 300 }
'hr.slope'.number = { unit = '/min/h', low = -100, high = 100 }
'temp.last'.number = { unit = 'Cel', low = 25, high = 45 }
'temp.mean'.number = { unit = 'Cel', low = 25, high = 45 }
";

const STAYS: &str = "patient,stay,died\na,11,0\nb,12.0,1\nc,13,0\n";

/// Three stays: one with all that matters, one with a single value at the origin, one with nothing.
pub(crate) const EVENTS: [&str; 13] = [
    "11,1,Heart Rate,80,/min",
    "11,3,Heart Rate,84,/min",
    "11,3,Heart Rate,90,/min",
    "11,24,Heart Rate,70.5,/min",
    "11,24.001,Heart Rate,299,/min",
    "11,-1,Heart Rate,21,/min",
    "11,5,Heart Rate,999,/min",
    "11,5,Heart Rate,,/min",
    "11,2,T,37.1,Cel",
    "11,9,T,37.1,Cel",
    "11,9,Weight,80,kg",
    "12,0,Heart Rate,60,/min",
    "99,1,Heart Rate,60,/min",
];

pub(crate) const HEADER: &str = "stay_id,hour,name,value,uom";

pub(crate) fn folder(layout: &str, events: &[u8]) -> (Folder, String) {
    let folder = Folder::new();
    folder.write("stays.csv", STAYS);
    folder.write("schema.toml", SCHEMA);
    folder.write("vitals.csv", events);
    (folder, COHORT.replace("LAYOUT", layout))
}

pub(crate) fn csv<T: AsRef<str>>(header: &str, lines: &[T]) -> Vec<u8> {
    let lines = lines.iter().map(|line| format!("{}\n", line.as_ref()));
    format!("{header}\n{}", lines.collect::<String>()).into_bytes()
}

fn read_as(layout: &str, events: &[u8]) -> Result<Vec<TableRecord>, String> {
    let (folder, text) = folder(layout, events);
    read(&folder, &text)
}

pub(crate) fn read(folder: &Folder, text: &str) -> Result<Vec<TableRecord>, String> {
    let schema = std::fs::read_to_string(folder.path("schema.toml")).unwrap();
    let schema: fedtwin_cohort::schema::TableSchema =
        fedtwin_plan::text_file::parse("schema", &schema).unwrap();
    let cohort = folder.cohort(text).map_err(|error| folder.message(&error))?;
    cohort.read(&schema.need(), Part::Train).map(rows).map_err(|error| folder.message(&error))
}

pub(crate) fn long(lines: &[&str]) -> Result<Vec<TableRecord>, String> {
    read_as(LONG, &csv(HEADER, lines))
}

/// Returns the bits of each value, in the order of the features' names.
fn bits(records: &[TableRecord]) -> Vec<Vec<Option<u64>>> {
    let value = |value: &Value| match value {
        Value::Number(x) => Some(x.to_bits()),
        Value::Missing => None,
        Value::Category(_) => panic!("features are numbers"),
    };
    records.iter().map(|record| record.values.iter().map(value).collect()).collect()
}

#[test]
fn each_summary_is_what_it_says() {
    let records = long(&EVENTS).unwrap();
    let number = Value::Number;
    // Of two values at hour 3, none is first or last.
    let slope = {
        let (t, v) = ([1.0, 3.0, 3.0, 24.0], [80.0, 84.0, 90.0, 70.5]);
        let sum = |f: &dyn Fn(usize) -> f64| (0..4).map(f).sum::<f64>();
        let (st, sv) = (sum(&|i| t[i]), sum(&|i| v[i]));
        (4.0 * sum(&|i| t[i] * v[i]) - st * sv) / (4.0 * sum(&|i| t[i] * t[i]) - st * st)
    };
    let all = [0.0, 4.0, 80.0, 70.5, 90.0, 81.125, 70.5, slope, 37.1, 37.1].map(number);
    assert_eq!(records[0].values, all);
    let mut origin = [24.0, 1.0, 60.0, 60.0, 60.0, 60.0, 60.0, 0.0, 0.0, 0.0].map(number);
    origin[7..].fill(Value::Missing);
    assert_eq!(records[1].values, origin);
    let mut nothing = [Value::Missing; 10];
    nothing[1] = number(0.0);
    assert_eq!(records[2].values, nothing);
}

#[test]
fn of_several_values_at_one_time_the_smallest_is_first_and_the_largest_last() {
    let lines = ["11,4,Heart Rate,70,/min", "11,4,Heart Rate,60,/min", "11,4,Heart Rate,65,/min"];
    let records = long(&lines).unwrap();
    let expected = [20.0, 3.0, 60.0, 70.0, 70.0, 65.0, 60.0].map(Value::Number);
    assert_eq!(records[0].values[..7], expected);
    // One time has no slope.
    assert_eq!(records[0].values[7], Value::Missing);
}

#[test]
fn a_window_begins_behind_its_start_and_ends_with_the_landmark() {
    let (folder, text) = folder(LONG, &csv(HEADER, &EVENTS));
    let count = |window: &str| {
        let records = read(&folder, &text.replace("from = 0, to = 24", window)).unwrap();
        records.iter().map(|record| record.values[1]).collect::<Vec<_>>()
    };
    let check = |window, counts: [f64; 3]| assert_eq!(count(window), counts.map(Value::Number), "{window}");
    check("from = 0, to = 24", [4.0, 1.0, 0.0]);
    check("from = 1, to = 3", [2.0, 0.0, 0.0]);
    check("from = -1, to = 0", [0.0, 1.0, 0.0]);
    check("from = -2, to = 24.001", [6.0, 1.0, 0.0]);
}

#[test]
fn layouts_hold_the_same_summaries() {
    let expected = bits(&long(&EVENTS).unwrap());
    let wide = [
        "1,11,80,",
        "2,11,,37.1",
        "3,11,84,",
        "3,11,90,",
        "5,11,999,",
        "5,11,?,",
        "9,11,,37.1",
        "24,11,70.5,",
        "24.001,11,299,x",
        "-1,11,21,",
        "0,12,60,",
        "1,99,x,x",
    ];
    let wide = csv("hour,stay_id,Heart Rate,T", &wide);
    let missing = "wide = {}\nformat.missing = ['?']";
    assert_eq!(bits(&read_as(missing, &wide).unwrap()), expected);
    assert_eq!(bits(&read_as(missing, &gzipped(&wide)).unwrap()), expected);
    let german: Vec<_> = EVENTS.map(|line| line.replace(',', ";").replace('.', ",")).to_vec();
    let german = csv(&HEADER.replace(',', ";"), &german);
    let format = format!("{LONG}\nformat = {{ delimiter = ';', decimal = ',' }}");
    assert_eq!(bits(&read_as(&format, &german).unwrap()), expected);
    let cells: Vec<Vec<&str>> = EVENTS.iter().map(|line| line.split(',').collect()).collect();
    let packed = parquet(&HEADER.split(',').collect::<Vec<_>>(), &cells);
    assert_eq!(bits(&read_as(LONG, &packed).unwrap()), expected);
    // The table of rows, too.
    let (folder, text) = folder(LONG, &packed);
    let stays: Vec<Vec<&str>> = STAYS.lines().map(|line| line.split(',').collect()).collect();
    folder.write("stays.csv", parquet(&stays[0], &stays[1..]));
    assert_eq!(bits(&read(&folder, &text).unwrap()), expected);
    // As columns that somebody else made.
    let made = |(stay, values): (&str, &Vec<Option<u64>>)| {
        let cell = |value: &Option<u64>| value.map(|x| f64::from_bits(x).to_string()).unwrap_or_default();
        format!("{stay},{}\n", values.iter().map(cell).collect::<Vec<_>>().join(","))
    };
    let names = SCHEMA.lines().filter_map(|line| line.strip_prefix('\'')?.split('\'').next());
    let header = names.collect::<Vec<_>>().join(",");
    let lines: Vec<_> = STAYS.lines().skip(1).zip(&expected).map(made).collect();
    folder.write("made.csv", format!("patient,stay,died,{header}\n{}", lines.concat()));
    let (head, tail) = (text.split("[source").next().unwrap(), text.split("[split").nth(1).unwrap());
    let table = format!("{head}source.table = {{ file = 'made.csv', schema = 'schema.toml' }}\n[split{tail}");
    assert_eq!(bits(&read(&folder, &table).unwrap()), expected);
}

#[test]
fn values_become_those_of_the_signals_unit() {
    let expected = long(&EVENTS).unwrap();
    let other: Vec<_> = EVENTS
        .iter()
        .map(|line| {
            line.replace("37.1,Cel", "98.78,[degF]")
                .replace("80,/min", "4800,/h")
                .replace("90,/min", "1.5,Hz")
        })
        .collect();
    let other: Vec<_> = other.iter().map(String::as_str).collect();
    assert_eq!(bits(&long(&other).unwrap()), bits(&expected));
    // An empty unit is the number 1, which is none of a rate.
    let refused = long(&["11,1,Heart Rate,80,"]).unwrap_err();
    assert!(
        refused.contains("vitals.csv:2: column \"uom\": expected a unit that is comparable"),
        "{refused}"
    );
    // Times in another unit: an hour of 60 minutes.
    let (folder, text) = folder(LONG, &csv(HEADER, &EVENTS.map(in_minutes)));
    let minutes = text.replace("unit = 'h'", "unit = 'min'").replace("to = 24", "to = 1440");
    folder.write(
        "schema.toml",
        SCHEMA.replace("unit = 'h', low = 0, high = 24", "unit = 'min', low = 0, high = 1440"),
    );
    let in_minutes = read(&folder, &minutes).unwrap();
    assert_eq!(in_minutes[0].values[1..7], expected[0].values[1..7]);
    let (Value::Number(a), Value::Number(b)) = (in_minutes[0].values[7], expected[0].values[7]) else {
        panic!("there is a slope");
    };
    assert!((a - b).abs() < 1e-12, "{a} {b}");
    assert_eq!(in_minutes[1].values[0], Value::Number(1440.0));
}

fn in_minutes(line: &str) -> String {
    let cells: Vec<_> = line.split(',').collect();
    let minutes: f64 = cells[1].parse::<f64>().unwrap() * 60.0;
    format!("{},{minutes},{}", cells[0], cells[2..].join(","))
}

/// A line of the wide table: stay, time, heart rate, temperature.
type Measured = (u8, f64, Option<f64>, Option<f64>);

fn measured() -> impl Strategy<Value = Measured> {
    let time = prop_oneof![(-2_i8..27).prop_map(f64::from), -1.0..25.0];
    let rate = prop_oneof![Just(-0.0), (0_u16..320).prop_map(f64::from), 20.0..300.0, Just(1e-320)];
    (10_u8..15, time, proptest::option::of(rate), proptest::option::of(24.0..46.0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_order_and_no_splitting_of_lines_changes_a_bit(
        (lines, shuffled) in proptest::collection::vec(measured(), 0..60)
            .prop_flat_map(|lines| (Just(lines.clone()), Just(lines).prop_shuffle())),
        splits in proptest::collection::vec(any::<bool>(), 60),
    ) {
        let cell = |value: Option<f64>| value.map(|x| x.to_string()).unwrap_or_default();
        let write = |(stay, time, rate, temp): Measured| format!("{stay},{time},{},{}", cell(rate), cell(temp));
        let whole: Vec<_> = lines.into_iter().map(write).collect();
        let split: Vec<_> = shuffled
            .into_iter()
            .zip(splits)
            .flat_map(|((stay, time, rate, temp), is_split)| match is_split {
                true => vec![write((stay, time, None, temp)), write((stay, time, rate, None))],
                false => vec![write((stay, time, rate, temp))],
            })
            .collect();
        let header = "stay_id,hour,Heart Rate,T";
        let whole = read_as("wide = {}", &csv(header, &whole)).unwrap();
        let split = read_as("wide = {}", &csv(header, &split)).unwrap();
        prop_assert_eq!(bits(&whole), bits(&split));
    }

    #[test]
    fn rubbish_is_read_or_refused_and_never_panics(
        lines in proptest::collection::vec("(1[123]|[^\n]{0,4}),[-0-9e.]{0,5},(Heart Rate|T|[a-z]{0,2}),[-<0-9e,.]{0,9},(/min|Cel|[a-z/{}\\[\\]]{0,4})", 0..12),
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut events = csv(HEADER, &lines);
        events.extend(bytes);
        if let Err(message) = read_as(LONG, &events) {
            prop_assert!(message.starts_with("vitals.csv:"), "{message}");
        }
    }
}
