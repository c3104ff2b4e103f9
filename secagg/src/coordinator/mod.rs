//! The coordinator's half: collects, hands on, and at the end knows the masks of the sum, and of nothing else.
//!
//! It holds no vector. A bad message from one site is an [`Effect::Reject`] and the site counts as gone, unless the
//! right message follows in time; the attempt fails only when too few sites are left.

mod agreement;
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
pub use opening::Openings;
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
    Opened(Opened),
    /// Over; nothing was opened.
    Failed(Failure),
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
    Reject(SiteName, &'static str),
}

/// How an attempt ended that opened a sum.
#[derive(Debug)]
pub struct Opened {
    /// The sites whose vectors are in the sum.
    pub survivors: BTreeSet<SiteName>,
    /// The masks that are left in it; take them off.
    pub masks: Masks,
}

/// Why nothing was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Too few sites were left.
    #[error("{found} sites were left when {step} were collected, and {least} are needed")]
    TooFew {
        /// What was collected.
        step: &'static str,
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
    pub fn step(self, site: &SiteName, message: FromSite) -> (Self, Vec<Effect>) {
        let reject = |why| vec![Effect::Reject(site.clone(), why)];
        match (self, message) {
            (Self::Keys(mut keys), message) => {
                let effects = keys.take(site, message).map_or_else(reject, |()| Vec::new());
                proceed(effects, keys.waiting.is_empty(), Self::Keys(keys))
            }
            (Self::Shares(mut shares), message) => {
                let effects = shares.take(site, message).map_or_else(reject, |()| Vec::new());
                proceed(effects, shares.waiting.is_empty(), Self::Shares(shares))
            }
            (Self::Vectors(mut vectors), message) => {
                let effects = vectors.take(site, message).map_or_else(reject, |()| Vec::new());
                proceed(effects, vectors.waiting.is_empty(), Self::Vectors(vectors))
            }
            (Self::Consents(mut consents), message) => {
                let effects = consents.take(site, message).map_or_else(reject, |()| Vec::new());
                proceed(effects, consents.waiting.is_empty(), Self::Consents(consents))
            }
            (Self::Openings(mut openings), message) => {
                let mut effects = openings.take(site, message).map_or_else(reject, |()| Vec::new());
                let (next, caused) = openings.proceed();
                effects.extend(caused);
                (next, effects)
            }
            // Openings beyond those that sufficed are as good as the others.
            (over @ (Self::Opened(_) | Self::Failed(_)), FromSite::Gone | FromSite::Opening(_)) => {
                (over, Vec::new())
            }
            (over @ (Self::Opened(_) | Self::Failed(_)), _) => (over, reject(OVER)),
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
                openings.close()
            }
            over @ (Self::Opened(_) | Self::Failed(_)) => (over, Vec::new()),
        }
    }
}

/// Closes a step as soon as nobody is awaited.
fn proceed(mut effects: Vec<Effect>, nobody_awaited: bool, state: Aggregation) -> (Aggregation, Vec<Effect>) {
    if !nobody_awaited {
        return (state, effects);
    }
    let (next, caused) = state.close();
    effects.extend(caused);
    (next, effects)
}

/// What stays the same over the attempt.
struct Terms {
    context: Context,
    digest: Digest,
}

impl Terms {
    fn enough(&self, step: &'static str, found: usize) -> Result<(), Failure> {
        let least = self.context.survivors_min;
        if found < least { Err(Failure::TooFew { step, found, least }) } else { Ok(()) }
    }
}

fn failed(failure: Failure) -> (Aggregation, Vec<Effect>) {
    (Aggregation::Failed(failure), Vec::new())
}

/// Takes an awaited site off the list, or says why it is not on it.
fn awaited(waiting: &mut BTreeSet<SiteName>, site: &SiteName) -> Result<(), &'static str> {
    if waiting.remove(site) { Ok(()) } else { Err(NOT_AWAITED) }
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

const NOT_AWAITED: &str = "nothing is awaited from the site";
const OVER: &str = "the attempt is over";
