//! Counts patients and their cells while a cohort is read.

use std::collections::BTreeMap;

use fedtwin_plan::cohort_need::TableNeed;
use fedtwin_plan::inventory::{FeatureCount, LeftOut, LeftOutReason};
use fedtwin_plan::record::{Part, Value};

use crate::layout::{CellValue, Cells};

/// Patients by part and by reason, and a table's cells by feature.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) train: u32,
    pub(crate) test: u32,
    left_out: BTreeMap<LeftOutReason, u32>,
    pub(crate) features: Vec<FeatureCount>,
}

impl Tally {
    /// Begins to count a table with these columns.
    pub(crate) fn of_table(need: &TableNeed) -> Self {
        let count = |name: &String| FeatureCount { name: name.clone(), missing: 0, implausible: 0 };
        Self { features: need.features.keys().map(count).collect(), ..Self::default() }
    }

    pub(crate) fn add(&mut self, part: Part) {
        match part {
            Part::Train => self.train += 1,
            Part::Test => self.test += 1,
        }
    }

    /// Counts one patient's cells, which are in the order of the features.
    pub(crate) fn add_cells(&mut self, cells: &Cells) {
        for (count, cell) in self.features.iter_mut().zip(&cells.values) {
            match cell {
                CellValue::Value(Value::Missing) => count.missing += 1,
                CellValue::Value(Value::Number(_) | Value::Category(_)) => {}
                CellValue::Implausible => count.implausible += 1,
            }
        }
    }

    pub(crate) fn leave_out(&mut self, reason: LeftOutReason, count: u32) {
        if count > 0 {
            *self.left_out.entry(reason).or_default() += count;
        }
    }

    /// Returns who was left out, by reason.
    pub(crate) fn left_out(&self) -> Vec<LeftOut> {
        self.left_out.iter().map(|(&reason, &count)| LeftOut { reason, count }).collect()
    }
}
