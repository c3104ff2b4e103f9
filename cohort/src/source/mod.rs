//! Where a cohort's records come from, as the cohort file says it.

pub(crate) mod nifti;
pub(crate) mod png;
pub(crate) mod synthetic;

use std::path::PathBuf;

use fedtwin_plan::numbers::{Count, Positive};
use serde::Deserialize;

use crate::image::geometry::Orientation;
pub use crate::image::index::IndexFilter;
use crate::image::mask::MaskRule;
use crate::split::pattern::PatientPattern;

/// Where a cohort's records come from; paths are relative to the cohort file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A table in a text file, one line per patient.
    Table(TableSource),
    /// A folder of NIfTI images and one of masks, one volume per patient.
    Images(ImageSource),
    /// A folder of PNG pictures and one of masks, one picture per patient.
    Pictures(PictureSource),
    /// Invented health records with the columns of the heart schema.
    SyntheticTable(SyntheticSource),
    /// Invented scans of phantom organs with their masks.
    SyntheticImages(SyntheticSource),
    /// Invented scans of hippocampi with their masks, to pre-train on.
    SyntheticHippocampi(HippocampiSource),
}

/// A table in a text file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSource {
    /// The table.
    pub file: PathBuf,
    /// The schema file, which several cohorts may share.
    pub schema: PathBuf,
    /// Which part of an identifier is the patient; without it, all of it.
    pub patient: Option<PatientPattern>,
}

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

/// A folder of pictures and one of masks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PictureSource {
    /// The folder of pictures: `<patient>.png`, grey or in colour. Colours become luminance.
    pub images: PathBuf,
    /// The folder of masks, under the same names: grey levels, or a palette's numbers.
    pub masks: PathBuf,
    /// What of a mask is organ; without it, numbers from 1 on.
    pub mask: Option<MaskRule>,
    /// The distance between neighbouring pixels in millimetres. Without it, distances in reports are in pixels.
    pub pixel_mm: Option<Positive>,
    /// Which of the pictures belong to the cohort; without it, all.
    pub only: Option<IndexFilter>,
    /// Which part of a name, without its ending, is the patient; without it, all of it.
    pub patient: Option<PatientPattern>,
}

/// One site of the built-in synthetic federation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticSource {
    /// The federation's seed, the same at all its sites.
    pub seed: u64,
    /// Which site: it decides scanner or laboratory, and case mix.
    pub site: Count<0, 3>,
    /// Patients of both parts.
    pub patients: Count<1, 100_000>,
    /// The patients of this many sites, beginning with `site`, in equal shares one after the other: what a
    /// demonstration compares a federation with.
    #[serde(default = "one_site")]
    pub pooled_sites: Count<1, 4>,
}

/// Invented hippocampi of any form and brightness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HippocampiSource {
    /// Another seed makes other volumes.
    pub seed: u64,
    /// Volumes of both parts.
    pub patients: Count<1, 100_000>,
}

impl SyntheticSource {
    /// Returns the site that a patient of the cohort comes from, and the patient's number there, from 1.
    pub(crate) fn locate(self, patient: u32) -> (Self, u32) {
        let share = (self.patients.get() / self.pooled_sites.get()).max(1);
        let site = (self.site.get() + (patient - 1) / share).min(3);
        let site = Count::try_from(i64::from(site)).expect("the site is at most 3");
        (Self { site, ..self }, (patient - 1) % share + 1)
    }
}

fn one_site() -> Count<1, 4> {
    Count::try_from(1).expect("1 is in range")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooled_patients_are_those_of_the_sites_in_turn() {
        let source = SyntheticSource {
            seed: 1,
            site: Count::try_from(0).unwrap(),
            patients: Count::try_from(30).unwrap(),
            pooled_sites: Count::try_from(3).unwrap(),
        };
        for (patient, site, number) in [(1, 0, 1), (10, 0, 10), (11, 1, 1), (30, 2, 10)] {
            let (at, there) = source.locate(patient);
            assert_eq!((at.site.get(), there), (site, number));
        }
    }
}
