//! Audits of the real path, and of the same path with planted bugs.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![expect(clippy::print_stdout, reason = "seeds and figures of statistical tests")]

mod canaries;
mod common;
mod gradient_inversion;
mod logistic;
mod membership_inference;
mod neighbouring_cohorts;
mod planted_bugs;
