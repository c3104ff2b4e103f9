//! What each call may take: how large its message is, how long its answer takes, and what it keeps.

use std::time::Duration;

use fedtwin_proto::limits::MESSAGE_BYTES_MAX;

use crate::access::Call;

/// What a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    /// The message that asks; none where a stream of them does.
    pub(super) message: Option<Message>,
    /// What it keeps while it lasts.
    pub(super) kept: Kept,
}

/// A message that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message {
    /// Its size at most.
    pub(super) bytes: usize,
    /// How long the answer, or a stream's beginning, may take.
    pub(super) time: Duration,
}

/// What a call keeps while it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// Nothing beyond its message and its answer.
    Nothing,
    /// A spool.
    Update,
    /// The file of an initial model.
    Model,
    /// A file that is read.
    Download,
    /// A place in a study's events.
    Follower,
    /// A site's queue of notices.
    Notices,
}

impl Terms {
    pub(super) fn of(call: Call) -> Self {
        let stream = |kept| Self { message: None, kept };
        let message = |bytes, kept| Self { message: Some(Message { bytes, time: ANSWER_TIME_MAX }), kept };
        match call {
            Call::SendUpdate => stream(Kept::Update),
            Call::GiveModel => stream(Kept::Model),
            Call::Subscribe => message(SUBSCRIPTION_BYTES, Kept::Notices),
            Call::WatchStudy => message(SMALL_BYTES, Kept::Follower),
            Call::FetchStudyModel | Call::DownloadModel | Call::FetchLedger => {
                message(SMALL_BYTES, Kept::Download)
            }
            Call::AnswerPlan
            | Call::SendMetrics
            | Call::DeclineRound
            | Call::CancelStudy
            | Call::ListLedgers
            | Call::FetchCheckpoint => message(SMALL_BYTES, Kept::Nothing),
            Call::SendSecure => message(SECURE_BYTES, Kept::Nothing),
            Call::MirrorLedger | Call::Witness => message(MESSAGE_BYTES_MAX, Kept::Nothing),
            Call::OpenStudy => Self {
                message: Some(Message { bytes: MESSAGE_BYTES_MAX, time: OPENING_TIME_MAX }),
                kept: Kept::Nothing,
            },
        }
    }
}

/// Names, digests, a histogram, or a reason of 2,000 bytes.
const SMALL_BYTES: usize = 16 << 10;
/// A certificate, and room for what else a site says of itself.
const SUBSCRIPTION_BYTES: usize = 64 << 10;
/// Shares for a thousand sites, each with a name of 64 bytes and 80 bytes sealed.
const SECURE_BYTES: usize = 256 << 10;
/// The driver's turn, and an fsync; an agent waits as long.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// First models are made one after another, each in seconds.
const OPENING_TIME_MAX: Duration = Duration::from_secs(600);
