//! The cohort file: one data set at one site, with its declared size.

use std::path::{Path, PathBuf};

use fedtwin_plan::Digest;
use fedtwin_plan::cohort_need::{DataNeed, ImageNeed};
use fedtwin_plan::inventory::Inventory;
use fedtwin_plan::names::CohortName;
use fedtwin_plan::numbers::Count;
use fedtwin_plan::record::{Part, Records, VolumeRecord};
use fedtwin_plan::text_file::{self, Check, Problem};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::CohortError;
use crate::fingerprint;
use crate::limits::{Limits, holds};
use crate::mismatch::{Kind, Mismatch};
use crate::scans::{Assigned, Scans};
use crate::schema::TableSchema;
use crate::source::{Source, SyntheticSource, TableSource};
use crate::split::{ModuloSplit, Selection, Split};
use crate::synthetic;
use crate::table::Table;
use crate::tally::{Counts, Features};

/// A cohort as its file and its schema describe it; the records stay where they are until they are read.
#[derive(Debug, Clone, PartialEq)]
pub struct CohortFile {
    path: PathBuf,
    name: CohortName,
    patients: u32,
    limits: Limits,
    split: Split,
    data: Data,
}

/// What kind of records a cohort has.
#[derive(Debug, Clone, PartialEq)]
enum Data {
    Table { rows: Rows, schema: TableSchema },
    Images(Scans),
}

/// Where a table's lines come from.
#[derive(Debug, Clone, PartialEq)]
enum Rows {
    File(TableSource),
    Invented(SyntheticSource),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    /// The name under which plans ask for the cohort.
    name: CohortName,
    /// The declared, public number of training patients: places, of which some may stay empty.
    patients: Count<1, 10_000_000>,
    /// What people declare of every record.
    #[serde(default)]
    limits: Limits,
    source: Source,
    split: Split,
}

impl CohortFile {
    /// Reads the cohort file at `path` and the schema that it names, and no file with patients.
    ///
    /// # Errors
    /// Refuses a file that cannot be read, and unknown keys or impossible values with their line.
    pub fn load(path: &Path) -> Result<Self, CohortError> {
        let Contents { name, patients, limits, source, split } = parse(path)?;
        let data = match source {
            Source::Table(source) => {
                let schema = parse(&beside(path, &source.schema))?;
                Data::Table { rows: Rows::File(source), schema }
            }
            Source::SyntheticTable(source) => {
                Data::Table { rows: Rows::Invented(source), schema: synthetic::schema() }
            }
            Source::Images(source) => Data::Images(Scans::Volumes(source)),
            Source::Pictures(source) => Data::Images(Scans::Pictures(source)),
            Source::SyntheticImages(source) => Data::Images(Scans::Phantoms(source)),
            Source::SyntheticHippocampi(source) => Data::Images(Scans::Hippocampi(source)),
        };
        Ok(Self { path: path.to_owned(), name, patients: patients.get(), limits, split, data })
    }

    /// Returns the name under which plans ask for the cohort.
    #[must_use]
    pub fn name(&self) -> &CohortName {
        &self.name
    }

    /// Returns the declared number of training patients, which is public.
    #[must_use]
    pub fn patients(&self) -> u32 {
        self.patients
    }

    /// Holds what a plan needs against the schema and the declared limits. Reads no file, so that the answer can
    /// depend on no patient.
    ///
    /// # Errors
    /// Says what the plan expects and what the cohort has, in words that may leave the site.
    pub fn fits(&self, need: &DataNeed) -> Result<(), Mismatch> {
        match (&self.data, need) {
            (Data::Table { schema, .. }, DataNeed::Table(need)) => schema.fit(need),
            (Data::Images(scans), DataNeed::Images(need)) => scans.limits(&self.limits).fit(*need),
            (Data::Table { .. }, DataNeed::Images(_)) | (Data::Images(_), DataNeed::Table(_)) => {
                Err(self.other_kind())
            }
        }
    }

