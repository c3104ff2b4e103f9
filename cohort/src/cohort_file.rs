//! The cohort file: one data set at one site, with its declared size.

use std::path::{Path, PathBuf};

use fedtwin_plan::cohort_need::DataNeed;
use fedtwin_plan::names::CohortName;
use fedtwin_plan::numbers::Count;
use fedtwin_plan::record::{Part, Records};
use fedtwin_plan::text_file::{self, Check, Problem};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::CohortError;
use crate::folders::{self, Scan};
use crate::images;
use crate::pictures;
use crate::schema::TableSchema;
use crate::source::{Source, TableSource};
use crate::split::{ModuloSplit, Selection, Split};
use crate::synthetic;
use crate::table::{Layout, Table};

/// A cohort as its file describes it; the records stay where they are until they are read.
#[derive(Debug, Clone, PartialEq)]
pub struct CohortFile {
    path: PathBuf,
    contents: Contents,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    /// The name under which plans ask for the cohort.
    name: CohortName,
    /// The declared, public number of training patients: places, of which some may stay empty.
    patients: Count<1, 10_000_000>,
    source: Source,
    split: Split,
}

impl CohortFile {
    /// Reads the cohort file at `path`, and nothing that it names.
    ///
    /// # Errors
    /// Refuses a file that cannot be read, and unknown keys or impossible values with their line.
    pub fn load(path: &Path) -> Result<Self, CohortError> {
        Ok(Self { path: path.to_owned(), contents: parse(path)? })
    }

    /// Returns the name under which plans ask for the cohort.
    #[must_use]
    pub fn name(&self) -> &CohortName {
        &self.contents.name
    }

    /// Returns the declared number of training patients, which is public.
    #[must_use]
    pub fn patients(&self) -> u32 {
        self.contents.patients.get()
    }

    /// Checks that the cohort has what `need` asks for, from schema, header lines and image headers alone.
    ///
    /// # Errors
    /// Names what the plan expects and what the cohort has, or the file that is at fault.
    pub fn check(&self, need: &DataNeed) -> Result<(), CohortError> {
        match (&self.contents.source, need) {
            (Source::Table(source), DataNeed::Table(need)) => {
                let schema = self.schema(source)?;
                let file = beside(&self.path, &source.file);
                Table::open(&file, &schema).and_then(|table| Layout::new(&schema, need, &table).map(drop))
            }
            (Source::Images(source), DataNeed::Images(need)) => images::list(&self.path, source)?
                .iter()
                .try_for_each(|scan| images::check(scan, source, *need).map(drop)),
            (Source::Pictures(source), DataNeed::Images(need)) => pictures::list(&self.path, source)?
                .iter()
                .try_for_each(|scan| pictures::check(scan, *need).map(drop)),
            (Source::SyntheticTable(_), DataNeed::Table(need)) => synthetic::schema().fit(need),
            (Source::SyntheticImages(_), DataNeed::Images(need)) => {
                synthetic::check_size(*need, synthetic::PHANTOM_SHAPE_MAX)
            }
            (Source::SyntheticHippocampi(_), DataNeed::Images(need)) => {
                synthetic::check_size(*need, synthetic::HIPPOCAMPUS_SHAPE_MAX)
            }
            (Source::Table(_) | Source::SyntheticTable(_), DataNeed::Images(_))
            | (
                Source::Images(_)
                | Source::Pictures(_)
                | Source::SyntheticImages(_)
                | Source::SyntheticHippocampi(_),
                DataNeed::Table(_),
            ) => Err(self.other_kind(need)),
        }
    }

