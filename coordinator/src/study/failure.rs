//! Why a study ended without a model, and whose doing that is.

/// Why a study failed; its text is in the audit log, and with everybody who took part or watches.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum StudyFailure {
    /// The sites': too few of them accepted the plan in time.
    #[error("{accepted} sites accepted the plan, it needs {sites_min}")]
    TooFewSites {
        /// Sites that accepted.
        accepted: usize,
        /// Sites that the plan needs.
        sites_min: usize,
    },
    /// The sites': too few of them sent updates, too often.
    #[error("all {attempts} attempts are used, {rounds} rounds are done")]
    AttemptsUsed {
        /// Attempts that the plan has.
        attempts: u32,
        /// Rounds that are done.
        rounds: u32,
    },
    /// The coordinator's: the updates became no model, in words for others.
    #[error("{0}")]
    Coordinator(String),
    /// Somebody's who may; the text says who.
    #[error("{0}")]
    Cancelled(String),
}
