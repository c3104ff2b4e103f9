//! Why this site refuses a study: in full for its own log, and in what may be known outside.

use fedtwin_cohort::Mismatch;
use fedtwin_plan::{CohortName, SiteName};
use fedtwin_privacy::ledger::LedgerError;

use crate::policy::Denied;
use crate::proposals::EnterError;
use crate::session::NotWhole;

/// Why a study is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The site's rules.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The site would hide among sites that it does not know.
    #[error(
        "the plan hides this site among others, one of which is {0}, whose identity key this site has not pinned"
    )]
    NotPinned(SiteName),
    /// There is no such cohort.
    #[error("this site has no cohort {0}")]
    NoCohort(CohortName),
    /// The cohort is larger than the plan has room for.
    #[error("the cohort has {declared} patients, the plan has room for {room}")]
    TooManyPatients {
        /// The declared size.
        declared: u32,
        /// The plan's bound.
        room: u32,
    },
    /// The cohort lacks what the plan needs.
    #[error("the cohort does not fit the plan")]
    Cohort(#[from] Mismatch),
    /// The plan's numbers are out of the accountant's range.
    #[error("the plan's calibration is out of range: {0}")]
    Calibration(String),
    /// The plan costs more than it claims.
    #[error("the plan claims epsilon {claimed:.6}, this site's accountant finds {found:.6} at delta {delta}")]
    Claim {
        /// What the plan says.
        claimed: f64,
        /// What its events cost.
        found: f64,
        /// The plan's delta.
        delta: f64,
    },
    /// The ledger: over budget, or run before.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The ledger was rolled back, or nobody was asked yet whether it was.
    #[error(transparent)]
    NotWhole(#[from] NotWhole),
    /// Confirmed budgets could not be entered.
    #[error("this site cannot enter its budgets")]
    Budgets(#[from] EnterError),
    /// The same plan was refused a while ago; restarting the agent has it considered anew.
    #[error("{0}")]
    Before(String),
    /// The study's folder.
    #[error("this site cannot keep the study")]
    Storage(#[from] std::io::Error),
}

impl Refusal {
    /// Returns what the coordinator and the researcher may know.
    ///
    /// File names can identify patients, and the state of a budget is the site's own; what is public is
    /// what the plan itself says.
    #[must_use]
    pub fn for_the_coordinator(&self) -> String {
        match self {
            Self::Denied(_)
            | Self::NotPinned(_)
            | Self::NoCohort(_)
            | Self::TooManyPatients { .. }
            | Self::Calibration(_)
            | Self::NotWhole(_)
            | Self::Before(_)
            | Self::Claim { .. } => self.to_string(),
            Self::Cohort(mismatch) => format!("the cohort does not fit the plan: {mismatch}"),
            // Budgets, unlike what is in a cohort, are for researchers to plan with.
            Self::Ledger(LedgerError::Refused(violation)) => violation.to_string(),
            Self::Ledger(_) | Self::Budgets(_) | Self::Storage(_) => {
                "the site's ledger cannot be used; its log says why".to_owned()
            }
        }
    }
}
