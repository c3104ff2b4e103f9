//! Folders of NIfTI images and masks, one volume per patient.

use std::path::Path;

use fedtwin_plan::record::VolumeRecord;

use crate::error::CohortError;
use crate::image::folders::{self, Folders, Listing, Scan};
use crate::image::geometry::{Order, Placement};
use crate::image::intensities::{Margin, normalised};
use crate::image::mask::Numbers;
use crate::image::nifti_file;
use crate::reader::scans::ScanRead;
use crate::source::ImageSource;

/// Lists a cohort's volumes.
pub(crate) fn list(cohort_file: &Path, source: &ImageSource) -> Result<Listing, CohortError> {
    let ImageSource { images, masks, only, .. } = source;
    folders::list(cohort_file, Folders { images, masks, only: only.as_ref() }, &[".nii.gz", ".nii"])
}

/// Reads one patient's volume and its mask, both in the anatomical orientation.
pub(crate) fn read_scan(scan: &Scan, source: &ImageSource) -> Result<ScanRead, CohortError> {
    let walks = Walks::of(scan, source)?;
    if source.mask.is_none() {
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
    let decision = numbers.decide(source.mask.as_ref());
    let decision = decision.map_err(|message| CohortError::file(&scan.mask, message))?;
    let mask = walks.mask.walk(&volume.map(|number| decision.organ(number)), volume.header.shape);
    let volume = VolumeRecord { shape, spacing_mm: walks.placement.affine.spacing_mm(), image, mask };
    let labels = source.mask.is_none().then(|| (scan.mask.clone(), numbers.labels_kept().clone()));
    Ok(ScanRead { volume, labels })
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
