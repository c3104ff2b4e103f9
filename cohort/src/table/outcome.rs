//! The outcome of a table's rows: how the schema says it, and how its cells are read.

use fedtwin_plan::follow_up::{FollowUp, Observed};
use fedtwin_plan::outcome::{AskedOutcome, COUNT_MAX, Outcome, OutcomeKind, OutcomeNeed};
use fedtwin_plan::text_file::Problem;
use fedtwin_units::{Analyte, Conversion, NoConversion, conversion};
use serde::Deserialize;

use crate::error::CohortError;
use crate::mismatch::Mismatch;
use crate::table::code::Code;
use crate::table::digits::NumberFormat;
use crate::table::reading::{Missing, Reading};
use crate::table::row::{Cell, Row};
use crate::table::schema::{TableSchema, check_codes};
use crate::table::sheet::Sheet;

/// The outcome and how it is read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeColumn {
    /// The name that plans use.
    pub name: String,
    /// The table's column, if it is called otherwise.
    pub column: Option<String>,
    /// Whether it happened, or how often.
    pub rule: OutcomeRule,
    /// Texts of an outcome that nobody knows; such patients are left out.
    #[serde(default)]
    pub unknown: Vec<String>,
}

/// Whether the outcome happened, or how often.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutcomeRule {
    /// The column's number is above this one.
    Above(f64),
    /// The column's text is one of some; all others are refused.
    Texts(OutcomeTexts),
    /// The column's number, a whole one, says how often.
    Count,
    /// The column's text says whether it happened, and another column's number when, or until when it had not.
    Event(EventRule),
}

/// How long patients were followed, in columns beside the one that says whether it happened.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventRule {
    /// Texts of the outcome's column: it happened, at the patient's time.
    pub yes: Vec<String>,
    /// It had not happened by the patient's time: the patient is censored.
    pub no: Vec<String>,
    /// The column of the time since the origin that all patients have, at least 0.
    pub time: String,
    /// The column of the time at which a patient came under observation; without it, all did at the origin.
    pub entry: Option<String>,
    /// The unit of both columns, compared with the plan's.
    pub unit: String,
    /// The longest plausible time: public knowledge, never a statistic of the cohort. A longer one is refused.
    pub high: f64,
}

/// The texts of an outcome; `1` and `1.0` are the same.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeTexts {
    /// It happened.
    pub yes: Vec<String>,
    /// It did not.
    pub no: Vec<String>,
}

/// Where the cells of an outcome are, and how they are read.
pub(crate) struct OutcomeCells {
    column: Column,
    unknown: Missing,
    rule: Rule,
}

struct Column {
    name: String,
    at: usize,
}

enum Rule {
    Above(f64),
    Count,
    Codes(Codes),
    Event { codes: Codes, time: Column, entry: Option<Column>, scale: TimeScale },
}

/// How a column's times become a plan's.
struct TimeScale {
    high: f64,
    /// Where the plan's unit is another one.
    conversion: Option<Conversion>,
}

struct Codes {
    yes: Vec<Code>,
    no: Vec<Code>,
}

impl OutcomeColumn {
    /// Returns the table's column.
    pub(crate) fn column(&self) -> &str {
        self.column.as_deref().unwrap_or(&self.name)
    }
}

impl OutcomeRule {
    /// Returns the kind of outcome that it reads.
    pub(super) fn kind(&self) -> OutcomeKind {
        match self {
            Self::Above(_) | Self::Texts(_) => OutcomeKind::YesNo,
            Self::Count => OutcomeKind::Count,
            Self::Event(_) => OutcomeKind::Event,
        }
    }

    /// Returns what a plan can ask for; of an event, one interval up to the longest time.
    pub(super) fn asked(&self) -> AskedOutcome {
        match self {
            Self::Above(_) | Self::Texts(_) => AskedOutcome::YesNo,
            Self::Count => AskedOutcome::Count,
            Self::Event(EventRule { unit, high, .. }) => {
                AskedOutcome::Event(FollowUp { unit: unit.clone(), from: 0.0, until: vec![*high] })
            }
        }
    }

