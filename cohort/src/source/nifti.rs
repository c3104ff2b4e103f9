//! Folders of NIfTI images and masks, one volume per patient.

use std::path::{Path, PathBuf};

use fedtwin_plan::numbers::Count;
use fedtwin_plan::record::VolumeRecord;
use serde::Deserialize;

use crate::error::CohortError;
use crate::image::folders::{Folders, Scan};
use crate::image::geometry::{Order, Orientation, Placement};
use crate::image::index::IndexFilter;
use crate::image::intensities::{Margin, normalised};
use crate::image::mask::{MaskRule, Numbers};
use crate::image::nifti_file;
use crate::image::scan::{ScanRead, Visit};
use crate::reader::scans::ScanSource;
use crate::split::pattern::PatientPattern;

/// A folder of images and one of masks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSource {
    /// The folder of images: `<patient>.nii` or `<patient>.nii.gz`.
    pub images: PathBuf,
    /// The folder of masks, under the same names.
    pub masks: PathBuf,
    /// The patient's axis across the slices, however the file is stored: 0 from left to right (sagittal slices), 1 from
    /// back to front (coronal), 2 from the feet upwards (axial).
    pub slice_axis: Count<0, 2>,
    /// What of a mask is organ; without it, labels from 1 on, or likelihoods from one half on.
    pub mask: Option<MaskRule>,
    /// Whereto the axes run in files that do not say; without it, such files are refused.
    pub unstated_orientation: Option<Orientation>,
    /// Which of the images belong to the cohort; without it, all.
    pub only: Option<IndexFilter>,
    /// Which part of a name, without its ending, is the patient; without it, all of it.
    pub patient: Option<PatientPattern>,
}

impl ScanSource for ImageSource {
    fn scans(&self, cohort_file: &Path, visit: Visit<'_>) -> Result<(), CohortError> {
        self.folders().scans(cohort_file, &|scan| self.read(scan), visit)
    }

    fn files(&self, cohort_file: &Path) -> Result<Vec<PathBuf>, CohortError> {
        self.folders().files(cohort_file)
    }

    fn pattern(&self) -> Option<&PatientPattern> {
        self.patient.as_ref()
    }
}

impl ImageSource {
    fn folders(&self) -> Folders<'_> {
        let Self { images, masks, only, .. } = self;
        Folders { images, masks, only: only.as_ref(), endings: &[".nii.gz", ".nii"] }
    }

    /// Reads one patient's volume and its mask, both in the anatomical orientation.
    fn read(&self, scan: &Scan) -> Result<ScanRead, CohortError> {
        let walks = Walks::of(scan, self)?;
        if self.mask.is_none() {
            scan.check_mask_is_none_of_image()?;
        }
        let volume = nifti_file::read(&scan.image)?;
        #[expect(clippy::cast_possible_truncation, reason = "intensities need no more than single precision")]
        let image = walks.image.walk(&volume.map(|x| x as f32), volume.header.shape);
        let shape = walks.placement.shape;
        let image = normalised(&image, &Margin::of(&image, shape))
            .ok_or_else(|| CohortError::file(&scan.image, "has no voxel that is a number"))?;
        let volume = nifti_file::read(&scan.mask)?;
        let numbers = Numbers::of(|visit| volume.each(visit));
        let decision = numbers.decide(self.mask.as_ref());
        let decision = decision.map_err(|message| CohortError::file(&scan.mask, message))?;
        let mask = walks.mask.walk(&volume.map(|number| decision.organ(number)), volume.header.shape);
        let volume = VolumeRecord { shape, spacing_mm: walks.placement.affine.spacing_mm(), image, mask };
        let labels = self.mask.is_none().then(|| (scan.mask.clone(), numbers.labels_kept().clone()));
        Ok(ScanRead { volume, labels })
    }
}

/// How to walk through both files, so that voxels of the same place meet.
struct Walks {
    image: Order,
    mask: Order,
    /// Where the image's voxels lie on its walk.
    placement: Placement,
}

impl Walks {
    /// Compares the headers of image and mask, before voxels are read.
    fn of(scan: &Scan, source: &ImageSource) -> Result<Self, CohortError> {
        let placement = |file: &Path| -> Result<Placement, CohortError> {
            let header = nifti_file::read_header(file)?;
            let affine = header.place(source.unstated_orientation);
            let affine = affine.map_err(|message| CohortError::file(file, message))?;
            Ok(Placement { shape: header.shape, affine })
        };
        let (image, mask) = (placement(&scan.image)?, placement(&scan.mask)?);
        let order = image.affine.orientation().to_anatomical().arranged(slice_axes(source));
        let placement = image.ordered(order);
        let mask = placement.walk_of(&mask).map_err(|message| {
            CohortError::file(&scan.mask, format!("{message} as of its image {}", scan.image.display()))
        })?;
        Ok(Self { image: order, mask, placement })
    }
}

/// Returns the anatomical axes in a record's order: across slices, rows, columns.
fn slice_axes(source: &ImageSource) -> [usize; 3] {
    match source.slice_axis.get() {
        0 => [0, 1, 2],
        1 => [1, 0, 2],
        _ => [2, 0, 1],
    }
}
