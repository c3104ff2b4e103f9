//! What a study costs.

pub mod event;

pub use event::{GaussianEvent, IntegerClip, NoiseBits, NoiseShares};
