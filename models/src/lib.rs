//! Models in libtorch: the U-Net and the risk models, and one gradient per patient from each.
//!
//! The program `fedtwin-trainer` is built from this crate and is the only one that links libtorch.
//! It sees patients and the global model and answers with clipped integer sums; noise, keys, budgets
//! and the network are elsewhere. Without the feature `torch` only the parts remain that need no
//! tensor library: the [`trainer::Trainer`] seam, the pipe's loop and the site's own report.

pub mod augment;
pub mod intercept;
pub mod score;
pub mod serve;
pub mod slices;
pub mod tiles;
pub mod trainer;

#[cfg(feature = "torch")]
pub mod engine;
#[cfg(feature = "torch")]
pub mod loss;
#[cfg(feature = "torch")]
pub mod open;
#[cfg(feature = "torch")]
pub mod parameters;
#[cfg(feature = "torch")]
pub mod perceptron;
#[cfg(feature = "torch")]
pub mod risk_trainer;
#[cfg(feature = "torch")]
pub mod sandbox;
#[cfg(feature = "torch")]
pub mod unet;
#[cfg(feature = "torch")]
pub mod unet_trainer;

pub use trainer::{SlotBatch, TrainError, Trainer};
