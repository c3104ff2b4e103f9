//! Three hospitals bring one task as cells, as Parquet and as a long table of events, in different units: the model is, bit for
//! bit, that of three tables in one unit, and no identifier of any format leaves.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use fedtwin_plan::Digest;
use fedtwin_tests::relay::{Capture, Relay};
use fedtwin_tests::testbed::{SiteTerms, Testbed, in_time, programs_that_train};
use fedtwin_tests::vector_study::{VectorModel, VectorStudy};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

#[tokio::test(flavor = "multi_thread")]
async fn cells_parquet_and_events_in_other_units_train_the_model_of_three_tables_in_one_unit() {
    in_time(async {
        let (as_cells, _) = model([write_cells; 3]).await?;
        let (mixed, capture) = model([write_cells, write_parquet, write_events]).await?;
        assert_eq!(mixed, as_cells);
        for planted in ["mrn-", "quux", "stay-7"] {
            assert!(!capture.holds(planted.as_bytes()), "{planted} passed");
        }
        assert!(capture.holds(b"of-three-formats"), "the relay sees inside of the TLS");
        // The control: one other patient makes another model.
        let (other, _) = model([write_cells, write_cells, write_one_other]).await?;
        assert_ne!(other, as_cells);
        Ok(())
    })
    .await;
}

type Write = fn(&Path, u32) -> anyhow::Result<&'static str>;

/// Trains at three sites whose cohorts are written so, and returns the model and what passed at the last one.
async fn model(write: [Write; 3]) -> anyhow::Result<(Digest, Capture)> {
    let mut testbed = Testbed::start_programs(3, programs_that_train()?)?;
    let mut captured = None;
    for (site, write) in write.into_iter().enumerate() {
        let folder = testbed.site_folder(site);
        fs::create_dir_all(&folder)?;
        let source = write(&folder, u32::try_from(site)?)?;
        let good = SiteTerms::good(site);
        let cohort =
            good.cohort.replace("[source.synthetic-table]\nseed = 1\nsite = 0\npatients = 80", source);
        let (coordinator, own) =
            (testbed.credentials("coordinator")?, testbed.credentials(&format!("site-{site}"))?);
        let relay = Relay::start(&coordinator, &own, testbed.federation.address()).await?;
        testbed.start_site_at(site, &SiteTerms { cohort, ..good }, relay.address)?;
        captured = Some((relay.capture(), relay));
    }
    let features = "age.number = { unit = \"a\", low = 20, high = 100 }\n\
                    glucose.number = { unit = \"mg/dL\", low = 40, high = 400 }\n\
                    height.number = { unit = \"cm\", low = 120, high = 220 }\n\
                    temp.number = { unit = \"Cel\", low = 34, high = 42 }";
    let study = VectorStudy {
        family: VectorModel::LinearRisk,
        features: features.to_owned(),
        ..VectorStudy::new("of-three-formats", &testbed.sites)
    };
    let model = testbed.open(&study).await?.finished().await?;
    let (capture, _relay) = captured.expect("there is a site");
    Ok((model, capture))
}

/// One patient, in numbers that are whole in one unit and fractions in others.
struct Patient {
    number: u32,
    years: u32,
    /// Tenths of mmol/L.
    glucose: u32,
    height_cm: u32,
    /// Tenths of a degree Celsius, a multiple of 5.
    temp: u32,
    ill: u32,
}

fn patients(site: u32) -> impl Iterator<Item = Patient> {
    (0..80).map(move |number| {
        let draw = |factor: u32, range: u32| (number * factor + 13 * site) % range;
        let (years, glucose) = (20 + draw(37, 80), 35 + draw(29, 120));
        let ill = u32::from(draw(7, 10) < 4);
        Patient { number, years, glucose, height_cm: 140 + draw(17, 60), temp: 350 + 5 * draw(11, 12), ill }
    })
}

impl Patient {
    fn id(&self) -> String {
        format!("mrn-{:05}", 48_150 + self.number)
    }

    /// Milligrams in a decilitre, to the last digit: a mole of glucose has 180.156 g.
    fn glucose_mg_dl(&self) -> String {
        let millionths = u64::from(self.glucose) * 1_801_560;
        format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
    }

    fn tenths(number: u32) -> String {
        format!("{}.{}", number / 10, number % 10)
    }

    fn fahrenheit(&self) -> String {
        let hundredths = self.temp * 18 + 3200;
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    }

    fn metres(&self) -> String {
        format!("{}.{:02}", self.height_cm / 100, self.height_cm % 100)
    }
}

/// A table in the plan's units.
fn write_cells(folder: &Path, site: u32) -> anyhow::Result<&'static str> {
    let mut table = "record,name-quux,age,glucose,height,temp,outcome\n".to_owned();
    for patient in patients(site) {
        let Patient { years, height_cm, ill, .. } = patient;
        let (id, glucose, temp) = (patient.id(), patient.glucose_mg_dl(), Patient::tenths(patient.temp));
        writeln!(table, "{id},Quux,{years},{glucose},{height_cm},{temp},{ill}")?;
    }
    fs::write(folder.join("rows.csv"), table)?;
    write_schema(folder, &[("age", "a"), ("glucose", "mg/dL"), ("height", "cm"), ("temp", "Cel")])?;
    Ok("[source.table]\nfile = \"rows.csv\"\nschema = \"schema.toml\"")
}

