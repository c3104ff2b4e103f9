//! Folders of PNG pictures: what is read, and what is refused with which message.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic, as tests may")]

mod common;

use std::io::Cursor;

use fedtwin_plan::cohort_need::{DataNeed, ImageNeed};
use fedtwin_plan::record::{Part, VolumeRecord};
use image::{DynamicImage, GrayImage, ImageFormat, Luma, RgbImage};

use common::{Folder, image_need, volumes};

const COHORT: &str = "
name = 'slides'
patients = 9
source.pictures = { images = 'images', masks = 'masks' }
split.modulo = { divisor = 5, test = 3 }
";

const COLUMNS: u32 = 4;
const ROWS: u32 = 3;

fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Brighter to the right, and more so further down.
fn grey() -> GrayImage {
    GrayImage::from_fn(COLUMNS, ROWS, |x, y| Luma([u8::try_from(10 + 20 * x + y).unwrap()]))
}

/// Two labels, 1 and 300, in the left half.
fn labels() -> DynamicImage {
    let label = |x, y| Luma([[1, 300][y as usize % 2] * u16::from(x < COLUMNS / 2)]);
    image::ImageBuffer::from_fn(COLUMNS, ROWS, label).into()
}

fn folder(image: Vec<u8>, mask: Vec<u8>) -> Folder {
    let folder = Folder::new();
    folder.write("images/p_1.png", image);
    folder.write("masks/p_1.png", mask);
    folder
}

fn read(folder: &Folder, text: &str) -> Result<Vec<VolumeRecord>, String> {
    let cohort = folder.cohort(text).unwrap();
    cohort.read(&image_need(4, 4), Part::Train).map(volumes).map_err(|e| folder.message(&e))
}

fn refusal(image: Vec<u8>, mask: Vec<u8>) -> String {
    read(&folder(image, mask), COHORT).unwrap_err()
}

#[test]
fn a_picture_is_a_volume_of_one_slice_and_all_labels_are_organ() {
    let folder = folder(png(grey()), png(labels()));
    let [picture] = read(&folder, COHORT).unwrap().try_into().unwrap();
    assert_eq!((picture.shape, picture.spacing_mm), ([1, 3, 4], [1.0; 3]));
    assert_eq!(picture.mask, [1, 1, 0, 0].repeat(3));
    assert!(picture.image.windows(2).enumerate().all(|(i, pair)| i % 4 == 3 || pair[0] < pair[1]));
    let mean = picture.image.iter().sum::<f32>() / 12.0;
    assert!(mean.abs() < 0.02, "normalised by itself, the brightest compressed");
    let text = COHORT.replace("'masks' }", "'masks', pixel_mm = 0.0005 }");
    let [picture] = read(&folder, &text).unwrap().try_into().unwrap();
    assert_eq!(format!("{:?}", picture.spacing_mm), "[1.0, 0.0005, 0.0005]");
}

#[test]
fn a_picture_is_not_its_own_mask() {
    let copy = folder(png(labels()), png(labels()));
    let message = read(&copy, COHORT).unwrap_err();
    assert!(message.starts_with("masks/p_1.png: is a mask with the same bytes as its image"), "{message}");
    let declared = COHORT.replace("'masks' }", "'masks', mask.labels = [1] }");
    assert_eq!(read(&copy, &declared).unwrap().len(), 1);
}

#[test]
fn deep_grey_levels_and_colours_are_read_as_luminance() {
    let expected = read(&folder(png(grey()), png(labels())), COHORT).unwrap();
    let close = |image: DynamicImage| {
        let read = read(&folder(png(image), png(labels())), COHORT).unwrap();
        read[0].image.iter().zip(&expected[0].image).all(|(a, b)| (a - b).abs() < 1e-3)
    };
    let grey = DynamicImage::from(grey());
    assert!(close(grey.to_luma16().into()) && close(grey.to_rgb8().into()) && close(grey.to_rgba16().into()));
    let blue = |x: u32, y: u32| image::Rgb([0, 0, u8::try_from(10 + 20 * x + y).unwrap()]);
    assert!(close(RgbImage::from_fn(COLUMNS, ROWS, blue).into()), "a colour's scale does not matter");
}

