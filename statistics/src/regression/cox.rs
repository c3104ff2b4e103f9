//! Cox's proportional hazards, one stratum at a time.

use fedtwin_metrics::survival::Survival;

use crate::linear::{at, packed_len};
use crate::regression::sums::{NotSummed, Sums, check_covariates, dot};

/// What is done with events at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ties {
    /// Efron's approximation (1977), R's default: those who have their event leave the risk set bit by bit.
    #[default]
    Efron,
    /// Breslow's (1974): all of them are at risk for each; biased towards 0 with many ties.
    Breslow,
}

/// A patient of a Cox regression.
#[derive(Debug, Clone, PartialEq)]
pub struct CoxPatient {
    /// The time under observation and how it ended.
    pub follow_up: Survival,
    /// The covariates, `[coefficients]`, without an intercept.
    pub covariates: Vec<f64>,
}

/// Returns one stratum's sums for one step of Newton's method, such as those of a site's patients.
///
/// The partial likelihood (Cox 1972, 1975) of hazards that are proportional within the stratum, each stratum
/// with a baseline of its own; strata's sums are added. At risk at an event's time are those who entered before and are
/// observed until then or longer. Covariates count from the stratum's means and predictors from their largest, which
/// changes none of the sums but for rounding.
///
/// # Errors
/// If a patient's covariates are not finite numbers, one for each coefficient.
pub fn cox_sums(patients: &[CoxPatient], coefficients: &[f64], ties: Ties) -> Result<Sums, NotSummed> {
    for patient in patients {
        check_covariates(&patient.covariates, coefficients)?;
    }
    let members = members(patients, coefficients);
    let time = |m: &Member<'_>| m.follow_up.time();
    let mut by_end: Vec<_> = members.iter().collect();
    by_end.sort_by(|a, b| time(b).total_cmp(&time(a)));
    let mut by_entry: Vec<_> = members.iter().collect();
    by_entry.sort_by(|a, b| b.follow_up.entry().total_cmp(&a.follow_up.entry()));
    let mut by_entry = by_entry.into_iter().peekable();
    let mut sums = Sums::zero(coefficients.len());
    let mut at_risk = RiskSet::zero(coefficients.len());
    for tied in by_end.chunk_by(|a, b| time(a).total_cmp(&time(b)).is_eq()) {
        for member in tied {
            at_risk.add(member, 1.0);
        }
        // Who enters at the time or later ends later still, and was added.
        let now = time(tied[0]);
        while let Some(member) = by_entry.next_if(|m| !m.follow_up.entered_before(now)) {
            at_risk.add(member, -1.0);
        }
        let events: Vec<_> = tied.iter().copied().filter(|m| m.follow_up.event()).collect();
        add_events(&mut sums, &at_risk, &events, ties);
    }
    Ok(sums)
}

/// A patient as the sums see it.
struct Member<'a> {
    follow_up: &'a Survival,
    /// Less the stratum's means.
    covariates: Vec<f64>,
    /// The linear predictor less the stratum's largest.
    predictor: f64,
}

fn members<'a>(patients: &'a [CoxPatient], coefficients: &[f64]) -> Vec<Member<'a>> {
    let mut means = vec![0.0; coefficients.len()];
    for patient in patients {
        for (mean, x) in means.iter_mut().zip(&patient.covariates) {
            #[expect(clippy::cast_precision_loss, reason = "a cohort is far below 2^52")]
            {
                *mean += x / patients.len() as f64;
            }
        }
    }
    let of = |patient: &'a CoxPatient| {
        let covariates: Vec<_> = patient.covariates.iter().zip(&means).map(|(x, mean)| x - mean).collect();
        let predictor = dot(&covariates, coefficients);
        Member { follow_up: &patient.follow_up, covariates, predictor }
    };
    let mut members: Vec<_> = patients.iter().map(of).collect();
    let largest = members.iter().map(|m| m.predictor).fold(f64::NEG_INFINITY, f64::max);
    for member in &mut members {
        member.predictor -= largest;
    }
    members
}

/// Sums over those at risk: of their hazards, and of these times covariates and products of covariates.
struct RiskSet {
    hazard: f64,
    first: Vec<f64>,
    second: Vec<f64>,
}

impl RiskSet {
    fn zero(coefficients: usize) -> Self {
        Self { hazard: 0.0, first: vec![0.0; coefficients], second: vec![0.0; packed_len(coefficients)] }
    }

    fn add(&mut self, member: &Member<'_>, times: f64) {
        let hazard = times * member.predictor.exp();
        self.hazard += hazard;
        for (i, x) in member.covariates.iter().enumerate() {
            self.first[i] += hazard * x;
            for (j, other) in member.covariates[..=i].iter().enumerate() {
                self.second[at(i, j)] += hazard * x * other;
            }
        }
    }
}

