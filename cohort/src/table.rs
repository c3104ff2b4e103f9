//! Tables: lines of text cells, read as typed rows.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use csv::{Reader, ReaderBuilder, StringRecord};
use fedtwin_plan::cohort_need::{Feature, TableNeed};
use fedtwin_plan::record::{Part, TableRecord, Value};

use crate::error::CohortError;
use crate::schema::{CategoryColumn, FeatureColumn, NumberColumn, OutcomeRule, TableSchema};
use crate::split::{Patient, Selection};

/// An open table: its columns, and its lines still to come.
pub(crate) struct Table {
    file: PathBuf,
    columns: StringRecord,
    lines: Box<dyn Iterator<Item = Result<Line, csv::Error>>>,
}

/// One line's number, counted from 1, and its cells.
struct Line {
    number: u64,
    cells: StringRecord,
}

impl Table {
    /// Opens a table and reads its header line, if it has one.
    pub(crate) fn open(file: &Path, schema: &TableSchema) -> Result<Self, CohortError> {
        let delimiter =
            u8::try_from(schema.delimiter).expect("the schema checks that the delimiter is ASCII");
        let mut reader = text_reader(file, delimiter, schema.columns.is_none())?;
        let columns = match &schema.columns {
            Some(columns) => StringRecord::from(columns.as_slice()),
            None => reader.headers().map_err(CohortError::csv(file))?.clone(),
        };
        let lines = reader.into_records().map(|record| {
            record.map(|cells| Line { number: cells.position().map_or(0, csv::Position::line), cells })
        });
        Ok(Self { file: file.to_owned(), columns, lines: Box::new(lines) })
    }

    /// Makes a table of invented lines; `described_by` stands for its file in messages.
    pub(crate) fn synthetic(
        described_by: &Path,
        columns: StringRecord,
        lines: impl Iterator<Item = StringRecord> + 'static,
    ) -> Self {
        let lines = (1..).zip(lines).map(|(number, cells)| Ok(Line { number, cells }));
        Self { file: described_by.to_owned(), columns, lines: Box::new(lines) }
    }

    /// Reads the patients of both parts in the order of their lines.
    pub(crate) fn read(
        self,
        schema: &TableSchema,
        need: &TableNeed,
        mut selection: Selection,
        mut each: impl FnMut(Part, TableRecord),
    ) -> Result<(), CohortError> {
        let layout = Layout::new(schema, need, &self)?;
        let (mut seen, mut last_line) = (BTreeMap::new(), 0);
        for line in self.lines {
            let Line { number, cells } = line.map_err(CohortError::csv(&self.file))?;
            let refuse = |message: String| CohortError::table(&self.file, number, message);
            last_line = number;
            if cells.len() != self.columns.len() {
                return Err(refuse(format!("has {} cells, expected {}", cells.len(), self.columns.len())));
            }
            let id = layout.patient_id.map_or_else(|| number.to_string(), |at| cells[at].to_owned());
            if let Some(first) = seen.insert(id.clone(), number) {
                return Err(refuse(format!(
                    "is of the same patient as line {first}, expected one line per patient"
                )));
            }
            if let Some(part) = selection.assign(Patient { id: &id, line: number })? {
                each(part, layout.record(&cells).map_err(refuse)?);
            }
        }
        selection.finish(last_line)
    }
}

/// Where in a line the cells are that a plan asks for, and how they are read.
struct Layout {
    missing: Vec<String>,
    patient_id: Option<usize>,
    outcome: Cell<OutcomeRule>,
    features: Vec<Cell<FeatureRule>>,
}

struct Cell<R> {
    column: String,
    at: usize,
    rule: R,
}

enum FeatureRule {
    Number { sentinels: Vec<f64> },
    Category(Vec<(Code, Value)>),
}

/// A category's code in a table; two spellings of one number are the same code.
struct Code {
    text: String,
    number: Option<f64>,
}

impl Layout {
    /// Finds the plan's features, which the schema has, in the order of the plan.
    fn new(schema: &TableSchema, need: &TableNeed, table: &Table) -> Result<Self, CohortError> {
        let find = |column: &str| position(&table.file, &table.columns, column);
        let features = need.features.iter().map(|(name, feature)| {
            let own = &schema.features[name];
            let column = own.column(name).to_owned();
            Ok(Cell { at: find(&column)?, column, rule: FeatureRule::new(own, feature) })
        });
        let outcome = &schema.outcome;
        Ok(Self {
            missing: schema.missing.clone(),
            patient_id: schema.patient_id.as_deref().map(find).transpose()?,
            outcome: Cell {
                column: outcome.column().to_owned(),
                at: find(outcome.column())?,
                rule: outcome.rule.clone(),
            },
            features: features.collect::<Result<_, CohortError>>()?,
        })
    }

