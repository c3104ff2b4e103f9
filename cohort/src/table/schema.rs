//! Schema files: how the columns of a hospital's table become the features that plans name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fedtwin_plan::cohort_need::{DataNeed, Feature, NumberRange, TableNeed};
use fedtwin_plan::outcome::OutcomeNeed;
use fedtwin_plan::text_file::{Check, Problem};
use serde::Deserialize;

use crate::error::CohortError;
use crate::mismatch::{Mismatch, Values};
use crate::table::cells::{Dialect, Quote};
use crate::table::code::Code;
use crate::table::digits::{DecimalSign, NumberFormat, ThousandsSign};
use crate::table::measured::{AboveLimit, BelowLimit, Converted};
use crate::table::outcome::OutcomeColumn;
use crate::table::sheet::{self, Format};
use crate::table::text::{Encoding, trimmed};

/// A table's columns: names, types, units, categories, plausible ranges and the codes that mean missing.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSchema {
    /// What stands between two cells.
    #[serde(default = "sheet::comma")]
    pub delimiter: char,
    /// What stands around a cell that holds delimiters or line ends.
    #[serde(default)]
    pub quote: Quote,
    /// How letters are stored; a byte order mark outweighs it.
    #[serde(default)]
    pub encoding: Encoding,
    /// What stands before a number's fraction.
    #[serde(default)]
    pub decimal: DecimalSign,
    /// What stands between groups of three digits; without it, nothing does.
    pub thousands: Option<ThousandsSign>,
    /// The texts that mean missing in every column; by default the empty cell. One that is a number means missing
    /// however the number is written.
    #[serde(default = "empty_cell")]
    pub missing: Vec<String>,
    /// The columns of a table without a header line; absent where the first line names them.
    pub columns: Option<Vec<String>>,
    /// The column that identifies the patient; without it every line is a patient of its own.
    pub patient_id: Option<String>,
    /// The outcome to predict.
    pub outcome: OutcomeColumn,
    /// The features by the names that plans use.
    pub features: BTreeMap<String, FeatureColumn>,
}

/// One feature's column.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureColumn {
    /// A measured number.
    Number(NumberColumn),
    /// One of some categories.
    Category(CategoryColumn),
}

/// A column of numbers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberColumn {
    /// The table's column, if it is not called as the feature.
    pub column: Option<String>,
    /// The unit, in which all numbers here are; a plan's other unit of the same kind is served by conversion.
    pub unit: String,
    /// Grams in a mole of the analyte, for plans that ask for its amount where the table has its mass, or the reverse.
    pub molar_mass: Option<f64>,
    /// Charges of one ion of the analyte, likewise for equivalents.
    pub valence: Option<u8>,
    /// The lowest plausible value: public medical knowledge, never a statistic of the cohort.
    pub low: f64,
    /// The highest plausible value, likewise.
    pub high: f64,
    /// Numbers that mean missing in this column, like a cholesterol of 0.
    #[serde(default)]
    pub sentinels: Vec<f64>,
    /// What a cell like `<0.5` stands for; without it, such a cell is refused.
    pub below: Option<BelowLimit>,
    /// What a cell like `>90` stands for; without it, such a cell is refused.
    pub above: Option<AboveLimit>,
}

/// A column of categories.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryColumn {
    /// The table's column, if it is not called as the feature.
    pub column: Option<String>,
    /// The categories' names in plans, by their codes in the table; `1` and `1.0` are the same code.
    pub codes: BTreeMap<String, String>,
    /// Codes that mean missing in this column.
    #[serde(default)]
    pub sentinels: Vec<String>,
}

impl TableSchema {
    /// Returns all that the schema offers, in the form in which a plan asks for it.
    #[must_use]
    pub fn need(&self) -> DataNeed {
        DataNeed::Table(self.all())
    }

    /// Returns all columns, as a plan that asks for each of them.
    pub(crate) fn all(&self) -> TableNeed {
        let features = self.features.iter().map(|(name, column)| (name.clone(), column.feature()));
        let outcome = OutcomeNeed { name: self.outcome.name.clone(), asked: self.outcome.rule.asked() };
        TableNeed { outcome, features: features.collect() }
    }

