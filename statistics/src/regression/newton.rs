//! Newton's method as a state that asks for sums: it knows no patients and waits for nobody.

use crate::interval::{Estimate, Level};
use crate::linear::{Cholesky, at};
use crate::normal::normal_tail;
use crate::regression::{NotSummed, Sums};

/// A fit that is under way.
#[derive(Debug, Clone)]
pub struct Newton {
    at: Vec<f64>,
    /// Where the last step began, with the log-likelihood there.
    last: Option<(Vec<f64>, f64)>,
    start: Option<Start>,
    steps: u32,
    halvings: u32,
}

/// What was true at the first coefficients.
#[derive(Debug, Clone)]
struct Start {
    log_likelihood: f64,
    /// The information's diagonal, by which a step's length is judged in every unit of the covariates.
    information: Vec<f64>,
}

/// Coefficients of the greatest likelihood.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The coefficients.
    pub coefficients: Vec<f64>,
    /// Their covariance, the information's inverse: packed lower rows as the [`Sums`]' information.
    pub covariance: Vec<f64>,
    /// The log-likelihood.
    pub log_likelihood: f64,
    /// The log-likelihood of the first coefficients.
    pub start_log_likelihood: f64,
    /// How many sums were asked for.
    pub steps: u32,
}

impl Fit {
    /// Returns the coefficient with its Wald interval; `None` where there is no such coefficient.
    #[must_use]
    pub fn estimate(&self, coefficient: usize, level: Level) -> Option<Estimate> {
        let value = *self.coefficients.get(coefficient)?;
        Estimate::wald(value, self.covariance[at(coefficient, coefficient)], level)
    }

    /// Returns the ratio (of hazards, odds or rates) that one unit of the covariate stands for, with the exponentials of
    /// the same interval; the standard error is the coefficient's.
    #[must_use]
    pub fn ratio(&self, coefficient: usize, level: Level) -> Option<Estimate> {
        self.estimate(coefficient, level).map(Estimate::exponentiated)
    }

    /// Returns the chance, in [0, 1], of a coefficient as far from 0 if it is 0 (Wald's test, two-sided).
    #[must_use]
    pub fn p_value(&self, coefficient: usize) -> Option<f64> {
        let Estimate { value, standard_error, .. } = self.estimate(coefficient, Level::default())?;
        Some(2.0 * normal_tail((value / standard_error).abs()))
    }
}

impl Newton {
    /// Starts at some coefficients, usually zeros.
    #[must_use]
    pub fn from(start: Vec<f64>) -> Self {
        Self { at: start, last: None, start: None, steps: 0, halvings: 0 }
    }

    /// Returns the coefficients at which sums are wanted.
    #[must_use]
    pub fn at(&self) -> &[f64] {
        &self.at
    }

    /// Takes the sums at [`at`](Self::at): returns the fit, or moves on to where sums are wanted next.
    ///
    /// A step that lowers the log-likelihood is halved. It has converged when a step is below a millionth of a standard
    /// error, as the information of the first coefficients has it; that last one is taken still, so that what is left is
    /// of the order of its square.
    ///
    /// # Errors
    /// If covariates cannot be told apart, no finite coefficients are the best (separation), or there is no end.
    pub fn step(&mut self, sums: &Sums) -> Result<Option<Fit>, NotFitted> {
        if !sums.is_of(self.at.len()) {
            let (expected, found) = (self.at.len(), sums.score.len());
            return Err(NotFitted::Sums(NotSummed::OtherLength { expected, found }));
        }
        self.steps += 1;
        if let Some((from, log_likelihood)) = &self.last {
            // Sums that travelled as integers are rounded.
            let least = log_likelihood - ROUNDING * (1.0 + log_likelihood.abs());
            if !sums.is_finite() || sums.log_likelihood < least {
                self.halvings += 1;
                if self.halvings > HALVINGS_MAX {
                    return Err(NotFitted::NoConvergence { steps: self.steps });
                }
                self.at = self.at.iter().zip(from).map(|(at, from)| f64::midpoint(*at, *from)).collect();
                return Ok(None);
            }
        } else if !sums.is_finite() {
            return Err(NotFitted::Start);
        }
        self.advance(sums)
    }

