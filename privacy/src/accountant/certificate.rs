//! Certificates: the mu of a Gaussian mechanism that costs at least as much as a whole job.
//!
//! Privacy-loss distributions of jobs that were chosen after seeing earlier results do not add up; Gaussian
//! mechanisms do, by the squares of their mu (Smith and Thakurta, 2022, arXiv 2210.17520). A certificate
//! (mu, delta0) states delta(epsilon) <= delta0 + (1 - delta0) delta of mu-GDP at every epsilon, for zeroing
//! out one patient and for the way back.

use crate::accountant::{GaussianEvent, Segment, mu};

/// Returns a mu for which all events together, with one fixed order and plan, have the certificate
/// (mu, `delta0`); rounded up.
///
/// `delta0` is in [0, 1); a larger one allows a smaller mu. Infinite where nothing bounds the events.
///
/// Sampling is ignored for now: steps on a sample of the patients are mixtures of steps that tell nothing and
/// of steps with the patient, so that the price without sampling holds at `delta0` = 0 already.
#[must_use]
pub fn certificate(events: &[GaussianEvent], delta0: f64) -> f64 {
    assert!((0.0..1.0).contains(&delta0), "delta0 is a probability below 1");
    let segments: Vec<_> = events.iter().map(Segment::from).collect();
    mu(&segments)
}

#[cfg(test)]
mod tests {
    use fedtwin_plan::Ratio;

    use super::*;

    #[test]
    fn all_patients_in_every_step_have_the_exact_mu() {
        let event = GaussianEvent::local(Ratio::ONE, 20, 1 << 20, 100).unwrap();
        let found = certificate(&[event], 1e-9);
        let exact = 10.0 / event.noise_multiplier();
        assert!(found >= exact && found < exact * (1.0 + 1e-11), "{found} {exact}");
    }
}
