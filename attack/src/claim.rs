//! What a plan claims, in the terms that attacks are compared with.

use fedtwin_privacy::accountant::{self, GaussianEvent};
use serde::{Deserialize, Serialize};

/// The price of an event by the accountant.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimedCost {
    /// The noisy sums behind it.
    pub steps: u64,
    /// The mu whose Gaussian trade-off curve no test beats, but with a probability of a ten-thousandth of delta.
    pub mu: f64,
    /// The epsilon at `delta`.
    pub epsilon: f64,
    /// The delta, in (0, 1).
    pub delta: f64,
}

impl ClaimedCost {
    /// Prices an event at `delta`.
    #[must_use]
    pub fn of(event: &GaussianEvent, delta: f64) -> Self {
        let mu = accountant::gaussian_bound(&[*event], delta * BOUND_PART);
        Self { steps: event.steps, mu, epsilon: accountant::epsilon(&[*event], delta).value, delta }
    }
}

/// The part of delta that the Gaussian bound may fail with: far below what any number of canaries sees.
const BOUND_PART: f64 = 1e-4;