    fn advance(&mut self, sums: &Sums) -> Result<Option<Fit>, NotFitted> {
        let diagonal: Vec<_> = (0..self.at.len()).map(|i| sums.information[at(i, i)]).collect();
        let start = self.start.get_or_insert_with(|| Start {
            log_likelihood: sums.log_likelihood,
            information: diagonal.clone(),
        });
        // Towards infinity the information of what runs there goes to 0, and at last its score in rounding too.
        let lost = diagonal.iter().zip(&start.information).position(|(now, first)| *now < LOST * first);
        if let Some(coefficient) = lost {
            return Err(NotFitted::Separated { coefficient });
        }
        let factored = Cholesky::of(&sums.information, self.at.len()).map_err(|coefficient| {
            if self.last.is_none() {
                NotFitted::Collinear { coefficient }
            } else {
                NotFitted::Separated { coefficient }
            }
        })?;
        let step = factored.solve(&sums.score);
        let next: Vec<_> = self.at.iter().zip(&step).map(|(at, step)| at + step).collect();
        let length = |(step, information): (&f64, &f64)| step.abs() * information.sqrt();
        if step.iter().zip(&start.information).map(length).all(|length| length < STEP_MIN) {
            return Ok(Some(Fit {
                coefficients: next,
                covariance: factored.inverse(),
                log_likelihood: sums.log_likelihood,
                start_log_likelihood: start.log_likelihood,
                steps: self.steps,
            }));
        }
        if self.steps >= STEPS_MAX {
            return Err(NotFitted::NoConvergence { steps: self.steps });
        }
        self.last = Some((std::mem::replace(&mut self.at, next), sums.log_likelihood));
        self.halvings = 0;
        Ok(None)
    }
}

/// Fits where sums are at hand: calls `sums_at` with the coefficients of each step.
///
/// # Errors
/// If `sums_at` fails, or as [`Newton::step`].
pub fn fit(
    start: Vec<f64>,
    mut sums_at: impl FnMut(&[f64]) -> Result<Sums, NotSummed>,
) -> Result<Fit, NotFitted> {
    let mut newton = Newton::from(start);
    loop {
        let sums = sums_at(newton.at()).map_err(NotFitted::Sums)?;
        if let Some(fit) = newton.step(&sums)? {
            return Ok(fit);
        }
    }
}

/// Why there is no fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotFitted {
    /// The patients have no sums, or not of these coefficients.
    #[error("there are no sums to fit")]
    Sums(#[source] NotSummed),
    /// There is no finite likelihood to begin with.
    #[error("the likelihood at the first coefficients is not finite: start nearer, or scale the covariates")]
    Start,
    /// A covariate is a combination of those before it, or nothing was observed.
    #[error(
        "nothing tells coefficient {coefficient} (from 0) apart: its covariate is constant or a combination of those \
         before it, or there are no outcomes; leave it out"
    )]
    Collinear {
        /// Which, from 0.
        coefficient: usize,
    },
    /// A likelihood grows towards infinite coefficients.
    #[error(
        "no finite coefficient {coefficient} (from 0) is the best: its covariate, perhaps with others, separates the \
         outcomes; leave it out, or merge its categories"
    )]
    Separated {
        /// Which, from 0.
        coefficient: usize,
    },
    /// Steps did not become small.
    #[error("the fit did not converge in {steps} steps: scale the covariates, or leave some out")]
    NoConvergence {
        /// How many were taken.
        steps: u32,
    },
}

/// In standard errors of the first coefficients.
const STEP_MIN: f64 = 1e-6;
/// A logistic intercept of a rare outcome takes one for each factor e of its odds, some ten; a fit that exists rarely more.
const STEPS_MAX: u32 = 40;
/// A step of a thousand becomes one of a thousandth.
const HALVINGS_MAX: u32 = 20;
/// Of the log-likelihood; below the digits that a double leaves to a sum of a million patients.
const ROUNDING: f64 = 1e-9;
/// Of the first information. Some 23 steps towards infinity leave less; one outcome in a thousand million leaves more.
const LOST: f64 = 1e-10;
