//! `fedtwin audit`: budgets, ledgers and costs, for an auditor who believes nothing that is not verified.

pub mod budgets;
pub mod cost;
mod events;
pub mod export;
pub mod files;
pub mod heads;
pub mod recompute;
pub mod report;
pub mod sources;
pub mod trust;
pub mod verify;
pub mod what_if;

use std::io::{self, Write};

use clap::Subcommand;
use fedtwin_auditor::cost::NoCost;
use fedtwin_auditor::export::NothingToExport;
use fedtwin_auditor::ledger::CheckedLedger;
use fedtwin_auditor::plans::{NoPlan, Plans};
use fedtwin_auditor::report::NoReport;
use fedtwin_auditor::verify::NotVerified;
use fedtwin_auditor::views::OtherView;
use fedtwin_auditor::what_if::NoAnswer;
use fedtwin_certs::folder::FolderError;
use serde::Serialize;

use self::budgets::Budgets;
use self::export::Export;
use self::files::FileError;
use self::recompute::Recompute;
use self::report::ReportOn;
use self::sources::{NoLedger, Sources};
use self::verify::Verify;
use self::what_if::WhatIf;

/// What an auditor asks.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows what is spent, reserved and left, by cohort, purpose and study.
    Budgets(Budgets),
    /// Verifies logs offline, and that they are those that others saw; or names the first bad entry.
    Verify(Box<Verify>),
    /// Computes anew what the logged events cost; fails where a ledger charged less.
    Recompute(Recompute),
    /// Says whether more rounds fit into what is left, and how many do.
    WhatIf(Box<WhatIf>),
    /// Writes a page and JSON for each study: what is promised, how it is kept, and what that rests on.
    Report(ReportOn),
    /// Writes the events of a cohort or study as JSON for examples/dp_accounting_check.py.
    Export(Export),
    /// Computes the epsilon of stated mechanisms.
    Epsilon(cost::Epsilon),
    /// Computes the noise multiplier, or the number of steps, that a target allows.
    Calibrate(cost::Calibrate),
}

/// Why a question has no answer, or a bad one.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// There is nothing to show.
    #[error(transparent)]
    NoLedger(#[from] NoLedger),
    /// There is no key to verify with.
    #[error(transparent)]
    Key(#[from] FolderError),
    /// A file is of no use.
    #[error(transparent)]
    File(#[from] FileError),
    /// A log is not verified.
    #[error(transparent)]
    NotVerified(#[from] NotVerified),
    /// There is no cost to state.
    #[error(transparent)]
    Cost(#[from] NoCost),
    /// Nothing is known of what might be.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// There is nothing to export.
    #[error(transparent)]
    NothingToExport(#[from] NothingToExport),
    /// There is no report.
    #[error(transparent)]
    NoReport(#[from] NoReport),
    /// A ledger is not the one that others saw.
    #[error(transparent)]
    OtherView(#[from] OtherView),
    /// A ledger charged less than its events cost, or claims what its plan does not ask for; the answer says where.
    #[error("{} not right: {}", if .0.len() == 1 { "a ledger is" } else { "the ledgers are" }, .0.join("; "))]
    Findings(Vec<String>),
    /// A plan is of no use.
    #[error(transparent)]
    NoPlan(#[from] NoPlan),
    /// The answer was not written.
    #[error("the answer cannot be written")]
    Io(#[from] io::Error),
}

/// Answers a question; where the answer is a finding, writes it and fails then.
///
/// # Errors
/// Returns the command's error.
pub async fn run(command: Command, out: &mut impl Write) -> Result<(), AuditError> {
    let answer = match command {
        Command::Budgets(Budgets { sources, json }) => {
            let ledgers = sources.load().await?;
            if json { budgets::json(&ledgers) } else { budgets::text(&ledgers) }
        }
        Command::Verify(asked) => match &asked.proof {
            Some(proof) => {
                let proven = verify::verify_entry(&asked, proof)?;
                if asked.json { to_json(&proven) } else { proven.to_string() }
            }
            None => {
                let verified = verify::verify_all(&asked).await?;
                let answer = if asked.json { to_json(&verified) } else { verified.to_string() };
                let breaks = if asked.accept_break { Vec::new() } else { verified.breaks() };
                if !breaks.is_empty() {
                    writeln!(out, "{answer}")?;
                    return Err(AuditError::Findings(breaks));
                }
                answer
            }
        },
        Command::Recompute(Recompute { sources, plan, json }) => {
            let ledgers = sources.load().await?;
            let plans = Plans::parse(&files::texts(&plan)?)?;
            let found = fedtwin_auditor::recompute::recompute(&ledgers, &plans)?;
            let text = || with_cautions(recompute::text(&found), &ledgers);
            writeln!(out, "{}", if json { to_json(&found) } else { text() })?;
            return if found.findings.is_empty() {
                Ok(())
            } else {
                Err(AuditError::Findings(found.findings))
            };
        }
        Command::WhatIf(asked) => {
            let ledgers = optional(&asked.sources).await?;
            let outlook = fedtwin_auditor::what_if::outlook(&ledgers, &asked.question())?;
            if asked.json { to_json(&outlook) } else { with_cautions(what_if::text(&outlook), &ledgers) }
        }
        Command::Report(asked) => {
            let reports = report::reports(&asked.sources.load().await?, &asked)?;
            let pages = report::write(&reports, &asked.out)?;
            pages.iter().map(|page| page.display().to_string()).collect::<Vec<_>>().join("\n")
        }
        Command::Export(Export { sources, cohort, study }) => {
            let ledgers = sources.load().await?;
            to_json(&fedtwin_auditor::export::export(&ledgers, cohort.as_ref(), study.as_ref())?)
        }
        Command::Epsilon(arguments) => cost::epsilon(&arguments)?,
        Command::Calibrate(arguments) => cost::calibrate(&arguments)?,
    };
    Ok(writeln!(out, "{answer}")?)
}

async fn optional(sources: &Sources) -> Result<Vec<CheckedLedger>, NoLedger> {
    if sources.is_empty() { Ok(Vec::new()) } else { sources.load().await }
}

/// Says below an answer of which ledgers it believes what nobody verified.
fn with_cautions(answer: String, ledgers: &[CheckedLedger]) -> String {
    ledgers.iter().filter_map(CheckedLedger::caution).fold(answer, |answer, caution| answer + "\n" + &caution)
}

fn to_json(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).expect("answers have text keys")
}

#[cfg(test)]
mod tests;
