//! Models in libtorch: the U-Net and the risk models, and one gradient per patient from each.
//!
//! The program `fedtwin-trainer` is built from this crate and is the only one that links libtorch. It sees patients and the
//! global model and answers with clipped integer sums; noise, keys, budgets and the network are elsewhere. What it is to
//! the agent, and what it gives up before it reads a patient, is the crate `trainer`'s.

pub mod engine;
pub mod open;
pub mod parameters;
pub mod risk;
pub mod score;
pub mod segmentation;
