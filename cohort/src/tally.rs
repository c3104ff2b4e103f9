//! Counts patients and their cells while a cohort is read.

use std::collections::BTreeMap;

use fedtwin_plan::cohort_need::{Feature, TableNeed};
use fedtwin_plan::inventory::{EventsFound, FeatureCount, LeftOut, LeftOutReason};
use fedtwin_plan::outcome::Outcome;
use fedtwin_plan::record::{Part, Value};

use crate::image::mask::AllLabels;
use crate::table::layout::{CellValue, Cells};
use crate::table::measured::{Limit, unit_found};

/// Patients by part and by reason, and a table's cells by feature.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) train: u32,
    pub(crate) test: u32,
    /// Patients in whom the outcome happened, or whose mask has organ.
    pub(crate) positive: u32,
    left_out: BTreeMap<LeftOutReason, u32>,
    pub(crate) features: Vec<FeatureCount>,
    /// Where features are summaries of events.
    pub(crate) events: Option<EventsFound>,
    outcome: OutcomeNumbers,
    first_outcome: Option<Outcome>,
    outcomes_differ: bool,
    pub(crate) labels: AllLabels,
}

/// The numbers that outcomes were read from.
#[derive(Debug, Default)]
struct OutcomeNumbers {
    /// The least and the greatest of the others.
    range: Option<(f64, f64)>,
    /// Numbers that programs write for missing, and how many patients have each.
    codes: BTreeMap<i32, u32>,
}

impl Tally {
    /// Begins to count a table with these columns.
    pub(crate) fn of_table(need: &TableNeed) -> Self {
        let count = |(name, feature): (&String, &Feature)| {
            let unit = match feature {
                Feature::Number(range) => Some(unit_found(&range.unit)),
                Feature::Category(_) => None,
            };
            FeatureCount { unit, ..FeatureCount::of(name) }
        };
        Self { features: need.features.iter().map(count).collect(), ..Self::default() }
    }

    pub(crate) fn add(&mut self, part: Part) {
        match part {
            Part::Train => self.train += 1,
            Part::Test => self.test += 1,
        }
    }

    /// Counts one patient's cells, which are in the order of the features.
    pub(crate) fn add_cells(&mut self, cells: &Cells) {
        self.positive += u32::from(cells.outcome.happened());
        let first = *self.first_outcome.get_or_insert(cells.outcome);
        // Times nearly always differ; what there is to learn from is that it happened to some.
        self.outcomes_differ |= match (cells.outcome, first) {
            (Outcome::Event(own), Outcome::Event(first)) => own.happened != first.happened,
            (own @ (Outcome::YesNo(_) | Outcome::Count(_) | Outcome::Event(_)), first) => own != first,
        };
        if let Some(number) = cells.outcome_number {
            self.outcome.add(number);
        }
        for (count, cell) in self.features.iter_mut().zip(&cells.values) {
            let value = match cell {
                CellValue::Value(value) => Some(value),
                CellValue::Limited(limit, value) => {
                    match limit {
                        Limit::Below => count.below += 1,
                        Limit::Above => count.above += 1,
                    }
                    Some(value)
                }
                CellValue::Implausible => None,
            };
            match value {
                Some(Value::Missing) => count.missing += 1,
                Some(Value::Number(_) | Value::Category(_)) => {}
                None => count.implausible += 1,
            }
        }
    }

    /// Says whether there are outcomes, and all are the same.
    pub(crate) fn has_one_outcome(&self) -> bool {
        self.first_outcome.is_some() && !self.outcomes_differ
    }

    /// Returns a number that is far from all other outcomes, and that programs write for missing, with how many patients
    /// have it.
    pub(crate) fn outcome_that_means_missing(&self) -> Option<(i32, u32)> {
        let OutcomeNumbers { range, codes } = &self.outcome;
        let (least, greatest) = (*range)?;
        let is_far = |code: i32| match code {
            // Beside one other number alone, it may be the other outcome.
            -1 => least >= 0.0 && least < greatest,
            ..0 => least >= 0.0,
            0.. => f64::from(code) > 3.0 * greatest.max(1.0),
        };
        codes.iter().map(|(&code, &count)| (code, count)).find(|(code, _)| is_far(*code))
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

impl OutcomeNumbers {
    fn add(&mut self, number: f64) {
        if let Some(&code) = MISSING_CODES.iter().find(|&&code| number.total_cmp(&f64::from(code)).is_eq()) {
            *self.codes.entry(code).or_default() += 1;
            return;
        }
        let (least, greatest) = self.range.unwrap_or((number, number));
        self.range = Some((least.min(number), greatest.max(number)));
    }
}

/// What programs and people write for missing in columns of numbers. Those of one digit are scores and counts elsewhere, and
/// mean missing only where all others are far from them.
const MISSING_CODES: [i32; 17] = [-9999, -999, -99, -9, -8, -7, -1, 7, 8, 9, 77, 88, 99, 777, 888, 999, 9999];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_missing_where_all_other_outcomes_are_far_from_them() {
        let check = |numbers: &[f64], expected: Option<i32>| {
            let mut tally = Tally::default();
            numbers.iter().for_each(|&number| tally.outcome.add(number));
            let found = tally.outcome_that_means_missing().map(|(code, _)| code);
            assert_eq!(found, expected, "{numbers:?}");
        };
        for code in [-9.0, -8.0, -7.0, -1.0, 7.0, 8.0, 9.0, 99.0] {
            #[expect(clippy::cast_possible_truncation, reason = "one of the codes")]
            let expected = Some(code as i32);
            check(&[0.0, 1.0, code], expected);
            check(&[1.0, 2.0, code], expected);
        }
        check(&[0.0, 1.0, 8.0, 9.0, 7.0], Some(7));
        // Two outcomes, scores, days in hospital, changes.
        check(&[-1.0, 1.0], None);
        check(&(0_u8..=10).map(f64::from).collect::<Vec<_>>(), None);
        check(&[0.0, 1.0, 2.0, 3.0, 4.0, 7.0, 8.0, 9.0], None);
        check(&[1.0, 5.0, 9.0, 40.0], None);
        check(&[-1.0, -0.5, 0.0, 2.0], None);
        check(&[7.0, 8.0, 9.0], None);
    }
}
