//! The reader of images: scans with their masks, one of each per patient.

use std::fmt;
use std::path::{Path, PathBuf};

use fedtwin_plan::cohort_need::{DataNeed, ImageNeed};
use fedtwin_plan::inventory::LeftOutReason;
use fedtwin_plan::record::{Part, Records, VolumeRecord};

use super::Reader;
use crate::declared::Declared;
use crate::error::CohortError;
use crate::image::scan::{Found, Read, ScanRead, Visit};
use crate::limits::{Limits, SliceSize, holds};
use crate::mismatch::{Mismatch, RecordKind};
use crate::split::Patient;
use crate::split::identity::Place;
use crate::split::pattern::PatientPattern;
use crate::table::measured::Converted;
use crate::tally::Tally;

/// Where scans and masks come from.
pub(crate) trait ScanSource: fmt::Debug + Send + Sync {
    /// Shows every scan beside `cohort_file` to `visit`, in an order that stays; none is read but by whom it is shown to.
    fn scans(&self, cohort_file: &Path, visit: Visit<'_>) -> Result<(), CohortError>;

    /// Lists the files that scans and masks are made of; what is invented has none.
    fn files(&self, cohort_file: &Path) -> Result<Vec<PathBuf>, CohortError>;

    /// Returns which part of a name is the patient, where the cohort file says it.
    fn pattern(&self) -> Option<&PatientPattern>;

    /// Returns the size of the largest slice, where it is known without reading any, as of what is invented.
    fn slice_max(&self) -> Option<SliceSize> {
        None
    }
}

/// Reads the scans of a source, one at a time.
#[derive(Debug)]
pub(crate) struct ScanReader<S>(pub(crate) S);

/// What is met among the scans.
enum Met<'a> {
    /// A patient of a part, and how to read what there is.
    Patient { part: Part, file: &'a Path, read: Read<'a> },
    /// Some in neither part.
    LeftOut(LeftOutReason, u32),
}

impl<S: ScanSource> Reader for ScanReader<S> {
    fn fits(&self, need: &DataNeed, limits: &Limits) -> Result<(), Mismatch> {
        self.limits(limits).fit(images(need)?)
    }

    fn conversions(&self, _need: &DataNeed) -> Vec<Converted> {
        Vec::new()
    }

    fn files(&self, cohort_file: &Path) -> Result<Vec<PathBuf>, CohortError> {
        self.0.files(cohort_file)
    }

    fn has_feature(&self, _name: &str) -> bool {
        false
    }

    fn count(&self, declared: &Declared) -> Result<Tally, CohortError> {
        let (mut tally, limits) = (Tally::default(), self.limits(&declared.limits));
        self.show(declared, |met| match met {
            Met::Patient { part, file, read } => {
                tally.add(part);
                let ScanRead { volume, labels } = read()?;
                if let Some((mask, labels)) = labels {
                    tally.labels.add(&mask, &labels);
                }
                tally.positive += u32::from(volume.mask.contains(&1));
                let exceeded = limits.exceeded_by(&volume);
                exceeded.map_or(Ok(()), |message| Err(CohortError::file(file, message)))
            }
            Met::LeftOut(reason, count) => {
                tally.leave_out(reason, count);
                Ok(())
            }
        })?;
        Ok(tally)
    }

    fn read(&self, declared: &Declared, need: &DataNeed, part: Part) -> Result<Records, CohortError> {
        let need = images(need)?;
        let mut records = Vec::new();
        self.show(declared, |met| {
            match met {
                Met::Patient { part: its, file: _, read } if its == part => {
                    records.extend(as_planned(read()?.volume, need, part));
                }
                Met::Patient { .. } | Met::LeftOut(..) => {}
            }
            Ok(())
        })?;
        Ok(Records::Volumes(records))
    }
}

impl<S: ScanSource> ScanReader<S> {
    /// Shows each patient of both parts to `each`, which reads whom it wants, and all who are in neither.
    fn show(
        &self,
        declared: &Declared,
        mut each: impl FnMut(Met<'_>) -> Result<(), CohortError>,
    ) -> Result<(), CohortError> {
        let mut selection = declared.selection(self.0.pattern())?;
        self.0.scans(&declared.cohort_file, &mut |found| match found {
            Found::Scan { id, file, read } => {
                match selection.part_of(Patient { id: Some(id), place: Place::File(file) })? {
                    Some(part) => {
                        selection.admit(part)?;
                        each(Met::Patient { part, file, read })
                    }
                    None => each(Met::LeftOut(LeftOutReason::NotInSplit, 1)),
                }
            }
            Found::LeftOut(reason, count) => each(Met::LeftOut(reason, count)),
        })?;
        selection.finish(None)
    }

    /// Returns the declared limits; those of some sources are known where nobody declares any.
    fn limits(&self, declared: &Limits) -> Limits {
        Limits { slice_max: declared.slice_max.or(self.0.slice_max()), ..declared.clone() }
    }
}

/// Returns the size that a plan asks for, if it asks for images.
fn images(need: &DataNeed) -> Result<ImageNeed, Mismatch> {
    match need {
        DataNeed::Images(need) => Ok(*need),
        DataNeed::Table(_) => Err(Mismatch::Kind { plan: RecordKind::Table, cohort: RecordKind::Images }),
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
