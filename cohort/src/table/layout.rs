//! Which cells of a table a plan asks for, and how each is read.

use fedtwin_plan::cohort_need::{Feature, TableNeed};
use fedtwin_plan::outcome::{COUNT_MAX, Outcome};
use fedtwin_plan::record::{TableRecord, Value};

use crate::error::CohortError;
use crate::table::code::Code;
use crate::table::digits::NumberFormat;
use crate::table::measured::{Limit, NumberRule};
use crate::table::row::{Cell, Row};
use crate::table::schema::{CategoryColumn, FeatureColumn, OutcomeRule, TableSchema};
use crate::table::sheet::Sheet;
use crate::table::text::trimmed;

/// Where in a row the cells are that a plan asks for, and how they are read.
pub(crate) struct Layout {
    format: NumberFormat,
    encoding: String,
    missing: Missing,
    pub(crate) patient_id: Option<usize>,
    outcome: Used<OutcomeColumn>,
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

/// What texts mean missing; in a column of numbers, they do as numbers.
pub(super) struct Missing {
    texts: Vec<String>,
    codes: Vec<Code>,
    numbers: Vec<f64>,
}

/// A column that is used, and how.
struct Used<R> {
    column: String,
    at: usize,
    rule: R,
}

struct OutcomeColumn {
    unknown: Missing,
    rule: OutcomeCells,
}

enum OutcomeCells {
    Above(f64),
    Count,
    Codes { yes: Vec<Code>, no: Vec<Code> },
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
        let column = schema.outcome.column().to_owned();
        let outcome = Used { at: sheet.column(&column)?, column, rule: OutcomeColumn::new(schema) };
        Ok(Self {
            format: schema.numbers(),
            encoding: schema.encoding.to_string(),
            missing: Missing::new(&schema.missing),
            patient_id: schema.patient_id.as_deref().map(|id| sheet.column(id)).transpose()?,
            outcome,
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
        self.check_letters("the patient's identifier", cell)?;
        let number = cell.number(self.format);
        let id = cell.letters(room);
        if id.is_empty() || NOBODY.iter().any(|word| word.eq_ignore_ascii_case(id)) {
            return Err("has no patient's identifier".to_owned());
        }
        let is_missing = self.missing.texts.iter().any(|missing| missing.eq_ignore_ascii_case(id))
            || number.is_some_and(|x| self.missing.is_number(x));
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
            FeatureRule::Number { .. } => row.cell(*at).number(self.format),
            FeatureRule::Category(_) => None,
        }));
        let outcome = &self.outcome;
        numbers.push(outcome.rule.rule.is_number().then(|| row.cell(outcome.at).number(self.format)).flatten());
    }

    /// Says whether the schema holds the outcome of this row for unknown.
    pub(crate) fn is_unknown(&self, row: &Row<'_>) -> bool {
        let unknown = &self.outcome.rule.unknown;
        if unknown.texts.is_empty() {
            return false;
        }
        let (cell, mut room) = (row.cell(self.outcome.at), String::new());
        unknown.is_code(cell, self.format, &mut room)
            || cell.number(self.format).is_some_and(|x| unknown.is_number(x))
    }

    /// Reads a row's cells, of which [`Self::numbers`] has the numbers; a refusal names the column and never the value.
    pub(crate) fn read(&self, row: &Row<'_>, numbers: &[Option<f64>]) -> Result<Cells, String> {
        let mut values = Vec::with_capacity(self.features.len());
        for (Used { column, at, rule }, number) in self.features.iter().zip(numbers) {
            let cell = row.cell(*at);
            self.check_letters(column, cell)?;
            let value = rule.value(cell, *number, self.format, &self.missing);
            values.push(value.map_err(|expected| self.refusal(column, cell, expected))?);
        }
        let Used { column, at, rule: OutcomeColumn { unknown: _, rule } } = &self.outcome;
        let (cell, mut room) = (row.cell(*at), String::new());
        self.check_letters(column, cell)?;
        let number = numbers.last().copied().flatten();
        let outcome = match rule {
            _ if self.missing.is_text(cell) || number.is_some_and(|x| self.missing.is_number(x)) => Err(
                "the outcome, which may not be missing; texts in outcome.unknown leave such a patient out",
            ),
            OutcomeCells::Above(limit) => number.map(|x| Outcome::YesNo(x > *limit)).ok_or("a number"),
            OutcomeCells::Count => {
                let count = number.and_then(count);
                count.map(Outcome::Count).ok_or("a count: a whole number from 0 to 1000000")
            }
            OutcomeCells::Codes { yes, no } => {
                let code = cell.code(self.format, &mut room);
                match (yes.iter().any(|yes| yes.is(code)), no.iter().any(|no| no.is(code))) {
                    (true, _) => Ok(Outcome::YesNo(true)),
                    (false, true) => Ok(Outcome::YesNo(false)),
                    (false, false) => Err("one of the schema's texts for yes or no"),
                }
            }
        };
        let outcome = outcome.map_err(|expected| self.refusal(column, cell, expected))?;
        Ok(Cells { outcome, outcome_number: number, values })
    }

    /// Refuses a cell that is used and whose letters were lost.
    fn check_letters(&self, column: &str, cell: Cell<'_>) -> Result<(), String> {
        if cell.is_lost() {
            return Err(format!(
                "column {column:?}: holds a byte that is no letter in {}; name the table's encoding in the schema, as in \
                 encoding = \"latin-1\"",
                self.encoding
            ));
        }
        Ok(())
    }

    fn refusal(&self, column: &str, cell: Cell<'_>, expected: &str) -> String {
        let has_comma = match cell {
            Cell::Text(text) => text.contains(',') && NumberFormat::COMMA.number(text).is_some(),
            Cell::Digits(_) | Cell::Number(_) | Cell::Whole(_) => false,
        };
        let comma = self.format == NumberFormat::PLAIN && has_comma;
        let hint = if comma { "; numbers with a comma: decimal = \",\" in the schema" } else { "" };
        format!("column {column:?}: expected {expected}{hint}")
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

impl Missing {
    fn new(texts: &[String]) -> Self {
        Self {
            texts: texts.iter().map(|text| trimmed(text).to_owned()).collect(),
            codes: texts.iter().map(|text| Code::new(text, NumberFormat::PLAIN)).collect(),
            numbers: texts.iter().filter_map(|text| NumberFormat::PLAIN.number(text)).collect(),
        }
    }

    pub(super) fn is_number(&self, x: f64) -> bool {
        self.numbers.iter().any(|&missing| same(missing, x))
    }

    fn is_text(&self, cell: Cell<'_>) -> bool {
        match cell {
            Cell::Text(text) | Cell::Digits(text) => self.texts.iter().any(|missing| missing == text),
            Cell::Number(_) | Cell::Whole(_) => false,
        }
    }

    fn is_code<'r>(&self, cell: Cell<'r>, format: NumberFormat, room: &'r mut String) -> bool {
        let written = cell.code(format, room);
        self.codes.iter().any(|code| code.is(written))
    }
}

