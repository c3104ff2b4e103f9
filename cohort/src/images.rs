//! Folders of images and masks, one volume per patient.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fedtwin_plan::cohort_need::ImageNeed;
use fedtwin_plan::record::VolumeRecord;

use crate::cohort_file::beside;
use crate::error::CohortError;
use crate::nifti_file::{self, VolumeHeader};
use crate::source::{ImageSource, IndexFilter};
use crate::split::{Patient, Selection};
use crate::table::{position, text_reader};

/// One patient's image and mask.
pub(crate) struct Scan {
    id: String,
    image: PathBuf,
    mask: PathBuf,
}

/// Lists a cohort's scans, sorted by their names; every image has a mask and every mask an image.
pub(crate) fn list(cohort_file: &Path, source: &ImageSource) -> Result<Vec<Scan>, CohortError> {
    let images_folder = beside(cohort_file, &source.images);
    let images = volumes_in(&images_folder)?;
    let mut masks = volumes_in(&beside(cohort_file, &source.masks))?;
    if let Some((_, mask)) = masks.iter().find(|(id, _)| !images.contains_key(*id)) {
        return Err(CohortError::file(
            mask,
            format!("has no image of that name in {}", images_folder.display()),
        ));
    }
    let only = source.only.as_ref().map(|filter| indexed(cohort_file, filter)).transpose()?;
    if let (Some(ids), Some(filter)) = (&only, &source.only)
        && let Some(id) = ids.iter().find(|id| !images.contains_key(*id))
    {
        let message = format!("names {id}, of which there is no image in {}", images_folder.display());
        return Err(CohortError::file(&beside(cohort_file, &filter.file), message));
    }
    let chosen = images.into_iter().filter(|(id, _)| only.as_ref().is_none_or(|ids| ids.contains(id)));
    chosen
        .map(|(id, image)| match masks.remove(&id) {
            Some(mask) => Ok(Scan { id, image, mask }),
            None => Err(CohortError::file(&image, "has no mask of that name")),
        })
        .collect()
}

/// Reads the selected scans in the order of their names.
pub(crate) fn read(
    scans: &[Scan],
    source: &ImageSource,
    need: ImageNeed,
    mut selection: Selection,
) -> Result<Vec<VolumeRecord>, CohortError> {
    let mut records = Vec::new();
    for (line, scan) in (1..).zip(scans) {
        if selection.takes(Patient { id: &scan.id, line })? {
            records.push(scan.read(source, need)?);
        }
    }
    Ok(records)
}

impl Scan {
    /// Checks from the headers alone that the mask is the image's and that slices fit the plan's size.
    pub(crate) fn check(&self, source: &ImageSource, need: ImageNeed) -> Result<VolumeHeader, CohortError> {
        let (image, _) = nifti_file::open(&self.image)?;
        let (mask, _) = nifti_file::open(&self.mask)?;
        if mask.shape != image.shape {
            let message = format!(
                "is a mask of {}, expected {} as of its image {}",
                sizes(mask.shape),
                sizes(image.shape),
                self.image.display()
            );
            return Err(CohortError::file(&self.mask, message));
        }
        let [_, rows, columns] = slice_axes(source).map(|axis| image.shape[axis]);
        let (height, width) = (need.height.size(), need.width.size());
        if rows > height || columns > width {
            return Err(CohortError::mismatch(format!(
                "it expects slices of at most {height} x {width}, those of {} are {rows} x {columns}",
                self.image.display()
            )));
        }
        Ok(image)
    }

    fn read(&self, source: &ImageSource, need: ImageNeed) -> Result<VolumeRecord, CohortError> {
        let header = self.check(source, need)?;
        let (_, image) = nifti_file::read(&self.image)?;
        let (_, mask) = nifti_file::read(&self.mask)?;
        if mask.iter().any(|x| x.is_nan()) {
            return Err(CohortError::file(&self.mask, "is a mask with a voxel that is no number"));
        }
        let axes = slice_axes(source);
        let image = normalised(&across(&image, header.shape, axes))
            .ok_or_else(|| CohortError::file(&self.image, "has no voxel that is a number"))?;
        Ok(VolumeRecord {
            shape: axes.map(|axis| header.shape[axis]),
            spacing_mm: axes.map(|axis| header.spacing_mm[axis]),
            image,
            mask: across(&mask, header.shape, axes).into_iter().map(|x| u8::from(x > 0.0)).collect(),
        })
    }
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

/// Lists a folder's volumes by their names without `.nii` or `.nii.gz`; other files do not count.
fn volumes_in(folder: &Path) -> Result<BTreeMap<String, PathBuf>, CohortError> {
    let mut volumes = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(CohortError::storage(folder))? {
        let path = entry.map_err(CohortError::storage(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(id) = name.strip_suffix(".nii.gz").or_else(|| name.strip_suffix(".nii")) else {
            continue;
        };
        if id.starts_with('.') {
            continue;
        }
        if volumes.insert(id.to_owned(), path.clone()).is_some() {
            return Err(CohortError::file(&path, "is there twice, plain and compressed"));
        }
    }
    Ok(volumes)
}

fn indexed(cohort_file: &Path, filter: &IndexFilter) -> Result<BTreeSet<String>, CohortError> {
    let file = beside(cohort_file, &filter.file);
    let mut reader = text_reader(&file, b',', true)?;
    let header = reader.headers().map_err(CohortError::csv(&file))?.clone();
    let (id, column) = (position(&file, &header, &filter.id)?, position(&file, &header, &filter.column)?);
    let mut ids = BTreeSet::new();
    for record in reader.records() {
        let record = record.map_err(CohortError::csv(&file))?;
        if record.get(column) == Some(filter.equals.as_str())
            && let Some(id) = record.get(id)
        {
            ids.insert(id.to_owned());
        }
    }
    Ok(ids)
}

fn sizes([a, b, c]: [usize; 3]) -> String {
    format!("{a} x {b} x {c} voxels")
}
