//! Whether this site's ledger is the one that it signed before, by what others remember of it.
//!
//! Order: the site asks on first contact what is remembered, and decides on no study before it has
//! compared; then it sends its entries with a checkpoint, and before each update those that pay for it. So
//! whatever left this site is covered by a checkpoint that the coordinator holds.

use std::fs;
use std::io::{self, BufRead, BufReader};

use fedtwin_audit_log::Checkpoint;
use fedtwin_privacy::ledger::RolledBack;
use fedtwin_privacy::ledger::witness::{compare, origin};
use fedtwin_proto::domain::LedgerEntries;

use super::{Session, ledger_path};

/// What is known of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nobody was asked since this agent started.
    Unchecked,
    /// It has all that anybody is known to remember.
    Whole,
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
}

impl Session {
    /// Compares the ledger with checkpoints that the coordinator hands over, its own and other sites'.
    ///
    /// Only what this site itself signed counts: nobody can make its ledger look rolled back.
    ///
    /// # Errors
    /// Says what is missing; this agent then releases nothing any more.
    pub fn recollected(&mut self, notes: &[String]) -> Result<(), NotWhole> {
        if self.standing == Standing::Unchecked {
            self.standing = Standing::Whole;
        }
        let name = self.ledger.state().owner().map(origin).unwrap_or_default();
        // One from before a change of key is this site's own, too.
        let keys = self.ledger.keys();
        let open = |note: &str| keys.iter().find_map(|key| Checkpoint::open(note, &name, key).ok());
        for note in notes {
            match open(note) {
                None => tracing::warn!("the coordinator shows a checkpoint that is not this site's"),
                Some(signed) => {
                    if let Err(rolled_back) = compare(self.ledger.leaves(), &signed) {
                        self.standing = Standing::RolledBack(rolled_back);
                    }
                }
            }
        }
        self.check_standing()
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
        }
    }
}

/// Entries in one message to the mirror; the rest follows with the next.
const MIRROR_BYTES: usize = 1 << 19;
