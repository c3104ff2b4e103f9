//! What needs libtorch: gradients, what is trained, independence between patients, files, learning.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod counts;
mod files;
mod gradients;
mod hazards;
mod independence;
mod learning;
mod risk_gradients;
mod rotterdam;
mod samples;
mod textbook;
mod trained;
