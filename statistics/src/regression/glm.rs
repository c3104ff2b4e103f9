//! Logistic and Poisson regression.

use crate::linear::at;
use crate::regression::sums::{NotSummed, Sums, check_covariates, dot};

/// Which outcomes a regression is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Outcomes of 0 or 1, whose log-odds are linear.
    Logistic,
    /// Counts, whose logarithms' means are linear.
    Poisson,
}

/// A patient of a logistic or a Poisson regression.
#[derive(Debug, Clone, PartialEq)]
pub struct GlmPatient {
    /// The covariates, `[coefficients]`; an intercept is a covariate of 1.
    pub covariates: Vec<f64>,
    /// The outcome: 0 or 1, or a count.
    pub outcome: f64,
    /// What is added to the linear predictor, such as the logarithm of the time at risk; usually 0.
    pub offset: f64,
}

/// Returns a site's sums for one step of Newton's method.
///
/// McCullagh and Nelder 1989, section 2.5, with the canonical link: the score `X' (y - mu)`, the information `X' W X` with
/// W = mu (1 - mu), or mu of a Poisson regression, at mu of the coefficients. A mean that overflows makes the sums
/// infinite, and whoever fits goes back half a step.
///
/// # Errors
/// If a patient's covariates or outcome are none of this regression.
pub fn glm_sums(patients: &[GlmPatient], coefficients: &[f64], family: Family) -> Result<Sums, NotSummed> {
    let mut sums = Sums::zero(coefficients.len());
    for patient in patients {
        check_covariates(&patient.covariates, coefficients)?;
        if !patient.offset.is_finite() {
            return Err(NotSummed::NotFinite);
        }
        let y = patient.outcome;
        let is_outcome = match family {
            Family::Logistic => [0.0, 1.0].contains(&y),
            Family::Poisson => y >= 0.0 && y.is_finite() && y.fract() <= 0.0,
        };
        if !is_outcome {
            return Err(NotSummed::Outcome);
        }
        let predictor = dot(&patient.covariates, coefficients) + patient.offset;
        let (mean, weight, log_likelihood) = match family {
            Family::Logistic => logistic(predictor, y),
            Family::Poisson => poisson(predictor, y),
        };
        sums.log_likelihood += log_likelihood;
        for (i, x) in patient.covariates.iter().enumerate() {
            sums.score[i] += x * (y - mean);
            for (j, other) in patient.covariates[..=i].iter().enumerate() {
                sums.information[at(i, j)] += weight * x * other;
            }
        }
    }
    Ok(sums)
}

fn logistic(predictor: f64, y: f64) -> (f64, f64, f64) {
    // From the smaller of the odds and their inverse, so that nothing overflows or is lost near 1.
    let odds = (-predictor.abs()).exp();
    let minor = odds / (1.0 + odds);
    let mean = if predictor > 0.0 { 1.0 - minor } else { minor };
    (mean, minor * (1.0 - minor), y * predictor - predictor.max(0.0) - odds.ln_1p())
}

