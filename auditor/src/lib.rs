//! What an auditor who believes nothing unverified can know: from bytes to facts, and from facts to verdicts.
//!
//! Every function takes what was read and returns what it shows. Reading files and asking the coordinator are the
//! program's; nothing here knows a clock, a disk or a network.

pub mod accounts;
pub mod cost;
pub mod export;
pub mod given;
pub mod keys;
pub mod ledger;
pub mod plans;
pub mod proof;
pub mod recompute;
pub mod report;
pub mod verify;
pub mod views;
pub mod what_if;
pub mod words;
