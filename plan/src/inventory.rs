//! What a cohort held when it was read as a whole: for people at the site, and never beyond it.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// A cohort as it was checked: how many patients there are, who was left out and why, and what their values are like.
///
/// Integers and words of the hospital's own schema; no identifier, no line, no value. It depends on patients all
/// the same, so it stays at the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// The declared, public number of training patients.
    pub declared: u32,
    /// Training patients found, at most as many as declared.
    pub train: u32,
    /// Test patients found.
    pub test: u32,
    /// Patients of both parts in whom the outcome happened, once or more; where the records are images, whose mask has organ.
    pub positive: u32,
    /// Who or what is in neither part, by reason; only reasons that occurred.
    pub left_out: Vec<LeftOut>,
    /// The features of both parts' patients; empty where the records are images.
    pub features: Vec<FeatureCount>,
    /// The events, where features are summaries of them.
    #[serde(default)]
    pub events: Option<EventsFound>,
    /// Of the bytes and names of every file that the cohort is made of.
    pub digest: Digest,
}

/// What a table of events held, of which features are summaries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsFound {
    /// Lines, or rows, of the table.
    pub lines: u64,
    /// Those whose key no row of the cohort has.
    pub of_no_row: u64,
    /// Those of rows, at times outside the window.
    pub outside_window: u64,
    /// Those of rows within the window, of signals that nobody declares.
    pub of_no_signal: u64,
    /// The signals that features are made of.
    pub signals: Vec<SignalCount>,
}

/// What one signal's events of rows within the window are like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalCount {
    /// The signal's name in the cohort file.
    pub name: String,
    /// Values that count.
    pub values: u64,
    /// Values outside the signal's plausible range, which do not.
    pub implausible: u64,
}

/// How many were left out for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Why.
    pub reason: LeftOutReason,
    /// How many patients, or files.
    pub count: u32,
}

/// Why somebody, or some file, is in neither part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftOutReason {
    /// The split's list does not name the patient.
    NotInSplit,
    /// The index does not choose the image.
    NotInIndex,
    /// The schema says that this outcome is not known.
    OutcomeUnknown,
    /// The file's name has none of the endings that count.
    OtherFile,
}

/// What one feature's cells are like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureCount {
    /// The feature's name in the schema.
    pub name: String,
    /// Patients without a value.
    pub missing: u32,
    /// Patients whose value is outside the schema's plausible range.
    pub implausible: u32,
    /// Patients of whom only a limit is known that the value is below.
    #[serde(default)]
    pub below: u32,
    /// Patients of whom only a limit is known that the value is above.
    #[serde(default)]
    pub above: u32,
    /// The unit, where values are numbers.
    #[serde(default)]
    pub unit: Option<UnitFound>,
}

/// A feature's unit, and how it is understood.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitFound {
    /// The schema's text.
    pub written: String,
    /// The code in UCUM that it is read as; none where it is no known unit, and compared as a text alone.
    pub code: Option<String>,
}

impl FeatureCount {
    /// Begins to count a feature, of which no patient is known.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self { name: name.to_owned(), missing: 0, implausible: 0, below: 0, above: 0, unit: None }
    }
}

impl Inventory {
    /// Returns the patients of both parts.
    #[must_use]
    pub fn patients(&self) -> u32 {
        self.train.saturating_add(self.test)
    }
}

impl SignalCount {
    /// Returns the values that are there, plausible or not.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.values.saturating_add(self.implausible)
    }
}

impl fmt::Display for EventsFound {
    /// Writes a line of all events, and one of those within the window by signal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lines, of_no_row, outside_window, of_no_signal, signals } = self;
        write!(f, "events: {lines} lines")?;
        let others = [
            (of_no_row, "of no row"),
            (outside_window, "outside the window"),
            (of_no_signal, "of signals that nobody declares"),
        ];
        for (count, what) in others.into_iter().filter(|&(&count, _)| count > 0) {
            write!(f, ", {count} {what}")?;
        }
        for (nth, SignalCount { name, values, implausible }) in signals.iter().enumerate() {
            write!(f, "{}{name} {values}", if nth == 0 { "\nin the window: " } else { ", " })?;
            if *implausible > 0 {
                write!(f, " (and {implausible} outside the plausible range)")?;
            }
        }
        Ok(())
    }
}

