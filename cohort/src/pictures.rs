//! Folders of PNG pictures and masks, one picture per patient: a volume of one slice.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use fedtwin_plan::record::VolumeRecord;
use image::{DynamicImage, ImageError, ImageFormat, ImageReader, Limits};

use crate::error::CohortError;
use crate::folders::{self, Folders, Listing, Scan};
use crate::images::normalised;
use crate::source::PictureSource;

/// Lists a cohort's pictures.
pub(crate) fn list(cohort_file: &Path, source: &PictureSource) -> Result<Listing, CohortError> {
    let PictureSource { images, masks, pixel_mm: _, only, patient: _ } = source;
    folders::list(cohort_file, Folders { images, masks, only: only.as_ref() }, &[".png"])
}

/// Checks from the headers alone that the mask is the picture's; returns rows and columns.
fn check(scan: &Scan) -> Result<[usize; 2], CohortError> {
    let (image, mask) = (size(&scan.image)?, size(&scan.mask)?);
    let words = |[rows, columns]: [usize; 2]| format!("{rows} x {columns} pixels");
    if image != mask {
        return Err(scan.other_size(&words(image), &words(mask)));
    }
    Ok(image)
}

/// Reads one patient's picture and its mask.
pub(crate) fn read_scan(scan: &Scan, source: &PictureSource) -> Result<VolumeRecord, CohortError> {
    let [rows, columns] = check(scan)?;
    // Colours become luminance, as Rec. 709 weighs them; transparency does not count.
    let image = normalised(&decode(&scan.image)?.to_luma32f().into_raw())
        .ok_or_else(|| CohortError::file(&scan.image, "has no pixel"))?;
    let mask = match decode(&scan.mask)? {
        DynamicImage::ImageLuma8(mask) => mask.into_raw().into_iter().map(|x| u8::from(x > 0)).collect(),
        DynamicImage::ImageLuma16(mask) => mask.into_raw().into_iter().map(|x| u8::from(x > 0)).collect(),
        _ => {
            let message = "is a mask in colour, expected grey levels: 0 outside and more inside";
            return Err(CohortError::file(&scan.mask, message));
        }
    };
    let pixel_mm = source.pixel_mm.map_or(1.0, |distance| distance.get());
    Ok(VolumeRecord { shape: [1, rows, columns], spacing_mm: [1.0, pixel_mm, pixel_mm], image, mask })
}

/// Reads rows and columns from the header.
fn size(file: &Path) -> Result<[usize; 2], CohortError> {
    let (columns, rows) = open(file)?.into_dimensions().map_err(broken(file))?;
    let [rows, columns] = [rows, columns].map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    if rows.saturating_mul(columns) > PIXELS_MAX {
        let message = format!("has {rows} x {columns} pixels, expected at most {PIXELS_MAX}");
        return Err(CohortError::file(file, message));
    }
    Ok([rows, columns])
}

fn decode(file: &Path) -> Result<DynamicImage, CohortError> {
    open(file)?.decode().map_err(broken(file))
}

fn open(file: &Path) -> Result<ImageReader<BufReader<File>>, CohortError> {
    let opened = BufReader::new(File::open(file).map_err(CohortError::storage(file))?);
    let mut reader = ImageReader::with_format(opened, ImageFormat::Png);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    reader.limits(limits);
    Ok(reader)
}

/// The decoder's messages tell of the file's structure, and of no pixel.
fn broken(file: &Path) -> impl FnOnce(ImageError) -> CohortError {
    move |error| CohortError::file(file, format!("is no readable PNG picture ({error})"))
}

/// The most pixels of one picture: 8000 x 8000.
const PIXELS_MAX: usize = 64_000_000;

/// Four channels of 16 bits for each.
const DECODED_BYTES_MAX: u64 = 8 * PIXELS_MAX as u64;
