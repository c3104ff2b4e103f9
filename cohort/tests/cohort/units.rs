//! Numbers in other units than the plan's, and cells that hold a limit.

use fedtwin_cohort::{CohortFile, Converted};
use fedtwin_plan::cohort_need::{DataNeed, Feature, NumberRange, TableNeed};
use fedtwin_plan::record::{Part, TableRecord, Value};

use crate::common::{Folder, rows};

const COHORT: &str = "
name = 'ward'
patients = 3
source.table = { file = 'rows.csv', schema = 'schema.toml' }
split.modulo = { divisor = 4, test = 0 }
";

const OUTCOME: &str = "patient_id = 'id'\noutcome = { name = 'died', rule = { above = 0 } }\n";

/// Makes a cohort of these features and rows.
fn cohort(features: &str, rows: &str) -> (Folder, CohortFile) {
    let folder = Folder::new();
    folder.write("schema.toml", format!("{OUTCOME}{features}"));
    folder.write("rows.csv", rows);
    let cohort = folder.cohort(COHORT).unwrap();
    (folder, cohort)
}

/// Makes a plan's need of numbers.
fn need(features: &[(&str, &str, f64, f64)]) -> DataNeed {
    let number = |&(name, unit, low, high): &(&str, &str, f64, f64)| {
        (name.to_owned(), Feature::Number(NumberRange::linear(unit, low, high)))
    };
    DataNeed::Table(TableNeed { outcome: "died".into(), features: features.iter().map(number).collect() })
}

fn read(cohort: &CohortFile, need: &DataNeed) -> Vec<TableRecord> {
    rows(cohort.read(need, Part::Train).unwrap())
}

/// The bits of every value.
fn bits(records: &[TableRecord]) -> Vec<Vec<Option<u64>>> {
    let bits = |value: &Value| match value {
        Value::Number(x) => Some(x.to_bits()),
        Value::Missing => None,
        Value::Category(_) => panic!("a number"),
    };
    records.iter().map(|record| record.values.iter().map(bits).collect()).collect()
}

fn plan() -> DataNeed {
    need(&[
        ("glucose", "mg/dL", 40.0, 400.0),
        ("height", "cm", 50.0, 250.0),
        ("leukocytes", "10*9/L", 0.0, 50.0),
        ("temp", "Cel", 30.0, 45.0),
    ])
}

/// The same three patients as three hospitals write them.
fn hospitals() -> [(&'static str, &'static str); 3] {
    [
        (
            "
            features.glucose.number = { unit = 'mg/dL', low = 18.0156, high = 540.468 }
            features.height.number = { unit = 'cm', low = 30, high = 250, sentinels = [0] }
            features.leukocytes.number = { unit = '10*9/L', low = 0, high = 500 }
            features.temp.number = { unit = 'Cel', low = 25, high = 45 }
            ",
            "id,glucose,height,leukocytes,temp,died\np1,99.0858,110,6.7,36.6,0\np2,,176.3,11.25,38.7,1\np3,120.70452,0,0.3,41.1,0\n",
        ),
        (
            "
            features.glucose.number = { unit = 'mmol/L', molar_mass = 180.156, low = 1, high = 30 }
            features.height.number = { unit = 'm', low = 0.3, high = 2.5, sentinels = [0] }
            features.leukocytes.number = { unit = 'K/uL', low = 0, high = 500 }
            features.temp.number = { unit = 'degF', low = 77, high = 113 }
            ",
            "id,glucose,height,leukocytes,temp,died\np1,5.5,1.1,6.7,97.88,0\np2,,1.763,11.25,101.66,1\np3,6.7,0.0,0.3,105.98,0\n",
        ),
        (
            "
            decimal = ','
            delimiter = ';'
            thousands = '.'
            features.glucose.number = { unit = 'umol/L', molar_mass = 180.156, low = 1000, high = 30000 }
            features.height.number = { unit = 'mm', low = 300, high = 2500, sentinels = [0] }
            features.leukocytes.number = { unit = '/uL', low = 0, high = 500000 }
            features.temp.number = { unit = 'K', low = 298.15, high = 318.15 }
            ",
            "id;glucose;height;leukocytes;temp;died\np1;5.500;1.100;6.700;309,75;0\np2;;1.763;11.250;311,85;1\np3;6700;0;300;314,25;0\n",
        ),
    ]
}

