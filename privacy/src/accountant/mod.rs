//! What a study costs: from events, which are integers, to epsilon at a delta.
//!
//! Relation: zero out one patient, with the cohort's size declared and public; [`Adjacency::ReplaceOne`] is for
//! comparisons. Three accountants, each an upper bound: the exact curve of steps without sampling ([`gdp`]),
//! privacy-loss distributions ([`pld`]) and dense Renyi orders ([`rdp`]). Every rounding goes towards spending more.
//!
//! What adds up over studies that were chosen after seeing earlier results is a Renyi divergence at one fixed order
//! ([`rdp_cost`]) or the square of a [`gaussian_bound()`]'s mu, never an epsilon and never a privacy-loss distribution.
//! Left out on purpose: the central-limit approximation of Gaussian privacy, which understates.

pub mod calibrate;
pub mod event;
pub mod gaussian_bound;
pub mod gdp;
pub mod mechanism;
pub mod pld;
pub mod rdp;

pub use calibrate::{Calibration, CalibrationError, EpsilonTarget, calibrate, noise_multiplier};
pub use event::{GaussianEvent, IntegerClip, NoiseBits, NoiseShares, published_noise};
pub use gaussian_bound::gaussian_bound;
pub use mechanism::{Adjacency, Event, Mechanism};
pub use rdp::Order;

/// Steps of a Poisson-subsampled Gaussian mechanism with sensitivity 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// The sampling rate, in [0, 1].
    pub rate: f64,
    /// The noise's standard deviation, above 0.
    pub multiplier: f64,
    /// The number of steps.
    pub steps: u64,
}

impl From<&GaussianEvent> for Segment {
    fn from(event: &GaussianEvent) -> Self {
        // The nearest double to a ratio may be below it by half an ulp.
        let rate = if event.sampling.is_one() { 1.0 } else { event.sampling.to_f64().next_up().min(1.0) };
        Self { rate, multiplier: event.noise_multiplier(), steps: event.steps }
    }
}

impl Segment {
    #[expect(clippy::cast_precision_loss, reason = "rounding is covered by `upward`")]
    fn steps(&self) -> f64 {
        self.steps as f64
    }

    /// Says whether nothing of a patient is in it.
    fn is_free(&self) -> bool {
        self.steps == 0 || self.rate <= 0.0
    }

    fn is_unsampled(&self) -> bool {
        self.rate >= 1.0 || self.is_free()
    }

    /// Returns the Renyi divergence of all steps, rounded up.
    fn rdp_cost(&self, order: Order) -> f64 {
        if self.is_free() {
            return 0.0;
        }
        upward(self.steps() * rdp::one_step(self.rate, self.multiplier, order.value()))
    }

    /// Returns mu^2 of all steps, rounded up.
    fn mu_squared(&self) -> f64 {
        if self.is_free() {
            return 0.0;
        }
        upward(self.steps() / (self.multiplier * self.multiplier))
    }
}

/// An upper bound on epsilon, and how it was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epsilon {
    /// The bound.
    pub value: f64,
    /// The accountant that gave it.
    pub accountant: Accountant,
}

/// A way to account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accountant {
    /// The exact curve of the Gaussian mechanism.
    Gdp,
    /// Privacy-loss distributions.
    Pld,
    /// The Renyi divergence at this order.
    Rdp {
        /// The best order.
        order: Order,
    },
}

impl std::fmt::Display for Accountant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gdp => f.write_str("gdp"),
            Self::Pld => f.write_str("pld"),
            Self::Rdp { order } => write!(f, "rdp at order {order}"),
        }
    }
}

/// Returns the epsilon of all events together at `delta`, for zeroing out one patient: exact when every event has
/// all patients in every step, the smaller of two upper bounds otherwise.
#[must_use]
pub fn epsilon(events: &[GaussianEvent], delta: f64) -> Epsilon {
    let segments: Vec<_> = events.iter().map(Segment::from).collect();
    epsilon_of(&segments, delta)
}

/// Does what [`epsilon`] does for mechanisms that are not given as integers.
#[must_use]
pub fn epsilon_of(segments: &[Segment], delta: f64) -> Epsilon {
    let events: Vec<_> = segments.iter().map(|&segment| Event::from(segment)).collect();
    best_epsilon(&events, delta, Adjacency::ZeroOut)
}

