//! The seam between a site agent and its trainer.
//!
//! To the agent a trainer is a [`Trainer`]: it loads a cohort, returns clipped integer sums and scores, and can be stopped.
//! Behind the [`pipe`] is a process of its own, which [`serve`](serve::serve)s such requests behind a [`sandbox`] with a
//! [`Model`](model::Model): one gradient per patient, from whatever computes it. Nothing here knows a tensor library, so
//! that protocol tests need none.

mod answers;
pub mod kept_memory;
pub mod middle_slice;
pub mod model;
pub mod pipe;
pub mod process;
pub mod report;
pub mod sandbox;
pub mod serve;
pub mod stand_in;
mod trainer;

pub use trainer::{NewTrainer, Stopper, Trainer, TrainerError};
