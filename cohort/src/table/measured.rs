//! Columns of measured numbers: their units, and cells that hold a limit instead of a number.

use fedtwin_plan::cohort_need::{Feature, NumberRange};
use fedtwin_plan::inventory::UnitFound;
use fedtwin_plan::record::Value;
use fedtwin_plan::text_file::Problem;
use fedtwin_units::{
    Analyte, Conversion, Decimal, MolarMass, NoConversion, NotAConstant, Unit, Valence, conversion,
};
use serde::Deserialize;

use crate::mismatch::Mismatch;
use crate::table::digits::NumberFormat;
use crate::table::layout::CellValue;
use crate::table::reading::{Missing, Reading, same};
use crate::table::row::Cell;
use crate::table::schema::NumberColumn;

/// What stands for a number that is below a limit, as in `<0.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BelowLimit {
    /// The limit.
    Limit,
    /// A half of the limit.
    Half,
    /// Nothing: the number is missing.
    Missing,
}

/// What stands for a number that is above a limit, as in `>90`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AboveLimit {
    /// The limit.
    Limit,
    /// Nothing: the number is missing.
    Missing,
}

/// A column whose numbers become numbers in a plan's unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The feature's name.
    pub feature: String,
    /// The schema's unit.
    pub from: String,
    /// The plan's unit.
    pub to: String,
}

/// On which side of a limit a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Below,
    Above,
}

/// How a cell becomes a number in the plan's unit.
pub(crate) struct NumberRule {
    sentinels: Vec<f64>,
    low: f64,
    high: f64,
    below: Option<BelowLimit>,
    above: Option<AboveLimit>,
    /// Where the plan's unit is another one.
    conversion: Option<Conversion>,
}

impl NumberRule {
    /// Makes the rule that reads a column as the plan's feature, which the column fits.
    pub(crate) fn new(column: &NumberColumn, feature: &Feature) -> Self {
        let conversion = match feature {
            Feature::Number(range) => column.conversion(&range.unit),
            Feature::Category(_) => Ok(None),
        };
        Self {
            sentinels: column.sentinels.clone(),
            low: column.low,
            high: column.high,
            below: column.below,
            above: column.above,
            conversion: conversion.expect("the schema fits the plan"),
        }
    }

    /// Reads a cell that is no text for missing, and its number if it is one; the refusal says what was expected.
    pub(super) fn value(
        &self,
        cell: Cell<'_>,
        number: Option<f64>,
        reading: &Reading,
    ) -> Result<CellValue, &'static str> {
        let Reading { format, missing, .. } = reading;
        let Some(x) = number else {
            return match cell {
                Cell::Text(text) => match limited(text) {
                    Some((limit, text)) => self.limit(limit, text, *format),
                    None => Err(NUMBER),
                },
                Cell::Digits(_) | Cell::Number(_) | Cell::Whole(_) => Err(NUMBER),
            };
        };
        if let Some(value) = self.not_measured(x, missing) {
            return Ok(value);
        }
        Ok(CellValue::Value(Value::Number(self.converted(x, || cell.decimal(*format)))))
    }

    /// Returns what a number means, if its text says no more: where no text for missing is that number in the table's own
    /// format, and nothing is converted.
    pub(super) fn number(&self, x: f64, reading: &Reading) -> Option<CellValue> {
        let says_more = self.conversion.is_some() || reading.missing.has_other_numbers;
        let measured = || CellValue::Value(Value::Number(x));
        (!says_more).then(|| self.not_measured(x, &reading.missing).unwrap_or_else(measured))
    }

    /// Returns what a number means that nobody measured, or believes.
    fn not_measured(&self, x: f64, missing: &Missing) -> Option<CellValue> {
        if missing.is_number(x) || self.sentinels.iter().any(|&sentinel| same(sentinel, x)) {
            return Some(CellValue::Value(Value::Missing));
        }
        (!self.is_plausible(x)).then_some(CellValue::Implausible)
    }

    /// Reads a limit, whose text is the number alone. The plausible range holds for it; what is put in its place may be below.
    fn limit(&self, limit: Limit, text: &str, format: NumberFormat) -> Result<CellValue, &'static str> {
        let x = format.number(text).ok_or(NUMBER)?;
        let decimal = || format.decimal(text);
        let value = match (limit, self.below, self.above) {
            (Limit::Below, None, _) => return Err(NO_BELOW),
            (Limit::Above, _, None) => return Err(NO_ABOVE),
            (Limit::Below, Some(BelowLimit::Half), _) if x < 0.0 => return Err(NEGATIVE),
            (Limit::Below, Some(BelowLimit::Half), _) => {
                let halved = || decimal().map(|limit| limit.halved());
                Value::Number(self.converted(x / 2.0, halved))
            }
            (Limit::Below, Some(BelowLimit::Limit), _) | (Limit::Above, _, Some(AboveLimit::Limit)) => {
                Value::Number(self.converted(x, decimal))
            }
            (Limit::Below, Some(BelowLimit::Missing), _) | (Limit::Above, _, Some(AboveLimit::Missing)) => {
                Value::Missing
            }
        };
        Ok(if self.is_plausible(x) { CellValue::Limited(limit, value) } else { CellValue::Implausible })
    }

    fn is_plausible(&self, x: f64) -> bool {
        (self.low..=self.high).contains(&x)
    }

    /// Returns the number in the plan's unit: from its digits, or, where they are more than units take, from the nearest
    /// binary number.
    fn converted(&self, x: f64, digits: impl FnOnce() -> Option<Decimal>) -> f64 {
        match &self.conversion {
            None => x,
            Some(conversion) => conversion.apply(&digits().unwrap_or_else(|| decimal(x))),
        }
    }
}

