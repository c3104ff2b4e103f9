//! The cohort file: one data set at one site, with its declared size.

use std::path::{Path, PathBuf};

use fedtwin_plan::Digest;
use fedtwin_plan::cohort_need::DataNeed;
use fedtwin_plan::inventory::Inventory;
use fedtwin_plan::names::CohortName;
use fedtwin_plan::numbers::Count;
use fedtwin_plan::record::{Part, Records};
use fedtwin_plan::text_file::{Check, Problem};
use serde::Deserialize;

use crate::confirmed::Confirmed;
use crate::declared::Declared;
use crate::description::Description;
use crate::error::CohortError;
use crate::fingerprint;
use crate::limits::Limits;
use crate::mismatch::{Mismatch, RecordKind};
use crate::paths::beside;
use crate::reader::Reader;
use crate::source::Source;
use crate::split::{ModuloSplit, Split};
use crate::table::measured::Converted;
use crate::tally::Tally;

/// A cohort as its file and its schema describe it; the records stay where they are until they are read.
#[derive(Debug)]
pub struct CohortFile {
    description: Digest,
    name: CohortName,
    declared: Declared,
    reader: Box<dyn Reader>,
}

#[derive(Debug, Deserialize)]
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
        let mut description = Description::of(path);
        let contents = description.read_cohort_file()?;
        let Contents { name, patients, limits, confirmed, source, split } = contents;
        let reader = source.reader(&mut description)?;
        let patients = patients.get();
        let declared = Declared { cohort_file: path.to_owned(), patients, limits, confirmed, split };
        let file = Self { description: description.finish(), name, declared, reader };
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
        self.declared.patients
    }

    /// Holds what a plan needs against the schema and the declared limits. Reads no file, so that the answer can
    /// depend on no patient.
    ///
    /// # Errors
    /// Says what the plan expects and what the cohort has, in words that may leave the site.
    pub fn fits(&self, need: &DataNeed) -> Result<(), Mismatch> {
        self.reader.fits(need, &self.declared.limits)
    }

    /// Says which columns are converted for a plan that fits, from which unit to which. Reads no file.
    #[must_use]
    pub fn conversions(&self, need: &DataNeed) -> Vec<Converted> {
        self.reader.conversions(need)
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
        self.reader.read(&self.declared, need, part)
    }

    /// Reads everything as schema and limits say it, and tells what is there.
    ///
    /// # Errors
    /// Refuses whatever the hospital's people must mend, by file and line, or confirm in the cohort file, and files that
    /// change meanwhile. The reasons depend on patients and stay at the site.
    pub fn take_inventory(&self) -> Result<Inventory, CohortError> {
        let Declared { cohort_file, patients, confirmed, .. } = &self.declared;
        let (tally, digest) =
            fingerprint::unchanged(|| self.contents(), || self.reader.count(&self.declared))?;
        confirmed.judge_outcomes(cohort_file, &tally)?;
        if let Some((mask, message)) = tally.labels.brightest_among_others() {
            return Err(CohortError::file(mask, message));
        }
        let (left_out, one_outcome) = (tally.left_out(), tally.has_one_outcome());
        let Tally { train, test, positive, features, events, .. } = tally;
        let declared = *patients;
        let found = Inventory { declared, train, test, positive, left_out, features, events, digest };
        confirmed.judge(cohort_file, &found, one_outcome)?;
        Ok(found)
    }

    /// Digests names and bytes of every file that the cohort is made of: the cohort file, schema, list and index, and
    /// every table, image and mask that belongs to it.
    ///
    /// # Errors
    /// Names a file that cannot be read.
    pub fn digest(&self) -> Result<Digest, CohortError> {
        Ok(self.contents()?.digest())
    }

    /// Lists the files that the cohort is made of, without reading any with patients.
    ///
    /// # Errors
    /// Names a folder that cannot be listed.
    pub fn files(&self) -> Result<Vec<PathBuf>, CohortError> {
        let cohort_file = &self.declared.cohort_file;
        let mut files = vec![cohort_file.clone()];
        files.extend(self.reader.files(cohort_file)?);
        if let Split::Listed(listed) = &self.declared.split {
            files.push(beside(cohort_file, &listed.file));
        }
        Ok(files)
    }

    fn contents(&self) -> Result<fingerprint::Contents, CohortError> {
        let folder = self.declared.cohort_file.parent().unwrap_or(Path::new(""));
        fingerprint::Contents::of(folder, self.files()?)
    }

    /// Refuses to have confirmed what there is not.
    fn check_confirmed(&self) -> Result<(), CohortError> {
        let Declared { cohort_file, confirmed, .. } = &self.declared;
        match confirmed.implausible.keys().find(|feature| !self.reader.has_feature(feature)) {
            Some(feature) => {
                let message =
                    format!("has confirmed.implausible.{feature}, and the schema has no such feature");
                Err(CohortError::file(cohort_file, message))
            }
            None => Ok(()),
        }
    }
}

impl Check for Contents {
    fn check(&self) -> Result<(), Problem> {
        let Limits { slice_max, slices_max, records_max: _ } = &self.limits;
        let key = slice_max.map(|_| "limits.slice_max").or(slices_max.map(|_| "limits.slices_max"));
        if let (RecordKind::Table, Some(key)) = (self.source.kind(), key) {
            return Err(Problem::new(key, "limits images, and the cohort is a table"));
        }
        if let Source::Series(source) = &self.source {
            source.check()?;
        }
        match (&self.split, self.source.kind()) {
            (Split::Listed(listed), RecordKind::Images) if listed.is_of_lines() => {
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
