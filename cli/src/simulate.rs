//! `fedtwin simulate`: a person's own plan over folders of their own.

use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, bail};
use fedtwin_plan::SiteName;
use fedtwin_simulation::arm::{Arm, ArmDraft};
use fedtwin_simulation::federation::Programs;
use fedtwin_simulation::json::write_rows;
use fedtwin_simulation::site_config::SimulatedSite;
use fedtwin_simulation::summary;
use indicatif::MultiProgress;

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
    let rows = outcome.rows();
    summary::print(out, &outcome, &rows)?;
    if let Some(path) = &arguments.json {
        write_rows(path, &rows)?;
    }
    writeln!(out, "everything is in {}", arguments.out.display())?;
    Ok(())
}

fn simulated_site(argument: &SiteArgument) -> anyhow::Result<SimulatedSite> {
    let path = if argument.path.is_dir() { argument.path.join("cohort.toml") } else { argument.path.clone() };
    if !path.is_file() {
        bail!("site {}: there is no cohort file {}", argument.name, path.display());
    }
    Ok(SimulatedSite { name: argument.name.clone(), cohort_files: vec![path.canonicalize()?] })
}