    /// Returns how the table's bytes become cells.
    pub(crate) fn format(&self) -> Format {
        let dialect = Dialect { delimiter: self.delimiter, quote: self.quote };
        Format { dialect, encoding: self.encoding }
    }

    /// Returns how the table's numbers are written.
    pub(crate) fn numbers(&self) -> NumberFormat {
        NumberFormat { decimal: self.decimal, thousands: self.thousands }
    }

    /// Returns the columns that are used, trimmed, the patient's identifier first.
    pub(crate) fn used_columns(&self) -> Vec<String> {
        let features = self.features.iter().map(|(name, feature)| feature.column(name));
        let outcome = std::iter::once(self.outcome.column()).chain(self.outcome.rule.other_columns());
        let used = self.patient_id.as_deref().into_iter().chain(outcome).chain(features);
        used.map(|column| trimmed(column).to_owned()).collect()
    }

    /// Lets the empty text be missing in every column, as what is not there is read in `tables`; refuses a schema in
    /// which it is something else.
    pub(crate) fn with_nothing(mut self, file: &Path, tables: &str) -> Result<Self, CohortError> {
        if !self.missing.iter().any(String::is_empty) {
            self.missing.push(String::new());
            self.check().map_err(|problem| {
                let message = format!("{problem}; in {tables}, the empty text is what is not there");
                CohortError::file(file, message)
            })?;
        }
        Ok(self)
    }

    /// Checks that the schema has all that a plan asks for, in its units and categories.
    pub(crate) fn fit(&self, need: &TableNeed) -> Result<(), Mismatch> {
        if need.outcome.name != self.outcome.name {
            let (plan, cohort) = (need.outcome.name.clone(), self.outcome.name.clone());
            return Err(Mismatch::Outcome { plan, cohort });
        }
        let (plan, cohort) = (need.outcome.kind(), self.outcome.rule.kind());
        if plan != cohort {
            return Err(Mismatch::OutcomeKind { plan, cohort });
        }
        self.outcome.rule.fit(&need.outcome)?;
        need.features.iter().try_for_each(|(name, feature)| match self.features.get(name) {
            Some(column) => column.fit(name, feature),
            None => {
                let cohort = self.features.keys().cloned().collect();
                Err(Mismatch::Feature { plan: name.clone(), cohort })
            }
        })
    }
}

impl TableSchema {
    /// Says which columns are converted for a plan that fits.
    pub(crate) fn conversions(&self, need: &TableNeed) -> Vec<Converted> {
        let converted = |(name, feature): (&String, &Feature)| match (self.features.get(name)?, feature) {
            (FeatureColumn::Number(own), Feature::Number(plan)) => own.converted(name, plan),
            (FeatureColumn::Number(_) | FeatureColumn::Category(_), _) => None,
        };
        need.features.iter().filter_map(converted).collect()
    }
}

impl FeatureColumn {
    fn feature(&self) -> Feature {
        match self {
            Self::Number(NumberColumn { unit, low, high, .. }) => {
                Feature::Number(NumberRange::linear(unit, *low, *high))
            }
            Self::Category(CategoryColumn { codes, .. }) => {
                let names: BTreeSet<String> = codes.values().cloned().collect();
                Feature::Category(names.into_iter().collect())
            }
        }
    }

    fn fit(&self, name: &str, feature: &Feature) -> Result<(), Mismatch> {
        let of = name.to_owned();
        match (self, feature) {
            (Self::Number(own), Feature::Number(plan)) => own.fit(of, plan),
            (Self::Category(own), Feature::Category(plan)) => {
                match own.codes.values().find(|name| !plan.contains(name)) {
                    Some(cohort) => {
                        Err(Mismatch::Category { feature: of, plan: plan.clone(), cohort: cohort.clone() })
                    }
                    None => Ok(()),
                }
            }
            (Self::Number(_), Feature::Category(_)) => {
                Err(Mismatch::Values { feature: of, plan: Values::Categories, cohort: Values::Numbers })
            }
            (Self::Category(_), Feature::Number(_)) => {
                Err(Mismatch::Values { feature: of, plan: Values::Numbers, cohort: Values::Categories })
            }
        }
    }

