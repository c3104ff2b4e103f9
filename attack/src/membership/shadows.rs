//! Shadow models and the scores that they give.

use fedtwin_privacy::random::RandomSource;

use super::operating::{OperatingPoint, Scored};
use super::{Variant, Victim, Whom};
use crate::step::AttackError;

/// Models on random halves of a cohort.
#[derive(Debug, Clone, PartialEq)]
pub struct Shadows {
    /// Who was in each model: `[models][patients]`.
    members: Vec<Vec<bool>>,
    /// The logit of each model's confidence in each patient's record: `[models][patients]`.
    logits: Vec<Vec<f64>>,
}

impl Shadows {
    /// Trains the models.
    ///
    /// # Errors
    /// Fails where the victim does.
    pub fn train(
        victim: &mut dyn Victim,
        models: u32,
        random: &mut dyn RandomSource,
    ) -> Result<Self, AttackError> {
        let mut shadows = Self { members: Vec::new(), logits: Vec::new() };
        for _model in 0..models {
            let coins = (0..victim.patients()).map(|_patient| Ok(random.below(2)? == 1));
            let members = coins.collect::<Result<Vec<_>, AttackError>>()?;
            let weights = victim.train(&members)?;
            let confidences = victim.confidences(&weights)?;
            shadows.members.push(members);
            shadows.logits.push(confidences.into_iter().map(logit).collect());
        }
        Ok(shadows)
    }

    /// Attacks the second half of the models with what the first half registered.
    pub(super) fn attack(&self, variant: Variant, whom: Whom) -> Vec<OperatingPoint> {
        let half = self.members.len() / 2;
        let patients = match whom {
            Whom::Everybody => (0..self.patients()).collect(),
            Whom::Outliers => self.outliers(half),
        };
        let scored = |models: std::ops::Range<usize>| -> Vec<Vec<Scored>> {
            let of = |model: usize| patients.iter().filter_map(move |&p| self.scored(variant, model, p));
            models.map(|model| of(model).collect()).collect()
        };
        let (registering, attacked) = (scored(0..half), scored(half..self.members.len()));
        FALSE_ALARMS.iter().map(|&rate| OperatingPoint::measure(rate, &registering, &attacked)).collect()
    }

    /// Returns the tenth of the patients whom models without them expect least.
    fn outliers(&self, models: usize) -> Vec<usize> {
        let expected = |patient: usize| {
            let out = (0..models).filter(|&model| !self.members[model][patient]);
            Gaussian::of(out.map(|model| self.logits[model][patient])).map_or(0.0, |fit| fit.mean)
        };
        let mut order: Vec<_> = (0..self.patients()).map(|patient| (expected(patient), patient)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        order.truncate(self.patients().div_ceil(10));
        order.into_iter().map(|(_expected, patient)| patient).collect()
    }

    /// Scores one patient in one model by all other models; nothing where there are too few of them.
    fn scored(&self, variant: Variant, model: usize, patient: usize) -> Option<Scored> {
        let fit = |inside: bool| {
            let others = (0..self.members.len())
                .filter(|&other| other != model && self.members[other][patient] == inside);
            Gaussian::of(others.map(|other| self.logits[other][patient]))
        };
        let (observed, without) = (self.logits[model][patient], fit(false)?);
        let score = match variant {
            Variant::Online => fit(true)?.log_density(observed) - without.log_density(observed),
            Variant::Offline => (observed - without.mean) / without.deviation,
        };
        Some(Scored { score, member: self.members[model][patient] })
    }

    fn patients(&self) -> usize {
        self.members.first().map_or(0, Vec::len)
    }
}

/// A fit to some logits.
struct Gaussian {
    mean: f64,
    deviation: f64,
}

impl Gaussian {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let count = values.clone().count();
        if count < FIT_MIN {
            return None;
        }
        let mean = values.clone().sum::<f64>() / count as f64;
        let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1) as f64;
        Some(Self { mean, deviation: variance.sqrt().max(DEVIATION_MIN) })
    }

    fn log_density(&self, value: f64) -> f64 {
        -((value - self.mean) / self.deviation).powi(2) / 2.0 - self.deviation.ln()
    }
}

/// ln(p / (1 - p)), with probabilities so near 0 and 1 cut that a double cannot tell them from these.
fn logit(confidence: f64) -> f64 {
    let p = if confidence.is_nan() { 0.5 } else { confidence.clamp(1e-15, 1.0 - 1e-15) };
    (p / (1.0 - p)).ln()
}

/// Rates of false alarms at which an attack is judged.
const FALSE_ALARMS: [f64; 2] = [0.01, 0.001];
/// A deviation of fewer models is no fit.
const FIT_MIN: usize = 4;
/// Below this, models that agree would make any difference look like certainty.
const DEVIATION_MIN: f64 = 1e-6;