impl Inventory {
    /// Writes how units are read that are no codes of UCUM themselves, each once.
    fn write_units(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units: BTreeSet<_> = self.features.iter().filter_map(|count| count.unit.as_ref()).collect();
        let spelled = units.iter().filter_map(|UnitFound { written, code }| match code {
            Some(code) if code != written => Some(format!("{written} as {code}")),
            Some(_) | None => None,
        });
        let unknown = units.iter().filter(|unit| unit.code.is_none()).map(|unit| unit.written.clone());
        for (what, units) in [
            ("units are read", spelled.collect::<Vec<_>>()),
            ("known as no units, and the same in a plan or refused", unknown.collect()),
        ] {
            if !units.is_empty() {
                write!(f, "\n{what}: {}", units.join(", "))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Inventory {
    /// Writes a line of patients, a line of those left out, a line per feature that lacks values, or has implausible ones or
    /// limits, and how units are read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { declared, train, test, .. } = self;
        write!(f, "{train} of {declared} declared training patients and {test} test patients")?;
        for (nth, LeftOut { reason, count }) in self.left_out.iter().enumerate() {
            let between = if nth == 0 { "\nleft out: " } else { ", " };
            write!(f, "{between}{count} {reason}")?;
        }
        let patients = self.patients();
        let what = if self.features.is_empty() { "an organ in the mask" } else { "the outcome" };
        write!(f, "\n{} of {patients} with {what}", self.positive)?;
        for FeatureCount { name, missing, implausible, below, above, unit: _ } in &self.features {
            if [missing, implausible, below, above].iter().all(|&&count| count == 0) {
                continue;
            }
            write!(f, "\n{name}: {missing} of {patients} missing")?;
            let others = [
                (implausible, "outside the plausible range"),
                (below, "below a limit"),
                (above, "above a limit"),
            ];
            for (count, what) in others.into_iter().filter(|&(&count, _)| count > 0) {
                write!(f, ", {count} {what}")?;
            }
        }
        if let Some(events) = &self.events {
            write!(f, "\n{events}")?;
        }
        self.write_units(f)
    }
}

impl fmt::Display for LeftOutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotInSplit => "that the split's list does not name",
            Self::NotInIndex => "that the index does not choose",
            Self::OutcomeUnknown => "whose outcome is not known",
            Self::OtherFile => "files of other kinds",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_what_was_found_and_what_was_not() {
        let left_out = [(LeftOutReason::NotInSplit, 3), (LeftOutReason::OutcomeUnknown, 1)];
        let feature = |name: &str, missing, implausible| FeatureCount {
            missing,
            implausible,
            ..FeatureCount::of(name)
        };
        let unit = |written: &str, code: Option<&str>| {
            Some(UnitFound { written: written.into(), code: code.map(Into::into) })
        };
        let with_limits =
            FeatureCount { below: 4, above: 1, unit: unit("mg/L", Some("mg/L")), ..feature("crp", 0, 0) };
        let inventory = Inventory {
            declared: 60,
            train: 48,
            test: 12,
            positive: 20,
            left_out: left_out.map(|(reason, count)| LeftOut { reason, count }).to_vec(),
            features: vec![
                FeatureCount { unit: unit("years", Some("a")), ..feature("age", 0, 0) },
                FeatureCount { unit: unit("vessels", None), ..feature("ca", 0, 0) },
                feature("chol", 7, 0),
                with_limits,
                feature("temp", 0, 30),
            ],
            events: Some(EventsFound {
                lines: 900,
                of_no_row: 7,
                outside_window: 0,
                of_no_signal: 5,
                signals: [("hr", 800, 0), ("map", 80, 8)]
                    .map(|(name, values, implausible)| SignalCount { name: name.into(), values, implausible })
                    .to_vec(),
            }),
            digest: Digest::of(b""),
        };
        assert_eq!(
            inventory.to_string(),
            "48 of 60 declared training patients and 12 test patients\n\
             left out: 3 that the split's list does not name, 1 whose outcome is not known\n\
             20 of 60 with the outcome\n\
             chol: 7 of 60 missing\n\
             crp: 0 of 60 missing, 4 below a limit, 1 above a limit\n\
             temp: 0 of 60 missing, 30 outside the plausible range\n\
             events: 900 lines, 7 of no row, 5 of signals that nobody declares\n\
             in the window: hr 800, map 80 (and 8 outside the plausible range)\n\
             units are read: years as a\n\
             known as no units, and the same in a plan or refused: vessels"
        );
    }
}