fn poisson(predictor: f64, y: f64) -> (f64, f64, f64) {
    let mean = predictor.exp();
    (mean, mean, y * predictor - mean - libm::lgamma(y + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interval::Level;
    use crate::regression::{Fit, NotFitted, fit};

    fn patients(rows: &[(f64, f64)]) -> Vec<GlmPatient> {
        let of = |&(x, outcome): &(f64, f64)| GlmPatient { covariates: vec![1.0, x], outcome, offset: 0.0 };
        rows.iter().map(of).collect()
    }

    fn find(rows: &[(f64, f64)], family: Family) -> Result<Fit, NotFitted> {
        let patients = patients(rows);
        fit(vec![0.0; 2], |coefficients| glm_sums(&patients, coefficients, family))
    }

    #[test]
    fn a_logistic_regression_on_a_group_is_the_odds_ratio() {
        let group =
            |x: f64, with: usize, all: usize| (0..all).map(move |i| (x, f64::from(u8::from(i < with))));
        let found =
            find(&group(1.0, 27, 295).chain(group(0.0, 52, 307)).collect::<Vec<_>>(), Family::Logistic)
                .unwrap();
        let table = crate::TwoByTwo { with: [27.0, 52.0], without: [268.0, 255.0], noise_sd: 0.0 };
        let (ratio, woolf) =
            (found.ratio(1, Level::default()).unwrap(), table.odds_ratio(Level::default()).unwrap());
        for (a, b) in [(ratio.value, woolf.value), (ratio.low, woolf.low), (ratio.high, woolf.high)] {
            assert!((a - b).abs() < 1e-9, "{ratio:?} {woolf:?}");
        }
        assert!((found.p_value(1).unwrap() - 0.005_3).abs() < 5e-4, "{:?}", found.p_value(1));
        assert_eq!((found.estimate(2, Level::default()), found.p_value(2)), (None, None));
    }

    #[test]
    fn a_poisson_regression_on_a_group_is_the_ratio_of_rates() {
        let rows = [(0.0, 900.0), (0.0, 1100.0), (1.0, 2900.0), (1.0, 3100.0), (1.0, 3000.0)];
        let found = find(&rows, Family::Poisson).unwrap();
        assert!((found.coefficients[0] - 1000_f64.ln()).abs() < 1e-9, "{found:?}");
        assert!((found.coefficients[1] - 3_f64.ln()).abs() < 1e-9);
        let error = found.estimate(1, Level::default()).unwrap().standard_error;
        assert!((error - (1.0_f64 / 2000.0 + 1.0 / 9000.0).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn separation_is_an_error_in_words() {
        let complete = find(&[(1.0, 0.0), (2.0, 0.0), (3.0, 1.0), (4.0, 1.0)], Family::Logistic).unwrap_err();
        assert!(matches!(complete, NotFitted::Separated { .. }), "{complete}");
        let quasi = [(0.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1.0, 1.0), (1.0, 1.0)];
        let quasi = find(&quasi, Family::Logistic).unwrap_err();
        assert_eq!(quasi, NotFitted::Separated { coefficient: 1 });
        assert!(quasi.to_string().contains("separates the outcomes"), "{quasi}");
        let none = find(&[(0.0, 0.0), (1.0, 0.0), (1.0, 2.0)], Family::Poisson).unwrap_err();
        assert!(matches!(none, NotFitted::Separated { .. }), "{none}");
    }

    #[test]
    fn what_cannot_be_told_apart_is_named() {
        let constant = find(&[(2.0, 0.0), (2.0, 1.0), (2.0, 0.0)], Family::Logistic).unwrap_err();
        assert_eq!(constant, NotFitted::Collinear { coefficient: 1 });
        assert_eq!(find(&[], Family::Poisson).unwrap_err(), NotFitted::Collinear { coefficient: 0 });
    }

    #[test]
    fn rare_outcomes_and_large_units_converge() {
        let rows: Vec<_> =
            (0..20_000_u32).map(|i| (1e6 * f64::from(i % 2), f64::from(u8::from(i < 6)))).collect();
        let found = find(&rows, Family::Logistic).unwrap();
        let odds = |with: f64, without: f64| (with / without).ln();
        assert!((found.coefficients[0] - odds(3.0, 9_997.0)).abs() < 1e-6, "{found:?}");
        assert!(found.coefficients[1].abs() < 1e-9 && found.steps < 20, "{found:?}");
    }

    #[test]
    fn patients_of_another_regression_are_refused() {
        let refused = |patient: GlmPatient, family| glm_sums(&[patient], &[0.0, 0.0], family).unwrap_err();
        let sound = patients(&[(0.0, 1.0)]).remove(0);
        for outcome in [0.5, 2.0, -1.0, f64::NAN] {
            assert_eq!(
                refused(GlmPatient { outcome, ..sound.clone() }, Family::Logistic),
                NotSummed::Outcome
            );
        }
        for outcome in [0.5, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(refused(GlmPatient { outcome, ..sound.clone() }, Family::Poisson), NotSummed::Outcome);
        }
        let short = GlmPatient { covariates: vec![1.0], ..sound.clone() };
        assert_eq!(refused(short, Family::Poisson), NotSummed::OtherLength { expected: 2, found: 1 });
        let missing = GlmPatient { covariates: vec![1.0, f64::NAN], ..sound.clone() };
        assert_eq!(refused(missing, Family::Poisson), NotSummed::NotFinite);
        assert_eq!(refused(GlmPatient { offset: f64::NAN, ..sound }, Family::Poisson), NotSummed::NotFinite);
    }
}
