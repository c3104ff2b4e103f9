//! `fedtwin-lab results`: the figures of `docs/RESULTS.md`, made anew from real data.

mod benches;
mod draws;
mod figures;
mod lines;
mod measured;
mod page;
mod utility;
mod words;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use fedtwin_simulation::arm::ArmDraft;
use fedtwin_simulation::federation::Programs;
use fedtwin_simulation::json::write_json;
use indicatif::MultiProgress;

use crate::demo::arms::{Finished, Stage};
use crate::demo::cohorts::{Cohort, Data};
use crate::demo::command::compare_cohort;
use crate::demo::drafts::{ArmPrivacy, DraftTerms};
use benches::Benches;
use measured::{Measured, Part, Took};
use utility::{Grid, Scheme};

/// What to measure on.
#[derive(Debug, clap::Args)]
pub struct Results {
    /// The folder with the real data: uci_heart, msd_hippocampus and dsb2018_nuclei; not needed where nothing is measured.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Write the figures as JSON.
    #[arg(long, value_name = "FILE", default_value = "target/results.json")]
    json: PathBuf,
    /// What to measure, more than one separated by commas; of all else the JSON keeps the figures of earlier runs. Empty,
    /// and nothing is run.
    #[arg(long, value_name = "PART", value_delimiter = ',', num_args = 0.., default_values_t = Part::value_variants().to_vec())]
    measure: Vec<Part>,
    /// The page to write; its plots go to the folder `figures` beside it.
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

/// Measures what is asked for and writes the page.
///
/// # Errors
/// As the arms, and where a file cannot be read or written.
pub async fn run(arguments: &Results, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut measured = read(&arguments.json)?;
    for &part in &arguments.measure {
        measured.insert(part, measure(part, arguments, out).await?);
        // Another part may fail an hour later.
        write_json(&arguments.json, &measured)?;
    }
    let benches = Benches::read(&arguments.benches)?;
    let earlier = text_if_there(&arguments.page)?.unwrap_or_default();
    std::fs::write(&arguments.page, page::render(&measured, &benches) + by_hand(&earlier))
        .with_context(|| format!("{} cannot be written", arguments.page.display()))?;
    let shown = page::figures(&measured);
    let heart = figures::write(&arguments.page, &shown, &lines::heart_under_privacy())?;
    let hippocampus = figures::write(&arguments.page, &shown, &lines::hippocampus_under_privacy())?;
    for file in [arguments.page.clone()].into_iter().chain(heart).chain(hippocampus) {
        writeln!(out, "{} is written", file.display())?;
    }
    Ok(())
}

/// Runs the studies of one part of the page.
async fn measure(part: Part, arguments: &Results, out: &mut dyn Write) -> anyhow::Result<Measured> {
    let folder = arguments
        .data
        .as_ref()
        .context("to measure takes --data DIR; --measure without a part takes none")?;
    let data =
        Data::Real(folder.canonicalize().with_context(|| format!("there is no {}", folder.display()))?);
    std::fs::create_dir_all(&arguments.out)?;
    let (programs, bars) = (Programs::beside_this_program()?, MultiProgress::new());
    let stage = Stage::new(&arguments.out, &programs, &data, &bars)?;
    let mut measured = Measured::default();
    match part {
        Part::Heart => {
            let cohort = Cohort::Heart;
            writeln!(out, "heart without noise: together, each hospital alone, and pooled")?;
            measured.add("no noise", &stage.reference(&[cohort]).await?);
            measured.results.extend(compare_cohort(&stage, cohort, cohort.rounds()).await?);
        }
        Part::Hippocampus => {
            hippocampus_without_noise(&stage, arguments, out, &mut measured).await?;
            hippocampus_weights(&stage, out, &mut measured).await?;
        }
        Part::HippocampusSix => {}
        Part::Nuclei => nuclei(&stage, out, &mut measured).await?,
    }
    let Some(grid) = grid(part, arguments) else { return Ok(measured) };
    for &epsilon in grid.epsilons {
        writeln!(out, "{} at epsilon {epsilon}", grid.cohort.name())?;
        let (means, arm) = grid.run(&stage, epsilon).await?;
        measured.results.extend(means);
        measured.took.extend(Took::of("under privacy", &arm));
    }
    Ok(measured)
}

/// As many rounds as in the demonstration, and then many more: together, each site alone, and pooled.
async fn hippocampus_without_noise(
    stage: &Stage<'_>,
    arguments: &Results,
    out: &mut dyn Write,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    let (cohort, rounds) = (Cohort::Hippocampus, arguments.long_rounds);
    writeln!(out, "hippocampus without noise, as in the demonstration")?;
    measured.add("no noise", &stage.reference(&[cohort]).await?);
    writeln!(out, "hippocampus for {rounds} rounds: together, each site alone, and pooled")?;
    let long = stage.draft(cohort, &DraftTerms::new("hippocampus-long", rounds, ArmPrivacy::None))?;
    measured.add("long run", &stage.federation("long", &[cohort], vec![vec![long]], 0).await?);
    measured.results.extend(compare_cohort(stage, cohort, rounds).await?);
    Ok(())
}

/// What the pre-trained weights give: private training without them, and they without training.
async fn hippocampus_weights(
    stage: &Stage<'_>,
    out: &mut dyn Write,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    writeln!(out, "hippocampus from random weights, and the pre-trained ones alone")?;
    let shared = ArmPrivacy::Shared { epsilon: 8.0, colluders: 0, dropouts: 0 };
    let cohort = Cohort::Hippocampus;
    let random =
        stage.draft(cohort, &DraftTerms::new(lines::FROM_RANDOM, cohort.private_rounds(), shared))?;
    let random = ArmDraft { initial_model: None, ..random };
    let random = stage.federation("from-random", &[cohort], vec![vec![random]], 0).await?;
    measured.results.extend(random.rows());
    let study = random.studies.into_iter().next().context("an arm of one draft has one study")?;
    let study = Finished { study, federation: stage.folder.join("from-random") };
    measured.results.extend(stage.pretrained(&study, lines::PRETRAINED)?);
    Ok(())
}

/// One model that is trained under secure aggregation, each laboratory alone, and pooled.
async fn nuclei(stage: &Stage<'_>, out: &mut dyn Write, measured: &mut Measured) -> anyhow::Result<()> {
    let cohort = Cohort::Nuclei;
    writeln!(out, "nuclei: together under secure aggregation, each laboratory alone, and pooled")?;
    let study = DraftTerms::new(lines::NUCLEI, cohort.rounds(), ArmPrivacy::SumsOnly);
    let together = stage.draft(cohort, &study)?;
    measured
        .add("secure sums, no noise", &stage.federation("nuclei", &[cohort], vec![vec![together]], 0).await?);
    measured.results.extend(compare_cohort(stage, cohort, cohort.rounds()).await?);
    Ok(())
}

/// Returns what people wrote at the end of a page, which stays there: comparisons with builds that are not at hand.
fn by_hand(page: &str) -> &str {
    page.find(BY_HAND).map_or("", |at| &page[at..])
}

const BY_HAND: &str = "\n<!-- By hand from here. -->\n";

/// Reads what earlier runs measured.
fn read(json: &Path) -> anyhow::Result<BTreeMap<Part, Measured>> {
    let Some(text) = text_if_there(json)? else { return Ok(BTreeMap::new()) };
    serde_json::from_str(&text).with_context(|| format!("{} has no figures", json.display()))
}

fn text_if_there(path: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// Returns the part's studies under privacy.
fn grid(part: Part, arguments: &Results) -> Option<Grid> {
    let shared = |colluders, dropouts| Scheme::Shared { colluders, dropouts };
    let heart = arguments.heart_draws;
    let hippocampus = arguments.hippocampus_draws;
    Some(match part {
        Part::Heart => Grid {
            cohort: Cohort::Heart,
            epsilons: &HEART_EPSILONS,
            schemes: vec![
                (shared(0, 0), heart),
                (DEFAULT_OF_FOUR, heart),
                (Scheme::Local, heart),
                (Scheme::Alone, heart.div_ceil(5)),
            ],
            // Trainers take 130 MB each, and there is one for each study and site.
            at_once: 4,
        },
        Part::Hippocampus => Grid {
            cohort: Cohort::Hippocampus,
            epsilons: &HIPPOCAMPUS_EPSILONS,
            schemes: vec![
                (shared(0, 0), hippocampus),
                (DEFAULT_OF_THREE, hippocampus),
                (Scheme::Local, hippocampus),
                (Scheme::Alone, hippocampus),
            ],
            at_once: 2,
        },
        Part::HippocampusSix => Grid {
            cohort: Cohort::HippocampusHalves,
            epsilons: &HIPPOCAMPUS_EPSILONS,
            schemes: vec![(DEFAULT_OF_SIX, hippocampus)],
            at_once: 1,
        },
        Part::Nuclei => return None,
    })
}

/// With four sites or six, one may collude and one may be missing; with three, one may collude.
const DEFAULT_OF_FOUR: Scheme = Scheme::Shared { colluders: 1, dropouts: 1 };
const DEFAULT_OF_SIX: Scheme = Scheme::Shared { colluders: 1, dropouts: 1 };
const DEFAULT_OF_THREE: Scheme = Scheme::Shared { colluders: 1, dropouts: 0 };

const HEART_EPSILONS: [f64; 5] = [0.5, 1.0, 2.0, 4.0, 8.0];
const HIPPOCAMPUS_EPSILONS: [f64; 4] = [1.0, 2.0, 4.0, 8.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_at_the_end_of_the_page_stays() {
        let written = format!("{BY_HAND}\n## Against an earlier build\n");
        let page = |figures: &str| format!("# Results\n\n{figures}\n{written}");
        assert_eq!(by_hand(&page("1 | 2")), written);
        assert_eq!(by_hand("# Results\n"), "");
    }
}
