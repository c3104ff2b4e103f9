//! Secure aggregation: the coordinator learns the sum of the sites' vectors and no single one.
//!
//! Bonawitz et al., *Practical secure aggregation for privacy-preserving machine learning* (CCS 2017), in the
//! form that stands a cheating server (their section 6, signed keys and the consistency round). Everybody shares a mask
//! with everybody and holds shares of everybody. Two halves without IO, clock or randomness of their own: [`site`] and [`coordinator`].
//!
//! One attempt at a round, each step one message each way:
//!
//! | step | a site sends | the coordinator answers |
//! |---|---|---|
//! | keys | its [`Advert`](message::Advert): two public keys and a commitment to its seed, signed | all adverts |
//! | shares | its secrets in [shares](message::SealedShares), one sealed for each other site | the shares that are for it |
//! | mask | its vector plus its [mask](SiteMask) | who [survived](message::Partition), and who did not |
//! | agree | its signed [consent](message::Consent) to that partition | the others' consents |
//! | open | its [shares](message::Opening) of the survivors' seeds and of the others' keys | |
//!
//! A site adds a mask that it shares with each other, one adding what the other subtracts, and one of its own.
//! The former cancel in the sum, those of sites that dropped out are made anew from their opened keys; the latter keep
//! a vector hidden that arrives after its site was taken for dropped out, and are opened for survivors alone. Never
//! both of one site.
//!
//! What is left out on purpose: whether a vector is what an honest site would send (see the norm bound in `privacy`),
//! transport, deadlines, and the vectors themselves, which may be larger than memory.

pub mod context;
pub mod coordinator;
mod decode;
mod field;
mod keys;
pub mod mask;
pub mod message;
mod shamir;
pub mod site;
mod site_mask;
#[cfg(test)]
mod testing;

pub use context::{AttemptPlace, Context};
pub use site_mask::SiteMask;
