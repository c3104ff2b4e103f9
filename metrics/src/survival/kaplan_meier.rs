//! Kaplan and Meier's curves, of events and of censorings.

use crate::survival::{Curve, Survival};

/// Returns the share of patients without an event by each time (Kaplan and Meier 1958).
///
/// The product over event times of one minus events by patients at risk. At risk at t are those who entered before t
/// and are observed until t or longer (delayed entry: Andersen et al. 1993), so that patients censored
/// at t are among them. With delayed entry a risk set may be used up early; the curve is then 0 ever after.
#[must_use]
pub fn kaplan_meier(observations: &[Survival]) -> Curve {
    product_limit(observations, true)
}

/// Returns the share of patients not yet censored by each time, had there been no events.
///
/// The same product with the two endings exchanged. Since events come first among equal times, patients with an event
/// at t are no longer at risk of being censored then, as in scikit-survival. R's `survfit` with the status reversed
/// keeps them at risk, which differs where an event and a censoring have the same time.
#[must_use]
pub fn censoring_curve(observations: &[Survival]) -> Curve {
    product_limit(observations, false)
}

fn product_limit(observations: &[Survival], of_events: bool) -> Curve {
    let mut ends = observations.to_vec();
    ends.sort_by(|a, b| a.time().total_cmp(&b.time()));
    let mut entries = observations.to_vec();
    entries.sort_by(|a, b| a.entry().total_cmp(&b.entry()));
    let (mut value, mut ended, mut entered) = (1.0, 0, 0);
    let mut steps = Vec::new();
    for tied in ends.chunk_by(|a, b| a.time().total_cmp(&b.time()).is_eq()) {
        let time = tied[0].time();
        entered += entries[entered..].iter().take_while(|o| o.entered_before(time)).count();
        let events = tied.iter().filter(|o| o.event()).count();
        let at_risk = entered - ended;
        let (falls, at_risk) =
            if of_events { (events, at_risk) } else { (tied.len() - events, at_risk - events) };
        if falls > 0 {
            value *= share(at_risk - falls, at_risk);
            steps.push((time, value));
        }
        ended += tied.len();
    }
    Curve::new(steps).expect("times are sorted and each factor is a share")
}

#[expect(clippy::cast_precision_loss, reason = "a cohort is far below 2^52")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observations(rows: &[(f64, f64, bool)]) -> Vec<Survival> {
        rows.iter().map(|&(entry, time, event)| Survival::new(entry, time, event).unwrap()).collect()
    }

    fn check(curve: &Curve, expected: &[(f64, f64)]) {
        assert_eq!(curve.steps().len(), expected.len(), "{curve:?}");
        for (&(time, value), &(at, level)) in curve.steps().iter().zip(expected) {
            assert!((time - at).abs() < 1e-12 && (value - level).abs() < 1e-12, "{curve:?}");
        }
    }

    #[test]
    fn curves_of_ties_are_as_by_hand() {
        // At 2: one event and one censoring of four at risk. The event comes first.
        let rows = observations(&[
            (0.0, 1.0, true),
            (0.0, 2.0, true),
            (0.0, 2.0, false),
            (0.0, 3.0, false),
            (0.0, 4.0, true),
        ]);
        check(&kaplan_meier(&rows), &[(1.0, 0.8), (2.0, 0.8 * 0.75), (4.0, 0.0)]);
        check(&censoring_curve(&rows), &[(2.0, 2.0 / 3.0), (3.0, 1.0 / 3.0)]);
    }

    #[test]
    fn who_entered_later_is_not_at_risk_before() {
        // At 1: the first alone entered before; at 2, who entered at 2 is not at risk yet; at 5 two are.
        let rows = observations(&[(0.0, 2.0, true), (0.0, 1.0, false), (2.0, 5.0, true), (1.5, 6.0, false)]);
        check(&kaplan_meier(&rows), &[(2.0, 0.5), (5.0, 0.25)]);
        check(&censoring_curve(&rows), &[(1.0, 0.5), (6.0, 0.0)]);
    }

    #[test]
    fn an_event_at_time_zero_counts() {
        check(&kaplan_meier(&observations(&[(0.0, 0.0, true), (0.0, 1.0, false)])), &[(0.0, 0.5)]);
    }

    #[test]
    fn nobody_has_a_curve_without_steps() {
        check(&kaplan_meier(&[]), &[]);
        check(&censoring_curve(&observations(&[(0.0, 1.0, true)])), &[]);
    }
}
