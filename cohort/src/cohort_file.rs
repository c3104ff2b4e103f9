//! The cohort file: one data set at one site, with its declared size.

use std::path::{Path, PathBuf};

use fedtwin_plan::Digest;
use fedtwin_plan::cohort_need::{DataNeed, ImageNeed};
use fedtwin_plan::digest::RunningDigest;
use fedtwin_plan::inventory::Inventory;
use fedtwin_plan::names::CohortName;
use fedtwin_plan::numbers::Count;
use fedtwin_plan::record::{Part, Records, VolumeRecord};
use fedtwin_plan::text_file::{self, Check, Problem};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::confirmed::{Confirmed, LookAlikes};
use crate::error::CohortError;
use crate::fingerprint;
use crate::limits::{Limits, holds};
use crate::mismatch::{Kind, Mismatch};
use crate::paths::beside;
use crate::reader::rows::{self, Met, Reading};
use crate::reader::scans::{ScanRead, Scanned, Scans};
use crate::source::{Source, SyntheticSource, TableSource, synthetic};
use crate::split::{ModuloSplit, Rules, Selection, Split};
use crate::table::schema::TableSchema;
use crate::table::sheet::Sheet;
use crate::tally::Tally;

/// A cohort as its file and its schema describe it; the records stay where they are until they are read.
#[derive(Debug, Clone, PartialEq)]
pub struct CohortFile {
    path: PathBuf,
    description: Digest,
    name: CohortName,
    patients: u32,
    limits: Limits,
    confirmed: Confirmed,
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
    /// What people have looked at and mean to be so.
    #[serde(default)]
    confirmed: Confirmed,
    source: Source,
    split: Split,
}

