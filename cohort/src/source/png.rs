//! Folders of PNG pictures and masks, one picture per patient: a volume of one slice.
//!
//! What a picture hides is not seen: pixels of opacity 0 have no intensity and are no organ.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ::png::ColorType;
use fedtwin_plan::numbers::Positive;
use fedtwin_plan::record::VolumeRecord;
use serde::Deserialize;

use crate::error::CohortError;
use crate::image::folders::{Folders, Scan};
use crate::image::index::IndexFilter;
use crate::image::intensities::{Margin, normalised};
use crate::image::luminance::intensity;
use crate::image::mask::{MaskRule, Numbers};
use crate::image::png_file::{self, Png, Samples};
use crate::image::scan::{ScanRead, Visit};
use crate::reader::scans::ScanSource;
use crate::split::pattern::PatientPattern;

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

impl ScanSource for PictureSource {
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

impl PictureSource {
    fn folders(&self) -> Folders<'_> {
        let Self { images, masks, only, .. } = self;
        Folders { images, masks, only: only.as_ref(), endings: &[".png"] }
    }

    /// Reads one patient's picture and its mask, both upright.
    fn read(&self, scan: &Scan) -> Result<ScanRead, CohortError> {
        if self.mask.is_none() {
            scan.check_mask_is_none_of_image()?;
        }
        let picture = png_file::read(&scan.image, Samples::Colours)?;
        let mask = png_file::read(&scan.mask, Samples::Stored)?;
        let ([rows, columns], of_mask) = (picture.upright_size(), mask.upright_size());
        if of_mask != [rows, columns] {
            let words = |[rows, columns]: [usize; 2]| format!("{rows} x {columns} pixels");
            return Err(scan.other_size(&words([rows, columns]), &words(of_mask)));
        }
        let shape = [1, rows, columns];
        let image = picture.upright(&intensities(&picture));
        let image = normalised(&image, &Margin::of(&image, shape))
            .ok_or_else(|| CohortError::file(&scan.image, "has no pixel that can be seen"))?;
        let (organ, labels) =
            organ(&mask, self.mask.as_ref()).map_err(|message| CohortError::file(&scan.mask, message))?;
        let pixel_mm = self.pixel_mm.map_or(1.0, |distance| distance.get());
        let spacing_mm = [1.0, pixel_mm, pixel_mm];
        let volume = VolumeRecord { shape, spacing_mm, image, mask: mask.upright(&organ) };
        Ok(ScanRead { volume, labels: self.mask.is_none().then(|| (scan.mask.clone(), labels)) })
    }
}

/// Returns each pixel's luminance, on black where it is translucent; no number where it is hidden.
fn intensities(picture: &Png) -> Vec<f32> {
    let most = if picture.bits == 16 { u16::MAX } else { u8::MAX.into() };
    let samples: Vec<u16> = picture.numbers().collect();
    samples.chunks_exact(picture.color.samples()).map(|pixel| intensity(pixel, most)).collect()
}

/// Says for each pixel of a mask, as it is stored, whether it is organ; and which labels there are, two at most.
fn organ(mask: &Png, rule: Option<&MaskRule>) -> Result<(Vec<u8>, BTreeSet<i64>), String> {
    let labels = labels(mask)?;
    check_opacity(mask, &labels)?;
    if mask.color == ColorType::Indexed && rule.is_none() {
        check_palette(mask, &labels)?;
    }
    let numbers = Numbers::of(|visit| labels.iter().for_each(|&label| visit(label.into())));
    let decision = numbers.decide(rule)?;
    let organ = labels.into_iter().map(|label| decision.organ(label.into())).collect();
    Ok((organ, numbers.labels_kept().clone()))
}

/// Returns each pixel's number: its grey level, or its place in the palette; 0 where it is hidden.
fn labels(mask: &Png) -> Result<Vec<u16>, String> {
    let numbers: Vec<u16> = mask.numbers().collect();
    let hidden = |pixel: &[u16]| match (&mask.hidden, mask.color) {
        // Opacities by number; those that the chunk leaves out are opaque.
        (Some(opacities), ColorType::Indexed) => opacities.get(usize::from(pixel[0])) == Some(&0),
        // One hidden colour.
        (Some(colour), ColorType::Grayscale | ColorType::Rgb) => {
            let (wide, _) = colour.as_chunks::<2>();
            // The decoder keeps one byte for each channel where samples have no more than 8 bits.
            let channels: Vec<u16> = if colour.len() == mask.color.samples() {
                colour.iter().map(|&byte| byte.into()).collect()
            } else {
                wide.iter().map(|&bytes| u16::from_be_bytes(bytes)).collect()
            };
            pixel == channels
        }
        (_, ColorType::GrayscaleAlpha | ColorType::Rgba) => pixel.last() == Some(&0),
        (None, ColorType::Indexed | ColorType::Grayscale | ColorType::Rgb) => false,
    };
    let label = |pixel: &[u16]| match (mask.color, pixel) {
        (_, pixel) if hidden(pixel) => Ok(0),
        (ColorType::Rgb | ColorType::Rgba, [red, green, blue, ..]) if red != green || green != blue => {
            Err("is a mask in colour, expected grey levels or a palette: 0 outside and more inside"
                .to_owned())
        }
        (_, pixel) => Ok(pixel[0]),
    };
    numbers.chunks_exact(mask.color.samples()).map(label).collect()
}

/// Checks that a mask is not drawn in its opacity alone, as black on nothing.
fn check_opacity(mask: &Png, labels: &[u16]) -> Result<(), String> {
    if !matches!(mask.color, ColorType::GrayscaleAlpha | ColorType::Rgba)
        || labels.iter().any(|&label| label > 0)
    {
        return Ok(());
    }
    let channels = mask.color.samples();
    let mut opacities = mask.numbers().skip(channels - 1).step_by(channels);
    let first = opacities.next();
    if opacities.all(|opacity| Some(opacity) == first) {
        return Ok(());
    }
    Err("is a mask that is black wherever it is seen, and whose opacity differs: it is drawn in the opacity; store it in \
         grey levels, 0 outside and more inside"
        .to_owned())
}

/// Checks that what is seen is what the numbers say: a black background, and no organ that looks like it.
///
/// Programs that make pictures smaller, or draw in two colours, number a palette as they like.
fn check_palette(mask: &Png, labels: &[u16]) -> Result<(), String> {
    let colour = |label: u16| {
        let at = 3 * usize::from(label);
        mask.palette.get(at..at + 3)
    };
    let mut used = labels.to_vec();
    used.sort_unstable();
    used.dedup();
    let background = colour(0);
    let looks_as_background = |label: &&u16| **label > 0 && colour(**label) == background;
    if let Some(label) = used.iter().find(looks_as_background) {
        return Err(format!(
            "is a mask whose palette has one colour for the numbers 0 and {label}: say which numbers are organ, as in \
             mask.labels = [1]"
        ));
    }
    let is_black = background.is_none_or(|colour| colour.iter().all(|&channel| channel == 0));
    let is_hidden = mask.hidden.as_ref().is_some_and(|opacities| opacities.first() == Some(&0));
    if !is_black && !is_hidden {
        return Err("is a mask whose palette does not begin with black, so that its background is not known: say which \
                    numbers are organ, as in mask.labels = [1]"
            .to_owned());
    }
    Ok(())
}
