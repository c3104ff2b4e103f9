//! Why a site's message does not count, and whose fault that is.

use std::fmt;

/// Why a site's message does not count; the attempt goes on without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The site sent what no correct site sends.
    #[error("site misbehaved: {0}")]
    SiteMisbehaved(Misbehaviour),
    /// Nobody's fault: the message is of another step than the one that collects.
    #[error("the message came while {0} are collected: its own step is over, or has not begun")]
    OutOfStep(Step),
    /// Nobody's fault: the site was counted as gone, or has sent this step's message.
    #[error("nothing is awaited from the site in this step; it takes part again in the next attempt")]
    NotAwaited,
    /// Nobody's fault: the sum was opened, or will not be.
    #[error("the attempt is over; the site takes part again in the next one")]
    Over,
}

/// What no correct site sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misbehaviour {
    /// Somebody else's advert, or one for another attempt.
    #[error("the advert is not signed by the site for this attempt")]
    AdvertNotSigned,
    /// Shares for too few sites, for others than the roster has, or two for one.
    #[error("shares have to be for each other site once")]
    SharesNotForEachOther,
    /// Somebody else's consent, or one to another partition.
    #[error("the consent is not signed by the site for this partition")]
    ConsentNotSigned,
    /// Shares of other secrets than the partition asks for.
    #[error("an opening has a share of each survivor's seed and of each other's key")]
    OpeningNotWhole,
}

/// A step of an attempt, by what it collects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Adverts.
    Keys,
    /// Sealed shares.
    Shares,
    /// Masked vectors.
    Vectors,
    /// Signatures over the partition.
    Consents,
    /// Shares of what the sum's masks take.
    Openings,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keys => "keys",
            Self::Shares => "shares",
            Self::Vectors => "vectors",
            Self::Consents => "consents",
            Self::Openings => "openings",
        })
    }
}
