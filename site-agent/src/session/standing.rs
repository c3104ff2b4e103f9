//! Whether this site's ledger is the one that it signed before, by what others remember of it.
//!
//! Order: the site compares its ledger with the checkpoints that it keeps itself and with those that people name; it asks
//! on first contact what is remembered, and decides on no study before it has compared; then it sends its entries
//! with a checkpoint, and before each update those that pay for it, and keeps what was acknowledged. So whatever left this
//! site is covered by a checkpoint that the coordinator holds, and by one that says how much it has to hold.

use std::fs;
use std::io::{self, BufRead, BufReader};

use fedtwin_audit_log::Checkpoint;
use fedtwin_privacy::ledger::RolledBack;
use fedtwin_privacy::ledger::witness::compare;
use fedtwin_proto::domain::{LedgerEntries, MirrorState};

use super::kept::KeptError;
use super::{Session, ledger_path};

/// What is known of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nobody was asked since this agent started.
    Unchecked,
    /// It has all that anybody is known to remember.
    Whole,
    /// The coordinator remembers less than it acknowledged: it was restored or replaced, or it hides something.
    Forgotten(Forgotten),
    /// It was restored from an old copy; nothing is decided or released until a newer one is there.
    RolledBack(RolledBack),
}

/// Why the ledger cannot be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotWhole {
    /// Nobody was asked yet.
    #[error("the coordinator has not said yet what it remembers of this site's ledger")]
    Unchecked,
    /// It was rolled back.
    #[error(transparent)]
    RolledBack(#[from] RolledBack),
    /// The coordinator's memory is shorter than it was.
    #[error(transparent)]
    Forgotten(#[from] Forgotten),
}

/// What the coordinator remembers of the ledger is less than it acknowledged before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the coordinator has {held} entries of this site's ledger and acknowledged {acknowledged} before; if it was restored \
     or set up anew, a person at the site stops the agent, confirms that by \
     `fedtwin-site ledger confirm-mirror --entries {held}`, and starts it again"
)]
pub struct Forgotten {
    /// The entries that it has now.
    pub held: u64,
    /// The entries that it is known to have had.
    pub acknowledged: u64,
}

impl Session {
    /// Compares the ledger with what the coordinator has of it, and with the checkpoints that it hands over, its own
    /// and other sites'. `acknowledged` is what [`Self::acknowledged`] returned before the coordinator was asked.
    ///
    /// Only what this site itself signed counts: nobody can make its ledger look rolled back. And who has less than
    /// was acknowledged is not believed to have told all, until a person confirms that there is a reason.
    ///
    /// # Errors
    /// Says what is missing; this agent then releases nothing any more, or not before the coordinator has it again.
    pub fn recollected(&mut self, remembered: &MirrorState, acknowledged: u64) -> Result<(), NotWhole> {
        let mut signed = Vec::new();
        for note in &remembered.checkpoints {
            match self.kept.parse(note) {
                Err(error) => {
                    tracing::warn!(%error, "the coordinator shows a checkpoint that is not this site's");
                }
                Ok(checkpoint) => signed.push(checkpoint),
            }
        }
        self.hold_against(&signed);
        let held = remembered.entries;
        self.standing = match self.standing {
            Standing::RolledBack(_) => self.standing,
            Standing::Unchecked | Standing::Whole | Standing::Forgotten(_) if held >= acknowledged => {
                Standing::Whole
            }
            Standing::Unchecked | Standing::Whole | Standing::Forgotten(_) => {
                Standing::Forgotten(Forgotten { held, acknowledged })
            }
        };
        self.check_standing()
    }

    /// Compares the ledger with checkpoints that this site signed; one that it does not continue ends all releases.
    pub(super) fn hold_against(&mut self, signed: &[Checkpoint]) {
        for checkpoint in signed {
            if let Err(rolled_back) = compare(self.ledger.leaves(), checkpoint) {
                self.standing = Standing::RolledBack(rolled_back);
            }
        }
    }

    /// Returns how many entries an honest coordinator has at least: what it acknowledged, or what a person confirmed since.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        let kept = self.kept.acknowledged();
        match self.ledger.state().confirmed_mirror() {
            Some(confirmed) if kept <= confirmed.entries => confirmed.held,
            // No study is reserved before the coordinator was asked, and has the ledger's first entry.
            Some(_) | None => kept.max(u64::from(self.ledger.state().has_studies())),
        }
    }

    /// Keeps a checkpoint that the coordinator has acknowledged.
    ///
    /// # Errors
    /// Returns the file system's errors: then nothing may leave.
    pub fn acknowledge(&mut self, note: &str) -> Result<(), KeptError> {
        self.kept.acknowledge(note)
    }

    /// Keeps the ledger's checkpoint in the second place.
    pub(super) fn keep_elsewhere(&mut self) -> Result<(), KeptError> {
        self.kept.copy(&self.ledger)
    }

    /// Returns the ledger's entries from number `first` on, as its file has them, and the checkpoint if these
    /// are all.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn entries_from(&self, first: u64) -> io::Result<LedgerEntries> {
        let size = self.ledger.leaves().len() as u64;
        let skipped = usize::try_from(first.min(size)).map_err(io::Error::other)?;
        let (mut entries, mut next) = (Vec::new(), first.min(size));
        let lines = BufReader::new(fs::File::open(ledger_path(&self.state))?).split(b'\n');
        // What a full disk left of a further entry is none.
        let whole = usize::try_from(size).map_err(io::Error::other)?;
        for line in lines.take(whole).skip(skipped) {
            entries.extend(line?);
            entries.push(b'\n');
            next += 1;
            if entries.len() > MIRROR_BYTES {
                break;
            }
        }
        let checkpoint = if next == size { self.ledger.checkpoint().ok() } else { None };
        Ok(LedgerEntries { first: first.min(size), entries: entries.into(), checkpoint })
    }

    /// What was spent on a cohort of one size bounds nothing about a cohort of another.
    pub(super) fn check_cohorts(&self) -> anyhow::Result<()> {
        for report in self.ledger.state().report() {
            let declared = self.cohorts.get(&report.cohort).map(|(_, file)| file.patients());
            let budgeted = report.budgets.first().map(|budget| budget.opened.patients);
            if let Some((declared, budgeted)) = declared.zip(budgeted).filter(|(a, b)| a != b) {
                anyhow::bail!(
                    "cohort {} declares {declared} patients, its budget was opened for {budgeted}: a cohort that \
                     changed needs another name and a budget of its own",
                    report.cohort
                );
            }
        }
        Ok(())
    }

    pub(super) fn check_standing(&self) -> Result<(), NotWhole> {
        match self.standing {
            Standing::Unchecked => Err(NotWhole::Unchecked),
            Standing::Whole => Ok(()),
            Standing::RolledBack(rolled_back) => Err(rolled_back.into()),
            Standing::Forgotten(forgotten) => Err(forgotten.into()),
        }
    }
}

/// Entries in one message to the mirror; the rest follows with the next.
const MIRROR_BYTES: usize = 1 << 19;
