//! What a plan needs of a cohort: the table's features, or the images' size.
//!
//! Ranges used for scaling are public values chosen in the plan, never statistics of a cohort: a
//! feature scaled by the cohort's own mean would make one patient's gradient depend on the others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::numbers::Count;
use crate::outcome::OutcomeNeed;
use crate::record::Value;
use crate::text_file::Problem;

/// The kind of records that a study trains on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataNeed {
    /// One row per patient.
    Table(TableNeed),
    /// One volume with its mask per patient.
    Images(ImageNeed),
}

/// The columns that a table must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableNeed {
    /// The outcome to predict.
    pub outcome: OutcomeNeed,
    /// The features by name; the model sees them in the order of their names.
    pub features: BTreeMap<String, Feature>,
}

/// One typed feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// A measured number.
    Number(NumberRange),
    /// One of some categories, by their names in the plan.
    Category(Vec<String>),
}

/// A number's unit and public plausible range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberRange {
    /// The unit, in which the model sees the number; sites convert theirs where they are comparable.
    pub unit: String,
    /// The value that becomes -1; lower ones do as well.
    pub low: f64,
    /// The value that becomes 1; higher ones do as well.
    pub high: f64,
    /// How the values between lie between -1 and 1.
    #[serde(default, skip_serializing_if = "Scale::is_linear")]
    pub scale: Scale,
}

/// How a number is scaled between the ends of its public range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// In equal steps.
    #[default]
    Linear,
    /// In equal ratios, for values that span several powers of ten: `low` is above 0, and so it is the same scale in every
    /// unit. A count that may be 0 has a `low` below 1, which a 0 becomes.
    Log,
}

/// The size to which images are padded or cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageNeed {
    /// Rows of a padded slice.
    pub height: Count<1, 4096>,
    /// Columns of a padded slice.
    pub width: Count<1, 4096>,
    /// Slices that a patient contributes to one step: the fixed shape of a slot.
    pub slices_per_patient: Count<1, 512>,
    /// Whether the model also sees where in its volume each pixel lies: three channels beside the intensities.
    #[serde(default)]
    pub coordinates: bool,
    /// Whether larger slices are cut into tiles of at most this size; without it a cohort that has some does not fit
    /// the plan. A patient's tiles then take the place of slices.
    #[serde(default)]
    pub tiles: bool,
}

impl ImageNeed {
    /// Returns the channels of a slice: intensities and, where the plan has coordinates, slice, row and column,
    /// each from -1 to 1 over the patient's own volume.
    #[must_use]
    pub fn channels(&self) -> Count<1, 64> {
        let channels = if self.coordinates { 4 } else { 1 };
        Count::try_from(channels).expect("1 and 4 are within range")
    }
}

impl Feature {
    /// Returns how many model inputs the feature becomes: the missing-value indicator is one of them.
    #[must_use]
    pub fn inputs(&self) -> usize {
        match self {
            Self::Number(_) => 2,
            Self::Category(names) => names.len() + 1,
        }
    }

    /// Appends the model inputs for `value`, each in [-1, 1].
    ///
    /// A number is scaled by the public range and clamped; a category is one-hot; a missing value, and
    /// a value of the other type, is all zeros but for the indicator, which is 1.
    pub fn encode(&self, value: Value, inputs: &mut Vec<f32>) {
        let start = inputs.len();
        inputs.resize(start + self.inputs(), 0.0);
        let slots = &mut inputs[start..];
        match (self, value) {
            (Self::Number(range), Value::Number(x)) if !x.is_nan() => slots[0] = range.scale(x),
            (Self::Category(names), Value::Category(i)) if (i as usize) < names.len() => {
                slots[i as usize] = 1.0
            }
            (Self::Number(_) | Self::Category(_), _) => {
                let indicator = slots.len() - 1;
                slots[indicator] = 1.0;
            }
        }
    }
}

