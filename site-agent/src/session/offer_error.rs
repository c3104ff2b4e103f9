//! Why this site refuses a study, in full: for its own log. What others may know of it is a [`PublicReason`].

use fedtwin_certs::certificate::CertificateError;
use fedtwin_cohort::Mismatch;
use fedtwin_plan::cohort_need::DataNeed;
use fedtwin_plan::numbers::OutOfRange;
use fedtwin_plan::{CohortName, SiteName};
use fedtwin_privacy::ledger::LedgerError;

use crate::checked::NotOpen;
use crate::closings::ClosingError;
use crate::policy::PolicyError;
use crate::proposals::EnterError;
use crate::reason::PublicReason;
use crate::session::NotWhole;

/// Why a study is refused.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    /// The site's rules.
    #[error(transparent)]
    Denied(#[from] PolicyError),
    /// The site would hide among sites that it does not know.
    #[error(
        "the plan hides this site among others, one of which is {0}, whose identity key this site has not pinned"
    )]
    NotPinned(SiteName),
    /// The site would hide among sites whose keys may be anybody's by now.
    #[error(
        "the plan hides this site among others, one of which is {site}, whose identity key does not count any more"
    )]
    PeerRevoked {
        /// The other site.
        site: SiteName,
        /// Why.
        source: CertificateError,
    },
    /// There is no such cohort.
    #[error("this site has no cohort {0}")]
    NoCohort(CohortName),
    /// Nobody has checked the cohort as it is.
    #[error(transparent)]
    NotOpen(#[from] NotOpen),
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
    Misfit {
        /// What it lacks.
        #[source]
        mismatch: Mismatch,
        /// What the plan needs.
        need: Box<DataNeed>,
    },
    /// The plan asks for noise and claims nothing.
    #[error("the plan claims no epsilon")]
    NoEpsilon,
    /// The plan's numbers are out of the accountant's range.
    #[error("the plan's calibration is out of range")]
    Calibration(#[source] OutOfRange),
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
    /// What people want closed cannot be.
    #[error(transparent)]
    Closings(#[from] ClosingError),
    /// Confirmed budgets could not be entered.
    #[error("this site cannot enter its budgets")]
    Budgets(#[from] EnterError),
    /// The same plan was refused a while ago; restarting the agent has it considered anew.
    #[error("{0}")]
    Before(PublicReason),
    /// The study's folder.
    #[error("this site cannot keep the study")]
    Storage(#[from] std::io::Error),
}

impl OfferError {
    /// Says whether people at this site can mend what was in the way, a full disk or a cohort that nobody has checked:
    /// the same plan may be considered again then.
    pub(super) fn is_of_the_moment(&self) -> bool {
        matches!(
            self,
            Self::Ledger(LedgerError::Log(_)) | Self::Budgets(_) | Self::Storage(_) | Self::NotOpen(_)
        )
    }
}
