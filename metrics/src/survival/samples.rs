//! Predictions that tests score.

use super::{Survival, SurvivalPrediction};

/// Makes predictions for patients who were observed from the start: until when, whether the event ended it, and the risk.
pub(super) fn predictions(rows: &[(f64, bool, f64)]) -> Vec<SurvivalPrediction> {
    let of = |&(time, event, risk): &(f64, bool, f64)| SurvivalPrediction {
        observed: Survival::new(0.0, time, event).expect("an observation"),
        risk,
    };
    rows.iter().map(of).collect()
}
