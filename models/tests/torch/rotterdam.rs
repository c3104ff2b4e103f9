//! A hazard model of real patients: trained in Rotterdam, asked about those of the German study.

use std::path::PathBuf;

use fedtwin_metrics::survival::{Survival, SurvivalPrediction, concordance};
use fedtwin_models::open::Parts;
use fedtwin_models::risk::{Link, Risk, RiskModel};
use fedtwin_plan::cohort_need::{Feature, NumberRange, Scale, TableNeed};
use fedtwin_plan::family::HazardSize;
use fedtwin_plan::follow_up::{FollowUp, Observed};
use fedtwin_plan::model_file::initial_values;
use fedtwin_plan::outcome::{AskedOutcome, Outcome, OutcomeNeed};
use fedtwin_plan::record::{TableRecord, Value};
use fedtwin_trainer::model::Model;
use fedtwin_trainer::report::Report;

use crate::samples::{batch, contributions, cpu, everything};

#[test]
fn women_of_one_country_rank_those_of_another_better_than_coxs_model() {
    let Some((rotterdam, german)) = tables() else { return };
    let patients = u32::try_from(rotterdam.len()).unwrap();
    assert_eq!((patients, german.len()), (2982, 686));
    let need = need();
    let intervals = 10;
    let spec = HazardSize { hidden: Vec::new(), guess: 0.05.try_into().unwrap() }
        .architecture(need.inputs(), intervals);
    let study = Risk { architecture: spec.clone(), trained: everything(&spec), need, link: Link::Logit };
    let parts = Parts { slots: patients, train: rotterdam, test: german };
    let mut model = RiskModel::new(&study, &parts, &cpu(2, 4096));
    let mut weights = initial_values(&spec, 1);
    for _step in 0..150 {
        let mut sum = vec![0.0_f32; weights.len()];
        for vector in contributions(&mut model, &weights, &batch(0..patients)).into_values() {
            sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
        }
        weights.iter_mut().zip(sum).for_each(|(weight, slope)| *weight -= slope / 2982.0);
    }
    let Report::Survival(report) = model.score(&weights, false).unwrap() else { panic!("a model of events") };
    let prediction = |row: &fedtwin_trainer::report::SurvivalRow| SurvivalPrediction {
        observed: Survival::new(row.entry, row.time, row.happened).unwrap(),
        risk: 1.0 - row.global.as_ref().unwrap()[intervals - 1],
    };
    let predictions: Vec<_> = report.rows.iter().map(prediction).collect();
    let c = concordance(&predictions).unwrap().c_index().unwrap();
    // R's coxph (survival 3.5-3) of the same patients, columns and logarithms has 0.671 on these.
    assert!(c > 0.679, "{c}");
}

fn need() -> TableNeed {
    let log =
        |low, high| Feature::Number(NumberRange { scale: Scale::Log, ..NumberRange::linear("1", low, high) });
    let of = |names: &[&str]| Feature::Category(names.iter().map(|&name| name.to_owned()).collect());
    let features = [
        ("age", Feature::Number(NumberRange::linear("a", 20.0, 90.0))),
        ("nodes", log(0.5, 32.0)),
        ("pgr", log(1.0, 1000.0)),
        ("er", log(1.0, 1000.0)),
        ("meno", of(&["no", "yes"])),
        ("size", of(&["small", "medium", "large"])),
        ("grade3", of(&["no", "yes"])),
        ("hormon", of(&["no", "yes"])),
    ];
    let until = (1..=10).map(|half_year| 182.625 * f64::from(half_year)).collect();
    let follow_up = FollowUp { unit: "d".into(), from: 0.0, until };
    TableNeed {
        outcome: OutcomeNeed { name: "relapse".into(), asked: AskedOutcome::Event(follow_up) },
        features: features.into_iter().map(|(name, feature)| (name.to_owned(), feature)).collect(),
    }
}

/// Returns the patients of both tables, if the folder of data sets is there.
#[expect(clippy::print_stdout, reason = "what `cargo xtask test` counts")]
fn tables() -> Option<(Vec<TableRecord>, Vec<TableRecord>)> {
    let folder = std::env::var_os("FEDTWIN_DATA").filter(|folder| !folder.is_empty());
    let folder = folder.map(|folder| PathBuf::from(folder).join("survival"));
    let Some(folder) = folder.filter(|folder| folder.is_dir()) else {
        println!("skipped: FEDTWIN_DATA names no folder with the survival data sets");
        return None;
    };
    let rotterdam = read(&folder.join("rotterdam.csv"), |cell| {
        let number = |name| cell(name).parse::<f64>().unwrap();
        let size = match cell("size").as_str() {
            "<=20" => 0,
            "20-50" => 1,
            _ => 2,
        };
        (size, number("rtime").min(number("dtime")), number("recur").max(number("death")) > 0.0)
    });
    let german = read(&folder.join("gbsg.csv"), |cell| {
        let number = |name| cell(name).parse::<f64>().unwrap();
        let size = u32::from(number("size") > 20.0) + u32::from(number("size") > 50.0);
        (size, number("rfstime"), number("status") > 0.0)
    });
    Some((rotterdam, german))
}

type Cells<'a> = dyn Fn(&str) -> String + 'a;

/// Reads a table; `own` says the size's category, the time and whether it happened. Values are in the order of the names.
fn read(file: &std::path::Path, own: impl Fn(&Cells<'_>) -> (u32, f64, bool)) -> Vec<TableRecord> {
    let text = std::fs::read_to_string(file).unwrap().replace('"', "");
    let mut lines = text.lines();
    let names: Vec<_> = lines.next().unwrap().split(',').collect();
    let record = |line: &str| {
        let cells: Vec<_> = line.split(',').collect();
        let cell = |name: &str| cells[names.iter().position(|own| *own == name).unwrap()].to_owned();
        let number = |name: &str| Value::Number(cell(name).parse().unwrap());
        let (size, time, happened) = own(&cell);
        let values = vec![
            number("age"),
            number("er"),
            Value::Category(u32::from(cell("grade") == "3")),
            Value::Category(u32::from(cell("hormon") == "1")),
            Value::Category(u32::from(cell("meno") == "1")),
            number("nodes"),
            number("pgr"),
            Value::Category(size),
        ];
        TableRecord { values, outcome: Outcome::Event(Observed { entry: 0.0, time, happened }) }
    };
    lines.map(record).collect()
}