fn write_one_other(folder: &Path, site: u32) -> anyhow::Result<&'static str> {
    let source = write_cells(folder, site)?;
    let table = fs::read_to_string(folder.join("rows.csv"))?;
    let first = table.lines().nth(1).expect("there is a patient");
    fs::write(folder.join("rows.csv"), table.replace(first, &first.replace("Quux,", "Quux,1")))?;
    Ok(source)
}

/// Binary numbers in months, mmol/L, metres and degrees Fahrenheit.
fn write_parquet(folder: &Path, site: u32) -> anyhow::Result<&'static str> {
    let message = "message rows { required binary record (UTF8); required int64 age; required double glucose; \
                   required double height; required double temp; required int64 outcome; }";
    let file = fs::File::create(folder.join("rows.parquet"))?;
    let mut writer = SerializedFileWriter::new(file, Arc::new(parse_message_type(message)?), Arc::default())?;
    let patients: Vec<_> = patients(site).collect();
    let mut group = writer.next_row_group()?;
    let ids: Vec<ByteArray> = patients.iter().map(|patient| patient.id().into_bytes().into()).collect();
    let months: Vec<i64> = patients.iter().map(|patient| i64::from(patient.years) * 12).collect();
    let numbers = |text: fn(&Patient) -> String| -> Vec<f64> {
        patients.iter().map(|patient| text(patient).parse().expect("a number")).collect()
    };
    let ill: Vec<i64> = patients.iter().map(|patient| i64::from(patient.ill)).collect();
    let doubles = [
        numbers(|patient| Patient::tenths(patient.glucose)),
        numbers(Patient::metres),
        numbers(Patient::fahrenheit),
    ];
    let mut column = group.next_column()?.expect("six columns");
    column.typed::<ByteArrayType>().write_batch(&ids, None, None)?;
    column.close()?;
    let mut column = group.next_column()?.expect("six columns");
    column.typed::<Int64Type>().write_batch(&months, None, None)?;
    column.close()?;
    for values in doubles {
        let mut column = group.next_column()?.expect("six columns");
        column.typed::<DoubleType>().write_batch(&values, None, None)?;
        column.close()?;
    }
    let mut column = group.next_column()?.expect("six columns");
    column.typed::<Int64Type>().write_batch(&ill, None, None)?;
    column.close()?;
    group.close()?;
    writer.close()?;
    write_schema(folder, &[("age", "mo"), ("glucose", "mmol/L"), ("height", "m"), ("temp", "[degF]")])?;
    Ok("[source.parquet]\nfile = \"rows.parquet\"\nschema = \"schema.toml\"")
}

/// A row a stay, and a line a measurement, the last ones first, each line in its own unit.
fn write_events(folder: &Path, site: u32) -> anyhow::Result<&'static str> {
    let (mut rows, mut events) = ("record,stay,age,outcome\n".to_owned(), Vec::new());
    for patient in patients(site) {
        let (id, stay, years, ill) = (patient.id(), 7000 + patient.number, patient.years, patient.ill);
        writeln!(rows, "{id},stay-{stay},{years},{ill}")?;
        let glucose = Patient::tenths(patient.glucose);
        let (metres, fahrenheit) = (patient.metres(), patient.fahrenheit());
        events.push(format!("stay-{stay},Glucose,3,{glucose},mmol/L"));
        events.push(format!("stay-{stay},Glucose,1,5.5,mmol/L"));
        events.push(format!("stay-{stay},Height,0,{metres},m"));
        events.push(format!("stay-{stay},Temperature,20,{fahrenheit},[degF]"));
        events.push(format!("stay-{stay},Temperature,30,41,Cel"));
    }
    events.reverse();
    fs::write(folder.join("stays.csv"), rows)?;
    fs::write(folder.join("events.csv"), format!("stay,name,hour,value,uom\n{}\n", events.join("\n")))?;
    let columns = [("age", "a"), ("glucose.last", "mg/dL"), ("height.last", "cm"), ("temp.last", "Cel")];
    write_schema(folder, &columns)?;
    Ok(r#"[source.series]
file = "stays.csv"
schema = "schema.toml"
[source.series.events]
file = "events.csv"
key = "stay"
time = "hour"
unit = "h"
window = { from = 0, to = 24 }
long = { signal = "name", value = "value", unit = "uom" }
[source.series.signals]
glucose = { name = "Glucose", unit = "mg/dL", low = 10, high = 1000, molar_mass = 180.156 }
height = { name = "Height", unit = "cm", low = 50, high = 250 }
temp = { name = "Temperature", unit = "Cel", low = 25, high = 45 }
"#)
}

/// Writes the schema of these columns, each in its unit; the range is one that holds in all of them.
fn write_schema(folder: &Path, columns: &[(&str, &str)]) -> anyhow::Result<()> {
    let mut schema = "patient_id = \"record\"\n[outcome]\nname = \"disease\"\ncolumn = \"outcome\"\nrule = { above = 0 }\n\
                      [features]\n"
        .to_owned();
    for (column, unit) in columns {
        let name = column.split('.').next().unwrap_or(column);
        let mass = if name == "glucose" { ", molar_mass = 180.156" } else { "" };
        writeln!(
            schema,
            "{name}.number = {{ column = \"{column}\", unit = \"{unit}\", low = 0, high = 1500{mass} }}"
        )?;
    }
    fs::write(folder.join("schema.toml"), schema)?;
    Ok(())
}
