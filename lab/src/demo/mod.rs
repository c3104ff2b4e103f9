//! The demonstration: a risk model and a segmentation model across hospitals, with and without privacy.

pub mod arms;
pub mod cohorts;
pub mod command;
pub mod drafts;
pub mod outlines;
pub mod page;
mod pretrained;
pub mod score;