impl OutcomeCells {
    /// Says whether the outcome is read from a number.
    fn is_number(&self) -> bool {
        match self {
            Self::Above(_) | Self::Count => true,
            Self::Codes { .. } => false,
        }
    }
}

impl OutcomeColumn {
    fn new(schema: &TableSchema) -> Self {
        let codes =
            |texts: &[String]| texts.iter().map(|text| Code::new(text, NumberFormat::PLAIN)).collect();
        let rule = match &schema.outcome.rule {
            OutcomeRule::Above(limit) => OutcomeCells::Above(*limit),
            OutcomeRule::Count => OutcomeCells::Count,
            OutcomeRule::Texts(texts) => OutcomeCells::Codes { yes: codes(&texts.yes), no: codes(&texts.no) },
        };
        Self { unknown: Missing::new(&schema.outcome.unknown), rule }
    }
}

/// Returns a whole number that is a count.
fn count(x: f64) -> Option<u32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and within range")]
    (x.fract() == 0.0 && (0.0..=f64::from(COUNT_MAX)).contains(&x)).then_some(x as u32)
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

    fn value(
        &self,
        cell: Cell<'_>,
        number: Option<f64>,
        format: NumberFormat,
        missing: &Missing,
    ) -> Result<CellValue, &'static str> {
        if missing.is_text(cell) {
            return Ok(CellValue::Value(Value::Missing));
        }
        match self {
            Self::Number(rule) => rule.value(cell, number, format, missing),
            Self::Category(codes) => {
                let mut room = String::new();
                let own = cell.code(format, &mut room);
                if missing.codes.iter().any(|missing| missing.is(own)) {
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

#[expect(clippy::float_cmp, reason = "sentinels are exact, not measured")]
pub(super) fn same(a: f64, b: f64) -> bool {
    a == b
}
