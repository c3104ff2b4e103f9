//! Counts patients and their cells while a cohort is read.

use fedtwin_plan::cohort_need::{Feature, TableNeed};
use fedtwin_plan::inventory::FeatureCount;
use fedtwin_plan::record::{Part, TableRecord, Value};

/// Patients by part.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) train: u32,
    pub(crate) test: u32,
    pub(crate) features: Vec<FeatureCount>,
}

/// A table's cells by feature.
#[derive(Debug)]
pub(crate) struct Features {
    /// Each feature's count, and the lowest and highest plausible value of a number.
    counts: Vec<(FeatureCount, Option<[f64; 2]>)>,
}

impl Counts {
    pub(crate) fn add(&mut self, part: Part) {
        match part {
            Part::Train => self.train += 1,
            Part::Test => self.test += 1,
        }
    }
}

impl Features {
    /// Begins to count the features of a schema, whose ranges say what is plausible.
    pub(crate) fn new(schema: &TableNeed) -> Self {
        let count = |(name, feature): (&String, &Feature)| {
            let plausible = match feature {
                Feature::Number(range) => Some([range.low, range.high]),
                Feature::Category(_) => None,
            };
            (FeatureCount { name: name.clone(), missing: 0, implausible: 0 }, plausible)
        };
        Self { counts: schema.features.iter().map(count).collect() }
    }

    /// Counts one patient's cells, which are in the order of the schema.
    pub(crate) fn add(&mut self, record: &TableRecord) {
        for ((count, plausible), value) in self.counts.iter_mut().zip(&record.values) {
            match (value, plausible) {
                (Value::Missing, _) => count.missing += 1,
                (Value::Number(x), Some([low, high])) if !(*low..=*high).contains(x) => {
                    count.implausible += 1
                }
                (Value::Number(_) | Value::Category(_), _) => {}
            }
        }
    }

    /// Returns what was counted.
    pub(crate) fn counts(self) -> Vec<FeatureCount> {
        self.counts.into_iter().map(|(count, _)| count).collect()
    }
}
