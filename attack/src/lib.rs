//! Attacks on what a site releases, and what they prove: lower bounds beside the accountant's claim.
//!
//! An accountant bounds from above what a study costs if the code does what it should; an attack bounds it
//! from below by what the code does. Where a lower bound is above the claim, something is broken. Noise and
//! size are sought by [`canary`]; what noise hides by exact comparison of [`neighbours`]; samples and
//! retries by watching them ([`sampling`], [`attempts`]); and [`membership`] and [`inversion`] show what an
//! attacker without any of the site's secrets gets. Every detector is shown the bugs that it must catch
//! ([`planted`]).
//!
//! Left out on purpose: tensors, files, clocks and tasks. Trainers come in through
//! [`step::Contributions`], a site's real step through [`step::Step`].

pub mod attempts;
pub mod binomial;
pub mod bounds;
pub mod canary;
pub mod claim;
pub mod inversion;
pub mod membership;
pub mod neighbours;
pub mod normal;
pub mod one_run;
pub mod planted;
pub mod replay;
pub mod report;
pub mod sampling;
pub mod spy;
pub mod step;
