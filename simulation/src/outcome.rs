//! What a simulated study came to: the sites' own reports, what it cost, and how long it took.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use fedtwin_audit_log::{PublicKey, entries};
use fedtwin_certs::folder;
use fedtwin_plan::{Digest, Plan, SiteName, StudyId};
use fedtwin_privacy::ledger::{Body, CohortReport, LedgerState};
use fedtwin_trainer::report::{Report, Scores};

/// A study that ended.
#[derive(Debug, Clone)]
pub struct FinishedStudy {
    /// The plan, checked.
    pub plan: Plan,
    /// The final model.
    pub model: Digest,
    /// From opening to the last site's report.
    pub seconds: f64,
    /// From the first round's start to the last one's close.
    pub training_seconds: f64,
    /// Bytes of all updates.
    pub update_bytes: u64,
    /// Rounds in which a site was missing.
    pub incomplete_rounds: u32,
    /// What each site says.
    pub sites: Vec<SiteOutcome>,
}

/// What one site says of a study.
#[derive(Debug, Clone)]
pub struct SiteOutcome {
    /// The site, by the name in its certificates.
    pub site: SiteName,
    /// Scores of the final model on its own test patients.
    pub report: Report,
    /// Scores of models along the way.
    pub curve: Vec<Scores>,
    /// Its ledger, verified.
    pub ledger: LedgerOutcome,
}

/// A verified ledger.
#[derive(Debug, Clone)]
pub struct LedgerOutcome {
    /// The file.
    pub path: PathBuf,
    /// The number of entries in the site's ledger.
    pub entries: u64,
    /// The study's cohort: spent, reserved and left.
    pub cohort: CohortReport,
}

/// Waits until the site has ended the study in its ledger, and reads what it found.
///
/// # Errors
/// Fails where the site does not end the study in time, or its folder does not hold together.
pub async fn of_site(
    federation: &Path,
    site: &SiteName,
    plan: &Plan,
    patience: Duration,
) -> anyhow::Result<SiteOutcome> {
    let state = federation.join("sites").join(site.as_str()).join("state");
    let study = &plan.study.id;
    let tries = patience.as_millis() / PAUSE.as_millis();
    for _ in 0..tries {
        let folder = state.join("studies").join(study.as_str());
        // The study's end is in the ledger before its final model is scored.
        if let Some(ledger) = ended(federation, site, &state, study)?
            && let Ok(report) = File::open(folder.join("report.json"))
        {
            let scores: Scores = serde_json::from_reader(BufReader::new(report))?;
            return Ok(SiteOutcome {
                site: site.clone(),
                report: scores.report,
                curve: curve(&folder)?,
                ledger,
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
    bail!(
        "site {site} has no report of study {study} after {} s: see sites/{site}/site.log in {}",
        patience.as_secs(),
        federation.display()
    )
}

/// Verifies the ledger offline, as an auditor would, and looks for the study's end.
fn ended(
    federation: &Path,
    site: &SiteName,
    state: &Path,
    study: &StudyId,
) -> anyhow::Result<Option<LedgerOutcome>> {
    let path = state.join("ledger.log");
    let credentials = folder::load_credentials(&federation.join("credentials").join(site.as_str()))?;
    let key = PublicKey(*credentials.identity_key().public().as_bytes());
    // An entry that is being written is not there yet.
    let text = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let (entries, summary) = entries::<Body>(&text[..whole], &key)?;
    let closed = entries
        .iter()
        .any(|entry| matches!(&entry.body, Body::StudyClosed(closed) if closed.study == *study));
    if !closed {
        return Ok(None);
    }
    let state = LedgerState::replay(entries.iter().map(|entry| (&entry.body, entry.stamp))).map_err(
        |(sequence, violation)| anyhow::anyhow!("entry {sequence} of {} : {violation}", path.display()),
    )?;
    let report = state.report();
    let cohort = report.into_iter().find(|cohort| cohort.studies.iter().any(|s| s.study == *study));
    let cohort = cohort.context("a closed study is in a cohort's report")?;
    Ok(Some(LedgerOutcome { path, entries: summary.entries, cohort }))
}

fn curve(folder: &Path) -> anyhow::Result<Vec<Scores>> {
    match fs::read_to_string(folder.join("scores.jsonl")) {
        Ok(text) => Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

const PAUSE: Duration = Duration::from_millis(50);
