//! Series of real stays, where `FEDTWIN_DATA` names the folder that has them, against pandas.

use std::fmt::Write as _;
use std::path::Path;

use fedtwin_plan::record::{TableRecord, Value};

use crate::common::{Folder, data_folder};
use crate::series::read;

/// Makes a cohort of the stays of the demonstration, with a schema of every statistic of `signals`.
fn eicu(
    folder: &Folder,
    data: &Path,
    window_end: u32,
    signals: &[(&str, &str)],
) -> Result<Vec<TableRecord>, String> {
    let data = data.join("eicu_demo");
    let mut schema = "patient_id = 'stay_id'\n\
        outcome = { name = 'died', column = 'label', rule = { texts = { yes = ['1'], no = ['0'] } } }\n[features]\n"
        .to_owned();
    for (signal, unit) in signals {
        for statistic in STATISTICS {
            let unit = match statistic {
                "slope" if *unit == "Cel" => "K/h".to_owned(),
                "slope" => format!("{unit}/h"),
                "age" => "h".to_owned(),
                _ => (*unit).to_owned(),
            };
            writeln!(schema, "'{signal}.{statistic}'.number = {{ unit = '{unit}', low = -1e6, high = 1e6 }}")
                .unwrap();
        }
    }
    folder.write("schema.toml", schema);
    let text = format!(
        "name = 'eicu'\npatients = 1151\nconfirmed = {{ no_test = true }}\n\
         split.hashed = {{ test = '1/1000000', seed = 1 }}\n\
         [source.series]\nfile = '{}'\nschema = 'schema.toml'\n\
         [source.series.events]\nfile = '{}'\nkey = 'stay_id'\ntime = 'hour'\nunit = 'h'\n\
         window = {{ from = 0, to = {window_end} }}\nwide = {{}}\n\
         [source.series.signals]\nhr = {{ unit = '/min', low = 20, high = 300 }}\n\
         map = {{ unit = 'mm[Hg]', low = 10, high = 250 }}\ntemp = {{ unit = 'Cel', low = 25, high = 45 }}\n\
         crea = {{ unit = 'mg/dL', low = 0.1, high = 25 }}\n",
        data.join("mortality24_outc.csv").display(),
        data.join("mortality24_dyn.csv.gz").display(),
    );
    folder.cohort(&text).unwrap().take_inventory().map_err(|error| folder.message(&error))?;
    read(folder, &text)
}

#[test]
fn stays_of_the_demonstration_have_the_summaries_that_pandas_gives() {
    let Some(data) = data_folder() else {
        return;
    };
    let folder = Folder::new();
    let signals = [("crea", "mg/dL"), ("hr", "/min"), ("map", "mm[Hg]"), ("temp", "Cel")];
    // Of pandas 3.1.1: math.fsum over stays of the aggregates of groupby("stay_id"), in the order of STATISTICS, and the number
    // of stays with a value; slopes are (t - mean)(v - mean) / (t - mean)^2 in NumPy.
    let expected = [
        (
            24,
            [
                (
                    1070,
                    [
                        11763.0,
                        1802.0,
                        1663.329,
                        1634.289,
                        1720.509,
                        1646.8944821428572,
                        1575.199,
                        -1.7549290701927571,
                    ],
                ),
                (
                    1123,
                    [
                        239.0,
                        27297.0,
                        99638.5,
                        95093.5,
                        112524.0,
                        95780.69977677548,
                        82610.0,
                        -96.55879546745285,
                    ],
                ),
                (
                    1118,
                    [
                        383.0,
                        25438.0,
                        93032.0,
                        91279.5,
                        114209.5,
                        90647.84664850614,
                        71833.0,
                        10.221329520341348,
                    ],
                ),
                (
                    1101,
                    [
                        3764.0,
                        8207.0,
                        40420.827124444426,
                        40542.96843555549,
                        41058.036706666644,
                        40516.752861227156,
                        39969.90204444445,
                        4.5092051769989405,
                    ],
                ),
            ],
        ),
        (
            6,
            [
                (
                    549,
                    [1842.0, 666.0, 910.525, 912.18, 921.265, 911.3233333333334, 901.23, 0.32795693601670445],
                ),
                (
                    1115,
                    [
                        32.0,
                        7520.0,
                        98984.5,
                        95276.5,
                        104890.0,
                        96634.73333333334,
                        89442.0,
                        -539.6562990069082,
                    ],
                ),
                (
                    1107,
                    [
                        92.0,
                        7157.0,
                        92167.0,
                        89154.0,
                        102876.0,
                        89992.91428571429,
                        78801.5,
                        -428.03100005820954,
                    ],
                ),
                (
                    1071,
                    [
                        2119.0,
                        2808.0,
                        39323.19379111109,
                        39404.24119777776,
                        39604.109928888814,
                        39362.26855289946,
                        39105.77571777781,
                        15.40284832508732,
                    ],
                ),
            ],
        ),
    ];
    for (window_end, by_signal) in expected {
        let records = eicu(&folder, &data, window_end, &signals).unwrap();
        assert_eq!(records.len(), 1151);
        for (nth, ((name, _), (stays, sums))) in signals.iter().zip(by_signal).enumerate() {
            for (at, (statistic, expected)) in STATISTICS.iter().zip(sums).enumerate() {
                let values = records.iter().filter_map(|record| match record.values[nth * 8 + at] {
                    Value::Number(x) => Some(x),
                    Value::Missing | Value::Category(_) => None,
                });
                let sum: f64 = values.clone().sum();
                let what = format!("{name}.{statistic} to {window_end}");
                assert!((sum - expected).abs() < 1e-9 * expected.abs().max(1.0), "{what}: {sum} {expected}");
                match *statistic {
                    "count" => assert_eq!(values.count(), 1151, "{what}"),
                    "slope" => assert!(values.count() < stays, "{what}"),
                    _ => assert_eq!(values.count(), stays, "{what}"),
                }
            }
        }
    }
}

const STATISTICS: [&str; 8] = ["age", "count", "first", "last", "max", "mean", "min", "slope"];
