//! Which cells of a table a plan asks for, and how each is read.

use fedtwin_plan::cohort_need::{Feature, TableNeed};
use fedtwin_plan::outcome::Outcome;
use fedtwin_plan::record::{TableRecord, Value};

use crate::error::CohortError;
use crate::table::code::Code;
use crate::table::digits::NumberFormat;
use crate::table::measured::{Limit, NumberRule};
use crate::table::outcome::OutcomeCells;
use crate::table::reading::Reading;
use crate::table::row::{Cell, Row};
use crate::table::schema::{CategoryColumn, FeatureColumn, TableSchema};
use crate::table::sheet::Sheet;

/// Where in a row the cells are that a plan asks for, and how they are read.
pub(crate) struct Layout {
    reading: Reading,
    patient_id: Option<usize>,
    outcome: OutcomeCells,
    features: Vec<Used<FeatureRule>>,
}

/// One patient's cells.
#[derive(Debug, PartialEq)]
pub(crate) struct Cells {
    pub(crate) outcome: Outcome,
    /// The number that it was read from, if it was.
    pub(crate) outcome_number: Option<f64>,
    pub(crate) values: Vec<CellValue>,
}

/// What a feature's cell holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum CellValue {
    /// A value that the schema holds plausible, or none.
    Value(Value),
    /// What the schema puts in the place of a number that is only known to be beyond a limit.
    Limited(Limit, Value),
    /// A number outside the schema's range: nobody believes it, so it is missing.
    Implausible,
}

/// A column that is used, and how.
struct Used<R> {
    column: String,
    at: usize,
    rule: R,
}

enum FeatureRule {
    Number(NumberRule),
    Category(Vec<(Code, Value)>),
}

impl Layout {
    /// Finds the plan's features, which the schema has, in the order of the plan.
    pub(crate) fn new(schema: &TableSchema, need: &TableNeed, sheet: &Sheet) -> Result<Self, CohortError> {
        let features = need.features.iter().map(|(name, feature)| {
            let own = &schema.features[name];
            let column = own.column(name).to_owned();
            Ok(Used { at: sheet.column(&column)?, column, rule: FeatureRule::new(own, feature) })
        });
        Ok(Self {
            reading: Reading::new(schema),
            patient_id: schema.patient_id.as_deref().map(|id| sheet.column(id)).transpose()?,
            outcome: OutcomeCells::new(schema, &need.outcome, sheet)?,
            features: features.collect::<Result<_, CohortError>>()?,
        })
    }

    /// Returns the patient's identifier, or why there is none; `room` is for the digits of a number.
    pub(crate) fn identifier<'r>(
        &self,
        row: &Row<'r>,
        room: &'r mut String,
    ) -> Result<Option<&'r str>, String> {
        let Some(at) = self.patient_id else { return Ok(None) };
        let cell = row.cell(at);
        if matches!(cell, Cell::Number(_)) {
            return Err("has an identifier that is stored as a floating-point number, and may have been rounded: store that \
                        column as text or as whole numbers"
                .to_owned());
        }
        let Reading { format, missing, .. } = &self.reading;
        self.reading.check_letters("the patient's identifier", cell)?;
        let number = cell.number(*format);
        let id = cell.letters(room);
        if id.is_empty() || NOBODY.iter().any(|word| word.eq_ignore_ascii_case(id)) {
            return Err("has no patient's identifier".to_owned());
        }
        let is_missing = missing.texts.iter().any(|missing| missing.eq_ignore_ascii_case(id))
            || number.is_some_and(|x| missing.is_number(x));
        if is_missing {
            return Err("has an identifier that the schema lists in `missing`, for every column: if it is a patient's, make \
                        it a feature's `sentinels`"
                .to_owned());
        }
        if id.contains('\n') {
            return Err("has a patient's identifier of several lines".to_owned());
        }
        Ok(Some(id))
    }

    /// Reads the numbers of a row: of each feature that is one, in the order of the features, and last that of the outcome.
    pub(crate) fn numbers(&self, row: &Row<'_>, numbers: &mut Vec<Option<f64>>) {
        numbers.clear();
        numbers.extend(self.features.iter().map(|Used { at, rule, .. }| match rule {
            FeatureRule::Number { .. } => row.cell(*at).number(self.reading.format),
            FeatureRule::Category(_) => None,
        }));
        numbers.push(self.outcome.number(row, self.reading.format));
    }

    /// Says whether the schema holds the outcome of this row for unknown.
    pub(crate) fn is_unknown(&self, row: &Row<'_>) -> bool {
        self.outcome.is_unknown(row, self.reading.format)
    }

    /// Reads a row's cells, of which [`Self::numbers`] has the numbers; a refusal names the column and never the value.
    pub(crate) fn read(&self, row: &Row<'_>, numbers: &[Option<f64>]) -> Result<Cells, String> {
        let mut values = Vec::with_capacity(self.features.len());
        for (Used { column, at, rule }, number) in self.features.iter().zip(numbers) {
            // Most cells of numbers are no more than that.
            if let Some(x) = number
                && let Some(value) = rule.number(*x, &self.reading)
            {
                values.push(value);
                continue;
            }
            let cell = row.cell(*at);
            self.reading.check_letters(column, cell)?;
            let value = rule.value(cell, *number, &self.reading);
            values.push(value.map_err(|expected| self.reading.refusal(column, cell, expected))?);
        }
        let outcome_number = numbers.last().copied().flatten();
        let outcome = self.outcome.read(row, outcome_number, &self.reading)?;
        Ok(Cells { outcome, outcome_number, values })
    }
}

