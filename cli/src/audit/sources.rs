//! Which ledgers an auditor looks at: files, or the coordinator's mirrors.

use std::path::{Path, PathBuf};

use clap::Args;
use fedtwin_auditor::keys::KnownKeys;
use fedtwin_auditor::ledger::{CheckedLedger, LedgerFileError};
use fedtwin_certs::folder::FolderError;
use fedtwin_research::client::{Address, Client, ClientError};

use super::files::{self, FileError};
use super::trust::Trust;

/// Where the ledgers are, as arguments.
#[derive(Debug, Clone, Default, Args)]
pub struct Sources {
    /// Ledger files; without any, the coordinator's mirrors.
    #[arg(value_name = "LEDGER", conflicts_with = "coordinator")]
    pub ledgers: Vec<PathBuf>,
    /// The coordinator's address.
    #[arg(long, value_name = "HOST:PORT", requires = "credentials")]
    pub coordinator: Option<String>,
    /// The folder with the auditor's credentials.
    #[arg(long, value_name = "DIR", requires = "coordinator")]
    pub credentials: Option<PathBuf>,
    /// The DNS name or IP address in the coordinator's certificate.
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    pub server_name: String,
    /// Whom to believe.
    #[command(flatten)]
    pub trust: Trust,
}

/// Why there are no ledgers.
#[derive(Debug, thiserror::Error)]
pub enum NoLedger {
    /// Nothing was named.
    #[error("name ledger files, or --coordinator and --credentials for its mirrors")]
    NotNamed,
    /// There is no key to verify with.
    #[error(transparent)]
    Key(#[from] FolderError),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A ledger is not shown.
    #[error(transparent)]
    Ledger(#[from] LedgerFileError),
    /// The mirrors are not to be had.
    #[error("the coordinator's mirrors were not downloaded")]
    Mirrors(#[from] ClientError),
}

impl Sources {
    /// Says whether no ledger is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ledgers.is_empty() && self.coordinator.is_none()
    }

    /// Reads and replays the ledgers; each is verified where there is a key for it.
    ///
    /// # Errors
    /// Refuses a ledger that is altered or breaks a rule, and names its first bad entry.
    pub async fn load(&self) -> Result<Vec<CheckedLedger>, NoLedger> {
        let Self { ledgers, coordinator, credentials, server_name, trust } = self;
        let keys = trust.load()?;
        match coordinator.clone().zip(credentials.clone()) {
            Some((coordinator, credentials)) => {
                let server_name = server_name.clone();
                let revoked = trust.revoked.clone();
                mirrors(&Address { coordinator, credentials, server_name, revoked }, &keys).await
            }
            None if ledgers.is_empty() => Err(NoLedger::NotNamed),
            None => ledgers.iter().map(|file| read(file, &keys)).collect(),
        }
    }
}

fn read(file: &Path, keys: &KnownKeys) -> Result<CheckedLedger, NoLedger> {
    Ok(CheckedLedger::parse(&file.display().to_string(), &files::read(file)?, keys)?)
}

async fn mirrors(address: &Address, keys: &KnownKeys) -> Result<Vec<CheckedLedger>, NoLedger> {
    let client = Client::connect(address).await?;
    let mut mirrors = Vec::new();
    for site in client.ledgers().await? {
        // The head first: a mirror that is fetched after it has grown since, and never shrunk.
        let note = match client.fetch_checkpoint(&site).await {
            Ok(note) => Some(note),
            Err(ClientError::Refused(_no_checkpoint)) => None,
            Err(error) => return Err(error.into()),
        };
        let bytes = client.fetch_ledger(&site).await?;
        let ledger = CheckedLedger::parse(&format!("the mirror of {site}"), &bytes, keys)?;
        mirrors.push(CheckedLedger { note, ..ledger });
    }
    Ok(mirrors)
}
