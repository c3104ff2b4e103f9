//! What a plan claims, in the terms that attacks are compared with.

use fedtwin_privacy::accountant::{self, GaussianEvent};
use serde::{Deserialize, Serialize};

/// The price of an event by the accountant.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The noisy sums behind it.
    pub steps: u64,
    /// The mu whose Gaussian trade-off curve no test beats, but with a probability of a ten-thousandth of delta.
    pub mu: f64,
    /// The epsilon at `delta`.
    pub epsilon: f64,
    /// The delta, in (0, 1).
    pub delta: f64,
}

impl Claim {
    /// Prices an event at `delta`.
    #[must_use]
    pub fn of(event: &GaussianEvent, delta: f64) -> Self {
        let mu = accountant::certificate(&[*event], delta * CERTIFICATE_SHARE);
        Self { steps: event.steps, mu, epsilon: accountant::epsilon(&[*event], delta).value, delta }
    }
}

/// The share of delta that the certificate of mu may fail with: far below what any number of canaries sees.
const CERTIFICATE_SHARE: f64 = 1e-4;
