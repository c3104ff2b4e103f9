//! The site agent: policy, ledger, training and the one door out of a hospital.
//!
//! [`session`] decides, synchronously and without IO but for the ledger: which plans this site takes
//! part in, what each attempt costs, and what may leave. [`agent`] is the async driver around it: one
//! task per study, one connection to the coordinator, which the site dials. What a study says and when is decided in
//! [`study`], which [`study_task`] drives. [`local_training`] computes
//! an update with a [`Trainer`](fedtwin_trainer::Trainer), a process of its own that sees neither keys nor ledger nor noise.

pub mod agent;
pub mod attempt_error;
pub mod audit;
mod bounds;
pub mod budget_command;
mod check_command;
pub mod checked;
#[cfg(test)]
mod claims;
pub mod cli;
pub mod client;
pub mod closings;
pub mod computation;
pub mod config;
pub mod ledger_command;
pub mod local_training;
pub mod measuring;
pub mod optimiser;
mod pins;
pub mod policy;
pub mod proposals;
pub mod reason;
pub mod report;
mod scoring;
pub mod secure;
pub mod session;
mod slot;
mod state_folder;
pub mod study;
pub mod study_command;
pub mod study_folder;
pub mod study_task;
mod whole_file;
pub mod witnessing;
mod worker;