impl NumberColumn {
    /// Holds the plan's unit and range against the column's.
    pub(crate) fn fit(&self, feature: String, plan: &NumberRange) -> Result<(), Mismatch> {
        let conversion = self.conversion(&plan.unit).map_err(|why| {
            let (plan, cohort) = (plan.unit.clone(), self.unit.clone());
            Mismatch::Unit { feature: feature.clone(), plan, cohort, why: Box::new(why) }
        })?;
        let own = [self.low, self.high];
        let cohort = conversion.map_or(own, |conversion| own.map(|x| conversion.apply(&decimal(x))));
        if plan.high <= cohort[0] || cohort[1] <= plan.low {
            let unit = plan.unit.clone();
            return Err(Mismatch::Range { feature, unit, plan: [plan.low, plan.high], cohort });
        }
        Ok(())
    }

    /// Says from which unit to which numbers are converted for a plan, if they are.
    pub(crate) fn converted(&self, feature: &str, plan: &NumberRange) -> Option<Converted> {
        self.conversion(&plan.unit).ok().flatten()?;
        let (from, to) = (self.unit.clone(), plan.unit.clone());
        Some(Converted { feature: feature.to_owned(), from, to })
    }

    /// Finds the way to a plan's unit; nothing where numbers stay as they are. Equal texts are equal units, known or not.
    pub(crate) fn conversion(&self, plan: &str) -> Result<Option<Conversion>, NoConversion> {
        if plan == self.unit {
            return Ok(None);
        }
        let analyte = self.analyte().expect("the schema is checked");
        Ok(Some(conversion(&self.unit, plan, &analyte)?).filter(|conversion| !conversion.is_identity()))
    }

    pub(crate) fn check(&self, key: &str) -> Result<(), Problem> {
        let Self { low, high, .. } = self;
        if !(low.is_finite() && high.is_finite() && low < high) {
            let message = format!("is plausible from {low} to {high}, expected low below high");
            return Err(Problem::new(key, message));
        }
        if let Err(not) = self.analyte() {
            let constant = match not {
                NotAConstant::MolarMass => "molar_mass",
                NotAConstant::Valence => "valence",
            };
            return Err(Problem::new(format!("{key}.{constant}"), not.to_string()));
        }
        if self.below == Some(BelowLimit::Half)
            && Unit::parse(&self.unit).is_ok_and(|unit| !unit.has_true_zero())
        {
            let message = format!("is \"half\", and a half of a number of {} is no half of it", self.unit);
            return Err(Problem::new(format!("{key}.below"), message));
        }
        Ok(())
    }

    fn analyte(&self) -> Result<Analyte, NotAConstant> {
        Ok(Analyte {
            molar_mass: self.molar_mass.map(MolarMass::try_from).transpose()?,
            valence: self.valence.map(Valence::try_from).transpose()?,
        })
    }
}

/// Returns how a unit is understood.
pub(crate) fn unit_found(unit: &str) -> UnitFound {
    let code = Unit::parse(unit).ok().map(|unit| unit.code().to_owned());
    UnitFound { written: unit.to_owned(), code }
}

/// Splits a cell with a limit into its sign and the rest.
fn limited(text: &str) -> Option<(Limit, &str)> {
    let (limit, rest) = if let Some(rest) = text.strip_prefix(['<', '\u{2264}']) {
        (Limit::Below, rest)
    } else {
        (Limit::Above, text.strip_prefix(['>', '\u{2265}'])?)
    };
    let sign_is_whole = text.starts_with(['\u{2264}', '\u{2265}']);
    let rest = if sign_is_whole { rest } else { rest.strip_prefix('=').unwrap_or(rest) };
    Some((limit, rest.trim_start()))
}

fn decimal(x: f64) -> Decimal {
    Decimal::try_from(x).expect("a finite number has at most 17 digits")
}

const NUMBER: &str = "a number or one of the schema's texts for missing";
const NO_BELOW: &str = "a number or one of the schema's texts for missing; what is below a limit of detection needs \
                        below = \"limit\", \"half\" or \"missing\" in the feature's schema";
const NO_ABOVE: &str = "a number or one of the schema's texts for missing; what is above a limit of detection needs \
                        above = \"limit\" or \"missing\" in the feature's schema";
const NEGATIVE: &str =
    "a limit of at least 0, since a half of any other is above it: below = \"limit\" or \"missing\"";
