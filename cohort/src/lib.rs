//! Hospital files and synthetic cohorts as typed patient records.
//!
//! A site describes each cohort in one TOML file ([`CohortFile`]): where the records are, how a table
//! is to be read ([`schema`]), and which patients are kept for testing ([`split`]). Everything is read
//! into memory; a split is by patient, never by record. Messages name files, lines and columns, and
//! never a patient's value.
//!
//! Left out on purpose: scaling by public ranges, which is the plan's (`Feature::encode`), and padding
//! of images, which is the model's.

mod cells;
mod cohort_file;
mod confirmed;
mod digits;
mod error;
mod fingerprint;
mod folders;
mod geometry;
mod identity;
mod images;
mod index;
mod intensities;
mod layout;
mod limits;
mod list;
mod mask;
mod mismatch;
mod nifti_file;
mod nifti_header;
mod packed;
mod pattern;
mod pictures;
mod png_file;
mod scans;
pub mod schema;
mod sheet;
pub mod source;
pub mod split;
mod synthetic;
mod table;
mod tally;
mod text;
mod totals;

pub use cells::Quote;
pub use cohort_file::CohortFile;
pub use confirmed::{Confirmed, LookAlikes};
pub use digits::{DecimalSign, ThousandsSign};
pub use error::CohortError;
pub use geometry::Orientation;
pub use index::IndexFilter;
pub use limits::{Limits, SliceSize};
pub use list::{Key, ListedSplit};
pub use mask::{Labels, MaskRule, Threshold};
pub use mismatch::{Kind, Mismatch, Values};
pub use pattern::{NoPattern, PatientPattern};
pub use text::{Encoding, NoEncoding};
