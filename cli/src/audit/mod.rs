//! `fedtwin audit`: budgets, ledgers and costs, for an auditor who believes nothing that is not verified.

pub mod budgets;
pub mod cost;
pub mod keys;
pub mod ledger;
pub mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use self::cost::NoCost;
use self::keys::{KeyError, Keys, Trust};
use self::ledger::{Ledger, LedgerRefused};
use self::verify::NotVerified;
use crate::client::{Address, Client, ClientError};

/// What an auditor asks.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows what is spent, reserved and left, by cohort and study.
    Budgets(Budgets),
    /// Verifies a log offline, or names the first bad entry.
    Verify(Verify),
    /// Computes the epsilon of steps of the Poisson-subsampled Gaussian mechanism.
    Epsilon(cost::Epsilon),
    /// Computes the noise multiplier that a target needs.
    Calibrate(cost::Calibrate),
}

/// Which ledgers to show.
#[derive(Debug, Args)]
pub struct Budgets {
    /// Ledger files; without any, the coordinator's mirrors.
    #[arg(value_name = "LEDGER", conflicts_with = "coordinator")]
    ledgers: Vec<PathBuf>,
    /// The coordinator's address.
    #[arg(long, value_name = "HOST:PORT", requires = "credentials")]
    coordinator: Option<String>,
    /// The folder with the auditor's credentials.
    #[arg(long, value_name = "DIR", requires = "coordinator")]
    credentials: Option<PathBuf>,
    /// The DNS name or IP address in the coordinator's certificate.
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    server_name: String,
    #[command(flatten)]
    trust: Trust,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

/// Which log to verify.
#[derive(Debug, Args)]
pub struct Verify {
    /// The log: a site's ledger or the coordinator's own.
    file: PathBuf,
    #[command(flatten)]
    trust: Trust,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// There is nothing to show.
    #[error("name ledger files, or --coordinator and --credentials for its mirrors")]
    NoLedger,
    /// There is no key to verify with.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A ledger is not shown.
    #[error(transparent)]
    Ledger(#[from] LedgerRefused),
    /// A log is not verified.
    #[error(transparent)]
    NotVerified(#[from] NotVerified),
    /// There is no cost to state.
    #[error(transparent)]
    Cost(#[from] NoCost),
    /// The mirrors are not to be had.
    #[error("the coordinator's mirrors were not downloaded")]
    Mirrors(#[from] ClientError),
}

/// Answers a question as text.
///
/// # Errors
/// Returns the command's error.
pub async fn run(command: Command) -> Result<String, AuditError> {
    Ok(match command {
        Command::Budgets(arguments) => show_budgets(arguments).await?,
        Command::Verify(Verify { file, trust }) => verify::verify_file(&file, &trust.load()?)?.to_string(),
        Command::Epsilon(arguments) => cost::epsilon(&arguments)?,
        Command::Calibrate(arguments) => cost::calibrate(&arguments)?,
    })
}

async fn show_budgets(arguments: Budgets) -> Result<String, AuditError> {
    let Budgets { ledgers, coordinator, credentials, server_name, trust, json } = arguments;
    let keys = trust.load()?;
    let ledgers = match coordinator.zip(credentials) {
        Some((coordinator, credentials)) => {
            mirrors(&Address { coordinator, credentials, server_name }, &keys).await?
        }
        None if ledgers.is_empty() => return Err(AuditError::NoLedger),
        None => ledgers.iter().map(|file| Ledger::read(file, &keys)).collect::<Result<_, _>>()?,
    };
    Ok(if json { budgets::json(&ledgers) } else { budgets::text(&ledgers) })
}

async fn mirrors(address: &Address, keys: &Keys) -> Result<Vec<Ledger>, AuditError> {
    let client = Client::connect(address).await?;
    let mut mirrors = Vec::new();
    for site in client.ledgers().await? {
        let bytes = client.fetch_ledger(&site).await?;
        mirrors.push(Ledger::parse(&format!("the mirror of {site}"), &bytes, keys)?);
    }
    Ok(mirrors)
}

#[cfg(test)]
mod tests;
