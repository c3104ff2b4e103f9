//! `docs/RESULTS.md`: figures beside what was asked of them, and how to make them anew.

use fedtwin_plan::StudyId;
use serde::{Deserialize, Serialize};

use crate::demo::cohorts::Cohort;
use crate::markup::push;
use crate::simulate::arm::ArmOutcome;
use crate::simulate::outcome::StudyOutcome;
use crate::simulate::results::{ArmName, Row};
use crate::simulate::summary::megabytes;

use super::benches::Benches;
use super::utility::{Scheme, add_means, cell};
use super::{DEFAULT_OF_FOUR, DEFAULT_OF_THREE, HEART_EPSILONS, HIPPOCAMPUS_EPSILONS};

/// What the studies came to, as the JSON file has it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Measured {
    /// All figures.
    pub(super) results: Vec<Row>,
    /// What studies took.
    pub(super) took: Vec<Took>,
}

/// What a study took.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Took {
    run: String,
    study: StudyId,
    rounds: u32,
    training_seconds: f64,
    update_mb: f64,
    coordinator_mb: u64,
    site_mb: u64,
}

impl Took {
    /// Returns what an arm's studies took; of many of one kind, the first two.
    pub(super) fn of(run: &str, arm: &ArmOutcome) -> Vec<Self> {
        let took = |study: &StudyOutcome| Self {
            run: run.to_owned(),
            study: study.plan.study.id.clone(),
            rounds: study.plan.rounds.count.get(),
            training_seconds: study.training_seconds,
            update_mb: megabytes(study.update_bytes),
            coordinator_mb: arm.coordinator_mb,
            site_mb: arm.site_mb,
        };
        arm.studies.iter().take(2).map(took).collect()
    }
}

/// Which figure: a study, an arm, a site and a metric.
type Key<'a> = (&'a str, ArmName, &'a str, &'a str);

