//! Why a site takes no further part in an attempt.

use fedtwin_plan::SiteName;

/// A reason to refuse; the attempt is over for the site, and nothing that it kept can be opened any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The coordinator left this site out of its own attempt.
    #[error("this site is not among the attempt's members")]
    NotAMember,
    /// Somebody takes part whose identity key this site has not pinned.
    #[error("{0} takes part, whose identity key this site has not pinned")]
    NotPinned(SiteName),
    /// Somebody is invited whom the plan does not name.
    #[error("{0} is invited, which the plan does not name")]
    NotInThePlan(SiteName),
    /// Fewer sites than this one hides among.
    #[error("{found} sites take part, and this site's policy asks for {least}")]
    TooFew {
        /// Sites that take part.
        found: usize,
        /// The policy's floor, or what the plan's noise is calibrated for.
        least: usize,
    },
    /// A sum of so few would be opened that two of them could differ by one site.
    #[error("a sum of {found} of {sites} sites would be opened, more than two thirds are {least}")]
    ThresholdTooLow {
        /// What the attempt asks for.
        found: usize,
        /// The attempt's sites.
        sites: usize,
        /// More than two thirds of them.
        least: usize,
    },
    /// A site comes twice in a list.
    #[error("site {0} comes twice in what the coordinator says, where each site has one place")]
    Twice(SiteName),
    /// A site that has no place in a message.
    #[error("{0} has no place in this message")]
    Stranger(SiteName),
    /// An advert or consent that its site did not sign for this attempt.
    #[error("what {0} is said to have signed, it did not sign for this attempt")]
    BadSignature(SiteName),
    /// The roster has other keys of this site than it sent, or none.
    #[error("the roster does not have the keys that this site sent")]
    OwnKeysSwapped,
    /// A key with which nothing secret can be agreed.
    #[error("the key of {0} agrees on nothing secret")]
    WeakKey(SiteName),
    /// Shares that were changed, or sealed for another roster.
    #[error("the shares of {0} do not open: they were changed, or it was shown another roster")]
    SharesDoNotOpen(SiteName),
    /// A site is said to have survived and to have dropped out.
    #[error("{0} is said to have survived and to have dropped out: both openings would bare its vector")]
    OnBothSides(SiteName),
    /// A site that shared its secrets is on neither side of the partition.
    #[error("{0} took part and is on neither side of the partition")]
    OnNeitherSide(SiteName),
    /// A message that is not the next one: replayed, reordered, or asking a second time.
    #[error("this message is not the next one: {state}")]
    OutOfOrder {
        /// Where the site is.
        state: &'static str,
    },
}
