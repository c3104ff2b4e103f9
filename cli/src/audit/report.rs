//! `fedtwin audit report`: a page and its JSON for each study, in files.

use std::path::{Path, PathBuf};

use clap::Args;
use fedtwin_auditor::ledger::CheckedLedger;
use fedtwin_auditor::report::{self, Asked, Beside, StudyFacts};
use fedtwin_auditor::views;
use fedtwin_plan::StudyId;

use super::AuditError;
use super::files::{self, FileError};
use super::heads::Heads;
use super::sources::Sources;

/// What to report on.
#[derive(Debug, Args)]
pub struct ReportOn {
    /// Which ledgers.
    #[command(flatten)]
    pub sources: Sources,
    /// Only this study; without it, every study of the ledgers.
    #[arg(long)]
    study: Option<StudyId>,
    /// A study's plan, for its clip and what users of its models learn; may be given for several.
    #[arg(long, value_name = "PLAN.TOML")]
    plan: Vec<PathBuf>,
    /// What `fedtwin-site audit attack --json` wrote about a plan; may be given for several.
    #[arg(long, value_name = "ATTACK.JSON")]
    attack: Vec<PathBuf>,
    /// What others kept of the ledgers.
    #[command(flatten)]
    heads: Heads,
    /// How the study's settings were chosen, and on which data: it is on the page word for word.
    #[arg(long, value_name = "TEXT")]
    tuning: Option<String>,
    /// The folder for `SITE.STUDY.html` and `.json`; made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Reports on the studies that were asked for.
///
/// # Errors
/// Refuses a study that no ledger has, and plans and attacks that belong to none.
pub fn reports(ledgers: &[CheckedLedger], asked: &ReportOn) -> Result<Vec<StudyFacts>, AuditError> {
    let beside = Beside::parse(&files::texts(&asked.plan)?, &files::texts(&asked.attack)?)?;
    let heads = files::texts(&asked.heads.checkpoint)?;
    let continued = views::compare(ledgers, &heads, &asked.sources.trust.load()?)?;
    let asked = Asked { study: asked.study.clone(), beside, tuning: asked.tuning.clone() };
    Ok(report::reports(ledgers, &continued, &asked)?)
}

/// Writes each report as a page and as JSON, and returns the pages' names.
///
/// # Errors
/// Passes on what the disk says.
pub fn write(reports: &[StudyFacts], folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    std::fs::create_dir_all(folder).map_err(|source| FileError {
        file: folder.to_owned(),
        action: "written",
        source,
    })?;
    let mut pages = Vec::new();
    for report in reports {
        let name = format!("{}.{}", report.site, report.study);
        let (page, json) = (folder.join(format!("{name}.html")), folder.join(format!("{name}.json")));
        let text = serde_json::to_string_pretty(report).expect("a report has text keys");
        files::write(&json, text + "\n")?;
        files::write(&page, report::render(report))?;
        pages.push(page);
    }
    Ok(pages)
}
