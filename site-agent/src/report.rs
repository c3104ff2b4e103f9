//! What the agent tells the hospital's IT: budgets, and whether everything is in order.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;

use anyhow::Context;
use fedtwin_audit_log::{PublicKey, entries};
use fedtwin_certs::Credentials;
use fedtwin_cohort::CohortFile;
use fedtwin_daemon::clock;
use fedtwin_privacy::ledger::{Body, CohortReport, LedgerState};

use crate::config::SiteConfig;
use crate::session::ledger_path;

/// Writes what is spent, reserved and left; works while the agent runs.
///
/// # Errors
/// Fails where the ledger is missing or does not verify.
pub fn budget(config: &SiteConfig, base: &Path, credentials: &Credentials, json: bool) -> anyhow::Result<()> {
    let path = ledger_path(&base.join(&config.state));
    let file = File::open(&path)
        .with_context(|| format!("{} cannot be read: has the agent run yet?", path.display()))?;
    let key = PublicKey(*credentials.identity_key().public().as_bytes());
    let (entries, _summary) = entries::<Body>(BufReader::new(file), &key)?;
    let state = LedgerState::replay(entries.iter().map(|entry| (&entry.body, entry.stamp)))
        .map_err(|(sequence, violation)| anyhow::anyhow!("entry {sequence} breaks a rule: {violation}"))?;
    let report = state.report();
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        for cohort in &report {
            write_cohort(&mut out, cohort)?;
        }
    }
    Ok(())
}

fn write_cohort(out: &mut impl Write, report: &CohortReport) -> io::Result<()> {
    writeln!(out, "cohort {}: {}", report.cohort, report.headline())?;
    for (what, amount) in [
        ("budget", report.total),
        ("spent", report.spent),
        ("reserved", report.reserved),
        ("left", report.left),
    ] {
        writeln!(out, "  {what:<9} epsilon {:.4}", amount.epsilon)?;
    }
    for study in &report.studies {
        let state = format!("{:?}", study.stage).to_lowercase();
        let spent = if study.is_unbounded() {
            "unbounded".to_owned()
        } else {
            format!("epsilon {:.4} spent, {:.4} reserved", study.spent.epsilon, study.reserved.epsilon)
        };
        writeln!(out, "  study {}: {spent}, {} releases, {state}", study.study, study.releases)?;
    }
    Ok(())
}

/// Checks what `run` would need, and says what it found.
///
/// # Errors
/// Returns the first thing that is not in order.
pub fn check(config: &SiteConfig, base: &Path, credentials: &Credentials) -> anyhow::Result<()> {
    credentials.check_time(clock::now())?;
    let mut out = io::stdout().lock();
    writeln!(out, "credentials of {}: good", credentials.identity())?;
    for cohort in &config.cohorts {
        let file = CohortFile::load(&base.join(&cohort.file))?;
        writeln!(out, "cohort {}: {} patients declared", file.name(), file.patients())?;
    }
    writeln!(out, "configuration: good; start with `fedtwin-site run`")?;
    Ok(())
}