    /// Returns the table's column for the feature `name`.
    pub(crate) fn column<'a>(&'a self, name: &'a str) -> &'a str {
        match self {
            Self::Number(NumberColumn { column, .. }) | Self::Category(CategoryColumn { column, .. }) => {
                column.as_deref().unwrap_or(name)
            }
        }
    }
}

impl Check for TableSchema {
    fn check(&self) -> Result<(), Problem> {
        if !sheet::may_delimit(self.delimiter) {
            return Err(Problem::new("delimiter", "is no character that can stand between two cells"));
        }
        if !self.numbers().is_clear() {
            return Err(Problem::new("thousands", "is the decimal sign, too"));
        }
        if let Some(columns) = &self.columns {
            let mut seen = BTreeSet::new();
            if let Some(twice) = columns.iter().find(|&column| !seen.insert(trimmed(column))) {
                return Err(Problem::new("columns", format!("names {twice:?} twice")));
            }
        }
        self.outcome.check()?;
        for (name, column) in &self.features {
            column.check(&format!("features.{name}"), &self.missing)?;
        }
        self.check_columns()
    }
}

impl TableSchema {
    /// Checks that no column feeds two features, and that a list of columns has every one that is used.
    fn check_columns(&self) -> Result<(), Problem> {
        let mut used = BTreeMap::from([(self.outcome.column(), "outcome")]);
        if let Some(id) = &self.patient_id
            && used.insert(id, "patient_id").is_some()
        {
            return Err(Problem::new("patient_id", format!("is the outcome's column {id:?}")));
        }
        for column in self.outcome.rule.other_columns() {
            if let Some(other) = used.insert(column, "outcome.rule") {
                let message = format!("reads column {column:?}, which {other:?} reads already");
                return Err(Problem::new("outcome.rule.event", message));
            }
        }
        for (name, feature) in &self.features {
            let column = feature.column(name);
            if let Some(other) = used.insert(column, name) {
                let message = format!("reads column {column:?}, which {other:?} reads already");
                return Err(Problem::new(format!("features.{name}"), message));
            }
        }
        let missing =
            |column: &&&str| self.columns.as_ref().is_some_and(|all| !all.iter().any(|c| c == **column));
        if let Some(column) = used.keys().find(missing) {
            return Err(Problem::new("columns", format!("lacks {column:?}, which is used below")));
        }
        Ok(())
    }
}

impl FeatureColumn {
    fn check(&self, key: &str, missing: &[String]) -> Result<(), Problem> {
        match self {
            Self::Number(number) => number.check(&format!("{key}.number"))?,
            Self::Category(CategoryColumn { codes, sentinels, .. }) => {
                let names: BTreeSet<_> = codes.values().collect();
                if names.len() < 2 {
                    let message = "names fewer than two categories".to_owned();
                    return Err(Problem::new(format!("{key}.category.codes"), message));
                }
                let meant = codes.iter().map(|(code, name)| (code, name.as_str()));
                let missing = sentinels.iter().chain(missing).map(|code| (code, "missing"));
                check_codes(&format!("{key}.category.codes"), meant.chain(missing))?;
            }
        }
        Ok(())
    }
}

/// Checks that no code means two things; two spellings of one number are one code.
pub(super) fn check_codes<'a>(
    key: &str,
    meant: impl Iterator<Item = (&'a String, &'a str)>,
) -> Result<(), Problem> {
    let mut meanings = BTreeMap::new();
    for (code, meaning) in meant {
        let first = *meanings.entry(Code::new(code, NumberFormat::PLAIN)).or_insert(meaning);
        if first != meaning {
            return Err(Problem::new(key, format!("has code {code:?} for {first:?} and for {meaning:?}")));
        }
    }
    Ok(())
}

fn empty_cell() -> Vec<String> {
    vec![String::new()]
}
