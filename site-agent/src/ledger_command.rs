//! `fedtwin-site ledger`: what people say about the ledger, in the ledger: that a site with new credentials goes on with it,
//! and that a coordinator's copy of it is short for a reason.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Subcommand};
use fedtwin_audit_log::Signer;
use fedtwin_audit_log::key_change::Old;
use fedtwin_certs::{LogSigner, folder};
use fedtwin_daemon::clock;
use fedtwin_privacy::ledger::Remark;
use fedtwin_privacy::ledger::body::{KeyChanged, MirrorConfirmed};
use fedtwin_privacy::ledger::rekey::UnderOldKey;

use crate::budget_command::Place;
use crate::session::ledger_path;
use crate::{pins, state_folder};

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerAction {
    /// Enter the new identity key of this site; the ledger keeps its history.
    Rekey(RekeyArguments),
    /// Confirm that the coordinator has fewer entries of this ledger than it acknowledged, and that you know why: it
    /// was restored from a backup, or the federation has a new one. The agent must be stopped.
    ConfirmMirror {
        /// The entries that it has, as the agent's log says.
        #[arg(long)]
        entries: u64,
        /// Who confirms it.
        #[arg(long)]
        who: Remark,
        /// Why it is so.
        #[arg(long)]
        why: Remark,
    },
}

/// Which key was the ledger's, and who says why it changes.
#[derive(Debug, Args)]
pub struct RekeyArguments {
    /// The folder with the old credentials: their identity key signs the new one.
    #[arg(long, value_name = "DIR", required_unless_present = "lost", conflicts_with = "lost")]
    old: Option<PathBuf>,
    /// The old identity certificate, where its key is lost or was stolen. The ledger then has a break, which every auditor
    /// is told of and has to accept, and the other sites' memory has to be removed by people there.
    #[arg(long, value_name = "IDENTITY.PEM")]
    lost: Option<PathBuf>,
    /// Who enters it.
    #[arg(long)]
    who: Remark,
    /// Why, in the words of whoever decided.
    #[arg(long)]
    why: Remark,
}

/// Runs the command and writes to `out` what there is to say.
///
/// # Errors
/// Refuses old credentials of somebody else, and a ledger that they did not sign or that an agent holds.
pub fn run(place: Place<'_>, action: LedgerAction, out: &mut dyn Write) -> anyhow::Result<()> {
    let RekeyArguments { old, lost, who, why } = match action {
        LedgerAction::Rekey(arguments) => arguments,
        LedgerAction::ConfirmMirror { entries, who, why } => {
            let confirmed = MirrorConfirmed { held: entries, confirmed_by: who, why };
            return confirm_mirror(place, confirmed, out);
        }
    };
    let statement = KeyChanged { who, why };
    match (old, lost) {
        (Some(old), _) => {
            let credentials = Arc::new(folder::load_credentials(&old)?);
            check_holder(place, credentials.identity(), &old)?;
            let signer = LogSigner(credentials);
            rekey(place, Old::Signs(&signer), statement, out)
        }
        (None, Some(lost)) => {
            let pinned = pins::certificate(&lost, fedtwin_certs::Role::Site, place.credentials)?;
            let own = &place.credentials.identity().name;
            anyhow::ensure!(pinned.name == *own, "{} is a certificate of {}", lost.display(), pinned.name);
            rekey(place, Old::Lost(pinned.log_key()), statement, out)
        }
        (None, None) => anyhow::bail!("name the old credentials by --old, or their certificate by --lost"),
    }
}

fn check_holder(place: Place<'_>, old: &fedtwin_certs::Identity, folder: &Path) -> anyhow::Result<()> {
    let own = place.credentials.identity();
    anyhow::ensure!(old == own, "{} holds the credentials of {old}, and this is {own}", folder.display());
    Ok(())
}

fn rekey(place: Place<'_>, old: Old<'_>, statement: KeyChanged, out: &mut dyn Write) -> anyhow::Result<()> {
    let broken = matches!(old, Old::Lost(_));
    let signer = LogSigner(Arc::clone(place.credentials));
    let key = signer.public_key();
    state_folder::open(&place.state())?;
    let path = ledger_path(&place.state());
    let owner = place.owner()?;
    let before = UnderOldKey::open(&path, &owner, Box::new(signer), old)?;
    // The old key is not kept, and with it goes what could mend an entry in a ledger that was rolled back.
    place.compare(before.ledger())?;
    let ledger = before.enter(statement, clock::now())?;
    let entry = ledger.state().entries() - 1;
    writeln!(out, "entry {entry}: from here on the key {key} signs the ledger of {}", owner.site)?;
    if broken {
        writeln!(
            out,
            "The old key did not sign that: every auditor is told of the break, and who stated it."
        )?;
    }
    writeln!(
        out,
        "Sites that hide among others with this one pin its new identity.pem instead of the old one."
    )?;
    Ok(())
}

fn confirm_mirror(place: Place<'_>, confirmed: MirrorConfirmed, out: &mut dyn Write) -> anyhow::Result<()> {
    let (path, now, entries) = (ledger_path(&place.state()), clock::now(), confirmed.held);
    anyhow::ensure!(path.exists(), "there is no ledger {}: nothing was ever acknowledged", path.display());
    let ledger = place.open_ledger(now)?;
    let mut ledger =
        ledger.context("the agent is running and holds the ledger: stop it, confirm, and start it again")?;
    let all = ledger.state().entries();
    anyhow::ensure!(
        entries < all,
        "the ledger has {all} entries, a coordinator with {entries} of them has forgotten none"
    );
    ledger.confirm_mirror(confirmed, now)?;
    Ok(writeln!(
        out,
        "entry {all}: a coordinator that has {entries} entries of this ledger is believed when the agent starts"
    )?)
}
