//! Why an attempt came to nothing at this site, in full: for its own log.

use crate::client::CallError;
use crate::local_training::TrainingError;
use crate::secure::SecureError;
use crate::session::SessionError;
use crate::trainer::TrainerError;
use crate::witnessing::WitnessError;

/// Why an attempt has no update from this site.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttemptError {
    #[error("this site does not take part in the study")]
    NotTakingPart,
    #[error("the coordinator asks for a clip of {0}, which the plan does not allow")]
    OtherClip(f64),
    #[error("the update was not ready before the attempt closed")]
    TooLate,
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Witness(#[from] WitnessError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Training(#[from] TrainingError),
    #[error(transparent)]
    Secure(#[from] SecureError),
    #[error("this site's policy has no section `secure_aggregation`")]
    NoPeers,
    #[error(
        "this site restarted in the middle of an attempt under secure aggregation, and has its keys no more"
    )]
    KeysLost,
    #[error("the study's folder cannot be written")]
    Storage(#[source] std::io::Error),
}

impl From<TrainerError> for AttemptError {
    fn from(error: TrainerError) -> Self {
        Self::Training(error.into())
    }
}
