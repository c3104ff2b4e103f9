//! Two real tables, and scores of simple functions of their records: what `reference.R` and `reference.py` compute.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fedtwin_metrics::survival::{
    Survival, SurvivalPrediction, auroc_at, brier_at, censoring_curve, concordance, integrated_brier,
    kaplan_meier, uno_c,
};

/// Returns the folder of the tables, or says that the calling test is skipped.
#[expect(clippy::print_stdout, reason = "what `cargo xtask test` counts")]
pub(crate) fn folder() -> Option<PathBuf> {
    let data = std::env::var_os("FEDTWIN_DATA").filter(|data| !data.is_empty());
    let folder = data.map(|data| PathBuf::from(data).join("survival")).filter(|folder| folder.exists());
    if folder.is_none() {
        println!("skipped: FEDTWIN_DATA names no folder with survival/lung.csv and survival/rotterdam.csv");
    }
    folder
}

/// Returns all scores by the names that the scripts give them.
pub(crate) fn scores(folder: &Path) -> BTreeMap<String, f64> {
    let lung = rows(folder, "lung.csv", ["time", "status", "age", "age"]);
    let lung = lung.into_iter().map(|[time, status, age, _]| Row {
        time,
        event: status > 1.5,
        age,
        risk: (age / 10.0).floor(),
        probability: age / 100.0,
    });
    let rotterdam = rows(folder, "rotterdam.csv", ["rtime", "recur", "age", "nodes"]);
    let rotterdam = rotterdam.into_iter().map(|[time, recur, age, nodes]| Row {
        time,
        event: recur > 0.5,
        age,
        risk: nodes,
        probability: 0.1 + nodes.min(20.0) / 25.0,
    });
    let mut scores = BTreeMap::new();
    of_table("lung", &lung.collect::<Vec<_>>(), &mut scores);
    of_table("rotterdam", &rotterdam.collect::<Vec<_>>(), &mut scores);
    scores
}

struct Row {
    time: f64,
    event: bool,
    age: f64,
    risk: f64,
    probability: f64,
}

fn of_table(table: &str, rows: &[Row], scores: &mut BTreeMap<String, f64>) {
    let mut say = |name: &str, value: f64| {
        scores.insert(format!("{table}.{name}"), value);
    };
    let observed = |row: &Row, entry: f64| Survival::new(entry, row.time, row.event).unwrap();
    let predictions = |risk: fn(&Row) -> f64| -> Vec<_> {
        rows.iter().map(|row| SurvivalPrediction { observed: observed(row, 0.0), risk: risk(row) }).collect()
    };
    let (ranked, probable) = (predictions(|row| row.risk), predictions(|row| row.probability));
    let late: Vec<_> = rows
        .iter()
        .filter(|row| row.time > 60.0)
        .map(|row| SurvivalPrediction { observed: observed(row, 20.0 * (row.age % 3.0)), risk: row.risk })
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "pairs of thousands of patients")]
    {
        let pairs = concordance(&ranked).unwrap();
        say("concordant", pairs.concordant as f64);
        say("discordant", pairs.discordant as f64);
        say("tied_risk", pairs.tied_risk as f64);
        say("tied_time", pairs.tied_time as f64);
        say("c", pairs.c_index().unwrap());
        let pairs = concordance(&late).unwrap();
        say("late_concordant", pairs.concordant as f64);
        say("late_discordant", pairs.discordant as f64);
        say("late_tied_risk", pairs.tied_risk as f64);
    }
    let observations = |of: &[SurvivalPrediction]| of.iter().map(|p| p.observed).collect::<Vec<_>>();
    let (curve, delayed) = (kaplan_meier(&observations(&ranked)), kaplan_meier(&observations(&late)));
    let censoring = censoring_curve(&observations(&ranked));
    for time in [100.0, 365.0, 730.0] {
        say(&format!("km_{time}"), curve.at(time));
        say(&format!("late_km_{time}"), delayed.at(time));
        say(&format!("censoring_{time}"), censoring.at(time));
    }
    say("uno_365", uno_c(&ranked, &censoring, 365.0).unwrap());
    // Three quarters of a day after what may be a time, and so after the half day by which the script tells ties apart.
    for horizon in [365.75, 730.75] {
        say(&format!("brier_{horizon:.0}"), brier_at(&probable, &censoring, horizon).unwrap());
        say(&format!("auroc_{horizon:.0}"), auroc_at(&ranked, &censoring, horizon).unwrap());
    }
    let points: Vec<_> = (0..12_u8)
        .map(|i| {
            let time = 100.75 + 50.0 * f64::from(i);
            let growing: Vec<_> =
                probable.iter().map(|p| SurvivalPrediction { risk: p.risk * time / 730.75, ..*p }).collect();
            (time, brier_at(&growing, &censoring, time).unwrap())
        })
        .collect();
    say("integrated_brier", integrated_brier(&points).unwrap());
}

/// Reads columns of whole numbers by their names.
fn rows<const N: usize>(folder: &Path, file: &str, columns: [&str; N]) -> Vec<[f64; N]> {
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let mut lines =
        text.lines().map(|line| line.split(',').map(|cell| cell.trim_matches('"')).collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let places = columns.map(|column| header.iter().position(|name| *name == column).unwrap());
    lines.map(|cells| places.map(|place| cells[place].parse().unwrap())).collect()
}
