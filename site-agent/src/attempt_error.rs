//! Why an attempt came to nothing at this site, in full: for its own log.
//!
//! Before an attempt begins, what stands in its way depends on public values alone, and is told at once, as
//! [`crate::reason`] words it. From then on everything that goes wrong has one text, which leaves when an update would
//! have left.

use fedtwin_trainer::TrainerError;

use crate::client::CallError;
use crate::local_training::TrainingError;
use crate::secure::SecureError;
use crate::session::SessionError;
use crate::witnessing::WitnessError;

/// Why an attempt does not begin: nothing of it depends on patients.
#[derive(Debug, thiserror::Error)]
pub enum NotBegun {
    /// The study is not one that this site takes part in.
    #[error("this site does not take part in the study")]
    NotTakingPart,
    /// The invitation is not the plan's.
    #[error("the coordinator asks for a clip of {0}, which the plan does not allow")]
    OtherClip(f64),
    /// The attempt closed before this site could begin.
    #[error("the attempt closed before this site could begin with it")]
    TooLate,
    /// The model cannot be had.
    #[error(transparent)]
    Model(#[from] CallError),
    /// A message to the other sites is refused.
    #[error(transparent)]
    Call(#[from] WitnessError),
    /// The policy or the ledger is against it.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The other sites, or the coordinator for them, are not as this site asks.
    #[error(transparent)]
    Secure(#[from] SecureError),
    /// There is nobody to hide among.
    #[error("this site's policy has no section `secure_aggregation`")]
    NoPeers,
    /// Its masks are of keys that nobody has any more.
    #[error(
        "this site restarted in the middle of an attempt under secure aggregation, and has its keys no more"
    )]
    KeysLost,
}

/// Why an attempt that began released nothing: for this site's own eyes.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// The cohort cannot be loaded, or the update cannot be computed.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// There is no update at the end of the longest slot.
    #[error("the update was not ready at the end of the longest slot")]
    TooLate,
    /// The trainer's thread is gone.
    #[error("the trainer's thread ended in the middle of its work")]
    Ended,
    /// The release cannot be stored or recorded.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl From<TrainerError> for AttemptError {
    fn from(error: TrainerError) -> Self {
        Self::Training(error.into())
    }
}
