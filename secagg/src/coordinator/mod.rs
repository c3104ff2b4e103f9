//! The coordinator's half: collects, hands on, and at the end knows the masks of the sum, and of nothing else.
//!
//! It holds no vector. A bad message from one site is an [`Effect::Reject`] and the site counts as gone, unless the
//! right message follows in time; the attempt fails only when too few sites are left.

mod agreement;
mod heard;
mod message_error;
mod opening;
mod sharing;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use fedtwin_audit_log::PublicKey;
use fedtwin_plan::{Digest, SiteName};

use crate::context::Context;
use crate::mask::Masks;
use crate::message::{Advert, Consent, Opening, SealedShares};
use crate::site::ToSite;

pub use agreement::{Consents, Vectors};
pub use message_error::{MessageError, Misbehaviour, Step};
pub use opening::{Openings, Reconstruction};
pub use sharing::{Keys, Shares};

/// An attempt at the coordinator.
#[derive(Debug)]
pub enum Aggregation {
    /// Collects adverts.
    Keys(Box<Keys>),
    /// Collects shares.
    Shares(Box<Shares>),
    /// Waits for masked vectors.
    Vectors(Box<Vectors>),
    /// Collects consents.
    Consents(Box<Consents>),
    /// Collects openings.
    Openings(Box<Openings>),
    /// Knows the masks of the survivors' sum.
    Opened(Unmasking),
    /// Over; nothing was opened.
    Failed(UnmaskingError),
}

/// What a site says to the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromSite {
    /// Its keys, and the identity key that the coordinator knows it by.
    Advert(Advert, PublicKey),
    /// Its shares, each with the site that they are for.
    Shares(Vec<SealedShares>),
    /// Its masked vector is complete; the vector itself is the driver's.
    Vector,
    /// Its consent.
    Consent(Consent),
    /// Its opening.
    Opening(Opening),
    /// It will send nothing more in this attempt.
    Gone,
}

/// What the driver must do.
#[derive(Debug)]
pub enum Effect {
    /// Tell a site.
    Send(SiteName, ToSite),
    /// The site's message does not count.
    Reject(SiteName, MessageError),
    /// Call [`Reconstruction::solve`], which may take its time on another thread, and give the result to
    /// [`Aggregation::opened`].
    Open(Box<Reconstruction>),
}

/// How an attempt ended that opened a sum.
#[derive(Debug)]
pub struct Unmasking {
    /// The sites whose vectors are in the sum.
    pub survivors: BTreeSet<SiteName>,
    /// The masks that are left in it; take them off.
    pub masks: Masks,
}

/// Why nothing was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnmaskingError {
    /// Too few sites were left.
    #[error("{found} sites were left when {step} were collected, and {least} are needed")]
    TooFew {
        /// What was collected.
        step: Step,
        /// Sites left.
        found: usize,
        /// What the plan's noise or the threshold asks for.
        least: usize,
    },
    /// The openings do not give the secrets back.
    #[error("the sites' shares do not give the secrets back")]
    SharesDoNotFit,
}

impl Aggregation {
    /// Begins an attempt among `context.members`.
    #[must_use]
    pub fn begin(context: Context) -> Self {
        let digest = context.digest();
        Self::Keys(Box::new(Keys::new(Terms { context, digest })))
    }

    /// Takes a site's message.
    #[must_use]
    pub fn step(mut self, site: &SiteName, message: FromSite) -> (Self, Vec<Effect>) {
        let rejected = self.take(site, message).err().map(|why| Effect::Reject(site.clone(), why));
        let mut effects: Vec<_> = rejected.into_iter().collect();
        let (next, caused) = match self {
            Self::Openings(openings) => openings.proceed(),
            mut state => match state.waiting() {
                Some(waiting) if waiting.is_empty() => state.close(),
                Some(_) | None => (state, Vec::new()),
            },
        };
        effects.extend(caused);
        (next, effects)
    }

