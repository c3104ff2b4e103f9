//! What a laboratory looks at: a picture of a patient, with the true and the predicted outline.
//!
//! No request of the [`pipe`](crate::pipe) asks for one, so that no agent can have it: a program of laboratories makes it of
//! invented or public patients, and no other.

use serde::{Deserialize, Serialize};

/// The slice in the middle of a test patient's volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MiddleSlice {
    /// Pixels in a row.
    pub width: usize,
    /// Brightness from the darkest pixel, 0, to the brightest, 255, row by row.
    pub pixels: Vec<u8>,
    /// Whether each pixel is in the organ.
    pub truth: Vec<bool>,
    /// Whether each pixel is predicted to be.
    pub predicted: Vec<bool>,
}