impl NumberRange {
    /// Makes a range of equal steps.
    #[must_use]
    pub fn linear(unit: impl Into<String>, low: f64, high: f64) -> Self {
        Self { unit: unit.into(), low, high, scale: Scale::Linear }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a value in [-1, 1] loses only precision")]
    fn scale(&self, x: f64) -> f32 {
        let share = match self.scale {
            Scale::Linear => (x - self.low) / (self.high - self.low),
            // Of a number below `low`, which may have no logarithm, 0 is left.
            Scale::Log => (x.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
        };
        (2.0 * share - 1.0).clamp(-1.0, 1.0) as f32
    }

    fn check(&self) -> Result<(), String> {
        let Self { low, high, .. } = self;
        if !(low.is_finite() && high.is_finite() && low < high) {
            return Err(format!("ranges from {low} to {high}, expected low below high"));
        }
        if self.scale == Scale::Log && *low <= 0.0 {
            return Err(format!("has a logarithmic scale from {low} on, expected low above 0"));
        }
        Ok(())
    }
}

impl Scale {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
    fn is_linear(&self) -> bool {
        *self == Self::Linear
    }
}

impl TableNeed {
    /// Returns how many inputs the model has.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.features.values().map(Feature::inputs).sum()
    }

    pub(crate) fn check(&self) -> Result<(), Problem> {
        self.outcome.check()?;
        if self.features.is_empty() || self.features.len() > FEATURES_MAX {
            let message = format!("has {} features, expected 1 to {FEATURES_MAX}", self.features.len());
            return Err(Problem::new("data.table.features", message));
        }
        for (name, feature) in &self.features {
            let key = format!("data.table.features.{name}");
            match feature {
                Feature::Number(range) => range.check().map_err(|message| Problem::new(key, message))?,
                Feature::Category(names) => {
                    let mut distinct = names.clone();
                    distinct.sort();
                    distinct.dedup();
                    if distinct.len() != names.len() || !(2..=CATEGORIES_MAX).contains(&names.len()) {
                        let message = format!("expected 2 to {CATEGORIES_MAX} different categories");
                        return Err(Problem::new(key, message));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Bounds the model that a plan can ask for; electronic health records seldom offer more.
const FEATURES_MAX: usize = 4096;
const CATEGORIES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(feature: &Feature, value: Value) -> Vec<f32> {
        let mut inputs = Vec::new();
        feature.encode(value, &mut inputs);
        inputs
    }

    #[test]
    fn numbers_are_scaled_by_the_public_range_and_clamped() {
        let age = Feature::Number(NumberRange::linear("years", 20.0, 100.0));
        assert_eq!(encoded(&age, Value::Number(60.0)), [0.0, 0.0]);
        assert_eq!(encoded(&age, Value::Number(1e308)), [1.0, 0.0]);
        assert_eq!(encoded(&age, Value::Number(f64::NEG_INFINITY)), [-1.0, 0.0]);
        assert_eq!(encoded(&age, Value::Missing), [0.0, 1.0]);
        assert_eq!(encoded(&age, Value::Number(f64::NAN)), [0.0, 1.0]);
    }

    #[test]
    fn a_logarithmic_scale_has_equal_steps_for_equal_ratios() {
        let range = NumberRange { scale: Scale::Log, ..NumberRange::linear("mg/L", 0.5, 50.0) };
        let crp = Feature::Number(range.clone());
        for (x, expected) in [(0.5, -1.0), (5.0, 0.0), (50.0, 1.0), (0.0, -1.0), (-3.0, -1.0), (1e308, 1.0)] {
            let found = encoded(&crp, Value::Number(x))[0];
            assert!((found - expected).abs() < 1e-6, "{x}: {found}");
        }
        assert_eq!(encoded(&crp, Value::Number(f64::NAN)), [0.0, 1.0]);
        assert!(NumberRange { low: 0.0, ..range }.check().unwrap_err().contains("expected low above 0"));
    }

    #[test]
    fn categories_are_one_hot_with_an_indicator() {
        let pain = Feature::Category(vec!["typical".into(), "atypical".into()]);
        assert_eq!(encoded(&pain, Value::Category(1)), [0.0, 1.0, 0.0]);
        assert_eq!(encoded(&pain, Value::Category(2)), [0.0, 0.0, 1.0]);
        assert_eq!(encoded(&pain, Value::Missing), [0.0, 0.0, 1.0]);
    }
}