    /// Reads one part of the cohort, in an order that stays: of lines, or of sorted file names.
    ///
    /// A cohort may have fewer training patients than it declares; the places left over are empty. Where no limit
    /// is declared, so is the place of a training patient whose slices are larger than the plan's; such a test
    /// patient is left out.
    ///
    /// # Errors
    /// As [`fits`](Self::fits), and for any record that cannot be read, any outcome that is missing and
    /// any patient beyond the declared size.
    pub fn read(&self, need: &DataNeed, part: Part) -> Result<Records, CohortError> {
        self.fits(need)?;
        let mut selection = self.selection()?;
        match (&self.data, need) {
            (Data::Table { rows, schema }, DataNeed::Table(need)) => {
                let mut records = Vec::new();
                self.table(rows, schema)?.read(schema, need, selection, |its, record| {
                    records.extend((its == part).then_some(record));
                })?;
                Ok(Records::Table(records))
            }
            (Data::Images(scans), DataNeed::Images(need)) => {
                let mut records = Vec::new();
                scans.assign(&self.path, &mut selection, &mut |assigned| {
                    if assigned.part == part {
                        records.extend(as_planned((assigned.read)()?, *need, part));
                    }
                    Ok(())
                })?;
                Ok(Records::Volumes(records))
            }
            (Data::Table { .. }, DataNeed::Images(_)) | (Data::Images(_), DataNeed::Table(_)) => {
                Err(self.other_kind().into())
            }
        }
    }

    /// Reads everything as schema and limits say it, and tells what is there.
    ///
    /// # Errors
    /// Refuses whatever the hospital's people must mend, by file and line. The reasons depend on patients and stay
    /// at the site.
    pub fn take_inventory(&self) -> Result<Inventory, CohortError> {
        let mut counts = Counts::default();
        let mut selection = self.selection()?;
        match &self.data {
            Data::Table { rows, schema } => {
                let need = schema.all();
                let mut features = Features::new(&need);
                self.table(rows, schema)?.read(schema, &need, selection, |part, record| {
                    counts.add(part);
                    features.add(&record);
                })?;
                counts.features = features.counts();
            }
            Data::Images(scans) => {
                let limits = scans.limits(&self.limits);
                scans.assign(&self.path, &mut selection, &mut |Assigned { part, file, read }| {
                    counts.add(part);
                    match limits.exceeded_by(&read()?) {
                        Some(message) => Err(CohortError::file(file, message)),
                        None => Ok(()),
                    }
                })?;
            }
        }
        let Counts { train, test, features } = counts;
        let digest = self.digest()?;
        Ok(Inventory { declared: self.patients, train, test, left_out: Vec::new(), features, digest })
    }

    /// Digests names and bytes of every file that the cohort is made of: the cohort file, schema, list and index, and
    /// every table, image and mask that belongs to it.
    ///
    /// # Errors
    /// Names a file that cannot be read.
    pub fn digest(&self) -> Result<Digest, CohortError> {
        let mut files = vec![self.path.clone()];
        match &self.data {
            Data::Table { rows: Rows::File(source), .. } => {
                files.extend([&source.file, &source.schema].map(|file| beside(&self.path, file)));
            }
            Data::Table { rows: Rows::Invented(_), .. } => {}
            Data::Images(scans) => files.extend(scans.files(&self.path)?),
        }
        if let Split::Listed(listed) = &self.split {
            files.push(beside(&self.path, &listed.file));
        }
        fingerprint::digest(self.path.parent().unwrap_or(Path::new("")), files)
    }

    fn other_kind(&self) -> Mismatch {
        match self.data {
            Data::Table { .. } => Mismatch::Kind { plan: Kind::Images, cohort: Kind::Table },
            Data::Images(_) => Mismatch::Kind { plan: Kind::Table, cohort: Kind::Images },
        }
    }

    fn selection(&self) -> Result<Selection, CohortError> {
        Selection::new(&self.split, &self.path, self.patients)
    }

    fn table(&self, rows: &Rows, schema: &TableSchema) -> Result<Table, CohortError> {
        match rows {
            Rows::File(source) => Table::open(&beside(&self.path, &source.file), schema),
            Rows::Invented(source) => {
                Ok(Table::synthetic(&self.path, synthetic::columns(), synthetic::lines(*source)))
            }
        }
    }
}

/// Puts an empty record where a training patient's slices are larger than the plan's: a refusal would tell others
/// how large they are.
fn as_planned(volume: VolumeRecord, need: ImageNeed, part: Part) -> Option<VolumeRecord> {
    let [_, rows, columns] = volume.shape;
    if holds(need, [rows, columns]) {
        return Some(volume);
    }
    match part {
        Part::Train => Some(VolumeRecord::null()),
        Part::Test => None,
    }
}

impl Check for Contents {
    fn check(&self) -> Result<(), Problem> {
        let Limits { slice_max, slices_max, records_max: _ } = &self.limits;
        if matches!(self.source, Source::Table(_) | Source::SyntheticTable(_)) {
            let key = slice_max.map(|_| "limits.slice_max").or(slices_max.map(|_| "limits.slices_max"));
            if let Some(key) = key {
                return Err(Problem::new(key, "limits images, and the cohort is a table"));
            }
        }
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
