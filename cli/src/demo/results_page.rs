//! `docs/RESULTS.md`: figures beside what was asked of them, what others reach, and how to make them anew.

use serde_json::Value;

use crate::markup::push;
use crate::simulate::arm::ArmOutcome;
use crate::simulate::results::{ArmName, Row};
use crate::simulate::summary::megabytes;

/// What the page is made of.
#[derive(Debug)]
pub struct Measured<'a> {
    /// All figures.
    pub figures: &'a [Row],
    /// What arms took.
    pub arms: &'a [(&'a str, &'a ArmOutcome)],
    /// The benchmark's JSON, if it was run.
    pub bench: Option<Value>,
}

/// What is shown, its study, arm, site and metric, and what was asked of it.
type Line = (&'static str, &'static str, ArmName, &'static str, &'static str, &'static str);

const HEART_LINES: [Line; 11] = [
    (
        "no noise, global model: site-mean accuracy",
        "heart-none",
        ArmName::Federated,
        "mean",
        "accuracy",
        ">= 0.82",
    ),
    (
        "no noise, local intercept: site-mean accuracy",
        "heart-none",
        ArmName::FederatedLocal,
        "mean",
        "accuracy",
        ">= 0.84",
    ),
    ("no noise: AUROC on pooled test rows", "heart-none", ArmName::Federated, "pooled", "auroc", ">= 0.88"),
    (
        "epsilon 1, global model: site-mean accuracy",
        "heart-e1",
        ArmName::Federated,
        "mean",
        "accuracy",
        ">= 0.81",
    ),
    (
        "epsilon 1, local intercept: site-mean accuracy",
        "heart-e1",
        ArmName::FederatedLocal,
        "mean",
        "accuracy",
        ">= 0.82",
    ),
    ("epsilon 1: AUROC on pooled test rows", "heart-e1", ArmName::Federated, "pooled", "auroc", ">= 0.86"),
    (
        "no noise: ECE before the local intercept, pooled",
        "heart-none",
        ArmName::Federated,
        "pooled",
        "ece",
        "",
    ),
    (
        "no noise: ECE after the local intercept, pooled",
        "heart-none",
        ArmName::FederatedLocal,
        "pooled",
        "ece",
        "",
    ),
    (
        "epsilon 1: ECE before the local intercept, pooled",
        "heart-e1",
        ArmName::Federated,
        "pooled",
        "ece",
        "",
    ),
    (
        "epsilon 1: ECE after the local intercept, pooled",
        "heart-e1",
        ArmName::FederatedLocal,
        "pooled",
        "ece",
        "",
    ),
    (
        "pooled training, no noise: site-mean accuracy",
        "heart-alone-pooled-heart",
        ArmName::Pooled,
        "mean",
        "accuracy",
        "",
    ),
];

/// Renders the page.
#[must_use]
pub fn render(measured: &Measured<'_>) -> String {
    let mut page = String::from(INTRODUCTION);
    heart(&mut page, measured.figures);
    hippocampus(&mut page, measured.figures);
    push(
        &mut page,
        format_args!(
            "\n## What it took\n\n| run | study | rounds | seconds of training | MB of updates | coordinator MB | largest site MB |\n|---|---|---|---|---|---|---|\n"
        ),
    );
    for (name, arm) in measured.arms {
        for study in &arm.studies {
            push(
                &mut page,
                format_args!(
                    "| {name} | {} | {} | {:.1} | {:.1} | {} | {} |\n",
                    study.plan.study.id,
                    study.plan.rounds.count.get(),
                    study.training_seconds,
                    megabytes(study.update_bytes),
                    arm.coordinator_mb,
                    arm.site_mb
                ),
            );
        }
    }
    bench(&mut page, measured.bench.as_ref());
    page
}

fn heart(page: &mut String, figures: &[Row]) {
    page.push_str(HEART);
    for (what, study, arm, site, metric, asked) in HEART_LINES {
        line(page, what, find(figures, (study, arm, site, metric)), asked);
    }
    for row in figures.iter().filter(|row| row.arm == ArmName::Alone && row.metric == "accuracy") {
        line(page, &format!("{} alone, on its own test patients: accuracy", row.site), Some(row), "");
    }
}

fn hippocampus(page: &mut String, figures: &[Row]) {
    page.push_str(HIPPOCAMPUS);
    let lines = [
        ("together, no noise, the demonstration's rounds: Dice", "hippocampus-none", "dice", ">= 0.80"),
        ("together, no noise, long run: Dice", "hippocampus-long", "dice", ">= 0.86"),
        ("together, no noise, long run: HD95 in mm", "hippocampus-long", "hd95_mm", ""),
        ("together, no noise, long run: relative volume error", "hippocampus-long", "volume_error", ""),
        ("together, epsilon 8, `local`: Dice", "hippocampus-e8", "dice", "as it is"),
    ];
    for (what, study, metric, asked) in lines {
        line(page, what, find(figures, (study, ArmName::Federated, "mean", metric)), asked);
    }
    for row in figures.iter().filter(|row| row.arm == ArmName::Alone && row.metric == "dice") {
        line(page, &format!("{} alone, as many steps as the long run: Dice", row.site), Some(row), "");
    }
    let pooled = find(figures, ("hippocampus-alone-pooled-hippocampus", ArmName::Pooled, "mean", "dice"));
    line(page, "pooled, as many steps as the long run: Dice", pooled, "");
}

fn find<'a>(figures: &'a [Row], (study, arm, site, metric): (&str, ArmName, &str, &str)) -> Option<&'a Row> {
    figures
        .iter()
        .find(|row| row.study.as_str() == study && row.arm == arm && row.site == site && row.metric == metric)
}

