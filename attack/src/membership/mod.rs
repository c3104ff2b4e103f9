//! Membership inference: does a released model tell whether a patient was in the cohort?
//!
//! The likelihood-ratio attack of Carlini, Chien, Nasr, Song, Terzis and Tramer, "Membership Inference
//! Attacks From First Principles", 2022 (arXiv 2112.03570), algorithm 1 (online) and section V-B
//! (offline): shadow models on random halves of the cohort, Gaussian fits of each patient's logit-scaled
//! confidence with and without the patient, and the likelihood ratio as the score. What counts is the share
//! of members found at few false alarms, above all among patients who are unlike the others.

mod operating;
mod shadows;

pub use operating::OperatingPoint;
pub use shadows::Shadows;

use fedtwin_privacy::random::RandomSource;
use serde::{Deserialize, Serialize};

use crate::step::AttackError;

/// A model that is trained on some of a cohort's patients, as a study would.
pub trait Victim {
    /// Returns the number of patients with a record.
    fn patients(&self) -> u32;

    /// Trains on the patients for whom `members` holds, with everybody else zeroed out, and returns the
    /// released weights.
    ///
    /// # Errors
    /// Fails where a step does.
    fn train(&mut self, members: &[bool]) -> Result<Vec<f32>, AttackError>;

    /// Returns the probability, at these weights, of what was recorded for each patient.
    ///
    /// # Errors
    /// Fails where the model cannot be evaluated.
    fn confidences(&mut self, weights: &[f32]) -> Result<Vec<f64>, AttackError>;
}

/// Which of the two attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// The attacker has shadow models with the patient and without.
    Online,
    /// The attacker has shadow models without the patient alone.
    Offline,
}

/// Whose membership is inferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whom {
    /// All patients.
    Everybody,
    /// The tenth of the patients whose record is least expected by models that never saw it.
    Outliers,
}

/// One attack on one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inference {
    /// Which attack.
    pub variant: Variant,
    /// On whom.
    pub whom: Whom,
    /// What it finds, at each registered rate of false alarms.
    pub points: Vec<OperatingPoint>,
}

impl Inference {
    /// Says whether no point is, with its bounds, above what mu leaves possible.
    #[must_use]
    pub fn is_within(&self, mu: f64) -> bool {
        self.points.iter().all(|point| point.is_within(mu))
    }
}

/// Attacks a victim by `models` shadow models, each on a random half of the patients.
///
/// The first half of the models registers outliers and thresholds, the other half is attacked.
///
/// # Errors
/// Fails where the victim does.
pub fn infer_membership(
    victim: &mut dyn Victim,
    models: u32,
    random: &mut dyn RandomSource,
) -> Result<Vec<Inference>, AttackError> {
    let shadows = Shadows::train(victim, models, random)?;
    let mut found = Vec::new();
    for variant in [Variant::Online, Variant::Offline] {
        for whom in [Whom::Everybody, Whom::Outliers] {
            found.push(Inference { variant, whom, points: shadows.attack(variant, whom) });
        }
    }
    Ok(found)
}
