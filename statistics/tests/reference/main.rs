//! Statistics of real tables against those of R and those that were published.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod data;
mod models;
mod survival;
mod trial;
