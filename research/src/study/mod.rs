//! `fedtwin study`: from a draft to a signed plan, and from a plan to a model.

pub mod file;
pub mod initial;
pub mod metrics;
pub mod plan;
pub mod progress;
pub mod refusals;
pub mod report;
pub mod run;
pub mod tensors;

#[cfg(test)]
pub(crate) mod testing;
