//! Studies over local folders on one machine, with the programs that hospitals run.
//!
//! A simulation may do what nobody in a federation can: read the sites' own reports and put them side by
//! side. Nothing in it is a mock; only the walls between the hospitals are missing.

pub mod arm;
pub mod budget;
pub mod confinement;
pub mod federation;
pub mod json;
pub mod memory;
pub mod outcome;
pub mod results;
pub mod site_config;
pub mod summary;