#[test]
fn hospitals_with_other_units_give_the_same_bits() {
    let mut all = Vec::new();
    for (features, rows) in hospitals() {
        // Keys of the table itself stand before those of the features.
        let (own, features): (Vec<&str>, Vec<&str>) =
            features.lines().map(str::trim).partition(|line| !line.starts_with("features"));
        let folder = Folder::new();
        folder.write("schema.toml", format!("{}\n{OUTCOME}{}", own.join("\n"), features.join("\n")));
        folder.write("rows.csv", rows);
        let cohort = folder.cohort(COHORT).unwrap();
        cohort.fits(&plan()).unwrap();
        let records = read(&cohort, &plan());
        all.push((bits(&records), records.iter().map(|record| record.outcome).collect::<Vec<_>>()));
    }
    assert_eq!(all[0], all[1]);
    assert_eq!(all[0], all[2]);
    let first = [Some(99.0858_f64), Some(110.0), Some(6.7), Some(36.6)];
    assert_eq!(all[0].0[0], first.map(|x| x.map(f64::to_bits)));
    assert_eq!(
        all[0].0[2],
        [Some(120.70452_f64.to_bits()), None, Some(0.3_f64.to_bits()), Some(41.1_f64.to_bits())]
    );
}

#[test]
fn a_plan_says_which_columns_are_converted() {
    let (_folder, cohort) = cohort(hospitals()[1].0, hospitals()[1].1);
    let converted = |feature: &str, from: &str, to: &str| Converted {
        feature: feature.into(),
        from: from.into(),
        to: to.into(),
    };
    // K/uL is 10*9/L, number by number.
    assert_eq!(
        cohort.conversions(&plan()),
        [
            converted("glucose", "mmol/L", "mg/dL"),
            converted("height", "m", "cm"),
            converted("temp", "degF", "Cel")
        ]
    );
    let own = need(&[("height", "m", 0.5, 2.5)]);
    assert_eq!(cohort.conversions(&own), []);
}

#[test]
fn a_unit_that_is_not_converted_is_refused_with_the_reason() {
    let check = |column: &str, unit: &str, expected: &str| {
        let features = format!("features.x.number = {{ low = 0, high = 100, {column} }}\n");
        let (folder, cohort) = cohort(&features, "");
        let mismatch = cohort.fits(&need(&[("x", unit, 0.0, 100.0)])).unwrap_err();
        let message = folder.message(&mismatch);
        assert!(message.ends_with(expected), "{message}");
    };
    check("unit = 'mg/dL'", "mmol/L", "state the molar_mass, in g/mol");
    check("unit = 'meq/L'", "mmol/L", "state the valence, the charges of one ion");
    check("unit = '10*9/L'", "mmol/L", ": one is measured in /m3, the other in mol/m3");
    check("unit = '%'", "mmol/mol", ": one is measured in 1, the other in mol/mol");
    check("unit = '{beats}/min'", "{breaths}/min", ": {beats} is something else than {breaths}");
    check("unit = 'vessels'", "1", ": \"vessels\" is no known unit");
    check("unit = 'C'", "Cel", ": \"C\" is the coulomb: degrees Celsius are Cel");
    check("unit = 'cm'", "meters", ": \"meters\" is no known unit");
    // One text is one unit, known or not.
    for unit in ["vessels", "C"] {
        let (_folder, cohort) =
            cohort(&format!("features.x.number = {{ unit = '{unit}', low = 0, high = 100 }}\n"), "");
        cohort.fits(&need(&[("x", unit, 0.0, 100.0)])).unwrap();
    }
}

#[test]
fn ranges_are_compared_in_the_plans_unit() {
    let (folder, cohort) = cohort("features.x.number = { unit = 'm', low = 0.5, high = 2.5 }\n", "");
    cohort.fits(&need(&[("x", "cm", 100.0, 300.0)])).unwrap();
    let mismatch = cohort.fits(&need(&[("x", "cm", 1.0, 3.0)])).unwrap_err();
    assert_eq!(
        folder.message(&mismatch),
        "column \"x\": the plan expects 1 to 3 cm, the cohort's values are plausible from 50 to 250"
    );
}