impl Cells {
    /// Returns the record that a plan sees.
    pub(crate) fn record(self) -> TableRecord {
        let value = |cell| match cell {
            CellValue::Value(value) | CellValue::Limited(_, value) => value,
            CellValue::Implausible => Value::Missing,
        };
        TableRecord { outcome: self.outcome, values: self.values.into_iter().map(value).collect() }
    }
}

impl FeatureRule {
    /// Makes the rule that reads a cohort's column as the plan's feature, which the column fits.
    fn new(column: &FeatureColumn, feature: &Feature) -> Self {
        let code = |text: &str| Code::new(text, NumberFormat::PLAIN);
        match column {
            FeatureColumn::Number(column) => Self::Number(NumberRule::new(column, feature)),
            FeatureColumn::Category(CategoryColumn { codes, sentinels, .. }) => {
                let codes =
                    codes.iter().map(|(text, name)| (code(text), Value::Category(index(feature, name))));
                let sentinels = sentinels.iter().map(|text| (code(text), Value::Missing));
                Self::Category(codes.chain(sentinels).collect())
            }
        }
    }

    /// Returns what a number means, if its text says no more.
    fn number(&self, x: f64, reading: &Reading) -> Option<CellValue> {
        match self {
            Self::Number(rule) => rule.number(x, reading),
            Self::Category(_) => None,
        }
    }

    fn value(
        &self,
        cell: Cell<'_>,
        number: Option<f64>,
        reading: &Reading,
    ) -> Result<CellValue, &'static str> {
        if reading.missing.is_text(cell) {
            return Ok(CellValue::Value(Value::Missing));
        }
        match self {
            Self::Number(rule) => rule.value(cell, number, reading),
            Self::Category(codes) => {
                let mut room = String::new();
                let own = cell.code(reading.format, &mut room);
                if reading.missing.codes.iter().any(|missing| missing.is(own)) {
                    return Ok(CellValue::Value(Value::Missing));
                }
                let found = codes.iter().find(|(code, _)| code.is(own));
                let value = found.map(|(_, value)| CellValue::Value(*value));
                value.ok_or("one of the schema's codes or texts for missing")
            }
        }
    }
}

/// Finds a category in the plan's list; a schema that fits has no other.
fn index(feature: &Feature, category: &str) -> u32 {
    let names: &[String] = match feature {
        Feature::Category(names) => names,
        Feature::Number(_) => &[],
    };
    let found = (0..).zip(names).find(|(_, name)| *name == category);
    found.map(|(index, _)| index).expect("the schema fits the plan")
}

/// What programs write where there is nothing, whatever the schema says; nobody is called that.
const NOBODY: &[&str] = &[
    "nan", "none", "null", "nil", "na", "n/a", "#n/a", "<na>", "nat", "unknown", "missing", "#ref!",
    "#value!", "#name?", "-", "--", "?", ".",
];
