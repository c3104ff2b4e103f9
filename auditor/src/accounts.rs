//! The events that a ledger logged, and what they cost by each accountant.

use fedtwin_privacy::accountant::{
    Adjacency, Event, GaussianEvent, Segment, gdp, pld, rdp_epsilon, unsampled_mu,
};
use fedtwin_privacy::ledger::report::ClaimReport;
use fedtwin_privacy::ledger::{Spend, StudyReport};
use serde::Serialize;

/// Epsilons of the same events at one delta, for zeroing out one patient; each is an upper bound for events
/// that were fixed in advance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Accounts {
    /// By privacy-loss distributions; nothing where they bound nothing.
    pub pld: Option<f64>,
    /// By Renyi divergences; nothing where they are infinite.
    pub rdp: Option<f64>,
    /// Exactly, as one Gaussian mechanism; nothing where a step has a sample of the patients.
    pub gdp: Option<f64>,
}

impl Accounts {
    /// Prices events at `delta`, in (0, 1).
    #[must_use]
    pub fn of(events: &[GaussianEvent], delta: f64) -> Self {
        let events: Vec<_> = events.iter().filter(|event| event.steps > 0).collect();
        let finite = |epsilon: f64| epsilon.is_finite().then_some(epsilon);
        let segments: Vec<_> = events.iter().map(|&event| Segment::from(event)).collect();
        let events: Vec<_> = events.into_iter().map(Event::from).collect();
        let exact = unsampled_mu(&events, Adjacency::ZeroOut);
        Self {
            pld: finite(pld::epsilon(&events, delta, Adjacency::ZeroOut)),
            rdp: if segments.is_empty() { Some(0.0) } else { finite(rdp_epsilon(&segments, delta).value) },
            gdp: exact.map(|mu| gdp::epsilon(mu, delta)).and_then(finite),
        }
    }

    /// Returns the smallest of them.
    #[must_use]
    pub fn best(&self) -> Option<f64> {
        [self.gdp, self.pld, self.rdp].into_iter().flatten().reduce(f64::min)
    }
}

/// Returns what a claim's opened blocks pay for, used or not, as one event; nothing for an unbounded claim.
#[must_use]
pub fn spent(claim: &ClaimReport) -> Option<GaussianEvent> {
    attempts(claim, claim.blocks.iter().map(|block| u64::from(block.attempts)).sum())
}

/// Returns all that a claim may do, as one event; nothing for an unbounded claim.
#[must_use]
pub fn planned(claim: &ClaimReport) -> Option<GaussianEvent> {
    attempts(claim, claim.claim.attempts_max.into())
}

/// Returns the events of all claims of a study; nothing if one of them is unbounded.
#[must_use]
pub fn of_study(
    study: &StudyReport,
    of_claim: fn(&ClaimReport) -> Option<GaussianEvent>,
) -> Option<Vec<GaussianEvent>> {
    study.claims.iter().map(of_claim).collect()
}

fn attempts(claim: &ClaimReport, count: u64) -> Option<GaussianEvent> {
    match &claim.claim.spend {
        Spend::Priced { event, .. } => {
            Some(GaussianEvent { steps: event.steps.saturating_mul(count), ..*event })
        }
        Spend::Unbounded { .. } => None,
    }
}
