//! `fedtwin audit`: budgets, ledgers and costs, for an auditor who believes nothing that is not verified.

pub mod accounts;
pub mod budgets;
pub mod cost;
mod events;
pub mod export;
pub mod keys;
pub mod ledger;
pub mod plans;
pub mod proof;
pub mod recompute;
pub mod report;
pub mod sources;
pub mod verify;
pub mod views;
pub mod what_if;

use std::io::{self, Write};
use std::path::Path;

use clap::Subcommand;
use serde::Serialize;

use self::budgets::Budgets;
use self::cost::NoCost;
use self::export::{Export, NothingToExport};
use self::plans::{NoPlan, Plans};
use self::recompute::Recompute;
use self::report::{NoReport, ReportOn};
use self::sources::{NoLedger, Sources};
use self::verify::{NotVerified, Verify};
use self::what_if::{NoAnswer, WhatIf};

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
            Some(proof) => prove(&asked, proof)?,
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
            let found = recompute::recompute(&sources.load().await?, &Plans::read(&plan)?)?;
            writeln!(out, "{}", if json { to_json(&found) } else { recompute::text(&found) })?;
            return if found.findings.is_empty() {
                Ok(())
            } else {
                Err(AuditError::Findings(found.findings))
            };
        }
        Command::WhatIf(asked) => {
            let ledgers = optional(&asked.sources).await?;
            let outlook = what_if::outlook(&ledgers, &asked)?;
            if asked.json { to_json(&outlook) } else { what_if::text(&outlook) }
        }
        Command::Report(asked) => {
            let reports = report::reports(&asked.sources.load().await?, &asked)?;
            let pages = report::write(&reports, &asked.out)?;
            pages.iter().map(|page| page.display().to_string()).collect::<Vec<_>>().join("\n")
        }
        Command::Export(asked) => to_json(&export::export(&asked.sources.load().await?, &asked)?),
        Command::Epsilon(arguments) => cost::epsilon(&arguments)?,
        Command::Calibrate(arguments) => cost::calibrate(&arguments)?,
    };
    Ok(writeln!(out, "{answer}")?)
}

/// Verifies the proof of an entry.
fn prove(asked: &Verify, file: &Path) -> Result<String, NotVerified> {
    let [entry] = asked.sources.ledgers.as_slice() else {
        return Err(NotVerified::SeveralLedgers(asked.sources.ledgers.len()));
    };
    let proven = proof::verify_entry(entry, file, &asked.sources.trust.load()?)?;
    Ok(if asked.json { to_json(&proven) } else { proven.to_string() })
}

async fn optional(sources: &Sources) -> Result<Vec<ledger::Ledger>, NoLedger> {
    if sources.is_empty() { Ok(Vec::new()) } else { sources.load().await }
}

fn to_json(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).expect("answers have text keys")
}

#[cfg(test)]
mod tests;