    /// Reads a line's cells; a refusal names the column and never the value.
    fn record(&self, cells: &StringRecord) -> Result<TableRecord, String> {
        let text = |at: usize| Some(cells[at].trim()).filter(|text| !self.missing.iter().any(|m| m == text));
        let values = self.features.iter().map(|cell| match text(cell.at) {
            None => Ok(Value::Missing),
            Some(text) => cell.rule.value(text).map_err(|expected| refusal(&cell.column, expected)),
        });
        let refuse = |expected: &str| refusal(&self.outcome.column, expected);
        let outcome = text(self.outcome.at).ok_or_else(|| refuse("the outcome, which may not be missing"))?;
        Ok(TableRecord {
            outcome: self.outcome.rule.outcome(outcome).map_err(refuse)?,
            values: values.collect::<Result<_, String>>()?,
        })
    }
}

impl FeatureRule {
    /// Makes the rule that reads a cohort's column as the plan's feature, which the column fits.
    fn new(column: &FeatureColumn, feature: &Feature) -> Self {
        match column {
            FeatureColumn::Number(NumberColumn { sentinels, .. }) => {
                Self::Number { sentinels: sentinels.clone() }
            }
            FeatureColumn::Category(CategoryColumn { codes, sentinels, .. }) => {
                let codes =
                    codes.iter().map(|(code, name)| (Code::new(code), Value::Category(index(feature, name))));
                let sentinels = sentinels.iter().map(|code| (Code::new(code), Value::Missing));
                Self::Category(codes.chain(sentinels).collect())
            }
        }
    }

    fn value(&self, text: &str) -> Result<Value, &'static str> {
        match self {
            Self::Number { sentinels } => {
                let x = number(text).ok_or("a number or one of the schema's texts for missing")?;
                Ok(if sentinels.iter().any(|&sentinel| same(sentinel, x)) {
                    Value::Missing
                } else {
                    Value::Number(x)
                })
            }
            Self::Category(codes) => {
                let own = Code::new(text);
                let found = codes.iter().find(|(code, _)| code.is(&own));
                found.map(|(_, value)| *value).ok_or("one of the schema's codes or texts for missing")
            }
        }
    }
}

impl OutcomeRule {
    fn outcome(&self, text: &str) -> Result<bool, &'static str> {
        match self {
            Self::Above(limit) => number(text).map(|x| x > *limit).ok_or("a number"),
            Self::Texts(texts) if texts.yes.iter().any(|yes| yes == text) => Ok(true),
            Self::Texts(texts) if texts.no.iter().any(|no| no == text) => Ok(false),
            Self::Texts(_) => Err("one of the schema's texts for yes or no"),
        }
    }
}

impl Code {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), number: number(text) }
    }

    fn is(&self, other: &Self) -> bool {
        self.text == other.text || self.number.zip(other.number).is_some_and(|(a, b)| same(a, b))
    }
}

/// Opens a text table; lines of different lengths are left to the caller.
pub(crate) fn text_reader(file: &Path, delimiter: u8, header: bool) -> Result<Reader<File>, CohortError> {
    let opened = File::open(file).map_err(CohortError::storage(file))?;
    Ok(ReaderBuilder::new().delimiter(delimiter).has_headers(header).flexible(true).from_reader(opened))
}

/// Finds a column by its name.
pub(crate) fn position(file: &Path, columns: &StringRecord, column: &str) -> Result<usize, CohortError> {
    columns.iter().position(|own| own.trim() == column).ok_or_else(|| {
        let own = columns.iter().collect::<Vec<_>>().join(", ");
        CohortError::table(file, 1, format!("expected a column {column:?}, found {own}"))
    })
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

fn refusal(column: &str, expected: &str) -> String {
    format!("column {column:?}: expected {expected}")
}

/// Reads a finite number.
fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|x: &f64| x.is_finite())
}

#[expect(clippy::float_cmp, reason = "codes and sentinels are exact, not measured")]
fn same(a: f64, b: f64) -> bool {
    a == b
}