impl CohortFile {
    /// Reads the cohort file at `path` and the schema that it names, and no file with patients.
    ///
    /// # Errors
    /// Refuses a file that cannot be read, and unknown keys or impossible values with their line.
    pub fn load(path: &Path) -> Result<Self, CohortError> {
        let (contents, text) = parse(path)?;
        let Contents { name, patients, limits, confirmed, source, split } = contents;
        let mut description = RunningDigest::new();
        description.update(&Digest::of(text.as_bytes()).0);
        let data = match source {
            Source::Table(source) => {
                let (schema, text) = parse(&beside(path, &source.schema))?;
                description.update(&Digest::of(text.as_bytes()).0);
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
        let file = Self {
            path: path.to_owned(),
            description: description.finish(),
            name,
            patients: patients.get(),
            limits,
            confirmed,
            split,
            data,
        };
        file.check_confirmed()?;
        Ok(file)
    }

    /// Returns the name under which plans ask for the cohort.
    #[must_use]
    pub fn name(&self) -> &CohortName {
        &self.name
    }

    /// Returns the digest of what people wrote of the cohort: this file and its schema, as they were loaded.
    #[must_use]
    pub fn description(&self) -> Digest {
        self.description
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
        match (&self.data, need) {
            (Data::Table { rows, schema }, DataNeed::Table(need)) => {
                let mut records = Vec::new();
                let reading = Reading { schema, need, looks_for_totals: false };
                self.read_table(rows, reading, |met| match met {
                    Met::Patient(its, cells) => records.extend((its == part).then(|| cells.record())),
                    Met::LeftOut(_) => {}
                })?;
                Ok(Records::Table(records))
            }
            (Data::Images(scans), DataNeed::Images(need)) => {
                let mut records = Vec::new();
                scans.assign(&self.path, self.selection()?, &mut |scanned| {
                    match scanned {
                        Scanned::Patient { part: its, file: _, read } if its == part => {
                            records.extend(as_planned(read()?.volume, *need, part));
                        }
                        Scanned::Patient { .. } | Scanned::LeftOut(..) => {}
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
    /// Refuses whatever the hospital's people must mend, by file and line, or confirm in the cohort file, and files that
    /// change meanwhile. The reasons depend on patients and stay at the site.
    pub fn take_inventory(&self) -> Result<Inventory, CohortError> {
        let (tally, digest) = fingerprint::unchanged(|| self.contents(), || self.tally())?;
        self.confirmed.judge_outcomes(&self.path, &tally)?;
        if let Some((mask, message)) = tally.labels.brightest_among_others() {
            return Err(CohortError::file(mask, message));
        }
        let left_out = tally.left_out();
        let Tally { train, test, positive, features, .. } = tally;
        let found = Inventory { declared: self.patients, train, test, positive, left_out, features, digest };
        self.confirmed.judge(&self.path, &found)?;
        Ok(found)
    }

    fn tally(&self) -> Result<Tally, CohortError> {
        Ok(match &self.data {
            Data::Table { rows, schema } => {
                let need = schema.all();
                let mut tally = Tally::of_table(&need);
                let reading = Reading { schema, need: &need, looks_for_totals: !self.confirmed.last_line };
                self.read_table(rows, reading, |met| match met {
                    Met::Patient(part, cells) => {
                        tally.add(part);
                        tally.add_cells(&cells);
                    }
                    Met::LeftOut(reason) => tally.leave_out(reason, 1),
                })?;
                tally
            }
            Data::Images(scans) => {
                let (mut tally, limits) = (Tally::default(), scans.limits(&self.limits));
                scans.assign(&self.path, self.selection()?, &mut |scanned| match scanned {
                    Scanned::Patient { part, file, read } => {
                        tally.add(part);
                        let ScanRead { volume, labels } = read()?;
                        if let Some((mask, labels)) = labels {
                            tally.labels.add(&mask, &labels);
                        }
                        tally.positive += u32::from(volume.mask.contains(&1));
                        let exceeded = limits.exceeded_by(&volume);
                        exceeded.map_or(Ok(()), |message| Err(CohortError::file(file, message)))
                    }
                    Scanned::LeftOut(reason, count) => {
                        tally.leave_out(reason, count);
                        Ok(())
                    }
                })?;
                tally
            }
        })
    }

    /// Digests names and bytes of every file that the cohort is made of: the cohort file, schema, list and index, and
    /// every table, image and mask that belongs to it.
    ///
    /// # Errors
    /// Names a file that cannot be read.
    pub fn digest(&self) -> Result<Digest, CohortError> {
        Ok(self.contents()?.digest())
    }

    fn contents(&self) -> Result<fingerprint::Contents, CohortError> {
        fingerprint::Contents::of(self.path.parent().unwrap_or(Path::new("")), self.files()?)
    }

    /// Lists the files that the cohort is made of, without reading any with patients.
    ///
    /// # Errors
    /// Names a folder that cannot be listed.
    pub fn files(&self) -> Result<Vec<PathBuf>, CohortError> {
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
        Ok(files)
    }

    fn other_kind(&self) -> Mismatch {
        match self.data {
            Data::Table { .. } => Mismatch::Kind { plan: Kind::Images, cohort: Kind::Table },
            Data::Images(_) => Mismatch::Kind { plan: Kind::Table, cohort: Kind::Images },
        }
    }

    fn selection(&self) -> Result<Selection, CohortError> {
        let pattern = match &self.data {
            Data::Table { rows: Rows::File(source), .. } => source.patient.as_ref(),
            Data::Table { rows: Rows::Invented(_), .. } => None,
            Data::Images(scans) => scans.pattern(),
        };
        Selection::new(&Rules {
            cohort_file: &self.path,
            split: &self.split,
            pattern,
            look_alikes_differ: self.confirmed.look_alikes == Some(LookAlikes::Different),
            declared: self.patients,
        })
    }

    fn read_table(
        &self,
        rows: &Rows,
        reading: Reading<'_>,
        each: impl FnMut(Met),
    ) -> Result<(), CohortError> {
        let sheet = match rows {
            Rows::File(source) => rows::open(&beside(&self.path, &source.file), reading.schema)?,
            Rows::Invented(source) => {
                Sheet::invented(&self.path, synthetic::columns(), synthetic::lines(*source))
            }
        };
        let sheet = if self.confirmed.lines_in_cells { sheet.with_lines_in_cells() } else { sheet };
        rows::read(sheet, reading, self.selection()?, each)
    }

    /// Refuses to have confirmed what there is not.
    fn check_confirmed(&self) -> Result<(), CohortError> {
        let has = |feature: &String| match &self.data {
            Data::Table { schema, .. } => schema.features.contains_key(feature),
            Data::Images(_) => false,
        };
        match self.confirmed.implausible.keys().find(|feature| !has(feature)) {
            Some(feature) => {
                let message =
                    format!("has confirmed.implausible.{feature}, and the schema has no such feature");
                Err(CohortError::file(&self.path, message))
            }
            None => Ok(()),
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
                Split::Listed(listed),
                Source::Images(_)
                | Source::Pictures(_)
                | Source::SyntheticImages(_)
                | Source::SyntheticHippocampi(_),
            ) if listed.is_of_lines() => {
                let message = "assigns the lines of a table, expected a list of patients for images";
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

/// Returns what a file says, and its text.
fn parse<T: DeserializeOwned + Check>(path: &Path) -> Result<(T, String), CohortError> {
    let text = std::fs::read_to_string(path).map_err(CohortError::storage(path))?;
    Ok((text_file::parse(&path.display().to_string(), &text)?, text))
}
