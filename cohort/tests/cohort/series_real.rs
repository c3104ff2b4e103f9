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
    for (window_end, by_signal) in EXPECTED {
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

/// How many stays have a value of a signal, and sums over them.
type OfSignal = (usize, [f64; 8]);

/// For each end of the window and each signal, how many stays have a value, and the sums over stays of [`STATISTICS`].
///
/// Of pandas 3.1.1: `math.fsum` over the aggregates of `groupby("stay_id")`; slopes are sums of (t - mean)(v - mean) by those of
/// (t - mean)^2 in NumPy.
#[rustfmt::skip]
const EXPECTED: [(u32, [OfSignal; 4]); 2] = [
    (24, [
        (1070, [11763.0, 1802.0, 1663.329, 1634.289, 1720.509, 1_646.894_482_142_857_2, 1575.199, -1.754_929_070_192_757_1]),
        (1123, [239.0, 27297.0, 99638.5, 95093.5, 112_524.0, 95_780.699_776_775_48, 82610.0, -96.558_795_467_452_85]),
        (1118, [383.0, 25438.0, 93032.0, 91279.5, 114_209.5, 90_647.846_648_506_14, 71833.0, 10.221_329_520_341_348]),
        (1101, [
            3764.0, 8207.0, 40_420.827_124_444_426, 40_542.968_435_555_49, 41_058.036_706_666_644,
            40_516.752_861_227_156, 39_969.902_044_444_45, 4.509_205_176_998_940_5,
        ]),
    ]),
    (6, [
        (549, [1842.0, 666.0, 910.525, 912.18, 921.265, 911.323_333_333_333_4, 901.23, 0.327_956_936_016_704_45]),
        (1115, [32.0, 7520.0, 98984.5, 95276.5, 104_890.0, 96_634.733_333_333_34, 89442.0, -539.656_299_006_908_2]),
        (1107, [92.0, 7157.0, 92167.0, 89154.0, 102_876.0, 89_992.914_285_714_29, 78801.5, -428.031_000_058_209_54]),
        (1071, [
            2119.0, 2808.0, 39_323.193_791_111_09, 39_404.241_197_777_76, 39_604.109_928_888_814,
            39_362.268_552_899_46, 39_105.775_717_777_81, 15.402_848_325_087_32,
        ]),
    ]),
];
