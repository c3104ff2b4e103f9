//! `fedtwin results`: the figures of `docs/RESULTS.md`, made anew from real data.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use indicatif::MultiProgress;

use super::arms::Stage;
use super::cohorts::{Cohort, Data};
use super::command::{LENGTHS, compare_cohort};
use super::drafts::Protection;
use super::results_page::{self, Measured};
use crate::simulate::arm::ArmOutcome;
use crate::simulate::command::{rows, write_json};
use crate::simulate::federation::Programs;
use crate::simulate::results::{ArmName, Row, rows as study_rows};

/// What to measure on.
#[derive(Debug, clap::Args)]
pub struct Results {
    /// The folder with the real data: uci_heart and msd_hippocampus.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Write the figures as JSON.
    #[arg(long, value_name = "FILE", default_value = "target/results.json")]
    json: PathBuf,
    /// The page to write.
    #[arg(long, value_name = "FILE", default_value = "docs/RESULTS.md")]
    page: PathBuf,
    /// The JSON of `cargo xtask bench round`, to be put on the page.
    #[arg(long, value_name = "FILE", default_value = "target/bench-round.json")]
    bench: PathBuf,
    /// The folder for everything that the runs leave.
    #[arg(long, value_name = "DIR", default_value = "target/results")]
    out: PathBuf,
    /// Noise draws of the private heart study.
    #[arg(long, default_value_t = 50)]
    draws: u32,
    /// Rounds of the long hippocampus run.
    #[arg(long, default_value_t = 600)]
    long_rounds: u32,
}

/// Measures everything and writes the page.
///
/// # Errors
/// As the arms, and where a file cannot be written.
pub async fn run(arguments: &Results, out: &mut dyn Write) -> anyhow::Result<()> {
    let folder = arguments.data.canonicalize();
    let data = Data::Real(folder.with_context(|| format!("there is no {}", arguments.data.display()))?);
    std::fs::create_dir_all(&arguments.out)?;
    let (programs, bars) = (Programs::beside_this_program()?, MultiProgress::new());
    let stage = Stage { folder: &arguments.out, programs: &programs, data: &data, bars: &bars };

    writeln!(out, "heart at epsilon 1, {} draws of the noise", arguments.draws)?;
    let draws = heart_draws(&stage, 1.0, arguments.draws).await?;
    writeln!(out, "both studies without noise, and the hippocampus at epsilon 8, as in the demonstration")?;
    let reference = stage.reference(LENGTHS).await?;
    let local = Protection::Local { epsilon: 8.0 };
    let images = stage.draft(Cohort::Hippocampus, "hippocampus-e8", LENGTHS.hippocampus_private, local)?;
    let private = stage.federation("private-images", vec![vec![images]], 0).await?;
    writeln!(
        out,
        "the hippocampus for {} rounds: together, each site alone, and pooled",
        arguments.long_rounds
    )?;
    let long = vec![stage.draft(
        Cohort::Hippocampus,
        "hippocampus-long",
        arguments.long_rounds,
        Protection::None,
    )?];
    let long = stage.federation("long", vec![long], 100).await?;
    let alone = compare_cohort(&stage, Cohort::Hippocampus, arguments.long_rounds).await?;
    let heart_alone = compare_cohort(&stage, Cohort::Heart, LENGTHS.heart).await?;

    let mut figures = draws;
    for arm in [&reference, &private, &long] {
        figures.extend(rows(arm));
    }
    figures.extend(alone);
    figures.extend(heart_alone);
    write_json(&arguments.json, &figures)?;
    let measured = Measured {
        figures: &figures,
        arms: &[
            ("demonstration, no noise", &reference),
            ("epsilon 8, images", &private),
            ("long run", &long),
        ],
        bench: read_bench(&arguments.bench)?,
    };
    std::fs::write(&arguments.page, results_page::render(&measured))
        .with_context(|| format!("{} cannot be written", arguments.page.display()))?;
    writeln!(out, "{} and {} are written", arguments.page.display(), arguments.json.display())?;
    Ok(())
}

/// Repeats the private heart study with fresh noise, a few at a time, in one federation.
async fn heart_draws(stage: &Stage<'_>, epsilon: f64, draws: u32) -> anyhow::Result<Vec<Row>> {
    let local = Protection::Local { epsilon };
    let id = |index: u32| format!("heart-e{epsilon}-draw-{index}");
    let drafts = (1..=draws)
        .map(|index| stage.draft(Cohort::Heart, &id(index), LENGTHS.heart_private, local))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let groups = drafts.chunks(STUDIES_AT_ONCE).map(<[_]>::to_vec).collect();
    let outcome = stage.federation("draws", groups, 0).await?;
    Ok(over_draws(&outcome, &format!("heart-e{epsilon}")))
}

/// Replaces the rows of single draws by their mean with a 95 % interval.
fn over_draws(outcome: &ArmOutcome, study: &str) -> Vec<Row> {
    let single: Vec<Vec<Row>> = outcome.studies.iter().map(|s| study_rows(s, ArmName::Federated)).collect();
    let Some(first) = single.first() else { return Vec::new() };
    let mut means = Vec::new();
    for row in first {
        let same = |other: &&Row| (other.arm, &other.site, other.metric) == (row.arm, &row.site, row.metric);
        let values: Vec<f64> =
            single.iter().filter_map(|rows| rows.iter().find(same)).map(|row| row.value).collect();
        let (value, half) = mean_and_half_interval(&values);
        means.push(Row {
            study: study.parse().expect("the name is of the demonstration"),
            value,
            low: Some(value - half),
            high: Some(value + half),
            seeds: u32::try_from(values.len()).unwrap_or(u32::MAX),
            ..row.clone()
        });
    }
    means
}

/// The normal approximation, which serves at fifty draws.
#[expect(clippy::cast_precision_loss, reason = "a number of draws")]
fn mean_and_half_interval(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    (mean, 1.96 * (variance / count).sqrt())
}

fn read_bench(path: &Path) -> anyhow::Result<Option<serde_json::Value>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Trainers take 130 MB each, and there is one for each study and site.
const STUDIES_AT_ONCE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_shrink_with_draws() {
        let (mean, half) = mean_and_half_interval(&[1.0, 2.0, 3.0]);
        assert!((mean - 2.0).abs() < 1e-12);
        assert!((half - 1.96 / 3.0_f64.sqrt()).abs() < 1e-12);
    }
}