/// Returns the smallest valid epsilon of any events together at `delta`, in (0, 1); infinite where nothing is proven.
#[must_use]
pub fn best_epsilon(events: &[Event], delta: f64, relation: Adjacency) -> Epsilon {
    if let Some(mu) = unsampled_mu(events, relation) {
        return Epsilon { value: gdp::epsilon(mu, delta), accountant: Accountant::Gdp };
    }
    let by_losses = Epsilon { value: pld::epsilon(events, delta, relation), accountant: Accountant::Pld };
    let by_orders = segments_of(events, relation).map(|segments| rdp_epsilon(&segments, delta));
    by_orders.filter(|by_orders| by_orders.value < by_losses.value).unwrap_or(by_losses)
}

/// Returns the smallest valid delta of any events together at `epsilon`, at least 0.
#[must_use]
pub fn best_delta(events: &[Event], epsilon: f64, relation: Adjacency) -> f64 {
    match unsampled_mu(events, relation) {
        Some(mu) => gdp::delta(epsilon, mu),
        None => pld::delta(events, epsilon, relation),
    }
}

/// Returns the mu of events that are all Gaussian, with all patients in every step; nothing for others.
#[must_use]
pub fn unsampled_mu(events: &[Event], relation: Adjacency) -> Option<f64> {
    let segments: Option<Vec<_>> = events.iter().map(Event::segment).collect();
    let segments = segments.filter(|segments| segments.iter().all(Segment::is_unsampled))?;
    // Replacing a contribution moves a sum by twice what taking it away does.
    Some(match relation {
        Adjacency::ZeroOut => mu(&segments),
        Adjacency::ReplaceOne => 2.0 * mu(&segments),
    })
}

/// Returns events as steps of the Poisson-subsampled Gaussian mechanism, whose Renyi divergences are known, or nothing
/// where one is another mechanism or the relation is not the one of those divergences.
#[must_use]
pub fn segments_of(events: &[Event], relation: Adjacency) -> Option<Vec<Segment>> {
    match relation {
        Adjacency::ZeroOut => events.iter().map(Event::segment).collect(),
        Adjacency::ReplaceOne => None,
    }
}

/// Returns mu of all segments together, as if none were subsampled.
#[must_use]
pub fn mu(segments: &[Segment]) -> f64 {
    upward(segments.iter().map(Segment::mu_squared).sum::<f64>()).sqrt().next_up()
}

/// Returns the epsilon of all segments by Renyi orders alone: the best of a grid, refined to a thousandth.
///
/// (alpha - 1) times the divergence is convex in the order, so the epsilon has one minimum but for the
/// slowly varying terms of the conversion; any order gives a valid bound.
#[must_use]
pub fn rdp_epsilon(segments: &[Segment], delta: f64) -> Epsilon {
    let cost = |order: Order| -> f64 { segments.iter().map(|segment| segment.rdp_cost(order)).sum() };
    let mut best = (f64::INFINITY, Order::TWO);
    for order in Order::grid() {
        let cost = cost(order);
        let value = rdp::to_epsilon(cost, order, delta);
        if value < best.0 {
            best = (value, order);
        }
        // The cost grows with the order, and from order 2 on the conversion subtracts at most
        // ln 2 + ln 2 from it: no larger order can do better.
        if order >= Order::TWO && cost > best.0 + 1.4 {
            break;
        }
    }
    let mut width = (best.1.milli() - 1000) / 16;
    while width > 0 {
        let nearby = [best.1.milli() - width, best.1.milli() + width];
        for order in nearby.into_iter().filter_map(|milli| Order::try_from(milli).ok()) {
            let value = rdp::to_epsilon(cost(order), order, delta);
            if value < best.0 {
                best = (value, order);
            }
        }
        width /= 2;
    }
    Epsilon { value: best.0, accountant: Accountant::Rdp { order: best.1 } }
}

/// Returns the Renyi divergence of an event's steps at `order`, rounded up.
#[must_use]
pub fn rdp_cost(event: &GaussianEvent, order: Order) -> f64 {
    Segment::from(event).rdp_cost(order)
}

/// Returns mu^2 of an event's steps, rounded up, or nothing for subsampled ones, which have no exact mu.
#[must_use]
pub fn gdp_cost(event: &GaussianEvent) -> Option<f64> {
    event.sampling.is_one().then(|| Segment::from(event).mu_squared())
}

/// Rounds a computed cost up by more than its numerical error.
fn upward(value: f64) -> f64 {
    value * (1.0 + NUMERICAL_ERROR)
}

/// Bounds the relative error of every quantity here; tests hold the integrals to 1e-9 against references
/// whose own error is 1e-14, and observe below 1e-12.
const NUMERICAL_ERROR: f64 = 1e-12;

#[cfg(test)]
pub(crate) mod reference;
#[cfg(test)]
mod tests;
