//! What people at the hospital have looked at and mean to be so.
//!
//! Nearly every cohort of which one of these is true was read wrongly, so each is refused until a line of the cohort
//! file says that it is meant.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use fedtwin_plan::inventory::{EventsFound, FeatureCount, Inventory, SignalCount};
use fedtwin_plan::numbers::Ratio;
use serde::Deserialize;

use crate::error::CohortError;
use crate::tally::Tally;

/// The cohort file's section `[confirmed]`: each key lifts one refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Confirmed {
    /// No patient trains.
    pub no_train: bool,
    /// No patient tests.
    pub no_test: bool,
    /// The least share of the declared training patients that is there; without it, a half.
    pub filled_min: Option<Ratio>,
    /// For a feature, the largest share of its values that may be outside the plausible range; without it, 1/20.
    pub implausible: BTreeMap<String, Ratio>,
    /// The last line of the table is a patient's, although it looks like one of totals; likewise lines before it.
    pub last_line: bool,
    /// All patients of a table have the outcome, or none has.
    pub one_outcome: bool,
    /// Outcomes that look like codes for missing are measured.
    pub outcome_numbers: bool,
    /// No patient's mask has organ.
    pub no_organ: bool,
    /// Quoted cells hold whole lines with as many cells as the table has columns.
    pub lines_in_cells: bool,
    /// What identifiers are that look alike; without it, they are one patient's.
    pub look_alikes: Option<LookAlikes>,
}

/// What identifiers are that look alike: that are equal but for leading zeros, capital letters, blanks, dashes, signs and
/// ways to write a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LookAlikes {
    /// Different patients.
    Different,
}

impl Confirmed {
    /// Refuses what nobody has confirmed; `one_outcome` says that all patients have the same.
    pub(crate) fn judge(
        &self,
        cohort_file: &Path,
        found: &Inventory,
        one_outcome: bool,
    ) -> Result<(), CohortError> {
        let refuse = |message: String| Err(CohortError::file(cohort_file, message));
        let Inventory { declared, train, test, .. } = found;
        match (train, test) {
            (0, 0) => {
                return refuse(format!(
                    "holds no patient: nobody is left to train or test on, and {declared} are declared"
                ));
            }
            (0, test) if !self.no_train => {
                return refuse(format!(
                    "has nobody to train on: its split sends all {test} patients to the test part, {declared} training \
                     patients are declared; if that is meant, add confirmed.no_train = true"
                ));
            }
            (train, 0) if !self.no_test => {
                return refuse(format!(
                    "has nobody to test on: its split sends all {train} patients to the training part; if that is \
                     meant, add confirmed.no_test = true"
                ));
            }
            (_, _) => {}
        }
        if found.features.is_empty() && found.positive == 0 && !self.no_organ {
            return refuse(format!(
                "has no organ in any of {} masks: other labels, or another folder? If that is meant, add \
                 confirmed.no_organ = true",
                found.patients()
            ));
        }
        if one_outcome && !self.one_outcome {
            return refuse(format!(
                "has {} of {} patients with the outcome, so that there is nothing to learn: another limit, or other texts \
                 for yes and no? If that is meant, add confirmed.one_outcome = true",
                found.positive,
                found.patients()
            ));
        }
        let filled_min = self.filled_min.unwrap_or_else(half);
        if *train > 0 && compared((*train).into(), (*declared).into(), filled_min) == Ordering::Less {
            return refuse(format!(
                "declares {declared} training patients and has {train}, less than {filled_min} of them: declare the true \
                 number, or, if the places are meant to stay empty, add confirmed.filled_min = \"{train}/{declared}\""
            ));
        }
        found.features.iter().try_for_each(|feature| self.judge_feature(cohort_file, found, feature))?;
        found.events.iter().try_for_each(|events| self.judge_events(cohort_file, events))
    }

    /// Refuses events that belong to nobody, as it seems, or are measured in something else.
    fn judge_events(&self, cohort_file: &Path, events: &EventsFound) -> Result<(), CohortError> {
        let refuse = |message: String| Err(CohortError::file(cohort_file, message));
        let EventsFound { lines, of_no_row, outside_window, of_no_signal, signals } = events;
        if lines == of_no_row {
            return refuse(format!(
                "has {lines} lines of events, and none with the key of a row: another column, or another file?"
            ));
        }
        if of_no_row + outside_window == *lines {
            return refuse(
                "has no event within the window: another origin, or another unit of time?".to_owned(),
            );
        }
        if signals.iter().all(|signal| signal.events() == 0) {
            return refuse(format!(
                "has no event of a signal that a feature reads, and {of_no_signal} of signals that nobody declares: \
                 other names?"
            ));
        }
        signals.iter().try_for_each(|signal| {
            let SignalCount { name, implausible, .. } = signal;
            let (events, most) = (signal.events(), self.implausible.get(name).copied().unwrap_or_else(twentieth));
            if *implausible <= 1 || compared(*implausible, events, most) != Ordering::Greater {
                return Ok(());
            }
            refuse(format!(
                "has {implausible} events of signal {name:?} among {events} outside the plausible range, more than {most} of \
                 them: another unit? If they are to be left out, add confirmed.implausible.{name} = \"SHARE\" with the \
                 largest share that may be"
            ))
        })
    }

    /// Refuses outcomes that mean missing, as it seems, and would count as one of both.
    pub(crate) fn judge_outcomes(&self, cohort_file: &Path, tally: &Tally) -> Result<(), CohortError> {
        match tally.outcome_that_means_missing() {
            Some((code, count)) if !self.outcome_numbers => Err(CohortError::file(
                cohort_file,
                format!(
                    "has {count} patients whose outcome is {code}, far from all others, as programs write what is not known: add \
                     it to outcome.unknown in the schema, or, if it was measured, confirmed.outcome_numbers = true to \
                     the cohort file"
                ),
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn judge_feature(
        &self,
        cohort_file: &Path,
        found: &Inventory,
        FeatureCount { name, missing, implausible, .. }: &FeatureCount,
    ) -> Result<(), CohortError> {
        let values = found.patients().saturating_sub(*missing);
        let most = self.implausible.get(name).copied().unwrap_or_else(twentieth);
        // One value alone is no sign of another unit, in however small a cohort.
        if *implausible <= 1 || compared((*implausible).into(), values.into(), most) != Ordering::Greater {
            return Ok(());
        }
        Err(CohortError::file(
            cohort_file,
            format!(
                "has {implausible} values of feature {name:?} among {values} outside the plausible range that the schema \
                 states, more than {most} of them: another unit, or another column? If they are to be left out as \
                 missing, add confirmed.implausible.{name} = \"{implausible}/{values}\""
            ),
        ))
    }
}

/// Compares `count` of `all` with a share, exactly.
fn compared(count: u64, all: u64, share: Ratio) -> Ordering {
    let (numerator, denominator) = (u128::from(share.numerator()), u128::from(share.denominator()));
    (u128::from(count) * denominator).cmp(&(numerator * u128::from(all)))
}

fn half() -> Ratio {
    Ratio::new(1, 2).expect("a half is a share")
}

fn twentieth() -> Ratio {
    Ratio::new(1, 20).expect("a twentieth is a share")
}
