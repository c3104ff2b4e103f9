//! `fedtwin simulate`: a person's own plan over folders of their own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use fedtwin_plan::SiteName;
use indicatif::MultiProgress;
use serde::Serialize;

use super::arm::{Arm, ArmDraft, ArmOutcome};
use super::federation::Programs;
use super::results::{self, ArmName, Row};
use super::site_config::SimulatedSite;
use super::summary;

/// What to simulate.
#[derive(Debug, clap::Args)]
pub struct Simulate {
    /// A draft, as for `study new`; its sites must be those given here.
    #[arg(value_name = "PLAN")]
    draft: PathBuf,
    /// A site's name and its cohort file, or the folder with its cohort.toml; once for each site.
    #[arg(long = "site", required = true, value_name = "NAME=PATH")]
    sites: Vec<SiteArgument>,
    /// A model file whose weights the study begins with.
    #[arg(long, value_name = "FILE")]
    initial_model: Option<PathBuf>,
    /// The folder for the federation: certificates, logs, ledgers, reports and models stay there.
    #[arg(long, value_name = "DIR", default_value = "fedtwin-simulation")]
    out: PathBuf,
    /// Write the figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Score the model on the sites' test patients every so many rounds.
    #[arg(long, default_value_t = 10)]
    score_every_rounds: u32,
}

/// `NAME=PATH`.
#[derive(Debug, Clone)]
struct SiteArgument {
    name: SiteName,
    path: PathBuf,
}

impl FromStr for SiteArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = text.split_once('=').ok_or("expected NAME=PATH")?;
        let name = name.parse().map_err(|error| format!("{error}"))?;
        Ok(Self { name, path: path.into() })
    }
}

/// Runs the simulation and prints its figures.
///
/// # Errors
/// Says which file or site is the obstacle.
pub async fn run(arguments: &Simulate, out: &mut dyn Write) -> anyhow::Result<()> {
    let draft = &arguments.draft;
    let text =
        std::fs::read_to_string(draft).with_context(|| format!("{} cannot be read", draft.display()))?;
    let sites = arguments.sites.iter().map(simulated_site).collect::<anyhow::Result<_>>()?;
    let draft =
        ArmDraft { name: draft.display().to_string(), text, initial_model: arguments.initial_model.clone() };
    let arm = Arm {
        federation: "federation".parse().expect("the name is a constant"),
        sites,
        drafts: vec![vec![draft]],
        score_every_rounds: arguments.score_every_rounds,
    };
    let programs = Programs::beside_this_program()?;
    let outcome = arm.run(&arguments.out, &programs, &MultiProgress::new()).await?;
    let rows = rows(&outcome);
    summary::print(out, &outcome, &rows)?;
    if let Some(path) = &arguments.json {
        write_rows(path, &rows)?;
    }
    writeln!(out, "everything is in {}", arguments.out.display())?;
    Ok(())
}

/// Returns all figures of an arm of whole federations.
#[must_use]
pub fn rows(outcome: &ArmOutcome) -> Vec<Row> {
    outcome.studies.iter().flat_map(|study| results::rows(study, ArmName::Federated)).collect()
}

/// Writes figures in the shape that scripts rely on.
///
/// # Errors
/// Names the file that cannot be written.
pub fn write_rows(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    write_json(path, &serde_json::json!({ "results": rows }))
}

/// Writes JSON for people and programs.
///
/// # Errors
/// Names the file that cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    std::fs::write(path, text + "\n").with_context(|| format!("{} cannot be written", path.display()))
}

fn simulated_site(argument: &SiteArgument) -> anyhow::Result<SimulatedSite> {
    let path = if argument.path.is_dir() { argument.path.join("cohort.toml") } else { argument.path.clone() };
    if !path.is_file() {
        bail!("site {}: there is no cohort file {}", argument.name, path.display());
    }
    Ok(SimulatedSite { name: argument.name.clone(), cohort_files: vec![path.canonicalize()?] })
}
