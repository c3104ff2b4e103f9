//! An invented cohort with the schema that a plan asks for, so that an audit needs no patient.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use fedtwin_plan::Plan;
use fedtwin_plan::cohort_need::{DataNeed, Feature, TableNeed};
use fedtwin_plan::outcome::AskedOutcome;
use fedtwin_privacy::random::RandomSource;
use serde::Serialize;

/// Writes the files of an invented cohort into `folder` and returns its cohort file.
///
/// One patient in ten has the outcome that nobody expects, and one value in ten is missing: membership
/// inference is about those who are unlike the others.
pub(super) fn write_cohort(
    plan: &Plan,
    folder: &Path,
    random: &mut dyn RandomSource,
) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let source = match &plan.data {
        DataNeed::Table(need) => {
            let patients = plan.cohort.patients_max.get().min(ROWS);
            fs::write(folder.join("schema.toml"), schema(need)?)?;
            fs::write(folder.join("table.csv"), table(need, patients, random)?)?;
            (patients, "[source.table]\nfile = \"table.csv\"\nschema = \"schema.toml\"\n".to_owned())
        }
        DataNeed::Images(_) => {
            let patients = plan.cohort.patients_max.get().min(VOLUMES);
            let source = format!("[source.synthetic-images]\nseed = 1\nsite = 0\npatients = {patients}\n");
            (patients, source)
        }
    };
    let (patients, source) = source;
    let name = plan.cohort.name.as_str();
    // No patient's number has this remainder: all of them train.
    let split = "[split.modulo]\ndivisor = 1000\ntest = 999\n";
    let file = folder.join("cohort.toml");
    fs::write(&file, format!("name = \"{name}\"\npatients = {patients}\n{source}{split}"))?;
    Ok(file)
}

#[derive(Serialize)]
struct Schema<'a> {
    outcome: Outcome<'a>,
    features: BTreeMap<&'a str, Column<'a>>,
}

#[derive(Serialize)]
struct Outcome<'a> {
    name: &'a str,
    column: &'static str,
    rule: Rule<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Rule<'a> {
    Above(f64),
    Count,
    Event { yes: [&'static str; 1], no: [&'static str; 1], time: &'static str, unit: &'a str, high: f64 },
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Column<'a> {
    Number { column: String, unit: &'a str, low: f64, high: f64 },
    Category { column: String, codes: BTreeMap<String, &'a str> },
}

fn schema(need: &TableNeed) -> anyhow::Result<String> {
    let mut features = BTreeMap::new();
    for (index, (name, feature)) in need.features.iter().enumerate() {
        let column = format!("c{index}");
        let described = match feature {
            Feature::Number(range) => {
                Column::Number { column, unit: &range.unit, low: range.low, high: range.high }
            }
            Feature::Category(names) => {
                let codes = names.iter().enumerate().map(|(code, name)| (code.to_string(), name.as_str()));
                Column::Category { column, codes: codes.collect() }
            }
        };
        features.insert(name.as_str(), described);
    }
    let rule = match &need.outcome.asked {
        AskedOutcome::YesNo => Rule::Above(0.0),
        AskedOutcome::Count => Rule::Count,
        AskedOutcome::Event(follow_up) => Rule::Event {
            yes: ["1"],
            no: ["0"],
            time: "time",
            unit: &follow_up.unit,
            high: follow_up.horizon(),
        },
    };
    Ok(toml::to_string(&Schema {
        outcome: Outcome { name: &need.outcome.name, column: "outcome", rule },
        features,
    })?)
}

fn table(need: &TableNeed, patients: u32, random: &mut dyn RandomSource) -> anyhow::Result<String> {
    let mut text: String = (0..need.features.len()).map(|index| format!("c{index},")).collect();
    text.push_str("outcome,time\n");
    for _patient in 0..patients {
        let mut severity = 0.0;
        for (index, feature) in need.features.values().enumerate() {
            let place = uniform(random)?;
            if random.below(10)? > 0 {
                match feature {
                    Feature::Number(range) => {
                        text.push_str(&(range.low + place * (range.high - range.low)).to_string());
                    }
                    Feature::Category(names) => {
                        let code = random.below(u32::try_from(names.len())?)?;
                        text.push_str(&code.to_string());
                    }
                }
            }
            severity += if index % 2 == 0 { place - 0.5 } else { 0.5 - place };
            text.push(',');
        }
        let happened = (severity > 0.0) != (random.below(10)? == 0);
        text.push_str(if happened { "1," } else { "0," });
        if let AskedOutcome::Event(follow_up) = &need.outcome.asked {
            text.push_str(&(uniform(random)? * follow_up.horizon()).to_string());
        }
        text.push('\n');
    }
    Ok(text)
}

fn uniform(random: &mut dyn RandomSource) -> anyhow::Result<f64> {
    Ok(f64::from(random.below(1 << 30)?) / f64::from(1_u32 << 30))
}

/// Enough for shares of a hundredth, and few enough for an audit of a minute.
const ROWS: u32 = 200;
/// A phantom takes about as long as all rows.
const VOLUMES: u32 = 8;
