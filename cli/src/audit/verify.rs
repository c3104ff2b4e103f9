//! `fedtwin audit verify`: logs and keys, and what others kept of them; nothing else.

use std::path::{Path, PathBuf};

use clap::Args;
use fedtwin_auditor::proof::{self, Proven};
use fedtwin_auditor::verify::{self, AllVerified, NotVerified, Verified};

use super::AuditError;
use super::files;
use super::heads::Heads;
use super::sources::{NoLedger, Sources};

/// What to verify, and beside what.
#[derive(Debug, Args)]
pub struct Verify {
    /// Sites' ledgers, the coordinator's own log, or copies of either; with --proof, one entry's line alone.
    #[command(flatten)]
    pub sources: Sources,
    /// What others kept.
    #[command(flatten)]
    pub heads: Heads,
    /// Shows that this entry, counted from 0, is under the root of the one ledger.
    #[arg(long, value_name = "N", conflicts_with = "proof")]
    entry: Option<u64>,
    /// Writes that as a C2SP tlog-proof against the largest --checkpoint, for somebody who has only the entry.
    #[arg(long, value_name = "FILE", requires = "entry")]
    proof_out: Option<PathBuf>,
    /// Verifies such a proof; the file beside it holds the entry's line.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["coordinator", "checkpoint"])]
    pub proof: Option<PathBuf>,
    /// Accepts a ledger that goes on under another key although the old one did not sign that.
    #[arg(long)]
    pub accept_break: bool,
    /// Write JSON: {"logs": [{"file", "title", "entries", "head", "root", "unprotected", "continues", "key_changes",
    /// "inclusion"}]}.
    #[arg(long)]
    pub json: bool,
}

/// Verifies logs, each by itself and beside what others kept of it.
///
/// # Errors
/// Names the first bad entry, or what shows that a log is not the one that others saw.
pub async fn verify_all(asked: &Verify) -> Result<AllVerified, AuditError> {
    let keys = asked.sources.trust.load()?;
    let mut logs = Vec::new();
    if asked.sources.coordinator.is_some() {
        for ledger in asked.sources.load().await? {
            logs.push(Verified::of(ledger)?);
        }
    } else if asked.sources.is_empty() {
        return Err(NoLedger::NotNamed.into());
    }
    for file in &asked.sources.ledgers {
        logs.push(verify::verify(&file.display().to_string(), &files::read(file)?, &keys)?);
    }
    let mut verified = AllVerified::beside(logs, &files::texts(&asked.heads.checkpoint)?, &keys)?;
    if let Some(entry) = asked.entry {
        verified.prove(entry)?;
        if let Some(file) = &asked.proof_out {
            files::write(file, verified.proof(entry)?)?;
        }
    }
    Ok(verified)
}

/// Verifies the proof of an entry, whose line alone is in the one file that is named.
///
/// # Errors
/// Refuses a proof of another entry or ledger, or of an altered one.
pub fn verify_entry(asked: &Verify, file: &Path) -> Result<Proven, AuditError> {
    let [entry] = asked.sources.ledgers.as_slice() else {
        return Err(NotVerified::SeveralLedgers(asked.sources.ledgers.len()).into());
    };
    let (line, text, keys) = (files::read(entry)?, files::read(file)?, asked.sources.trust.load()?);
    let proven = proof::verify_entry(&line, (&file.display().to_string(), &text), &keys);
    Ok(proven.map_err(NotVerified::from)?)
}
