//! Scores of times to an event, against all pairs and against R and scikit-survival.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod all_pairs;
mod data;
mod reference;