    /// Checks that times are in the unit of a plan that asks for an outcome of this kind.
    pub(super) fn fit(&self, need: &OutcomeNeed) -> Result<(), Mismatch> {
        match (self, &need.asked) {
            (Self::Event(own), AskedOutcome::Event(plan)) => match own.conversion(plan) {
                Ok(_) => Ok(()),
                Err(why) => {
                    let (feature, plan, cohort) = (need.name.clone(), plan.unit.clone(), own.unit.clone());
                    Err(Mismatch::Unit { feature, plan, cohort, why: Box::new(why) })
                }
            },
            (
                Self::Above(_) | Self::Texts(_) | Self::Count | Self::Event(_),
                AskedOutcome::YesNo | AskedOutcome::Count | AskedOutcome::Event(_),
            ) => Ok(()),
        }
    }

    /// Returns the columns beside the outcome's own that are read with it.
    pub(crate) fn other_columns(&self) -> impl Iterator<Item = &str> {
        let (time, entry) = match self {
            Self::Above(_) | Self::Texts(_) | Self::Count => (None, None),
            Self::Event(EventRule { time, entry, .. }) => (Some(time.as_str()), entry.as_deref()),
        };
        time.into_iter().chain(entry)
    }
}

impl OutcomeColumn {
    pub(super) fn check(&self) -> Result<(), Problem> {
        let unknown = self.unknown.iter().map(|text| (text, "unknown"));
        match &self.rule {
            OutcomeRule::Above(limit) if !limit.is_finite() => {
                Err(Problem::new("outcome.rule.above", format!("is {limit}, expected a number")))
            }
            OutcomeRule::Event(EventRule { high, .. }) if !(high.is_finite() && *high > 0.0) => {
                Err(Problem::new("outcome.rule.event.high", format!("is {high}, expected a time above 0")))
            }
            OutcomeRule::Above(_) | OutcomeRule::Count => Ok(()),
            OutcomeRule::Texts(OutcomeTexts { yes, no }) | OutcomeRule::Event(EventRule { yes, no, .. }) => {
                let yes = yes.iter().map(|text| (text, "yes"));
                let no = no.iter().map(|text| (text, "no"));
                check_codes("outcome.rule", yes.chain(no).chain(unknown))
            }
        }
    }
}

impl EventRule {
    /// Finds the way to the plan's unit of time; nothing where times stay as they are.
    fn conversion(&self, plan: &FollowUp) -> Result<Option<Conversion>, NoConversion> {
        if self.unit == plan.unit {
            return Ok(None);
        }
        let found = conversion(&self.unit, &plan.unit, &Analyte::default())?;
        Ok(Some(found).filter(|conversion| !conversion.is_identity()))
    }
}

impl OutcomeCells {
    /// Finds the outcome's columns.
    pub(crate) fn new(schema: &TableSchema, need: &OutcomeNeed, sheet: &Sheet) -> Result<Self, CohortError> {
        let own = &schema.outcome;
        let column =
            |name: &str| Ok::<_, CohortError>(Column { name: name.to_owned(), at: sheet.column(name)? });
        let rule = match &own.rule {
            OutcomeRule::Above(limit) => Rule::Above(*limit),
            OutcomeRule::Count => Rule::Count,
            OutcomeRule::Texts(OutcomeTexts { yes, no }) => Rule::Codes(Codes::new(yes, no)),
            OutcomeRule::Event(rule) => {
                let conversion = match &need.asked {
                    AskedOutcome::Event(plan) => rule.conversion(plan).expect("the schema fits the plan"),
                    AskedOutcome::YesNo | AskedOutcome::Count => None,
                };
                Rule::Event {
                    codes: Codes::new(&rule.yes, &rule.no),
                    time: column(&rule.time)?,
                    entry: rule.entry.as_deref().map(column).transpose()?,
                    scale: TimeScale { high: rule.high, conversion },
                }
            }
        };
        Ok(Self {
            column: column(own.column())?,
            unknown: Missing::new(&own.unknown, schema.numbers()),
            rule,
        })
    }

    /// Reads the number of a row's outcome, if it is read from one.
    pub(crate) fn number(&self, row: &Row<'_>, format: NumberFormat) -> Option<f64> {
        self.rule.is_number().then(|| row.cell(self.column.at).number(format)).flatten()
    }