#[test]
fn constants_and_halves_that_mean_nothing_are_refused_in_the_schema() {
    let check = |column: &str, expected: &str| {
        let folder = Folder::new();
        folder.write(
            "schema.toml",
            format!("{OUTCOME}features.x.number = {{ low = 0, high = 100, {column} }}\n"),
        );
        let message = folder.message(&folder.cohort(COHORT).unwrap_err());
        assert!(message.contains(expected), "{message}");
    };
    check("unit = 'mg', molar_mass = 0", "features.x.number.molar_mass");
    check("unit = 'mg', molar_mass = -18.0", "is no molar mass");
    check("unit = 'mg', valence = 0", "is no valence");
    check("unit = 'Cel', below = 'half'", "features.x.number.below");
    check("unit = 'pH', below = 'half'", "a half of a number of pH is no half of it");
    check(
        "unit = 'mg', below = 'third'",
        "unknown variant `third`, expected one of `limit`, `half`, `missing`",
    );
    check("unit = 'mg', above = 'half'", "unknown variant `half`, expected `limit` or `missing`");
}

/// Reads one cell of milligrams by these rules, for a plan in micrograms.
fn cell(rules: &str, text: &str) -> Result<Value, String> {
    let features =
        format!("features.x.number = {{ unit = 'mg', low = -1, high = 100, sentinels = [9]{rules} }}\n");
    let (folder, cohort) = cohort(&features, &format!("id,x,died\np1,\"{text}\",0\n"));
    let records = cohort.read(&need(&[("x", "ug", 0.0, 50_000.0)]), Part::Train);
    records.map(|records| rows(records)[0].values[0]).map_err(|error| folder.message(&error))
}

#[test]
fn a_cell_with_a_limit_is_what_the_schema_says() {
    for text in ["<0.5", "< 0.5", "<=0.5", "<= .5", "\u{2264}0.5", "\u{2264} 0.50", "<5e-1"] {
        assert_eq!(cell(", below = 'limit'", text), Ok(Value::Number(500.0)), "{text}");
        assert_eq!(cell(", below = 'half'", text), Ok(Value::Number(250.0)), "{text}");
        assert_eq!(cell(", below = 'missing'", text), Ok(Value::Missing), "{text}");
    }
    for text in [">90", "> 90", ">=90", "\u{2265}90.0"] {
        assert_eq!(cell(", above = 'limit'", text), Ok(Value::Number(90_000.0)), "{text}");
        assert_eq!(cell(", above = 'missing'", text), Ok(Value::Missing), "{text}");
    }
    // A sentinel is a number and no limit; the range holds for the limit, and not for what is in its place.
    assert_eq!(cell(", below = 'limit'", "<9"), Ok(Value::Number(9000.0)));
    assert_eq!(cell(", above = 'limit'", ">900"), Ok(Value::Missing));
    assert_eq!(cell(", below = 'limit'", "<-0.5"), Ok(Value::Number(-500.0)));
}

#[test]
fn a_cell_with_a_limit_is_refused_where_nobody_says_what_it_is() {
    let check = |rules: &str, text: &str, expected: &str| {
        let message = cell(rules, text).unwrap_err();
        assert!(
            message.starts_with("rows.csv:2: column \"x\": expected a ") && message.contains(expected),
            "{message}"
        );
        assert!(!message.contains(text), "{message}");
    };
    check("", "<0.7", "needs below = \"limit\", \"half\" or \"missing\"");
    check(", above = 'limit'", "<0.7", "needs below =");
    check("", ">70", "needs above = \"limit\" or \"missing\"");
    check(", below = 'limit'", ">70", "needs above =");
    check(", below = 'half'", "<-0.7", "a half of any other is above it");
    for text in ["<", "<<7", "< 7 mg", "<7,5", "~7", "=7", "=<7", "7<", "\u{2264}=7", "<abc"] {
        check(", below = 'limit', above = 'limit'", text, "a number or one of");
    }
}

#[test]
fn an_inventory_counts_limits() {
    let features =
        "features.x.number = { unit = 'mg', low = 0, high = 100, below = 'half', above = 'missing' }\n";
    let table = "id,x,died\np1,<0.5,0\np2,>90,1\np3,<0.5,0\np4,7,0\n";
    let (_folder, cohort) = cohort(features, table);
    let inventory = cohort.take_inventory().unwrap();
    let x = &inventory.features[0];
    assert_eq!((x.missing, x.implausible, x.below, x.above), (1, 0, 2, 1));
    assert!(
        inventory.to_string().contains("x: 1 of 4 missing, 2 below a limit, 1 above a limit"),
        "{inventory}"
    );
}