/// Adds the events of one time.
fn add_events(sums: &mut Sums, at_risk: &RiskSet, events: &[&Member<'_>], ties: Ties) {
    let mut tied = RiskSet::zero(sums.score.len());
    for event in events {
        tied.add(event, 1.0);
        sums.log_likelihood += event.predictor;
        for (score, x) in sums.score.iter_mut().zip(&event.covariates) {
            *score += x;
        }
    }
    for place in 0..events.len() {
        #[expect(clippy::cast_precision_loss, reason = "a cohort is far below 2^52")]
        let gone = match ties {
            Ties::Efron => place as f64 / events.len() as f64,
            Ties::Breslow => 0.0,
        };
        let hazard = at_risk.hazard - gone * tied.hazard;
        let mean = |i: usize| (at_risk.first[i] - gone * tied.first[i]) / hazard;
        sums.log_likelihood -= hazard.ln();
        for i in 0..sums.score.len() {
            sums.score[i] -= mean(i);
            for j in 0..=i {
                let square = (at_risk.second[at(i, j)] - gone * tied.second[at(i, j)]) / hazard;
                sums.information[at(i, j)] += square - mean(i) * mean(j);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regression::{NotFitted, fit};

    fn patients(rows: &[(f64, f64, bool, f64)]) -> Vec<CoxPatient> {
        let of = |&(entry, time, event, x): &(f64, f64, bool, f64)| CoxPatient {
            follow_up: Survival::new(entry, time, event).unwrap(),
            covariates: vec![x],
        };
        rows.iter().map(of).collect()
    }

    #[test]
    fn a_small_stratum_is_as_by_hand() {
        let rows = patients(&[(0.0, 1.0, true, 1.0), (0.0, 1.0, true, 0.0), (0.0, 2.0, false, 1.0)]);
        let b = 0.5_f64;
        let (hazard, tied) = (2.0 * b.exp() + 1.0, b.exp() + 1.0);
        let sums = cox_sums(&rows, &[b], Ties::Breslow).unwrap();
        assert!((sums.log_likelihood - (b - 2.0 * hazard.ln())).abs() < 1e-12);
        let sums = cox_sums(&rows, &[b], Ties::Efron).unwrap();
        let expected = b - hazard.ln() - (hazard - tied / 2.0).ln();
        assert!((sums.log_likelihood - expected).abs() < 1e-12);
        let (p, q) = (2.0 * b.exp() / hazard, 1.5 * b.exp() / (hazard - tied / 2.0));
        assert!((sums.score[0] - (1.0 - p - q)).abs() < 1e-12);
        assert!((sums.information[0] - (p * (1.0 - p) + q * (1.0 - q))).abs() < 1e-12);
    }

    #[test]
    fn who_entered_late_is_at_risk_from_then_on() {
        let rows = patients(&[(0.0, 1.0, true, 1.0), (1.0, 3.0, true, 2.0), (0.5, 2.0, false, 3.0)]);
        let sums = cox_sums(&rows, &[0.0], Ties::Efron).unwrap();
        // At 1 the first and the third; at 3 the second alone.
        assert!((sums.log_likelihood + 2_f64.ln()).abs() < 1e-12);
        assert!((sums.score[0] + 1.0).abs() < 1e-12);
    }

    #[test]
    fn derivatives_are_those_of_the_likelihood() {
        let rows: Vec<_> = (0..30_u32)
            .map(|i| {
                let (time, x) = (f64::from(i % 7) + 1.0, f64::from(i * 37 % 11));
                (f64::from(i % 3) * 0.4, time, i % 4 != 0, x)
            })
            .collect();
        let rows = patients(&rows);
        for ties in [Ties::Efron, Ties::Breslow] {
            let of = |b: f64| cox_sums(&rows, &[b], ties).unwrap();
            let (at, step) = (0.1, 1e-5);
            let (low, here, high) = (of(at - step), of(at), of(at + step));
            let slope = (high.log_likelihood - low.log_likelihood) / (2.0 * step);
            let bend = (low.score[0] - high.score[0]) / (2.0 * step);
            assert!((slope - here.score[0]).abs() < 1e-6, "{ties:?}: {slope} {:?}", here.score);
            assert!((bend - here.information[0]).abs() < 1e-5, "{ties:?}: {bend} {:?}", here.information);
        }
    }

    #[test]
    fn a_monotone_likelihood_and_no_events_are_errors_in_words() {
        // Whoever has the greater covariate has the event first.
        let rows = patients(&[(0.0, 1.0, true, 2.0), (0.0, 2.0, true, 1.0), (0.0, 3.0, false, 0.0)]);
        let found = fit(vec![0.0], |b| cox_sums(&rows, b, Ties::Efron)).unwrap_err();
        assert_eq!(found, NotFitted::Separated { coefficient: 0 });
        let rows = patients(&[(0.0, 1.0, false, 2.0), (0.0, 2.0, false, 1.0)]);
        let found = fit(vec![0.0], |b| cox_sums(&rows, b, Ties::Efron)).unwrap_err();
        assert_eq!(found, NotFitted::Collinear { coefficient: 0 });
        let refused = cox_sums(&rows, &[0.0, 0.0], Ties::Efron).unwrap_err();
        assert_eq!(refused, NotSummed::OtherLength { expected: 2, found: 1 });
    }
}
