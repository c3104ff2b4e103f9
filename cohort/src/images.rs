//! Folders of NIfTI images and masks, one volume per patient.

use std::path::Path;

use fedtwin_plan::record::VolumeRecord;

use crate::error::CohortError;
use crate::folders::{self, Folders, Listing, Scan};
use crate::nifti_file::{self, VolumeHeader};
use crate::source::ImageSource;

/// Lists a cohort's volumes.
pub(crate) fn list(cohort_file: &Path, source: &ImageSource) -> Result<Listing, CohortError> {
    let ImageSource { images, masks, slice_axis: _, only, patient: _ } = source;
    folders::list(cohort_file, Folders { images, masks, only: only.as_ref() }, &[".nii.gz", ".nii"])
}

/// Checks from the headers alone that the mask is the image's.
fn check(scan: &Scan) -> Result<VolumeHeader, CohortError> {
    let (image, _) = nifti_file::open(&scan.image)?;
    let (mask, _) = nifti_file::open(&scan.mask)?;
    if mask.shape != image.shape {
        return Err(scan.other_size(&sizes(image.shape), &sizes(mask.shape)));
    }
    Ok(image)
}

/// Reads one patient's volume and its mask.
pub(crate) fn read_scan(scan: &Scan, source: &ImageSource) -> Result<VolumeRecord, CohortError> {
    let header = check(scan)?;
    let (_, image) = nifti_file::read(&scan.image)?;
    let (_, mask) = nifti_file::read(&scan.mask)?;
    if mask.iter().any(|x| x.is_nan()) {
        return Err(CohortError::file(&scan.mask, "is a mask with a voxel that is no number"));
    }
    let axes = slice_axes(source);
    let image = normalised(&across(&image, header.shape, axes))
        .ok_or_else(|| CohortError::file(&scan.image, "has no voxel that is a number"))?;
    Ok(VolumeRecord {
        shape: axes.map(|axis| header.shape[axis]),
        spacing_mm: axes.map(|axis| header.spacing_mm[axis]),
        image,
        mask: across(&mask, header.shape, axes).into_iter().map(|x| u8::from(x > 0.0)).collect(),
    })
}

/// Normalises a volume by itself alone: clipped at its percentiles 0.5 and 99.5, then mean 0 and variance 1.
///
/// A voxel that is no number takes the lower bound; a constant volume becomes 0. Returns nothing if no
/// voxel is a number.
pub(crate) fn normalised(voxels: &[f32]) -> Option<Vec<f32>> {
    let mut finite: Vec<f32> = voxels.iter().copied().filter(|x| x.is_finite()).collect();
    let last = finite.len().checked_sub(1)?;
    let mut quantile =
        |per_mille: usize| *finite.select_nth_unstable_by(last * per_mille / 1000, f32::total_cmp).1;
    let (low, high) = (quantile(5), quantile(995));
    let clipped = |x: f32| f64::from(if x.is_finite() { x.clamp(low, high) } else { low });
    let count = voxels.len() as f64;
    let mean = voxels.iter().map(|&x| clipped(x)).sum::<f64>() / count;
    let variance = voxels.iter().map(|&x| (clipped(x) - mean).powi(2)).sum::<f64>() / count;
    let scale = if low < high { 1.0 / variance.sqrt() } else { 0.0 };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "normalised intensities need no more than single precision"
    )]
    let normalise = |&x: &f32| ((clipped(x) - mean) * scale) as f32;
    Some(voxels.iter().map(normalise).collect())
}

/// Returns the file's axes in a record's order: across slices, rows, columns.
fn slice_axes(source: &ImageSource) -> [usize; 3] {
    match source.slice_axis.get() {
        0 => [0, 1, 2],
        1 => [1, 0, 2],
        _ => [2, 0, 1],
    }
}

/// Reorders voxels from the file's order, first axis fastest, to row-major order of `axes`.
fn across(voxels: &[f32], shape: [usize; 3], axes: [usize; 3]) -> Vec<f32> {
    let strides = [1, shape[0], shape[0] * shape[1]];
    let [slices, rows, columns] = axes.map(|axis| (shape[axis], strides[axis]));
    let mut ordered = Vec::with_capacity(voxels.len());
    for slice in 0..slices.0 {
        for row in 0..rows.0 {
            let start = slice * slices.1 + row * rows.1;
            ordered.extend((0..columns.0).map(|column| voxels[start + column * columns.1]));
        }
    }
    ordered
}

fn sizes([a, b, c]: [usize; 3]) -> String {
    format!("{a} x {b} x {c} voxels")
}
