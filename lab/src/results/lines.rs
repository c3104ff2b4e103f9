//! Which figures are on the page, and what was asked of them.

use fedtwin_simulation::results::ArmName;

use super::utility::Scheme;
use super::{DEFAULT_OF_FOUR, DEFAULT_OF_SIX, DEFAULT_OF_THREE, HEART_EPSILONS, HIPPOCAMPUS_EPSILONS};
use crate::demo::cohorts::Cohort;

/// Which figure: a study, an arm, a site and a metric.
pub(super) type Key<'a> = (&'a str, ArmName, &'a str, &'a str);

/// What is shown, its figure, and what was asked of it.
pub(super) type Line = (&'static str, Key<'static>, &'static str);

/// One metric of the table.
pub(super) struct Block {
    pub(super) metric: &'static str,
    /// The name of its plot.
    pub(super) file: &'static str,
    pub(super) epsilons: &'static [f64],
    pub(super) rows: Vec<BlockRow>,
}

/// Who trains with whose noise, and where the figure without noise is, whose arm, site and metric are those of all.
pub(super) struct BlockRow {
    pub(super) name: String,
    pub(super) cohort: Cohort,
    pub(super) scheme: Scheme,
    pub(super) without: Key<'static>,
}

pub(super) fn heart_under_privacy() -> [Block; 3] {
    use ArmName::{Alone, Federated, FederatedLocal};
    let cohort = Cohort::Heart;
    let block = |(metric, file), arm, site, key| {
        let mut rows: Vec<_> = schemes(cohort, DEFAULT_OF_FOUR, ("heart-none", arm, site, key)).into();
        if key == "accuracy" {
            rows.push(one_alone(cohort, (alone(cohort), Alone, "mean", key)));
        }
        Block { metric, file, epsilons: &HEART_EPSILONS, rows }
    };
    [
        block(("accuracy, local intercept", "heart-accuracy-local"), FederatedLocal, "mean", "accuracy"),
        block(("accuracy, global model", "heart-accuracy-global"), Federated, "mean", "accuracy"),
        block(("AUROC, pooled test rows", "heart-auroc"), Federated, "pooled", "auroc"),
    ]
}

pub(super) fn hippocampus_under_privacy() -> [Block; 1] {
    let cohort = Cohort::Hippocampus;
    let dice = |study, arm| (study, arm, "mean", "dice");
    let mut rows: Vec<_> =
        schemes(cohort, DEFAULT_OF_THREE, dice("hippocampus-none", ArmName::Federated)).into();
    rows.push(BlockRow {
        name: "six sites, shared noise, c = 1, d = 1".to_owned(),
        cohort: Cohort::HippocampusHalves,
        scheme: DEFAULT_OF_SIX,
        without: dice("hippocampus-six-none", ArmName::Federated),
    });
    rows.push(one_alone(cohort, dice(alone(cohort), ArmName::Alone)));
    [Block { metric: "Dice", file: "hippocampus-dice", epsilons: &HIPPOCAMPUS_EPSILONS, rows }]
}

fn one_alone(cohort: Cohort, without: Key<'static>) -> BlockRow {
    BlockRow { name: "one site alone".to_owned(), cohort, scheme: Scheme::Alone, without }
}

/// The schemes in which all sites train, with their names on the page.
fn schemes(cohort: Cohort, default: Scheme, without: Key<'static>) -> [BlockRow; 3] {
    [Scheme::Shared { colluders: 0, dropouts: 0 }, default, Scheme::Local].map(|scheme| {
        let name = match scheme {
            Scheme::Shared { colluders, dropouts } => {
                format!("all, shared noise, c = {colluders}, d = {dropouts}")
            }
            Scheme::Local => "all, local noise".to_owned(),
            Scheme::Alone => "one site alone".to_owned(),
        };
        BlockRow { name, cohort, scheme, without }
    })
}

pub(super) fn heart() -> Vec<Line> {
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

pub(super) fn hippocampus() -> Vec<Line> {
    use ArmName::{Federated, Pooled};
    vec![
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
}

pub(super) fn nuclei() -> Vec<Line> {
    use ArmName::{Alone, Federated, Pooled};
    let together = |site| (NUCLEI, Federated, site, "dice");
    vec![
        ("together, secure aggregation, all test pictures: Dice", together("mean"), ">= the next"),
        (
            "each alone, all test pictures, mean of the four models: Dice",
            (alone(Cohort::Nuclei), Alone, "mean", "dice"),
            "",
        ),
        (
            "pooled, as many steps, all test pictures: Dice",
            ("nuclei-alone-pooled-nuclei", Pooled, "mean", "dice"),
            "",
        ),
        ("together, on fluorescence-256: Dice", together("fluorescence-256"), ""),
        ("together, on fluorescence-360: Dice", together("fluorescence-360"), ""),
        ("together, on fluorescence-520: Dice", together("fluorescence-520"), ""),
        ("together, on tissue: Dice", together("tissue"), ""),
    ]
}

/// The federated study of nuclei.
pub(super) const NUCLEI: &str = "nuclei-sums-only";
/// The study that is scored before its first round.
pub(super) const PRETRAINED: &str = "hippocampus-pretrained";
/// The private study that begins with random weights.
pub(super) const FROM_RANDOM: &str = "hippocampus-e8-from-random";

/// Returns under which name the mean over a cohort's sites that trained alone without noise is found.
pub(super) fn alone(cohort: Cohort) -> &'static str {
    match cohort {
        Cohort::Heart => "heart-alone",
        Cohort::Hippocampus => "hippocampus-alone",
        Cohort::HippocampusHalves => "hippocampus-six-alone",
        Cohort::Nuclei => "nuclei-alone",
    }
}