    /// Says whether the schema holds the outcome of this row for unknown.
    pub(crate) fn is_unknown(&self, row: &Row<'_>, format: NumberFormat) -> bool {
        let time = match &self.rule {
            Rule::Event { time, .. } => Some(time.at),
            Rule::Above(_) | Rule::Count | Rule::Codes(_) => None,
        };
        [self.column.at].into_iter().chain(time).any(|at| self.unknown.is_met(row.cell(at), format))
    }

    /// Reads a row's outcome, of which [`Self::number`] has the number; a refusal names the column and never the value.
    pub(crate) fn read(
        &self,
        row: &Row<'_>,
        number: Option<f64>,
        reading: &Reading,
    ) -> Result<Outcome, String> {
        let cell = row.cell(self.column.at);
        reading.check_letters(&self.column.name, cell)?;
        let refusal = |expected| reading.refusal(&self.column.name, cell, expected);
        if reading.is_missing(cell, number) {
            return Err(refusal(MAY_NOT_BE_MISSING));
        }
        let happened = |codes: &Codes| codes.happened(cell, reading.format).ok_or_else(|| refusal(YES_OR_NO));
        Ok(match &self.rule {
            Rule::Above(limit) => Outcome::YesNo(number.ok_or_else(|| refusal("a number"))? > *limit),
            Rule::Count => {
                let count = number.and_then(count);
                Outcome::Count(count.ok_or_else(|| refusal("a count: a whole number from 0 to 1000000"))?)
            }
            Rule::Codes(codes) => Outcome::YesNo(happened(codes)?),
            Rule::Event { codes, time, entry, scale } => {
                let (happened, time) = (happened(codes)?, time.time(row, reading, scale)?);
                let entry = entry.as_ref().map(|column| {
                    let entry = column.time(row, reading, scale)?;
                    let after = || format!("column {:?}: comes after the time of the outcome", column.name);
                    (entry <= time).then_some(entry).ok_or_else(after)
                });
                Outcome::Event(Observed { entry: entry.transpose()?.unwrap_or(0.0), time, happened })
            }
        })
    }
}

impl Column {
    /// Reads a time since the origin, in the plan's unit.
    fn time(&self, row: &Row<'_>, reading: &Reading, scale: &TimeScale) -> Result<f64, String> {
        let cell = row.cell(self.at);
        reading.check_letters(&self.name, cell)?;
        let number = cell.number(reading.format);
        let refusal = |expected: &str| reading.refusal(&self.name, cell, expected);
        if reading.is_missing(cell, number) {
            return Err(refusal(MAY_NOT_BE_MISSING));
        }
        let time = number.ok_or_else(|| refusal("a time as a number"))?;
        if !(0.0..=scale.high).contains(&time) {
            let high = scale.high;
            return Err(refusal(&format!("a time from 0 to {high}, which the schema holds for the longest")));
        }
        let Some(conversion) = &scale.conversion else { return Ok(time.abs()) };
        let digits = cell.decimal(reading.format).or_else(|| time.to_string().parse().ok());
        // Minus zero is zero.
        digits.map(|digits| conversion.apply(&digits).abs()).ok_or_else(|| refusal("a time of fewer digits"))
    }
}

impl Codes {
    fn new(yes: &[String], no: &[String]) -> Self {
        let codes =
            |texts: &[String]| texts.iter().map(|text| Code::new(text, NumberFormat::PLAIN)).collect();
        Self { yes: codes(yes), no: codes(no) }
    }

    fn happened(&self, cell: Cell<'_>, format: NumberFormat) -> Option<bool> {
        let mut room = String::new();
        let code = cell.code(format, &mut room);
        if self.yes.iter().any(|yes| yes.is(code)) {
            return Some(true);
        }
        self.no.iter().any(|no| no.is(code)).then_some(false)
    }
}

impl Rule {
    /// Says whether the outcome is read from a number.
    fn is_number(&self) -> bool {
        match self {
            Self::Above(_) | Self::Count => true,
            Self::Codes(_) | Self::Event { .. } => false,
        }
    }
}

/// Returns a whole number that is a count.
fn count(x: f64) -> Option<u32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and within range")]
    (x.fract() == 0.0 && (0.0..=f64::from(COUNT_MAX)).contains(&x)).then_some(x as u32)
}

const MAY_NOT_BE_MISSING: &str =
    "the outcome, which may not be missing; texts in outcome.unknown leave such a patient out";
const YES_OR_NO: &str = "one of the schema's texts for yes or no";
