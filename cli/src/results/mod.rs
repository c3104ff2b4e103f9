//! `fedtwin results`: the figures of `docs/RESULTS.md`, made anew from real data.

mod benches;
mod draws;
mod page;
mod utility;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use indicatif::MultiProgress;

use crate::demo::arms::{Finished, Stage};
use crate::demo::cohorts::{Cohort, Data};
use crate::demo::command::{LENGTHS, compare_cohort};
use crate::demo::drafts::{Protection, StudyTerms};
use crate::simulate::arm::ArmDraft;
use crate::simulate::command::{rows, write_json};
use crate::simulate::federation::Programs;

use benches::Benches;
use page::{Measured, Took};
use utility::{Grid, Scheme};

/// What to measure on.
#[derive(Debug, clap::Args)]
pub struct Results {
    /// The folder with the real data: uci_heart and msd_hippocampus.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Write the figures as JSON.
    #[arg(long, value_name = "FILE", default_value = "target/results.json")]
    json: PathBuf,
    /// Run nothing, and write the page from an earlier run's JSON.
    #[arg(long)]
    page_only: bool,
    /// The page to write.
    #[arg(long, value_name = "FILE", default_value = "docs/RESULTS.md")]
    page: PathBuf,
    /// The folder with the JSON of the benchmarks, bench-NAME.json each, to be put on the page.
    #[arg(long, value_name = "DIR", default_value = "target")]
    benches: PathBuf,
    /// The folder for everything that the runs leave.
    #[arg(long, value_name = "DIR", default_value = "target/results")]
    out: PathBuf,
    /// Draws of the noise for each private heart study; a fifth of them where each hospital trains alone.
    #[arg(long, default_value_t = 50)]
    heart_draws: u32,
    /// Draws of the noise for each private hippocampus study.
    #[arg(long, default_value_t = 3)]
    hippocampus_draws: u32,
    /// Rounds of the long hippocampus run without noise.
    #[arg(long, default_value_t = 300)]
    long_rounds: u32,
}

/// Measures everything and writes the page.
///
/// # Errors
/// As the arms, and where a file cannot be written.
pub async fn run(arguments: &Results, out: &mut dyn Write) -> anyhow::Result<()> {
    let measured = if arguments.page_only { read(&arguments.json)? } else { measure(arguments, out).await? };
    let benches = Benches::read(&arguments.benches)?;
    std::fs::write(&arguments.page, page::render(&measured, &benches))
        .with_context(|| format!("{} cannot be written", arguments.page.display()))?;
    writeln!(out, "{} is written", arguments.page.display())?;
    Ok(())
}

/// Runs all studies and writes the JSON.
async fn measure(arguments: &Results, out: &mut dyn Write) -> anyhow::Result<Measured> {
    let folder = arguments.data.canonicalize();
    let data = Data::Real(folder.with_context(|| format!("there is no {}", arguments.data.display()))?);
    std::fs::create_dir_all(&arguments.out)?;
    let (programs, bars) = (Programs::beside_this_program()?, MultiProgress::new());
    let stage = Stage::new(&arguments.out, &programs, &data, &bars)?;
    let (mut figures, mut took) = (Vec::new(), Vec::new());

    writeln!(out, "both studies without noise, as in the demonstration")?;
    let reference = stage.reference(LENGTHS).await?;
    figures.extend(rows(&reference));
    took.extend(Took::of("demonstration, no noise", &reference));
    figures.extend(compare_cohort(&stage, Cohort::Heart, LENGTHS.heart).await?);

    for grid in grids(arguments) {
        for &epsilon in grid.epsilons {
            writeln!(out, "{} at epsilon {epsilon}", grid.cohort.name())?;
            let (means, arm) = grid.run(&stage, epsilon).await?;
            figures.extend(means);
            took.extend(Took::of("under privacy", &arm));
        }
    }

    writeln!(out, "the hippocampus from random weights, and the pre-trained ones alone")?;
    let shared = Protection::Shared { epsilon: 8.0, colluders: 0, dropouts: 0 };
    let rounds = LENGTHS.hippocampus_private;
    let random = stage.draft(Cohort::Hippocampus, &StudyTerms::new(page::FROM_RANDOM, rounds, shared))?;
    let random = ArmDraft { initial_model: None, ..random };
    let random = stage.federation("from-random", vec![vec![random]], 0).await?;
    figures.extend(rows(&random));
    let study = random.studies.into_iter().next().context("an arm of one draft has one study")?;
    let study = Finished { study, federation: arguments.out.join("from-random") };
    figures.extend(stage.pretrained(&study, page::PRETRAINED)?);

    let rounds = arguments.long_rounds;
    writeln!(out, "the hippocampus for {rounds} rounds: together, each site alone, and pooled")?;
    let long =
        stage.draft(Cohort::Hippocampus, &StudyTerms::new("hippocampus-long", rounds, Protection::None))?;
    let long = stage.federation("long", vec![vec![long]], 0).await?;
    figures.extend(rows(&long));
    took.extend(Took::of("long run", &long));
    figures.extend(compare_cohort(&stage, Cohort::Hippocampus, rounds).await?);

    let measured = Measured { results: figures, took };
    write_json(&arguments.json, &measured)?;
    Ok(measured)
}

fn read(json: &Path) -> anyhow::Result<Measured> {
    let text = std::fs::read_to_string(json).with_context(|| format!("{} cannot be read", json.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} has no figures", json.display()))
}

fn grids(arguments: &Results) -> [Grid; 2] {
    let shared = |colluders, dropouts| Scheme::Shared { colluders, dropouts };
    let heart = arguments.heart_draws;
    let hippocampus = arguments.hippocampus_draws;
    [
        Grid {
            cohort: Cohort::Heart,
            epsilons: &HEART_EPSILONS,
            schemes: vec![
                (shared(0, 0), heart),
                (DEFAULT_OF_FOUR, heart),
                (Scheme::Local, heart),
                (Scheme::Alone, heart.div_ceil(5)),
            ],
            rounds: LENGTHS.heart_private,
            // Trainers take 130 MB each, and there is one for each study and site.
            at_once: 4,
        },
        Grid {
            cohort: Cohort::Hippocampus,
            epsilons: &HIPPOCAMPUS_EPSILONS,
            schemes: vec![
                (shared(0, 0), hippocampus),
                (DEFAULT_OF_THREE, hippocampus),
                (Scheme::Local, hippocampus),
                (Scheme::Alone, hippocampus),
            ],
            rounds: LENGTHS.hippocampus_private,
            at_once: 2,
        },
    ]
}

/// With four sites, one may collude and one may be missing; with three, one may collude.
const DEFAULT_OF_FOUR: Scheme = Scheme::Shared { colluders: 1, dropouts: 1 };
const DEFAULT_OF_THREE: Scheme = Scheme::Shared { colluders: 1, dropouts: 0 };

const HEART_EPSILONS: [f64; 5] = [0.5, 1.0, 2.0, 4.0, 8.0];
const HIPPOCAMPUS_EPSILONS: [f64; 4] = [1.0, 2.0, 4.0, 8.0];
