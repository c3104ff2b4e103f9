//! Hospital files and synthetic cohorts as typed patient records.
//!
//! A site describes each cohort in one TOML file ([`CohortFile`]): where the records are, how a table
//! is to be read ([`schema`]), and which patients are kept for testing ([`split`]). Records are read one
//! by one; a split is by patient, never by record. Messages name files, lines and columns, and never a
//! patient's value.
//!
//! Left out on purpose: scaling by public ranges, which is the plan's (`Feature::encode`), and padding
//! of images, which is the model's.

mod cohort_file;
mod confirmed;
mod declared;
mod description;
mod error;
mod fingerprint;
#[doc(hidden)]
pub mod fuzzing;
mod image;
mod limits;
mod mismatch;
mod packed;
mod paths;
mod reader;
mod series;
pub mod source;
pub mod split;
mod table;
mod tally;

pub use cohort_file::CohortFile;
pub use fedtwin_units::{NoConversion, NotAUnit, NotComparable};

pub use confirmed::{Confirmed, LookAlikes};
pub use error::CohortError;
pub use image::geometry::Orientation;
pub use image::index::IndexFilter;
pub use image::mask::{Labels, MaskRule, Threshold};
pub use limits::{Limits, SliceSize};
pub use mismatch::{Mismatch, RecordKind, Values};
pub use series::events::{EventLayout, Events, EventsFormat, JoinKey, LongColumns, WideColumns, Window};
pub use series::signal::Signal;
pub use split::list::{Key, ListedSplit};
pub use split::pattern::{NoPattern, PatientPattern};
pub use table::cells::Quote;
pub use table::digits::{DecimalSign, ThousandsSign};
pub use table::measured::{AboveLimit, BelowLimit, Converted};
pub use table::schema;
pub use table::text::{Encoding, NoEncoding};
