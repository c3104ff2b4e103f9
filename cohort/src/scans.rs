//! Cohorts of images, whatever files or inventions they come from.

use std::path::{Path, PathBuf};

use fedtwin_plan::record::{Part, VolumeRecord};

use crate::error::CohortError;
use crate::folders::{self, Scan};
use crate::images;
use crate::limits::{Limits, SliceSize};
use crate::pictures;
use crate::source::{HippocampiSource, ImageSource, PictureSource, SyntheticSource};
use crate::split::{Patient, Selection};
use crate::synthetic;

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

/// One patient who is in a part, and how to read what there is.
pub(crate) struct Assigned<'a> {
    pub(crate) part: Part,
    /// The image, or what stands for it.
    pub(crate) file: &'a Path,
    pub(crate) read: &'a dyn Fn() -> Result<VolumeRecord, CohortError>,
}

impl Scans {
    /// Shows each patient of both parts to `each`, which reads whom it wants.
    pub(crate) fn assign(
        &self,
        cohort_file: &Path,
        selection: &mut Selection,
        each: &mut dyn FnMut(Assigned<'_>) -> Result<(), CohortError>,
    ) -> Result<(), CohortError> {
        match self {
            Self::Volumes(source) => {
                let scans = images::list(cohort_file, source)?;
                of_files(&scans, &|scan| images::read_scan(scan, source), selection, each)
            }
            Self::Pictures(source) => {
                let scans = pictures::list(cohort_file, source)?;
                of_files(&scans, &|scan| pictures::read_scan(scan, source), selection, each)
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

    /// Lists the files that the images are made of; what is invented has none.
    pub(crate) fn files(&self, cohort_file: &Path) -> Result<Vec<PathBuf>, CohortError> {
        match self {
            Self::Volumes(source) => {
                let scans = images::list(cohort_file, source)?;
                Ok(folders::files(cohort_file, &scans, source.only.as_ref()))
            }
            Self::Pictures(source) => {
                let scans = pictures::list(cohort_file, source)?;
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
    scans: &[Scan],
    read: &dyn Fn(&Scan) -> Result<VolumeRecord, CohortError>,
    selection: &mut Selection,
    each: &mut dyn FnMut(Assigned<'_>) -> Result<(), CohortError>,
) -> Result<(), CohortError> {
    for (line, scan) in (1..).zip(scans) {
        if let Some(part) = selection.assign(Patient { id: &scan.id, line })? {
            each(Assigned { part, file: &scan.image, read: &|| read(scan) })?;
        }
    }
    Ok(())
}

fn invented(
    cohort_file: &Path,
    (count, volume): (u32, &dyn Fn(u32) -> VolumeRecord),
    selection: &mut Selection,
    each: &mut dyn FnMut(Assigned<'_>) -> Result<(), CohortError>,
) -> Result<(), CohortError> {
    for number in 1..=count {
        let id = format!("phantom-{number}");
        if let Some(part) = selection.assign(Patient { id: &id, line: number.into() })? {
            each(Assigned { part, file: cohort_file, read: &|| Ok(volume(number)) })?;
        }
    }
    Ok(())
}