    /// Keeps what the step collects, or says why the message does not count.
    fn take(&mut self, site: &SiteName, message: FromSite) -> Result<(), MessageError> {
        match (self, message) {
            (state, FromSite::Gone) => {
                state.waiting().map(|waiting| waiting.remove(site));
                Ok(())
            }
            (Self::Keys(keys), FromSite::Advert(advert, key)) => keys.take(site, advert, key),
            (Self::Shares(shares), FromSite::Shares(sealed)) => shares.take(site, sealed),
            (Self::Vectors(vectors), FromSite::Vector) => vectors.take(site),
            (Self::Consents(consents), FromSite::Consent(consent)) => consents.take(site, consent),
            (Self::Openings(openings), FromSite::Opening(opening)) => openings.take(site, opening),
            // Openings beyond those that sufficed are as good as the others.
            (Self::Opened(_) | Self::Failed(_), FromSite::Opening(_)) => Ok(()),
            (Self::Keys(_), _) => Err(MessageError::OutOfStep(Step::Keys)),
            (Self::Shares(_), _) => Err(MessageError::OutOfStep(Step::Shares)),
            (Self::Vectors(_), _) => Err(MessageError::OutOfStep(Step::Vectors)),
            (Self::Consents(_), _) => Err(MessageError::OutOfStep(Step::Consents)),
            (Self::Openings(_), _) => Err(MessageError::OutOfStep(Step::Openings)),
            (Self::Opened(_) | Self::Failed(_), _) => Err(MessageError::Over),
        }
    }

    /// Takes what came of an [`Effect::Open`].
    #[must_use]
    pub fn opened(self, result: Result<Unmasking, UnmaskingError>) -> (Self, Vec<Effect>) {
        match self {
            Self::Openings(openings) => openings.opened(result),
            // Nothing is under way elsewhere.
            other @ (Self::Keys(_)
            | Self::Shares(_)
            | Self::Vectors(_)
            | Self::Consents(_)
            | Self::Opened(_)
            | Self::Failed(_)) => (other, Vec::new()),
        }
    }

    /// Says whether a site is waited for: else time does not matter.
    #[must_use]
    pub fn waits_for_sites(&self) -> bool {
        match self {
            Self::Keys(keys) => !keys.waiting.is_empty(),
            Self::Shares(shares) => !shares.waiting.is_empty(),
            Self::Vectors(vectors) => !vectors.waiting.is_empty(),
            Self::Consents(consents) => !consents.waiting.is_empty(),
            Self::Openings(openings) => !openings.waiting.is_empty(),
            Self::Opened(_) | Self::Failed(_) => false,
        }
    }

    /// Returns whom the step waits for, while the attempt is open.
    fn waiting(&mut self) -> Option<&mut BTreeSet<SiteName>> {
        match self {
            Self::Keys(keys) => Some(&mut keys.waiting),
            Self::Shares(shares) => Some(&mut shares.waiting),
            Self::Vectors(vectors) => Some(&mut vectors.waiting),
            Self::Consents(consents) => Some(&mut consents.waiting),
            Self::Openings(openings) => Some(&mut openings.waiting),
            Self::Opened(_) | Self::Failed(_) => None,
        }
    }

    /// Goes on with those who answered: the time for this step is up.
    #[must_use]
    pub fn close(self) -> (Self, Vec<Effect>) {
        match self {
            Self::Keys(keys) => keys.close(),
            Self::Shares(shares) => shares.close(),
            Self::Vectors(vectors) => vectors.close(),
            Self::Consents(consents) => consents.close(),
            Self::Openings(mut openings) => {
                openings.waiting.clear();
                openings.proceed()
            }
            over @ (Self::Opened(_) | Self::Failed(_)) => (over, Vec::new()),
        }
    }
}

/// What stays the same over the attempt.
struct Terms {
    context: Context,
    digest: Digest,
}

impl Terms {
    fn enough(&self, step: Step, found: usize) -> Result<(), UnmaskingError> {
        let least = self.context.survivors_min;
        if found < least { Err(UnmaskingError::TooFew { step, found, least }) } else { Ok(()) }
    }
}

fn failed(failure: UnmaskingError) -> (Aggregation, Vec<Effect>) {
    (Aggregation::Failed(failure), Vec::new())
}

/// Takes an awaited site off the list, or says why it is not on it.
fn awaited(waiting: &mut BTreeSet<SiteName>, site: &SiteName) -> Result<(), MessageError> {
    if waiting.remove(site) { Ok(()) } else { Err(MessageError::NotAwaited) }
}

macro_rules! debug_without_secrets {
    ($($state:ident),*) => {
        $(impl fmt::Debug for $state {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}, waiting for {:?}", stringify!($state), self.waiting)
            }
        })*
    };
}

debug_without_secrets!(Keys, Shares, Vectors, Consents, Openings);
