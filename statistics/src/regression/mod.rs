//! Regressions by Newton's method, each of whose steps needs one vector of sums.
//!
//! Whoever fits says where it is ([`Newton::at`]); each site answers with its patients' log-likelihood, score and
//! information there ([`cox_sums`], [`glm_sums`]); their sum is the next step. A federation's fit is that of all
//! patients in one table, for Cox's of a table stratified by site: risk sets are within a site.

mod cox;
mod glm;
mod newton;
mod sums;

pub use cox::{CoxPatient, Ties, cox_sums};
pub use glm::{Family, GlmPatient, glm_sums};
pub use newton::{Fit, Newton, NotFitted, fit};
pub use sums::{NotSummed, Sums};
