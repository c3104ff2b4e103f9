//! A table with a row per patient or stay, and series of events of which features are summaries.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fedtwin_plan::text_file::Problem;
use serde::Deserialize;

use crate::declared::Declared;
use crate::description::Description;
use crate::error::CohortError;
use crate::paths::beside;
use crate::reader::rows::{RowReader, RowSource};
use crate::series::events::{EventLayout, Events, open};
use crate::series::reading::{self, Asked};
use crate::series::rows::{RowKeys, summarised};
use crate::series::signal::Signal;
use crate::series::statistic::Wanted;
use crate::split::pattern::PatientPattern;
use crate::table::reading::Reading;
use crate::table::schema::TableSchema;
use crate::table::sheet::Sheet;
use crate::table::text::trimmed;

/// A table of rows, and one of their events.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesSource {
    /// The table of rows: cells or Parquet, packed or not.
    pub file: PathBuf,
    /// The schema file, whose features may name the columns that signals give, like `hr.last`.
    pub schema: PathBuf,
    /// Which part of an identifier is the patient; without it, all of it.
    pub patient: Option<PatientPattern>,
    /// The table of events.
    pub events: Events,
    /// The signals that features may be made of, by the names that columns begin with.
    pub signals: BTreeMap<String, Signal>,
}

impl SeriesSource {
    /// Checks what concerns several keys.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        self.events.check("source.series.events")?;
        let key = |name: &str| format!("source.series.signals.{name}");
        let mut met = BTreeMap::new();
        for (name, signal) in &self.signals {
            signal.check(&key(name))?;
            let written = trimmed(signal.written(name));
            if let Some(first) = met.insert(written, name) {
                let message = format!("is called {written:?} by the events, as is {first:?}");
                return Err(Problem::new(key(name), message));
            }
            let Events { key: join, time, .. } = &self.events;
            let is_taken = [&join.events, time].iter().any(|column| trimmed(column) == written);
            if is_taken && matches!(self.events.layout, EventLayout::Wide(_)) {
                return Err(Problem::new(
                    key(name),
                    format!("reads column {written:?}, which is no signal's"),
                ));
            }
        }
        Ok(())
    }

    /// Reads the schema, and no row.
    pub(crate) fn reader(self, description: &mut Description) -> Result<RowReader<Self>, CohortError> {
        let schema = description.read::<TableSchema>(&self.schema)?.with_nothing(&self.schema, "series")?;
        let wanted = Wanted::new(&schema, &self.signals);
        let checked = wanted.and_then(|wanted| wanted.check(&schema, &self.signals, &self.events));
        checked.map_err(|message| CohortError::file(&self.schema, message))?;
        Ok(RowReader { source: self, schema })
    }

    /// Opens the table of rows, of which `columns` are used.
    fn open_rows(
        &self,
        declared: &Declared,
        schema: &TableSchema,
        columns: BTreeSet<String>,
    ) -> Result<Sheet, CohortError> {
        let file = beside(&declared.cohort_file, &self.file);
        let used: Vec<_> = columns.into_iter().collect();
        let sheet = open(&file, schema.format(), schema.columns.as_deref(), &used)?;
        Ok(if declared.confirmed.lines_in_cells { sheet.with_lines_in_cells() } else { sheet })
    }
}

impl RowSource for SeriesSource {
    fn open(&self, declared: &Declared, schema: &TableSchema) -> Result<Sheet, CohortError> {
        let key = trimmed(&self.events.key.rows).to_owned();
        let rows = self.open_rows(declared, schema, BTreeSet::from([key.clone()]))?;
        let keys = &RowKeys::read(rows, &key, &Reading::new(schema))?;
        let wanted = &Wanted::new(schema, &self.signals).expect("the schema is checked");
        let (events, signals) = (&self.events, &self.signals);
        let lines_in_cells = declared.confirmed.lines_in_cells;
        let asked = Asked { events, signals, wanted, keys, lines_in_cells };
        let file = beside(&declared.cohort_file, &self.events.file);
        let (summaries, found) = reading::read(&asked, &file)?;
        let mut columns: BTreeSet<_> = schema.used_columns().into_iter().collect();
        columns.retain(|column| !summaries.columns().any(|made| made == column));
        let rows = self.open_rows(declared, schema, columns)?;
        let mut sheet = summarised(rows, summaries);
        sheet.events = Some(found);
        Ok(sheet)
    }

    fn files(&self, cohort_file: &Path) -> Vec<PathBuf> {
        [&self.file, &self.schema, &self.events.file].map(|file| beside(cohort_file, file)).to_vec()
    }

    fn pattern(&self) -> Option<&PatientPattern> {
        self.patient.as_ref()
    }

    fn has_signal(&self, name: &str) -> bool {
        self.signals.contains_key(name)
    }
}
