//! The common language of the federation: plans, model specifications, typed records and units.
//!
//! Everything here is a value. This crate reads no file, opens no socket, knows no clock and draws no
//! randomness; the other crates meet in its types. A plan is data and never code: whoever signs one
//! can choose among what these types can say, and nothing else.

pub mod architecture;
pub mod cohort_need;
pub mod digest;
pub mod family;
pub mod follow_up;
pub mod histogram;
pub mod inventory;
pub mod model_file;
pub mod names;
pub mod numbers;
pub mod outcome;
pub mod plan;
pub mod record;
pub mod secure_group;
pub mod signed;
pub mod text_file;
pub mod time;
pub mod trained;
pub mod wire_bits;

pub use architecture::Architecture;
pub use digest::Digest;
pub use family::Family;
pub use names::{CohortName, FederationName, ResearcherName, SiteName, StudyId};
pub use numbers::Ratio;
pub use plan::{Plan, PlanFile};
pub use record::PatientId;
pub use time::Timestamp;
pub use trained::Trained;
pub use wire_bits::WireBits;

#[cfg(test)]
mod plan_tests;
#[cfg(test)]
mod training_tests;