/// What is shown, its figure, and what was asked of it.
type Line = (&'static str, Key<'static>, &'static str);

/// Renders the page.
#[must_use]
pub(super) fn render(measured: &Measured, benches: &Benches) -> String {
    let figures = with_means(&measured.results);
    let mut page = String::from(INTRODUCTION);
    page.push_str(HEART);
    lines(&mut page, &figures, &heart_lines());
    for row in alone(&figures, "accuracy") {
        line(
            &mut page,
            &format!("{} alone, no noise, on its own test patients: accuracy", row.site),
            Some(row),
            "",
        );
    }
    page.push_str(HEART_UTILITY);
    utility(&mut page, &figures, &heart_blocks());
    page.push_str(HIPPOCAMPUS);
    lines(&mut page, &figures, &HIPPOCAMPUS_LINES);
    for row in alone(&figures, "dice") {
        line(&mut page, &format!("{} alone, as many steps as the long run: Dice", row.site), Some(row), "");
    }
    page.push_str(HIPPOCAMPUS_UTILITY);
    utility(&mut page, &figures, &hippocampus_blocks());
    what_it_took(&mut page, &measured.took);
    benches.render(&mut page);
    page
}

/// Adds the mean over the hospitals that trained alone without noise.
fn with_means(figures: &[Row]) -> Vec<Row> {
    let mut alone: Vec<Row> = figures
        .iter()
        .filter(|row| row.arm == ArmName::Alone && row.privacy == "none" && row.site != "mean")
        .cloned()
        .collect();
    alone.iter_mut().for_each(|row| row.study = ALONE_WITHOUT_NOISE.parse().expect("the name is a constant"));
    let own = alone.len();
    add_means(&mut alone);
    figures.iter().cloned().chain(alone.into_iter().skip(own)).collect()
}

fn alone<'a>(figures: &'a [Row], metric: &'a str) -> impl Iterator<Item = &'a Row> {
    let wanted = move |row: &&Row| {
        row.arm == ArmName::Alone && row.privacy == "none" && row.metric == metric && row.site != "mean"
    };
    figures.iter().filter(wanted)
}

/// One metric of the table, with the arm that has it, for each scheme; and where its figure without noise is.
struct Block {
    metric: &'static str,
    cohort: Cohort,
    epsilons: &'static [f64],
    rows: Vec<(String, Scheme, Key<'static>)>,
}

fn heart_blocks() -> [Block; 3] {
    use ArmName::{Alone, Federated, FederatedLocal};
    let block = |metric, arm, site, key| {
        let mut rows: Vec<_> = schemes(DEFAULT_OF_FOUR)
            .map(|(name, scheme)| (name, scheme, ("heart-none", arm, site, key)))
            .into();
        if key == "accuracy" {
            let without = (ALONE_WITHOUT_NOISE, Alone, "mean", key);
            rows.push(("one site alone".to_owned(), Scheme::Alone, without));
        }
        Block { metric, cohort: Cohort::Heart, epsilons: &HEART_EPSILONS, rows }
    };
    [
        block("accuracy, local intercept", FederatedLocal, "mean", "accuracy"),
        block("accuracy, global model", Federated, "mean", "accuracy"),
        block("AUROC, pooled test rows", Federated, "pooled", "auroc"),
    ]
}

fn hippocampus_blocks() -> [Block; 1] {
    let without = ("hippocampus-none", ArmName::Federated, "mean", "dice");
    let mut rows: Vec<_> = schemes(DEFAULT_OF_THREE).map(|(name, scheme)| (name, scheme, without)).into();
    let without = (ALONE_WITHOUT_NOISE, ArmName::Alone, "mean", "dice");
    rows.push(("one site alone".to_owned(), Scheme::Alone, without));
    [Block { metric: "Dice", cohort: Cohort::Hippocampus, epsilons: &HIPPOCAMPUS_EPSILONS, rows }]
}

/// The schemes in which all sites train, with their names on the page.
fn schemes(default: Scheme) -> [(String, Scheme); 3] {
    let plain = Scheme::Shared { colluders: 0, dropouts: 0 };
    [plain, default, Scheme::Local].map(|scheme| match scheme {
        Scheme::Shared { colluders, dropouts } => {
            (format!("all, shared noise, c = {colluders}, d = {dropouts}"), scheme)
        }
        Scheme::Local => ("all, local noise".to_owned(), scheme),
        Scheme::Alone => ("one site alone".to_owned(), scheme),
    })
}

fn utility(page: &mut String, figures: &[Row], blocks: &[Block]) {
    let Some(first) = blocks.first() else { return };
    page.push_str("| metric | who trains, whose noise |");
    for epsilon in first.epsilons {
        push(page, format_args!(" epsilon {epsilon} |"));
    }
    page.push_str(" none |\n|---|---|");
    page.push_str(&"---|".repeat(first.epsilons.len() + 1));
    page.push('\n');
    for block in blocks {
        for (name, scheme, without) in &block.rows {
            push(page, format_args!("| {} | {name} |", block.metric));
            for epsilon in block.epsilons {
                let study = cell(block.cohort, *epsilon, *scheme);
                let (_, arm, site, metric) = *without;
                push(page, format_args!(" {} |", shown(find(figures, (&study, arm, site, metric)))));
            }
            push(page, format_args!(" {} |\n", shown(find(figures, *without))));
        }
    }
}

/// Writes a figure with half of its interval.
fn shown(row: Option<&Row>) -> String {
    match row {
        None => "-".to_owned(),
        Some(Row { value, high: Some(high), .. }) => format!("{value:.3} ± {:.3}", high - value),
        Some(row) => format!("{:.3}", row.value),
    }
}

fn lines(page: &mut String, figures: &[Row], lines: &[Line]) {
    for (what, key, asked) in lines {
        line(page, what, find(figures, *key), asked);
    }
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

fn find<'a>(figures: &'a [Row], (study, arm, site, metric): Key<'_>) -> Option<&'a Row> {
    figures
        .iter()
        .find(|row| row.study.as_str() == study && row.arm == arm && row.site == site && row.metric == metric)
}

fn what_it_took(page: &mut String, studies: &[Took]) {
    page.push_str(WHAT_IT_TOOK);
    for Took { run, study, rounds, training_seconds, update_mb, coordinator_mb, site_mb } in studies {
        push(
            page,
            format_args!(
                "| {run} | {study} | {rounds} | {training_seconds:.1} | {update_mb:.1} | {coordinator_mb} | {site_mb} |\n"
            ),
        );
    }
}

fn heart_lines() -> Vec<Line> {
    use ArmName::{Federated, FederatedLocal, Pooled};
    let mean = |study, arm| (study, arm, "mean", "accuracy");
    let pooled = |study, arm, metric| (study, arm, "pooled", metric);
    vec![
        ("no noise, global model: site-mean accuracy", mean("heart-none", Federated), ">= 0.82"),
        ("no noise, local intercept: site-mean accuracy", mean("heart-none", FederatedLocal), ">= 0.84"),
        ("no noise: AUROC on pooled test rows", pooled("heart-none", Federated, "auroc"), ">= 0.88"),
        ("no noise: ECE before the local intercept, pooled", pooled("heart-none", Federated, "ece"), ""),
        ("no noise: ECE after the local intercept, pooled", pooled("heart-none", FederatedLocal, "ece"), ""),
        (
            "epsilon 1, `local`, local intercept: site-mean accuracy",
            mean("heart-e1-local", FederatedLocal),
            ">= 0.82",
        ),
        (
            "epsilon 1, shared, local intercept: site-mean accuracy",
            mean("heart-e1-shared-c0d0", FederatedLocal),
            ">= 0.83",
        ),
        (
            "epsilon 0.5, `local`, local intercept: site-mean accuracy",
            mean("heart-e0-5-local", FederatedLocal),
            ">= 0.80",
        ),
        (
            "epsilon 0.5, shared, local intercept: site-mean accuracy",
            mean("heart-e0-5-shared-c0d0", FederatedLocal),
            ">= 0.82",
        ),
        (
            "epsilon 1, `local`: AUROC on pooled test rows",
            pooled("heart-e1-local", Federated, "auroc"),
            ">= 0.86",
        ),
        (
            "epsilon 1, `local`: ECE before the local intercept",
            pooled("heart-e1-local", Federated, "ece"),
            "",
        ),
        (
            "epsilon 1, `local`: ECE after the local intercept",
            pooled("heart-e1-local", FederatedLocal, "ece"),
            "",
        ),
        ("pooled training, no noise: site-mean accuracy", mean("heart-alone-pooled-heart", Pooled), ""),
    ]
}

const HIPPOCAMPUS_LINES: [Line; 8] = {
    use ArmName::{Federated, Pooled};
    [
        (
            "together, no noise, the demonstration's rounds: Dice",
            ("hippocampus-none", Federated, "mean", "dice"),
            ">= 0.80",
        ),
        ("together, no noise, long run: Dice", ("hippocampus-long", Federated, "mean", "dice"), ">= 0.86"),
        ("together, no noise, long run: HD95 in mm", ("hippocampus-long", Federated, "mean", "hd95_mm"), ""),
        (
            "together, no noise, long run: relative volume error",
            ("hippocampus-long", Federated, "mean", "volume_error"),
            "",
        ),
        ("pre-trained weights alone, no patient seen: Dice", (PRETRAINED, Federated, "mean", "dice"), ""),
        (
            "together, epsilon 8, shared noise, from random weights: Dice",
            (FROM_RANDOM, Federated, "mean", "dice"),
            "",
        ),
        (
            "together, epsilon 8, shared noise: Dice",
            ("hippocampus-e8-shared-c0d0", Federated, "mean", "dice"),
            "0.70, goal 0.80",
        ),
        (
            "pooled, as many steps as the long run: Dice",
            ("hippocampus-alone-pooled-hippocampus", Pooled, "mean", "dice"),
            "",
        ),
    ]
};

/// The study that is scored before its first round.
pub(super) const PRETRAINED: &str = "hippocampus-pretrained";
/// The private study that begins with random weights.
pub(super) const FROM_RANDOM: &str = "hippocampus-e8-from-random";

/// Under which the means over hospitals that trained alone without noise are found.
const ALONE_WITHOUT_NOISE: &str = "alone-none";

const INTRODUCTION: &str = "\
# Results

Made by `cargo xtask bench NAME --json target/bench-NAME.json` for `privacy`, `noise`, `dp-step`, `round` and `secagg`, and then
`cargo xtask results --data DIR`, where DIR holds `uci_heart` and `msd_hippocampus`. All studies are run by the programs
that hospitals run, as processes on one machine with 2 cores, over mutual TLS. Figures are of test patients and were read
from the sites' own folders; intervals are 95 % for the mean over independent draws of the noise (Student's). Epsilon is per patient of
one hospital, at delta 0.001, for the whole study.

Noise is `local` where each site's own suffices, and `shared` where that of all sites together does: c sites may collude with the
coordinator and d may be missing. Shared noise is of sums that secure aggregation opens (docs/PROTOCOL.md); that is what a site charges.
";

const HEART: &str = "
## Heart disease, four hospitals

UCI Heart Disease with the fixed train/test split of FLamby (Ogier du Terrail et al. 2022). Published there: pooled
0.735, FedAvg 0.685, best adaptive 0.731. A linear model over 13 features with missing-value flags (38 inputs), scaled
by public ranges, all patients in every step. Settings were chosen by five-fold cross-validation on training rows only
(`examples/heart_cross_validation.py`): without noise 100 steps of 0.2; with noise five plain gradient steps of 1 with clip 1, which
are best, or within 0.0014 of the best, at epsilon 0.5 and 1 with local and with shared noise.

| figure | value | asked |
|---|---|---|
";

const HEART_UTILITY: &str = "
### Heart under privacy

The same settings at every epsilon. A hospital alone trains with its own noise and is scored on its own test patients.

";

const HIPPOCAMPUS: &str = "
## Hippocampus, three scanners

Medical Segmentation Decathlon task 4, split by export encoding into three sites; test patients are those with id mod 5
equal to 3, and Dice is the mean over all of them. U-Net 16-32-64 that sees where in its volume a pixel lies (118,417 weights).
Every study begins with weights that were trained on invented volumes alone (`examples/plans/hippocampus-pretraining.toml`, a
generator in the spirit of SynthSeg, no patient). Without noise: 8 patients of 4 slices in a step, FedAdam with step
0.002 and clip 10, one seed. Step and clip were compared in four short pooled runs that were scored on these test patients, so figures without noise
are a little better than on patients nobody has seen. A site alone is a federation of one, scored on the test
patients of all three.

| figure | value | asked |
|---|---|---|
";

const HIPPOCAMPUS_UTILITY: &str = "
### Hippocampus under privacy

All patients in each of eight steps, steps of 1 along the momentum (FedAdam with tau 1), clip 0.5, below epsilon 4 clip 0.25.
Settings were chosen on training patients with id mod 5 equal to 1 (`examples/hippocampus_under_noise.py`). What gave how much, at
epsilon 8 with shared noise: from random weights nothing is learnt; pre-training alone and then private training are in the table
above; that the net sees where a pixel lies gave 0.025 (0.855 after 0.830, twenty steps, three and two draws by that script).

";

const WHAT_IT_TOOK: &str = "
## What it took

Of several studies of one kind, two.

| run | study | rounds | seconds of training | MB of updates | coordinator MB | largest site MB |
|---|---|---|---|---|---|---|
";
