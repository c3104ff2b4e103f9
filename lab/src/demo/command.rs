//! `fedtwin-lab demo`: everything in one command.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use fedtwin_daemon::table::Table;
use fedtwin_simulation::arm::ArmOutcome;
use fedtwin_simulation::federation::Programs;
use fedtwin_simulation::json::write_rows;
use fedtwin_simulation::results::{ArmName, Row};
use fedtwin_simulation::summary;
use indicatif::MultiProgress;

use super::arms::Stage;
use super::cohorts::{Cohort, Data};
use super::outlines::outlined;
use super::page;

/// What to demonstrate on.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// The folder with the real data (uci_heart, msd_hippocampus); without it, patients are invented.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Also train at each site alone, and on all data in one place.
    #[arg(long)]
    compare: bool,
    /// Write the figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The folder for everything that the demonstration leaves; an earlier one's is replaced.
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    out: PathBuf,
}

/// The studies without noise; they and the private ones fit six minutes on two cores.
const REFERENCE: [Cohort; 2] = [Cohort::Heart, Cohort::Hippocampus];
/// The studies with noise.
const PRIVATE: [Cohort; 3] = [Cohort::Heart, Cohort::Hippocampus, Cohort::HippocampusHalves];
const EPSILONS: [f64; 2] = [1.0, 8.0];

/// Runs the demonstration.
///
/// # Errors
/// Says what is missing or went wrong, and where the logs are.
pub async fn run(arguments: &Demo, out: &mut dyn Write) -> anyhow::Result<()> {
    let data = match &arguments.data {
        Some(folder) => {
            Data::Real(folder.canonicalize().with_context(|| format!("there is no {}", folder.display()))?)
        }
        None => Data::Synthetic,
    };
    start_clean(&arguments.out)?;
    let (programs, bars) = (Programs::beside_this_program()?, MultiProgress::new());
    let stage = Stage::new(&arguments.out, &programs, &data, &bars)?;

    writeln!(out, "Hospitals' agents and a coordinator, as processes on this machine, over mutual TLS.")?;
    writeln!(
        out,
        "{} studies at {} hospitals without noise (reference run, in folders and ledgers of its own):",
        REFERENCE.len(),
        hospitals(&REFERENCE)
    )?;
    let reference = stage.reference(&REFERENCE).await?;
    writeln!(
        out,
        "{} studies at {} hospitals with noise that they share under secure aggregation, epsilon 1, then 8, on the \
         same budgets:",
        PRIVATE.len(),
        hospitals(&PRIVATE)
    )?;
    let private = stage.private(&PRIVATE, &EPSILONS).await?;
    let mut figures = reference.rows();
    figures.extend(private.rows());
    if arguments.compare {
        writeln!(out, "Each site alone, and all data in one place:")?;
        figures.extend(compare(&stage).await?);
    }

    bars.clear()?;
    for (title, arm) in [("reference run, no noise", &reference), ("private", &private)] {
        writeln!(out, "\n=== {title} (federation {})", arm.federation)?;
        summary::print(out, arm, &figures)?;
    }
    writeln!(out, "\n=== side by side\n{}", side_by_side(&figures))?;
    finish(&stage, arguments, &[&reference, &private], &figures, out)
}

fn hospitals(cohorts: &[Cohort]) -> usize {
    cohorts.iter().map(|cohort| cohort.sites().len()).sum()
}

fn finish(
    stage: &Stage<'_>,
    arguments: &Demo,
    arms: &[&ArmOutcome],
    figures: &[Row],
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let page = arguments.out.join("index.html");
    let outlined = outlined(stage.programs, arms, &arguments.out)?;
    std::fs::write(&page, page::render(arms, figures, &outlined, &arguments.out))?;
    if let Some(path) = &arguments.json {
        write_rows(path, figures)?;
    }
    writeln!(out, "curves, models, ledgers and logs: {}", page.display())?;
    Ok(())
}

/// A folder that an earlier demonstration left is replaced; any other is not touched.
fn start_clean(folder: &Path) -> anyhow::Result<()> {
    let marker = folder.join(".fedtwin-demo");
    if folder.exists() {
        let empty = folder.read_dir()?.next().is_none();
        anyhow::ensure!(
            empty || marker.exists(),
            "{} is not empty and not an earlier demonstration's: name another folder with --out",
            folder.display()
        );
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    Ok(std::fs::write(marker, "")?)
}

/// Trains at each site alone and on pooled data, for as many steps as the federation.
///
/// # Errors
/// As the arms.
pub async fn compare(stage: &Stage<'_>) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for cohort in REFERENCE {
        rows.extend(compare_cohort(stage, cohort, cohort.rounds()).await?);
    }
    Ok(rows)
}

/// Compares for one cohort.
///
/// # Errors
/// As the arms.
pub async fn compare_cohort(stage: &Stage<'_>, cohort: Cohort, rounds: u32) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for site in cohort.write(stage.data, &stage.folder.join("cohorts"))? {
        let alone = stage.alone(cohort, &site, rounds).await?;
        rows.extend(stage.of_alone(cohort, &alone)?);
    }
    let pooled = stage.alone(cohort, &stage.pooled_site(cohort)?, rounds).await?;
    rows.extend(stage.everywhere(cohort, &pooled, ArmName::Pooled)?);
    Ok(rows)
}

/// One line per study and arm: what a reader compares.
#[must_use]
pub fn side_by_side(figures: &[Row]) -> Table<5> {
    let mut table = Table::new(["study", "arm", "epsilon", "metric", "value"]);
    let shown = |row: &&Row| {
        let alone = row.arm == ArmName::Alone;
        match &*row.metric {
            "accuracy" | "dice" => row.site == "mean" || alone,
            "auroc" => row.site == "pooled",
            _ => false,
        }
    };
    for row in figures.iter().filter(shown) {
        let interval = match (row.low, row.high) {
            (Some(low), Some(high)) => format!(" [{low:.3}, {high:.3}]"),
            (None, _) | (_, None) => String::new(),
        };
        table.row([
            row.study.to_string(),
            row.arm.as_str().to_owned(),
            row.epsilon.map_or("unbounded".to_owned(), |epsilon| format!("{epsilon:.3}")),
            row.metric.to_string(),
            format!("{:.3}{interval}", row.value),
        ]);
    }
    table
}
