//! What a researcher does with a federation: calibrates and signs plans, runs studies, reads their results.
//!
//! Arguments and tables are the command line's; patients' data are nobody's here.

pub mod calibration;
pub mod client;
pub mod study;
