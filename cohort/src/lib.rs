//! Hospital files and synthetic cohorts as typed patient records.
//!
//! A site describes each cohort in one TOML file ([`CohortFile`]): where the records are, how a table
//! is to be read ([`schema`]), and which patients are kept for testing ([`split`]). Everything is read
//! into memory; a split is by patient, never by record. Messages name files, lines and columns, and
//! never a patient's value.
//!
//! Left out on purpose: scaling by public ranges, which is the plan's (`Feature::encode`), and padding
//! of images, which is the model's.

mod cohort_file;
mod error;
mod fingerprint;
mod folders;
mod images;
mod limits;
mod mismatch;
mod nifti_file;
mod pictures;
mod scans;
pub mod schema;
pub mod source;
pub mod split;
mod synthetic;
mod table;
mod tally;

pub use cohort_file::CohortFile;
pub use error::CohortError;
pub use limits::{Limits, SliceSize};
pub use mismatch::{Kind, Mismatch, Values};
