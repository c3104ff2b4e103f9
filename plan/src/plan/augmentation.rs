//! Random changes of a patient's images, drawn within ranges that the plan makes public.

use serde::{Deserialize, Serialize};

use crate::cohort_need::ImageNeed;
use crate::numbers::{Count, Interval, Positive};
use crate::text_file::Problem;

/// Augmentation of one patient's images, before clipping.
///
/// The patient's gradient is the mean over `copies`, each with slices and changes of its own, and is clipped
/// once: augmentation multiplicity (De et al. 2022, arXiv 2204.13650, section 3.2) costs no privacy. What is
/// drawn follows from the step's seed, the patient and the copy, whoever else was sampled.
///
/// A copy is made in this order: flips, shift, gamma, gain, offset, noise. Flips and shifts move the mask too;
/// pixels that a shift brings in weigh nothing in the loss, like padding. Intensities are those of an image
/// normalised by itself, mean 0 and standard deviation 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Copies of each patient in a step.
    pub copies: Count<1, 256>,
    /// The largest shift along rows and columns, in pixels: an integer uniform in plus or minus this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift_px: Option<Count<1, 1024>>,
    /// Range of the factor on intensities, above 0; uniform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain: Option<Interval>,
    /// Range of what is added to intensities; uniform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<Interval>,
    /// Range of the exponent g of `sign(x) |x|^g`, above 0; uniform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gamma: Option<Interval>,
    /// Standard deviation of normal noise on each pixel. It protects nobody: it is part of training alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<Positive>,
    /// Axes along which a copy is mirrored with probability one half. Only where a mirrored organ is as good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flips: Vec<Axis>,
}

/// An axis of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Top and bottom change places.
    Rows,
    /// Left and right change places.
    Columns,
}

impl Augmentation {
    pub(super) fn check(&self, need: &ImageNeed) -> Result<(), Problem> {
        let Self { copies: _, shift_px, gain, offset, gamma, noise, flips } = self;
        let refuse = |key: &str, message: String| {
            let key = if key.is_empty() { String::new() } else { format!(".{key}") };
            Err(Problem::new(format!("training.augmentation{key}"), message))
        };
        let ranges = [gain, offset, gamma].into_iter().flatten().count();
        if ranges == 0 && shift_px.is_none() && noise.is_none() && flips.is_empty() {
            return refuse(
                "",
                "changes nothing, expected a shift, gain, offset, gamma, noise or flips".into(),
            );
        }
        let room = need.height.get().min(need.width.get());
        if let Some(shift) = shift_px.filter(|shift| shift.get() >= room) {
            return refuse(
                "shift_px",
                format!("is {}, expected less than a slice's {room} pixels", shift.get()),
            );
        }
        for (key, range) in [("gain", gain), ("gamma", gamma)] {
            if let Some(range) = range.filter(|range| range.low() <= 0.0) {
                return refuse(key, format!("begins at {}, expected a range above 0", range.low()));
            }
        }
        let twice = flips.len() == 2 && flips[0] == flips[1];
        if twice || flips.len() > 2 {
            return refuse("flips", "expected each axis at most once".into());
        }
        Ok(())
    }
}
