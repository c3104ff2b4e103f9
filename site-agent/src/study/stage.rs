//! The stages of an attempt.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fedtwin_privacy::ledger::{BlockGrant, Purpose};
use fedtwin_privacy::release::Release;
use fedtwin_proto::domain::{AttemptKey, Invitation};
use fedtwin_secagg::site::ToSite;

use super::Call;
use crate::attempt_error::AttemptError;
use crate::secure::SecureAttempt;
use crate::session::door::Outgoing;

/// An invitation, and when the coordinator stops waiting.
pub(super) struct Invited {
    pub(super) purpose: Purpose,
    pub(super) invitation: Invitation,
    pub(super) closes: Duration,
}

/// Where the study is in an attempt.
pub(super) enum Stage {
    /// There is none.
    Idle,
    /// Public values are put together; another attempt takes its place at once.
    Preparing(Box<Preparing>),
    /// It has begun; nothing is said before it leaves.
    Working(Box<Working>),
    /// It has left as an update, and a sum of it is to be opened, perhaps.
    Sending(Box<Sending>),
    /// The study is over.
    Over,
}

/// An attempt that has not begun.
pub(super) struct Preparing {
    pub(super) invited: Invited,
    pub(super) weights: Option<Arc<Vec<f32>>>,
    pub(super) secure: Option<SecureAttempt>,
    pub(super) calling: Option<Calling>,
}

/// An attempt that reads data, or waits to send again what it released.
pub(super) struct Working {
    pub(super) purpose: Purpose,
    pub(super) key: AttemptKey,
    pub(super) closes: Duration,
    pub(super) began: Duration,
    /// When it is looked at again.
    pub(super) wakes: Duration,
    pub(super) product: Product,
    pub(super) secure: Option<SecureAttempt>,
    /// What was said of the sum before this site's part of it left.
    pub(super) early: VecDeque<ToSite>,
    /// A model to score once the attempt has left, and the rounds behind it.
    pub(super) score: Option<(u32, Arc<Vec<f32>>)>,
}

/// What an attempt comes to.
pub(super) enum Product {
    /// Nothing yet.
    Awaited(BlockGrant),
    /// A release or a failure, at this moment.
    New(BlockGrant, Duration, Result<Release, AttemptError>),
    /// What it released already.
    Again(Outgoing),
}

/// An attempt that has left.
pub(super) struct Sending {
    pub(super) purpose: Purpose,
    pub(super) key: AttemptKey,
    pub(super) closes: Duration,
    pub(super) secure: Option<SecureAttempt>,
    pub(super) early: VecDeque<ToSite>,
    pub(super) calling: Option<Calling>,
}

/// A call whose outcome is awaited.
pub(super) struct Calling {
    pub(super) call: Call,
    /// With it, all is done that this site has to do in the attempt.
    pub(super) last: bool,
    /// When it is tried again, because it did not arrive.
    pub(super) again: Option<Duration>,
}

impl Stage {
    /// Returns when there is something to do without any input.
    pub(super) fn wakes(&self) -> Option<Duration> {
        match self {
            Self::Preparing(preparing) => Some(earlier(preparing.calling.as_ref(), preparing.invited.closes)),
            Self::Working(working) => Some(working.wakes),
            Self::Sending(sending) => Some(earlier(sending.calling.as_ref(), sending.closes)),
            Self::Idle | Self::Over => None,
        }
    }

    /// Says whether what happens now is told to nobody before the slot's end.
    pub(super) fn is_working(&self) -> bool {
        matches!(self, Self::Working(_))
    }

    /// Says whether this attempt is the one at hand: its invitation is a repeated one.
    pub(super) fn is_at(&self, purpose: Purpose, key: &AttemptKey) -> bool {
        match self {
            Self::Preparing(preparing) => {
                (preparing.invited.purpose, &preparing.invited.invitation.key) == (purpose, key)
            }
            Self::Working(working) => (working.purpose, &working.key) == (purpose, key),
            Self::Sending(sending) => (sending.purpose, &sending.key) == (purpose, key),
            Self::Idle | Self::Over => false,
        }
    }

    /// Returns the call of this attempt whose outcome is awaited.
    pub(super) fn calling(&mut self) -> Option<&mut Calling> {
        match self {
            Self::Preparing(preparing) => preparing.calling.as_mut(),
            Self::Sending(sending) => sending.calling.as_mut(),
            Self::Idle | Self::Working(_) | Self::Over => None,
        }
    }

    /// Returns what becomes of the attempt, which is over.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Idle)
    }
}

impl Calling {
    pub(super) fn new(call: Call, last: bool) -> Self {
        Self { call, last, again: None }
    }
}

fn earlier(calling: Option<&Calling>, closes: Duration) -> Duration {
    calling.and_then(|calling| calling.again).map_or(closes, |again| again.min(closes))
}
