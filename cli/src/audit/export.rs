//! `fedtwin audit export`: a ledger's events and what they cost, for a recomputation by somebody else's program.

use clap::Args;
use fedtwin_plan::{CohortName, StudyId};

use super::sources::Sources;

/// What to export.
#[derive(Debug, Args)]
pub struct Export {
    /// Which ledgers.
    #[command(flatten)]
    pub sources: Sources,
    /// Of this cohort; needed where the ledgers have several.
    #[arg(long)]
    pub cohort: Option<CohortName>,
    /// Of this study alone; without it, of all studies together, as if they had been fixed in advance.
    #[arg(long)]
    pub study: Option<StudyId>,
}
