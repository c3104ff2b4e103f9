//! What a laboratory does with a whole federation on one machine: the demonstration, and the figures of `docs/RESULTS.md`.
//!
//! No hospital gets this program: it puts side by side what only sites may read.

pub mod cli;
pub mod demo;
pub mod results;
