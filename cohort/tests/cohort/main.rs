//! Cohorts as hospitals keep them: what is read, what is refused, and what it says.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic, as tests may")]

mod common;
mod corpus;
mod dialects;
mod events;
mod examples;
mod identity;
mod images;
mod inventory;
mod json_lines;
mod parquet;
mod pictures;
mod placement;
mod real;
mod rfc4180;
mod series;
mod series_real;
mod series_refused;
mod streaming;
mod synthetic;
mod table;
mod units;
