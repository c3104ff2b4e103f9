//! Costs of stated mechanisms, without any ledger.

use fedtwin_plan::Ratio;
use fedtwin_privacy::accountant::{
    self, Adjacency, CalibrationError, EpsilonTarget, Event, Segment, gdp, pld,
};
use serde::Serialize;

/// By which account events are priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accountant {
    /// Privacy-loss distributions, or Renyi divergences where their bound is the lower one.
    Pld,
    /// Renyi divergences.
    Rdp,
    /// Gaussian privacy, exactly.
    Gdp,
}

/// What events cost, rounded up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Priced {
    /// By which account, in words.
    pub accountant: String,
    /// The delta at which epsilon is stated, in (0, 1).
    pub delta: f64,
    /// What a patient loses at most, at `delta`; rounded up.
    pub epsilon: f64,
    /// What a neighbouring cohort is.
    pub relation: String,
}

/// Noise and steps that meet a target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibrated {
    /// By which account, in words.
    pub accountant: String,
    /// The delta at which epsilon is stated, in (0, 1).
    pub delta: f64,
    /// The epsilon that is reached.
    pub epsilon: f64,
    /// The noise's standard deviation over the clip, above 0.
    pub noise_multiplier: f64,
    /// What a neighbouring cohort is.
    pub relation: &'static str,
    /// The number of steps.
    pub steps: u64,
}

/// What is fixed before a target decides the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fixed {
    /// The number of steps; the least noise is found.
    Steps(u64),
    /// The noise multiplier; the largest number of steps is found.
    NoiseMultiplier(f64),
}

/// Why there is no number.
#[derive(Debug, thiserror::Error)]
pub enum NoCost {
    /// Renyi divergences are known for sampled Gaussian noise and for zeroing a patient out.
    #[error("rdp prices Gaussian noise on Poisson samples, for --relation zero-out; use pld")]
    Orders,
    /// Gaussian privacy of sampled steps has no closed form, and its limit understates.
    #[error("gdp is exact for Gaussian steps with all patients alone, and one of these is another; use pld")]
    Sampled,
    /// One step alone costs more.
    #[error("one step with this noise costs more than the target")]
    NoStep,
    /// Nothing bounds the steps.
    #[error("no finite epsilon is found for these steps at this delta: there is too little noise")]
    Infinite,
    /// No noise meets the target.
    #[error(transparent)]
    Target(#[from] CalibrationError),
}

/// Prices events at `delta`, in (0, 1); epsilon is rounded up.
///
/// # Errors
/// Refuses events or relations that an accountant does not price.
pub fn price(
    events: &[Event],
    delta: f64,
    accountant: Accountant,
    relation: Adjacency,
) -> Result<Priced, NoCost> {
    let (epsilon, name) = match accountant {
        Accountant::Pld => by_losses(events, delta, relation),
        Accountant::Rdp => {
            let segments = accountant::segments_of(events, relation).ok_or(NoCost::Orders)?;
            let bound = accountant::rdp_epsilon(&segments, delta);
            (bound.value, bound.accountant.to_string())
        }
        Accountant::Gdp => {
            let mu = accountant::unsampled_mu(events, relation).ok_or(NoCost::Sampled)?;
            (gdp::epsilon(mu, delta), "gdp".to_owned())
        }
    };
    if !epsilon.is_finite() {
        return Err(NoCost::Infinite);
    }
    Ok(Priced { accountant: name, delta, epsilon, relation: relation.to_string() })
}

/// Prices events by their losses; by Renyi orders where losses give no bound, or a higher one. Both bounds hold.
fn by_losses(events: &[Event], delta: f64, relation: Adjacency) -> (f64, String) {
    let losses = pld::epsilon(events, delta, relation);
    let orders = accountant::segments_of(events, relation)
        .map(|segments| accountant::rdp_epsilon(&segments, delta))
        .filter(|orders| orders.value < losses);
    match orders {
        None => (losses, "pld".to_owned()),
        Some(orders) if losses.is_finite() => {
            (orders.value, format!("{}, below pld's {losses}", orders.accountant))
        }
        Some(orders) => (orders.value, format!("{}, where pld finds none", orders.accountant)),
    }
}

/// Finds the least noise multiplier that meets a target, rounded up, or the largest number of steps.
///
/// # Errors
/// Refuses a target that no noise meets, or no step.
pub fn calibrate(sampling: Ratio, fixed: Fixed, target: EpsilonTarget) -> Result<Calibrated, NoCost> {
    let (steps, noise_multiplier) = match fixed {
        Fixed::Steps(steps) => (steps, accountant::noise_multiplier(sampling, steps, target)?),
        Fixed::NoiseMultiplier(multiplier) => {
            (accountant::calibrate::steps_max(sampling, multiplier, target)?, multiplier)
        }
    };
    if steps == 0 {
        return Err(NoCost::NoStep);
    }
    let reached = accountant::epsilon_of(&[segment(sampling, noise_multiplier, steps)], target.delta);
    Ok(Calibrated {
        accountant: reached.accountant.to_string(),
        delta: target.delta,
        epsilon: reached.value,
        noise_multiplier,
        relation: "zero-out",
        steps,
    })
}

/// Returns steps with their rate rounded up, because the nearest number to a ratio may be below it.
#[must_use]
pub fn segment(rate: Ratio, multiplier: f64, steps: u64) -> Segment {
    let rate = if rate.is_one() { 1.0 } else { rate.to_f64().next_up().min(1.0) };
    Segment { rate, multiplier, steps }
}
