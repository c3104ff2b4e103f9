//! A folder of images and one of masks under the same names, one of each per patient.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::cohort_file::beside;
use crate::error::CohortError;
use crate::source::IndexFilter;
use crate::table::{position, text_reader};

/// Where images and masks are, relative to the cohort file.
#[derive(Clone, Copy)]
pub(crate) struct Folders<'a> {
    pub(crate) images: &'a Path,
    pub(crate) masks: &'a Path,
    /// Which of the images belong to the cohort; without it, all.
    pub(crate) only: Option<&'a IndexFilter>,
}

/// One patient's image and mask.
pub(crate) struct Scan {
    /// The hospital's identifier: the file's name.
    pub(crate) id: String,
    pub(crate) image: PathBuf,
    pub(crate) mask: PathBuf,
}

/// Lists a cohort's scans in files with one of some `endings`, sorted by their names; every image has a mask and every
/// mask an image.
pub(crate) fn list(
    cohort_file: &Path,
    folders: Folders<'_>,
    endings: &[&str],
) -> Result<Vec<Scan>, CohortError> {
    let images_folder = beside(cohort_file, folders.images);
    let images = files_in(&images_folder, endings)?;
    let mut masks = files_in(&beside(cohort_file, folders.masks), endings)?;
    if let Some((_, mask)) = masks.iter().find(|(id, _)| !images.contains_key(*id)) {
        return Err(CohortError::file(
            mask,
            format!("has no image of that name in {}", images_folder.display()),
        ));
    }
    let only = folders.only.map(|filter| indexed(cohort_file, filter)).transpose()?;
    if let (Some(ids), Some(filter)) = (&only, folders.only)
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

/// Returns all files of the scans, and the index that chose them.
pub(crate) fn files(cohort_file: &Path, scans: &[Scan], only: Option<&IndexFilter>) -> Vec<PathBuf> {
    let of_scans = scans.iter().flat_map(|scan| [scan.image.clone(), scan.mask.clone()]);
    of_scans.chain(only.map(|index| beside(cohort_file, &index.file))).collect()
}

impl Scan {
    /// Refuses a mask of another size than its image's; `image` and `mask` say both for people.
    pub(crate) fn other_size(&self, image: &str, mask: &str) -> CohortError {
        let message =
            format!("is a mask of {mask}, expected {image} as of its image {}", self.image.display());
        CohortError::file(&self.mask, message)
    }
}

/// Lists a folder's files by their names without the ending; files with other endings do not count.
fn files_in(folder: &Path, endings: &[&str]) -> Result<BTreeMap<String, PathBuf>, CohortError> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(CohortError::storage(folder))? {
        let path = entry.map_err(CohortError::storage(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(id) = endings.iter().find_map(|ending| name.strip_suffix(ending)) else {
            continue;
        };
        if id.starts_with('.') {
            continue;
        }
        if files.insert(id.to_owned(), path.clone()).is_some() {
            return Err(CohortError::file(&path, "is there twice, under two endings"));
        }
    }
    Ok(files)
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
