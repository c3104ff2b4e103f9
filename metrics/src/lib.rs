//! Scores of predicted probabilities, times to an event, values and segmented volumes.
//!
//! Pure functions over slices: no IO, no randomness, no tensor library, so that a report can be
//! recomputed anywhere. What a score is undefined for (one class only, an empty mask) is `None` and
//! never a stand-in number. Whether a score may leave a site is not decided here.

pub mod alerts;
pub mod conformal;
pub mod curves;
pub mod distance;
mod fenwick;
pub mod forecast;
pub mod noised;
pub mod overlap;
pub mod recalibration;
pub mod risk;
pub mod surface;
pub mod survival;

pub use noised::{Estimate, NoisedRisk, noised_dice};
pub use overlap::{dice, volume_error};
pub use risk::{Prediction, accuracy, auroc, brier, ece};
pub use surface::{Grid, hd95_mm};
