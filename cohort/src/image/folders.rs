//! A folder of images and one of masks under the same names, one of each per patient.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fedtwin_plan::inventory::LeftOutReason;

use crate::error::CohortError;
use crate::fingerprint::same_bytes;
use crate::image::index::IndexFilter;
use crate::image::scan::{Found, ScanRead, Visit};
use crate::paths::beside;

/// Where images and masks are, relative to the cohort file.
#[derive(Clone, Copy)]
pub(crate) struct Folders<'a> {
    pub(crate) images: &'a Path,
    pub(crate) masks: &'a Path,
    /// Which of the images belong to the cohort; without it, all.
    pub(crate) only: Option<&'a IndexFilter>,
    /// How names of images and masks end, the longest first.
    pub(crate) endings: &'a [&'a str],
}

/// What two folders hold.
struct Listing {
    /// Sorted by their names.
    scans: Vec<Scan>,
    /// Images that the index does not choose.
    not_in_index: u32,
    /// Files of other kinds among the images.
    others: u32,
}

/// One patient's image and mask.
pub(crate) struct Scan {
    /// The file's name without its ending.
    pub(crate) id: String,
    pub(crate) image: PathBuf,
    pub(crate) mask: PathBuf,
}

impl Folders<'_> {
    /// Shows each scan to `visit`, which may `read` it, and counts what is none.
    pub(crate) fn scans(
        self,
        cohort_file: &Path,
        read: &dyn Fn(&Scan) -> Result<ScanRead, CohortError>,
        visit: Visit<'_>,
    ) -> Result<(), CohortError> {
        let Listing { scans, not_in_index, others } = self.list(cohort_file)?;
        visit(Found::LeftOut(LeftOutReason::NotInIndex, not_in_index))?;
        visit(Found::LeftOut(LeftOutReason::OtherFile, others))?;
        scans
            .iter()
            .try_for_each(|scan| visit(Found::Scan { id: &scan.id, file: &scan.image, read: &|| read(scan) }))
    }

    /// Returns all files of the scans, and the index that chose them.
    pub(crate) fn files(self, cohort_file: &Path) -> Result<Vec<PathBuf>, CohortError> {
        let scans = self.list(cohort_file)?.scans;
        let of_scans = scans.into_iter().flat_map(|scan| [scan.image, scan.mask]);
        Ok(of_scans.chain(self.only.map(|index| beside(cohort_file, &index.file))).collect())
    }

    /// Lists a cohort's scans; every image has a mask and every mask an image.
    fn list(self, cohort_file: &Path) -> Result<Listing, CohortError> {
        let Self { only, endings, .. } = self;
        let [folder, of_masks] = [self.images, self.masks].map(|folder| beside(cohort_file, folder));
        let (images, others) = files_in(&folder, endings)?;
        let (mut masks, _) = files_in(&of_masks, endings)?;
        let real = |folder: &Path| folder.canonicalize().map_err(CohortError::storage(folder));
        if real(&folder)? == real(&of_masks)? {
            let message = "is the folder of images and of masks: each image would be its own mask";
            return Err(CohortError::file(&folder, message));
        }
        if images.is_empty() {
            let endings = endings.join(" or ");
            let message =
                format!("has no file that ends in {endings}, and {others} others: there is no patient");
            return Err(CohortError::file(&folder, message));
        }
        if let Some((_, mask)) = masks.iter().find(|(id, _)| !images.contains_key(*id)) {
            return Err(CohortError::file(
                mask,
                format!("has no image of that name in {}", folder.display()),
            ));
        }
        let only = only.map(|filter| filter.read(cohort_file)).transpose()?;
        if let Some(index) = &only {
            index.check(&folder, |name| images.contains_key(name))?;
        }
        let all = images.len();
        let chosen = images.into_iter().filter(|(id, _)| only.as_ref().is_none_or(|index| index.chooses(id)));
        let scans = chosen.map(|(id, image)| match masks.remove(&id) {
            Some(mask) => Ok(Scan { id, image, mask }),
            None => Err(CohortError::file(&image, "has no mask of that name")),
        });
        let scans = scans.collect::<Result<Vec<_>, _>>()?;
        Ok(Listing { not_in_index: count(all - scans.len()), scans, others })
    }
}

impl Scan {
    /// Refuses a mask that is a copy of its image, which nearly every rule would find some organ in.
    pub(crate) fn check_mask_is_none_of_image(&self) -> Result<(), CohortError> {
        if same_bytes(&self.image, &self.mask)? {
            let message = format!(
                "is a mask with the same bytes as its image {}: if the image does show organ and nothing else, say so, as in \
                 mask.labels = [1] or mask.threshold = 0.5",
                self.image.display()
            );
            return Err(CohortError::file(&self.mask, message));
        }
        Ok(())
    }

    /// Refuses a mask of another size than its image's; `image` and `mask` say both for people.
    pub(crate) fn other_size(&self, image: &str, mask: &str) -> CohortError {
        let message =
            format!("is a mask of {mask}, expected {image} as of its image {}", self.image.display());
        CohortError::file(&self.mask, message)
    }
}

/// Lists a folder's files by their names without the ending, and counts those with other endings. Capitals do not
/// count, and hidden files are nobody's.
fn files_in(folder: &Path, endings: &[&str]) -> Result<(BTreeMap<String, PathBuf>, u32), CohortError> {
    let (mut files, mut others) = (BTreeMap::new(), 0);
    for entry in std::fs::read_dir(folder).map_err(CohortError::storage(folder))? {
        let path = entry.map_err(CohortError::storage(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        let Some(id) = endings.iter().find_map(|ending| without_ending(&name, ending)) else {
            others += 1;
            continue;
        };
        if files.insert(id.to_owned(), path.clone()).is_some() {
            return Err(CohortError::file(&path, "is there twice, under two endings"));
        }
    }
    Ok((files, others))
}

/// Takes an ending of plain letters off a name, however it is capitalised.
fn without_ending<'n>(name: &'n str, ending: &str) -> Option<&'n str> {
    let at = name.len().checked_sub(ending.len()).filter(|&at| name.is_char_boundary(at))?;
    let (id, own) = name.split_at(at);
    own.eq_ignore_ascii_case(ending).then_some(id)
}

fn count(files: usize) -> u32 {
    u32::try_from(files).unwrap_or(u32::MAX)
}