#[test]
fn unusable_pictures_are_refused_by_name() {
    let message = refusal(png(GrayImage::new(4, 2)), png(labels()));
    assert_eq!(
        message,
        "masks/p_1.png: is a mask of 3 x 4 pixels, expected 2 x 4 pixels as of its image images/p_1.png"
    );
    let colour = "masks/p_1.png: is a mask in colour, expected grey levels or a palette: 0 outside and more \
                  inside";
    let red = RgbImage::from_fn(COLUMNS, ROWS, |x, _| image::Rgb([u8::try_from(x).unwrap(), 0, 0]));
    assert_eq!(refusal(png(grey()), png(red)), colour);
    let message = refusal(b"GIF89a is another format".to_vec(), png(labels()));
    assert!(message.starts_with("images/p_1.png: is no readable PNG picture ("), "{message}");
    let message = refusal(Vec::new(), png(labels()));
    assert!(message.starts_with("images/p_1.png: is no readable PNG picture ("), "{message}");
}

/// Every cut and every flipped byte is a picture or a refusal, and never a panic or a large allocation.
#[test]
fn broken_pictures_are_refused_without_a_panic() {
    let good = png(grey());
    let mut refused = 0;
    for end in 0..good.len() {
        refused += usize::from(read(&folder(good[..end].to_vec(), png(labels())), COHORT).is_err());
    }
    // Without the last chunk, which holds nothing, all pixels are there.
    assert!(refused >= good.len() - 12, "{refused} of {} cuts", good.len());
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0xff;
        let _read_or_refused = read(&folder(bytes, png(labels())), COHORT);
    }
}

#[test]
fn a_picture_that_claims_to_be_huge_is_refused_by_its_header() {
    let mut bytes = png(grey());
    // Width and height stand after the signature and the header chunk's length and name, its checksum after 13 bytes.
    bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let checksum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(
        refusal(bytes, png(labels())),
        "images/p_1.png: has 65536 x 65536 pixels, expected at most 64000000"
    );
}

/// The checksum of PNG chunks (ISO 3309), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

#[test]
fn larger_pictures_fit_a_plan_with_tiles_alone() {
    let folder = folder(png(grey()), png(labels()));
    let need = |tiles| {
        let DataNeed::Images(need) = image_need(2, 4) else { panic!("images") };
        DataNeed::Images(ImageNeed { tiles, ..need })
    };
    let cohort = folder.cohort(COHORT).unwrap();
    let [picture] = volumes(cohort.read(&need(false), Part::Train).unwrap()).try_into().unwrap();
    assert!(picture.is_null(), "an empty place");
    let [picture] = volumes(cohort.read(&need(true), Part::Train).unwrap()).try_into().unwrap();
    assert_eq!(picture.shape, [1, 3, 4], "the trainer cuts");
}

#[test]
fn pictures_and_masks_pair_by_name() {
    let folder = folder(png(grey()), png(labels()));
    folder.write("images/p_2.png", png(grey()));
    assert_eq!(read(&folder, COHORT).unwrap_err(), "images/p_2.png: has no mask of that name");
    folder.write("masks/p_2.png", png(labels()));
    folder.write("images/p_3.jpg", "another format does not count");
    assert_eq!(read(&folder, COHORT).unwrap().len(), 2);
    let text = COHORT.replace(
        "'masks' }",
        "'masks', only = { file = 'index.csv', id = 'id', column = 'group', equals = 'a' } }",
    );
    folder.write("index.csv", "id,group\np_1,a\np_2,b\n");
    assert_eq!(read(&folder, &text).unwrap().len(), 1);
}