    /// Reads one part of the cohort, in an order that stays: of lines, or of sorted file names.
    ///
    /// A cohort may have fewer training patients than it declares; the places left over are empty.
    ///
    /// # Errors
    /// As [`check`](Self::check), and for any record that cannot be read, any outcome that is missing and
    /// any patient beyond the declared size.
    pub fn read(&self, need: &DataNeed, part: Part) -> Result<Records, CohortError> {
        self.check(need)?;
        let selection = Selection::new(&self.contents.split, part, &self.path, self.patients())?;
        match (&self.contents.source, need) {
            (Source::Table(source), DataNeed::Table(need)) => {
                let schema = self.schema(source)?;
                let table = Table::open(&beside(&self.path, &source.file), &schema)?;
                table.read(&schema, need, selection).map(Records::Table)
            }
            (Source::SyntheticTable(source), DataNeed::Table(need)) => {
                let schema = synthetic::schema();
                let table = Table::synthetic(&self.path, synthetic::columns(), synthetic::lines(*source));
                table.read(&schema, need, selection).map(Records::Table)
            }
            (Source::Images(source), DataNeed::Images(need)) => {
                let scans = images::list(&self.path, source)?;
                let read = |scan: &Scan| images::read_scan(scan, source, *need);
                folders::read(&scans, selection, read).map(Records::Volumes)
            }
            (Source::Pictures(source), DataNeed::Images(need)) => {
                let scans = pictures::list(&self.path, source)?;
                let read = |scan: &Scan| pictures::read_scan(scan, source, *need);
                folders::read(&scans, selection, read).map(Records::Volumes)
            }
            (Source::SyntheticImages(source), DataNeed::Images(_)) => {
                let volume = |number| synthetic::phantom(*source, number);
                synthetic::volumes(source.patients.get(), volume, selection).map(Records::Volumes)
            }
            (Source::SyntheticHippocampi(source), DataNeed::Images(_)) => {
                let volume = |number| synthetic::hippocampus(*source, number);
                synthetic::volumes(source.patients.get(), volume, selection).map(Records::Volumes)
            }
            (Source::Table(_) | Source::SyntheticTable(_), DataNeed::Images(_))
            | (
                Source::Images(_)
                | Source::Pictures(_)
                | Source::SyntheticImages(_)
                | Source::SyntheticHippocampi(_),
                DataNeed::Table(_),
            ) => Err(self.other_kind(need)),
        }
    }

    fn schema(&self, source: &TableSource) -> Result<TableSchema, CohortError> {
        parse(&beside(&self.path, &source.schema))
    }

    fn other_kind(&self, need: &DataNeed) -> CohortError {
        let (plan, own) = match need {
            DataNeed::Table(_) => ("a table", "images"),
            DataNeed::Images(_) => ("images", "a table"),
        };
        CohortError::mismatch(format!("it expects {plan}, cohort {} has {own}", self.name()))
    }
}

impl Check for Contents {
    fn check(&self) -> Result<(), Problem> {
        match (&self.split, &self.source) {
            (
                Split::Listed(_),
                Source::Images(_)
                | Source::Pictures(_)
                | Source::SyntheticImages(_)
                | Source::SyntheticHippocampi(_),
            ) => {
                let message =
                    "assigns the lines of a table, expected split.modulo or split.hashed for images";
                Err(Problem::new("split.listed", message))
            }
            (Split::Modulo(ModuloSplit { divisor, test }), _) if test.get() >= divisor.get() => {
                let message = format!("is {}, expected a remainder below {}", test.get(), divisor.get());
                Err(Problem::new("split.modulo.test", message))
            }
            (Split::Hashed(split), _) if split.test.is_one() => {
                Err(Problem::new("split.hashed.test", "is 1, expected less, or nobody is left to train on"))
            }
            (Split::Listed(_) | Split::Modulo(_) | Split::Hashed(_), _) => Ok(()),
        }
    }
}

/// Returns the path that a cohort file at `cohort_file` means by `path`.
pub(crate) fn beside(cohort_file: &Path, path: &Path) -> PathBuf {
    cohort_file.parent().map_or_else(|| path.to_owned(), |folder| folder.join(path))
}

fn parse<T: DeserializeOwned + Check>(path: &Path) -> Result<T, CohortError> {
    let text = std::fs::read_to_string(path).map_err(CohortError::storage(path))?;
    Ok(text_file::parse(&path.display().to_string(), &text)?)
}
