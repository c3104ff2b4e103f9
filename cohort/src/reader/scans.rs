//! Cohorts of images, whatever files or inventions they come from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fedtwin_plan::inventory::LeftOutReason;
use fedtwin_plan::record::{Part, VolumeRecord};

use crate::error::CohortError;
use crate::image::folders::{self, Listing, Scan};
use crate::limits::{Limits, SliceSize};
use crate::source::{HippocampiSource, ImageSource, PictureSource, SyntheticSource, nifti, png, synthetic};
use crate::split::identity::Place;
use crate::split::pattern::PatientPattern;
use crate::split::{Patient, Selection};

/// Where a cohort's images come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scans {
    /// Folders of volumes.
    Volumes(ImageSource),
    /// Folders of pictures.
    Pictures(PictureSource),
    /// Invented phantoms.
    Phantoms(SyntheticSource),
    /// Invented hippocampi.
    Hippocampi(HippocampiSource),
}

/// What is met among the scans.
pub(crate) enum Scanned<'a> {
    /// A patient of a part, and how to read what there is.
    Patient {
        part: Part,
        /// The image, or what stands for it.
        file: &'a Path,
        read: Read<'a>,
    },
    /// Some in neither part.
    LeftOut(LeftOutReason, u32),
}

/// How to read what there is of a patient.
pub(crate) type Read<'a> = &'a dyn Fn() -> Result<ScanRead, CohortError>;

/// One patient's scan as it was read.
pub(crate) struct ScanRead {
    pub(crate) volume: VolumeRecord,
    /// The mask, and two at most of its labels from 1 on: none where people declare which are organ.
    pub(crate) labels: Option<(PathBuf, BTreeSet<i64>)>,
}

/// What is shown whom is met.
pub(crate) type Each<'a> = &'a mut dyn FnMut(Scanned<'_>) -> Result<(), CohortError>;

impl Scans {
    /// Shows each patient of both parts to `each`, which reads whom it wants, and all who are in neither.
    pub(crate) fn assign(
        &self,
        cohort_file: &Path,
        selection: Selection,
        each: Each<'_>,
    ) -> Result<(), CohortError> {
        match self {
            Self::Volumes(source) => {
                let scans = nifti::list(cohort_file, source)?;
                of_files(&scans, &|scan| nifti::read_scan(scan, source), selection, each)
            }
            Self::Pictures(source) => {
                let scans = png::list(cohort_file, source)?;
                of_files(&scans, &|scan| png::read_scan(scan, source), selection, each)
            }
            Self::Phantoms(source) => {
                let volume = |number| synthetic::phantom(*source, number);
                invented(cohort_file, (source.patients.get(), &volume), selection, each)
            }
            Self::Hippocampi(source) => {
                let volume = |number| synthetic::hippocampus(*source, number);
                invented(cohort_file, (source.patients.get(), &volume), selection, each)
            }
        }
    }

    /// Returns which part of a name is the patient, where the cohort file says it.
    pub(crate) fn pattern(&self) -> Option<&PatientPattern> {
        match self {
            Self::Volumes(source) => source.patient.as_ref(),
            Self::Pictures(source) => source.patient.as_ref(),
            Self::Phantoms(_) | Self::Hippocampi(_) => None,
        }
    }

    /// Lists the files that the images are made of; what is invented has none.
    pub(crate) fn files(&self, cohort_file: &Path) -> Result<Vec<PathBuf>, CohortError> {
        match self {
            Self::Volumes(source) => {
                let scans = nifti::list(cohort_file, source)?.scans;
                Ok(folders::files(cohort_file, &scans, source.only.as_ref()))
            }
            Self::Pictures(source) => {
                let scans = png::list(cohort_file, source)?.scans;
                Ok(folders::files(cohort_file, &scans, source.only.as_ref()))
            }
            Self::Phantoms(_) | Self::Hippocampi(_) => Ok(Vec::new()),
        }
    }

    /// Returns the declared limits; those of invented images are known where nobody declares any.
    pub(crate) fn limits(&self, declared: &Limits) -> Limits {
        let known = match self {
            Self::Volumes(_) | Self::Pictures(_) => None,
            Self::Phantoms(_) => Some(synthetic::PHANTOM_SHAPE_MAX),
            Self::Hippocampi(_) => Some(synthetic::HIPPOCAMPUS_SHAPE_MAX),
        };
        let size = |axis: usize| {
            let size = i64::try_from(axis).ok().and_then(|axis| axis.try_into().ok());
            size.expect("invented slices have a few dozen pixels")
        };
        let known = known.map(|[_, rows, columns]| SliceSize { height: size(rows), width: size(columns) });
        Limits { slice_max: declared.slice_max.or(known), ..declared.clone() }
    }
}

fn of_files(
    Listing { scans, not_in_index, others }: &Listing,
    read: &dyn Fn(&Scan) -> Result<ScanRead, CohortError>,
    mut selection: Selection,
    each: Each<'_>,
) -> Result<(), CohortError> {
    each(Scanned::LeftOut(LeftOutReason::NotInIndex, *not_in_index))?;
    each(Scanned::LeftOut(LeftOutReason::OtherFile, *others))?;
    for scan in scans {
        show(&mut selection, (&scan.id, &scan.image), &|| read(scan), each)?;
    }
    selection.finish(None)
}

fn invented(
    cohort_file: &Path,
    (count, volume): (u32, &dyn Fn(u32) -> VolumeRecord),
    mut selection: Selection,
    each: Each<'_>,
) -> Result<(), CohortError> {
    for number in 1..=count {
        let id = format!("phantom-{number}");
        let read = || Ok(ScanRead { volume: volume(number), labels: None });
        show(&mut selection, (&id, cohort_file), &read, each)?;
    }
    selection.finish(None)
}

fn show(
    selection: &mut Selection,
    (id, file): (&str, &Path),
    read: Read<'_>,
    each: Each<'_>,
) -> Result<(), CohortError> {
    match selection.part_of(Patient { id: Some(id), place: Place::File(file) })? {
        Some(part) => {
            selection.admit(part)?;
            each(Scanned::Patient { part, file, read })
        }
        None => each(Scanned::LeftOut(LeftOutReason::NotInSplit, 1)),
    }
}
