//! Folders of PNG pictures: what is read, and what is refused with which message.

use fedtwin_plan::cohort_need::{DataNeed, ImageNeed};
use fedtwin_plan::record::{Part, VolumeRecord};
use png::{BitDepth, ColorType, Encoder};

use crate::common::{Folder, image_need, volumes};

const COHORT: &str = "
name = 'slides'
patients = 9
source.pictures = { images = 'images', masks = 'masks' }
split.modulo = { divisor = 5, test = 3 }
";

/// Columns and rows.
const SIZE: [u32; 2] = [4, 3];

/// Draws a PNG file of `size` columns and rows, whose samples `pixel` tells by column and row.
fn png<const N: usize>(
    (color, depth): (ColorType, BitDepth),
    [columns, rows]: [u32; 2],
    pixel: impl Fn(u32, u32) -> [u16; N],
) -> Vec<u8> {
    let pixels = (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y)));
    let samples = pixels.flat_map(|(x, y)| pixel(x, y));
    let bytes: Vec<u8> = match depth {
        BitDepth::Sixteen => samples.flat_map(u16::to_be_bytes).collect(),
        _ => samples.map(|sample| u8::try_from(sample).unwrap()).collect(),
    };
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, columns, rows);
    encoder.set_color(color);
    encoder.set_depth(depth);
    encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
    file
}

/// A grey level: brighter to the right, and more so further down.
fn level(x: u32, y: u32) -> u16 {
    u16::try_from(10 + 20 * x + y).unwrap()
}

fn grey() -> Vec<u8> {
    png((ColorType::Grayscale, BitDepth::Eight), SIZE, |x, y| [level(x, y)])
}

/// Two labels, 1 and 300, in the left half.
fn labels() -> Vec<u8> {
    png((ColorType::Grayscale, BitDepth::Sixteen), SIZE, |x, y| {
        [[1, 300][y as usize % 2] * u16::from(x < SIZE[0] / 2)]
    })
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
    let folder = folder(grey(), labels());
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
    let copy = folder(labels(), labels());
    let message = read(&copy, COHORT).unwrap_err();
    assert!(message.starts_with("masks/p_1.png: is a mask with the same bytes as its image"), "{message}");
    let declared = COHORT.replace("'masks' }", "'masks', mask.labels = [1] }");
    assert_eq!(read(&copy, &declared).unwrap().len(), 1);
}

#[test]
fn deep_grey_levels_and_colours_are_read_as_luminance() {
    let expected = read(&folder(grey(), labels()), COHORT).unwrap();
    let close = |image: Vec<u8>| {
        let read = read(&folder(image, labels()), COHORT).unwrap();
        read[0].image.iter().zip(&expected[0].image).all(|(a, b)| (a - b).abs() < 1e-3)
    };
    let deep = |x, y| 257 * level(x, y);
    assert!(close(png((ColorType::Grayscale, BitDepth::Sixteen), SIZE, |x, y| [deep(x, y)])));
    assert!(close(png((ColorType::Rgb, BitDepth::Eight), SIZE, |x, y| [level(x, y); 3])));
    let opaque = |x, y| [deep(x, y), deep(x, y), deep(x, y), u16::MAX];
    assert!(close(png((ColorType::Rgba, BitDepth::Sixteen), SIZE, opaque)));
    let blue = png((ColorType::Rgb, BitDepth::Eight), SIZE, |x, y| [0, 0, level(x, y)]);
    assert!(close(blue), "a colour's scale does not matter");
}

#[test]
fn unusable_pictures_are_refused_by_name() {
    let message = refusal(png((ColorType::Grayscale, BitDepth::Eight), [4, 2], |_, _| [0]), labels());
    assert_eq!(
        message,
        "masks/p_1.png: is a mask of 3 x 4 pixels, expected 2 x 4 pixels as of its image images/p_1.png"
    );
    let colour = "masks/p_1.png: is a mask in colour, expected grey levels or a palette: 0 outside and more \
                  inside";
    let red = png((ColorType::Rgb, BitDepth::Eight), SIZE, |x, _| [level(x, 0), 0, 0]);
    assert_eq!(refusal(grey(), red), colour);
    let message = refusal(b"GIF89a is another format".to_vec(), labels());
    assert!(message.starts_with("images/p_1.png: is no readable PNG picture ("), "{message}");
    let message = refusal(Vec::new(), labels());
    assert!(message.starts_with("images/p_1.png: is no readable PNG picture ("), "{message}");
}

/// Every cut and every flipped byte is a picture or a refusal, and never a panic or a large allocation.
#[test]
fn broken_pictures_are_refused_without_a_panic() {
    let good = grey();
    let mut refused = 0;
    for end in 0..good.len() {
        refused += usize::from(read(&folder(good[..end].to_vec(), labels()), COHORT).is_err());
    }
    // Without the last chunk, which holds nothing, all pixels are there.
    assert!(refused >= good.len() - 12, "{refused} of {} cuts", good.len());
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0xff;
        let _read_or_refused = read(&folder(bytes, labels()), COHORT);
    }
}

#[test]
fn a_picture_that_claims_to_be_huge_is_refused_by_its_header() {
    let mut bytes = grey();
    // Width and height stand after the signature and the header chunk's length and name, its checksum after 13 bytes.
    bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let checksum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(
        refusal(bytes, labels()),
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
    let folder = folder(grey(), labels());
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
    let folder = folder(grey(), labels());
    folder.write("images/p_2.png", grey());
    assert_eq!(read(&folder, COHORT).unwrap_err(), "images/p_2.png: has no mask of that name");
    folder.write("masks/p_2.png", labels());
    folder.write("images/p_3.jpg", "another format does not count");
    assert_eq!(read(&folder, COHORT).unwrap().len(), 2);
    let text = COHORT.replace(
        "'masks' }",
        "'masks', only = { file = 'index.csv', id = 'id', column = 'group', equals = 'a' } }",
    );
    folder.write("index.csv", "id,group\np_1,a\np_2,b\n");
    assert_eq!(read(&folder, &text).unwrap().len(), 1);
}
