//! `fedtwin-site audit attack`: attacks on what a plan would release here, by the agent's own code.
//!
//! Everything stays at the site: the report goes into its state folder, and nothing is sent, charged or
//! written to the ledger. Without a cohort's name all records are invented ones of the plan's schema.

mod attacks;
mod cohort;
mod probe;
mod step;
mod study;
mod synthetic;
#[cfg(test)]
mod tests;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use fedtwin_attack::report::{AttackReport, RecordsUsed};
use fedtwin_cohort::CohortFile;
use fedtwin_daemon::output::Output;
use fedtwin_plan::{CohortName, Digest, Plan, text_file};
use fedtwin_privacy::noise::NoiseSource;
use fedtwin_privacy::random::SecureRandom;
use fedtwin_trainer::NewTrainer;

use crate::config::SiteConfig;
use crate::state_folder;

/// What to attack.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct AttackArguments {
    /// The calibrated plan.
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    /// Use this cohort of the site; the report then depends on its patients and must stay here.
    #[arg(long, value_name = "NAME", conflicts_with = "synthetic")]
    cohort: Option<CohortName>,
    /// Use invented records of the plan's schema (the default).
    #[arg(long)]
    synthetic: bool,
    /// Write the report as JSON to this file too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A plan at this site, ready to be attacked.
struct Target {
    plan: Plan,
    text: String,
    records: RecordsUsed,
    cohort_file: PathBuf,
    /// The cohort's declared size.
    slots: u32,
    noise: &'static dyn NoiseSource,
    new_trainer: NewTrainer,
}

/// Attacks a plan, writes the report into the site's state folder, and says what was found.
///
/// # Errors
/// Fails where the plan or the cohort cannot be used, and where something contradicts the plan's claim.
pub fn attack(
    config: &SiteConfig,
    base: &Path,
    new_trainer: NewTrainer,
    arguments: &AttackArguments,
) -> anyhow::Result<()> {
    let state = base.join(&config.state);
    state_folder::open(&state)?;
    let folder = state.join("audits");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let scratch = folder.join("invented");
    let report =
        Target::prepare(config, base, (&scratch, new_trainer), arguments).and_then(|target| target.report());
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    let report = report?;
    let json = serde_json::to_vec_pretty(&report)?;
    let kept = folder.join(format!("{}.json", report.study));
    for file in [Some(&kept), arguments.json.as_ref()].into_iter().flatten() {
        fs::write(file, &json).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    words::write(&mut Output::stdout(), &report)?;
    anyhow::ensure!(report.findings.is_empty(), "{}", report.findings.join("; "));
    Ok(())
}

impl Target {
    fn prepare(
        config: &SiteConfig,
        base: &Path,
        (scratch, new_trainer): (&Path, NewTrainer),
        arguments: &AttackArguments,
    ) -> anyhow::Result<Self> {
        let name = arguments.plan.display().to_string();
        let text = fs::read_to_string(&arguments.plan).with_context(|| format!("{name} cannot be read"))?;
        let plan: Plan = text_file::parse(&name, &text)?;
        let (records, cohort_file) = match &arguments.cohort {
            None => {
                let file = synthetic::write_cohort(&plan, scratch, &mut SecureRandom::new())?;
                (RecordsUsed::Synthetic, file)
            }
            Some(cohort) => (RecordsUsed::Cohort(cohort.clone()), own_cohort(config, base, cohort)?),
        };
        let slots = CohortFile::load(&cohort_file)?.patients();
        let noise = config.noise.source();
        Ok(Self { plan, text, records, cohort_file, slots, noise, new_trainer })
    }

    fn report(&self) -> anyhow::Result<AttackReport> {
        Ok(attacks::Attacks::new(self)?.report(Digest::of(self.text.as_bytes()))?)
    }
}

/// Finds the file of one of the site's cohorts.
fn own_cohort(config: &SiteConfig, base: &Path, name: &CohortName) -> anyhow::Result<PathBuf> {
    for cohort in &config.cohorts {
        let path = base.join(&cohort.file);
        if CohortFile::load(&path)?.name() == name {
            return Ok(path);
        }
    }
    anyhow::bail!("the configuration has no cohort {name}")
}
