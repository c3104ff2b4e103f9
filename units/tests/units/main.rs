//! Units as laboratories write them: their factors, which are comparable, and what is refused.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic, as tests may")]

mod golden;
mod kinds;
mod oracle;
mod spellings;