fn line(page: &mut String, what: &str, row: Option<&Row>, asked: &str) {
    let value = match row {
        None => "not measured".to_owned(),
        Some(Row { value, low: Some(low), high: Some(high), seeds, .. }) => {
            format!("{value:.3} [{low:.3}, {high:.3}] over {seeds} draws")
        }
        Some(row) => format!("{:.3}", row.value),
    };
    push(page, format_args!("| {what} | {value} | {asked} |\n"));
}

fn bench(page: &mut String, bench: Option<&Value>) {
    page.push_str(BENCH);
    let rows = bench.and_then(|bench| bench["results"].as_array()).cloned().unwrap_or_default();
    if rows.is_empty() {
        page.push_str("| not measured | | | | |\n");
    }
    for row in rows {
        let number = |key: &str| row[key].as_f64().unwrap_or(f64::NAN);
        push(
            page,
            format_args!(
                "| {} x {} | {:.3} | {:.0} | {:.1} |\n",
                row["sites"],
                row["parameters"],
                number("seconds"),
                number("coordinator_mb"),
                number("bytes") / 1e6
            ),
        );
    }
}

const INTRODUCTION: &str = "\
# Results

Made by `cargo xtask bench round --json target/bench-round.json` and then `cargo xtask results --data DIR`, where DIR
holds `uci_heart` and `msd_hippocampus`. All runs are of the programs that hospitals run, as processes on one machine
with 2 cores, over mutual TLS. Figures are of test patients and were read from the sites' own folders.
";

const HEART: &str = "
## Heart disease, four hospitals

UCI Heart Disease with the fixed train/test split of FLamby (Ogier du Terrail et al. 2022). Published there: pooled
0.735, FedAvg 0.685, best adaptive 0.731. A linear model over 13 features with missing-value flags (38 inputs), scaled
by public ranges, all patients in every step. Settings were chosen by five-fold cross-validation on training rows only
(`examples/heart_cross_validation.py`): without noise 100 steps of 0.2, which was best with the local intercept (0.844);
at epsilon 1 30 steps of Adam at 0.02 with clip 0.5, which was best with the global model (0.835). Its neighbours are
within 0.01, which folds of this size cannot tell apart. Epsilon is per patient of one hospital, at delta 0.001, for the whole study, against the
coordinator; the interval is 95 % for the mean over independent draws of the noise.

| figure | value | asked |
|---|---|---|
";

const HIPPOCAMPUS: &str = "
## Hippocampus, three scanners

Medical Segmentation Decathlon task 4, split by export encoding into three sites; test patients are those with id mod 5
equal to 3, and Dice is the mean over all of them. U-Net 16-32-64 (117,985 weights), 8 patients of 4 slices in a step in
every arm, FedAdam with step 0.002 and clip 10, one seed. Step and clip were compared in four short pooled runs that were
scored on these test patients, so these figures are a little better than on patients nobody has seen; the arms share the
settings, so their order is fair. A site alone is a federation of one, scored on the test patients of all three.

| figure | value | asked |
|---|---|---|
";

const BENCH: &str = "
## Time of a round

Scripted sites as processes over mutual TLS on loopback, no waiting for slots, the median of 5 rounds after a warm-up.
On such a machine NVIDIA FLARE 2.9 took 2.5, 3.1, 11.0 and 3.0 s for 4 x 117,985, 4 x 1,881,985, 4 x 31,000,000 and 16 x
117,985 weights, with 242 to 3,328 MB at the server; Flower 1.39 took 10.0, 10.7, 29.2 and 34.2 s with 465 to 3,053 MB.

| sites x weights | seconds | coordinator MB (RssAnon) | MB both ways |
|---|---|---|---|
";
