//! Volumes in other orientations, transforms and types: what is read, and what is refused.

use fedtwin_plan::record::{Part, VolumeRecord};

use crate::common::{Folder, Nifti, gzipped, image_need, volumes};

const COHORT: &str = "
name = 'scans'
patients = 9
source.images = { images = 'images', masks = 'masks', slice_axis = 0 }
split.modulo = { divisor = 5, test = 3 }
";

const SHAPE: [usize; 3] = [2, 3, 4];
const SPACING: [f32; 3] = [1.0, 2.0, 3.0];

/// A volume that is stored in another way: which axis comes where, and which ones run backwards.
fn stored(axes: [usize; 3], backwards: [bool; 3], value: impl Fn([usize; 3]) -> f32) -> Nifti {
    let [a, b, c] = axes.map(|axis| SHAPE[axis]);
    let mut voxels = Vec::new();
    for z in 0..c {
        for y in 0..b {
            for x in 0..a {
                let mut place = [0; 3];
                for (to, index) in [x, y, z].into_iter().enumerate() {
                    let size = SHAPE[axes[to]];
                    place[axes[to]] = if backwards[to] { size - 1 - index } else { index };
                }
                voxels.push(value(place));
            }
        }
    }
    let mut rows = [[0.0; 4]; 3];
    // The first voxel of the plain volume lies at (-10, 20, 5).
    for (world, first) in [-10.0, 20.0, 5.0].into_iter().enumerate() {
        let file = axes.iter().position(|&axis| axis == world).unwrap();
        let last = (SHAPE[world] - 1) as f32 * SPACING[world];
        rows[world][file] = if backwards[file] { -SPACING[world] } else { SPACING[world] };
        rows[world][3] = first + if backwards[file] { last } else { 0.0 };
    }
    let mut pixdim = [1.0; 8];
    (0..3).for_each(|file| pixdim[file + 1] = SPACING[axes[file]]);
    let shape = [a, b, c].map(|size| i16::try_from(size).unwrap());
    Nifti { pixdim, sform: Some((2, rows)), qform: None, ..Nifti::float32(shape, &voxels) }
}

fn image(axes: [usize; 3], backwards: [bool; 3]) -> Nifti {
    stored(axes, backwards, |[x, y, z]| (x + 10 * y + 100 * z) as f32)
}

fn mask(axes: [usize; 3], backwards: [bool; 3]) -> Nifti {
    stored(axes, backwards, |[x, y, z]| f32::from(u8::from(x == 1 && y < 2 && z > 0)))
}

const PLAIN: ([usize; 3], [bool; 3]) = ([0, 1, 2], [false; 3]);

fn read_text(image: &Nifti, mask: &Nifti, text: &str) -> Result<VolumeRecord, String> {
    let folder = Folder::new();
    folder.write("images/p_1.nii.gz", gzipped(&image.bytes()));
    folder.write("masks/p_1.nii", mask.bytes());
    let cohort = folder.cohort(text).map_err(|e| folder.message(&e))?;
    let read = cohort.read(&image_need(4, 4), Part::Train).map(volumes).map_err(|e| folder.message(&e));
    read.map(|mut volumes| volumes.swap_remove(0))
}

fn read(image: &Nifti, mask: &Nifti) -> Result<VolumeRecord, String> {
    read_text(image, mask, COHORT)
}

fn plain() -> VolumeRecord {
    read(&image(PLAIN.0, PLAIN.1), &mask(PLAIN.0, PLAIN.1)).unwrap()
}

#[test]
fn left_is_left_however_image_and_mask_are_stored() {
    let expected = plain();
    let permutations = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for axes in permutations {
        for flips in 0..8 {
            let backwards = [0, 1, 2].map(|axis| flips >> axis & 1 == 1);
            let turned = (image(axes, backwards), mask(axes, backwards));
            assert_eq!(read(&turned.0, &turned.1).unwrap(), expected, "{axes:?} {backwards:?}");
            // One of them alone, too.
            assert_eq!(read(&turned.0, &mask(PLAIN.0, PLAIN.1)).unwrap(), expected);
            assert_eq!(read(&image(PLAIN.0, PLAIN.1), &turned.1).unwrap(), expected);
        }
    }
}

#[test]
fn the_sixth_digit_passes_and_masks_that_lie_elsewhere_are_refused_by_name() {
    let with = |change: &dyn Fn(&mut [[f32; 4]; 3])| {
        let mut mask = mask(PLAIN.0, PLAIN.1);
        change(&mut mask.sform.as_mut().unwrap().1);
        read(&image(PLAIN.0, PLAIN.1), &mask)
    };
    let rounded = with(&|rows| {
        rows[0][3] = -10.000_01;
        rows[1][1] = 2.000_002;
    });
    assert_eq!(rounded.unwrap(), plain());
    let check = |change: &dyn Fn(&mut [[f32; 4]; 3]), expected: &str| {
        let message = with(change).unwrap_err();
        assert!(message.starts_with("masks/p_1.nii: ") && message.contains(expected), "{message}");
    };
    check(&|rows| rows[2][3] += 3.0, "another origin");
    check(&|rows| rows[2][2] = 2.5, "another spacing: 1 x 2 x 2.5 mm, expected 1 x 2 x 3 mm");
    check(&|rows| rows[1][1] = -2.0, "another origin");
    check(&|rows| (rows[0][0], rows[1][0]) = (0.8, 0.6), "not at right angles");
}

#[test]
fn the_transform_in_force_says_how_far_voxels_are_apart() {
    let both = |change: &dyn Fn(&mut Nifti)| {
        let (mut image, mut mask) = (image(PLAIN.0, PLAIN.1), mask(PLAIN.0, PLAIN.1));
        change(&mut image);
        change(&mut mask);
        read(&image, &mask)
    };
    let spacing = |read: Result<VolumeRecord, String>| read.unwrap().spacing_mm;
    let right = [1.0, 2.0, 3.0];
    let close =
        |a: [f64; 3], b: [f64; 3]| assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?}");
    // The sform alone: whatever pixdim says.
    close(spacing(both(&|nifti| nifti.pixdim = [1.0; 8])), right);
    close(spacing(both(&|nifti| nifti.pixdim = [0.0; 8])), right);
    // A qform beside it that agrees, and one that does not.
    close(spacing(both(&|nifti| nifti.qform = Some([0.0, 0.0, 0.0, -10.0, 20.0, 5.0]))), right);
    let message = both(&|nifti| (nifti.qform, nifti.pixdim) = (Some([0.0; 6]), [1.0; 8])).unwrap_err();
    assert!(message.contains("states two distances between voxels"), "{message}");
    // Half a turn around the third axis: left for right and front for back.
    let message = both(&|nifti| nifti.qform = Some([0.0, 0.0, 1.0, 0.0, 0.0, 0.0])).unwrap_err();
    assert!(message.contains("states two orientations: RAS by its sform and LPS by its qform"), "{message}");
    // The qform alone, in millimetres whatever the unit.
    let alone = |unit, factor: f32| {
        both(&move |nifti| {
            (nifti.sform, nifti.qform, nifti.unit) = (None, Some([0.0; 6]), unit);
            nifti.pixdim.iter_mut().for_each(|distance| *distance *= factor);
        })
    };
    for (unit, factor) in [(0, 1.0), (2, 1.0), (3, 1000.0), (1, 0.001)] {
        close(spacing(alone(unit, factor)), right);
    }
    assert!(
        alone(1, 1.0).unwrap_err().contains("impossible distance between voxels (1000 x 2000 x 3000 mm)")
    );
    let message = both(&|nifti| nifti.sform = Some((1, [[0.0; 4]; 3]))).unwrap_err();
    assert!(message.contains("impossible distance between voxels (0 x 0 x 0 mm)"), "{message}");
}

#[test]
fn a_quaternion_turns_as_the_standard_says() {
    // i, j and k run to the left, to the back and upwards; a negative pixdim[0] turns k downwards.
    let (axes, plain_mask) = (PLAIN.0, mask(PLAIN.0, PLAIN.1));
    let last = |axis: usize, first: f32| first + (SHAPE[axis] - 1) as f32 * SPACING[axis];
    for (handed, backwards, z) in [(1.0, [true, true, false], 5.0), (-1.0, [true, true, true], last(2, 5.0))]
    {
        let mut turned = image(axes, backwards);
        turned.sform = None;
        turned.qform = Some([0.0, 0.0, 1.0, last(0, -10.0), last(1, 20.0), z]);
        turned.pixdim[0] = handed;
        assert_eq!(read(&turned, &plain_mask).unwrap(), plain());
    }
    let mut impossible = image(axes, PLAIN.1);
    (impossible.sform, impossible.qform) = (None, Some([1.0, 1.0, 0.0, 0.0, 0.0, 0.0]));
    assert!(read(&impossible, &plain_mask).unwrap_err().contains("impossible rotation"));
}

#[test]
fn files_that_state_no_orientation_are_refused_until_people_say_it() {
    let unstated = |mut nifti: Nifti| {
        (nifti.sform, nifti.qform) = (None, None);
        nifti
    };
    // The first axis runs to the left, the second to the front, the third upwards.
    let backwards = [true, false, false];
    let (image, mask) = (unstated(image(PLAIN.0, backwards)), unstated(mask(PLAIN.0, backwards)));
    let message = read(&image, &mask).unwrap_err();
    assert!(
        message.contains("states no orientation") && message.contains("unstated_orientation"),
        "{message}"
    );
    let declared = |letters: &str| {
        let text =
            COHORT.replace("slice_axis = 0", &format!("slice_axis = 0, unstated_orientation = '{letters}'"));
        read_text(&image, &mask, &text)
    };
    assert_eq!(declared("LAS").unwrap(), plain());
    assert_ne!(declared("RAS").unwrap(), plain());
    assert!(declared("LAX").unwrap_err().contains("three letters"));
}

#[test]
fn masks_of_all_types_are_read() {
    let (image, expected) = (image(PLAIN.0, PLAIN.1), plain());
    let plain_mask = mask(PLAIN.0, PLAIN.1);
    let labels: Vec<u8> = plain_mask.voxels.chunks(4).map(|x| u8::from(x != [0; 4])).collect();
    for (datatype, width) in [(2, 1), (4, 2), (8, 4), (256, 1), (512, 2), (768, 4), (1024, 8), (1280, 8)] {
        let bytes = labels.iter().flat_map(|&label| {
            let mut bytes = vec![0; width];
            bytes[0] = label;
            bytes
        });
        let mask = Nifti { datatype, voxels: bytes.collect(), ..plain_mask.clone() };
        assert_eq!(read(&image, &mask).unwrap(), expected, "type {datatype}");
    }
    let doubles = labels.iter().flat_map(|&label| f64::from(label).to_le_bytes()).collect();
    let mask = Nifti { datatype: 64, voxels: doubles, ..plain_mask.clone() };
    assert_eq!(read(&image, &mask).unwrap(), expected);
    // -1 ("ignore"), 0 and 1 as nibabel 5.4 writes them into 16 bits: background reads 1.5e-5.
    let scaled = labels.iter().enumerate().flat_map(|(i, &label)| {
        let label = if i == 0 { -1.0 } else { f64::from(label) };
        #[expect(clippy::cast_possible_truncation, reason = "labels from -1 to 1 fill the type's range")]
        let stored = ((label - 1.0 / 65535.0) / (2.0 / 65535.0)).round() as i16;
        stored.to_le_bytes()
    });
    let mask = Nifti {
        datatype: 4,
        slope: 2.0 / 65535.0,
        intercept: 1.0 / 65535.0,
        voxels: scaled.collect(),
        ..plain_mask.clone()
    };
    assert_eq!(read(&image, &mask).unwrap(), expected);
    // A slope of 0 is no slope, whatever the intercept.
    let mask = Nifti { slope: 0.0, intercept: 5.0, ..plain_mask.clone() };
    assert_eq!(read(&image, &mask).unwrap(), expected);
    let mask = Nifti { slope: 2.0, intercept: f32::NAN, ..plain_mask };
    assert!(read(&image, &mask).unwrap_err().contains("scl_inter"));
}

#[test]
fn a_rule_in_the_cohort_file_says_what_is_organ() {
    let image = image(PLAIN.0, PLAIN.1);
    let labelled = stored(PLAIN.0, PLAIN.1, |[x, y, z]| (x + y + z) as f32);
    let organ = |rule: &str| {
        let text = COHORT.replace("slice_axis = 0", &format!("slice_axis = 0, {rule}"));
        read_text(&image, &labelled, &text)
            .map(|volume| volume.mask.iter().map(|&x| u32::from(x)).sum::<u32>())
    };
    assert_eq!(organ("mask.labels = [6]"), Ok(1));
    assert_eq!(organ("mask.labels = [0, 6]"), Ok(2));
    assert_eq!(organ("mask.threshold = 0.5"), Ok(23));
    assert!(organ("mask.labels = []").unwrap_err().contains("at least one label"));
    assert!(organ("mask.threshold = 0.5, mask.labels = [1]").is_err());
}

#[test]
fn files_are_packed_or_not_whatever_their_name() {
    let (image, mask) = (image(PLAIN.0, PLAIN.1), mask(PLAIN.0, PLAIN.1));
    let folder = Folder::new();
    folder.write("masks/p_1.nii", gzipped(&mask.bytes()));
    let cohort = folder.cohort(COHORT).unwrap();
    let read = |bytes: Vec<u8>| {
        folder.write("images/p_1.NII.GZ", bytes);
        let read = cohort.read(&image_need(4, 4), Part::Train).map(volumes).map_err(|e| folder.message(&e));
        read.map(|mut volumes| volumes.swap_remove(0))
    };
    let packed = gzipped(&image.bytes());
    assert_eq!(read(image.bytes()).unwrap(), plain());
    assert_eq!(read([packed.clone(), vec![0; 5000]].concat()).unwrap(), plain());
    let (head, tail) = (gzipped(&image.bytes()[..400]), gzipped(&image.bytes()[400..]));
    assert_eq!(read([head, tail].concat()).unwrap(), plain());
    for extension in [16, 2_000_000, 20 << 20] {
        let long = Nifti { extension: vec![7; extension], ..image.clone() };
        assert_eq!(read(long.bytes()).unwrap(), plain(), "{extension} bytes");
    }
    let check = |bytes: Vec<u8>, expected: &str| {
        let message = read(bytes).unwrap_err();
        assert!(message.starts_with("images/p_1.NII.GZ: ") && message.contains(expected), "{message}");
    };
    check(packed[..packed.len() - 4].to_vec(), "the file ends too early");
    check([packed, b"more".to_vec()].concat(), "other bytes than zeros behind the compressed ones");
    check(Nifti { extension: vec![7; 65 << 20], ..image.clone() }.bytes(), "bytes of header extensions");
    let mut analyze = image.bytes();
    analyze[344..348].fill(0);
    check(analyze.clone(), "is an ANALYZE 7.5 header");
    analyze[344..348].copy_from_slice(b"ni1\0");
    check(analyze, "keeps its voxels in another file");
    check(b"DICM and more".to_vec(), "is no NIfTI file");
}

#[test]
fn the_second_version_is_read() {
    let (first, mask) = (image(PLAIN.0, PLAIN.1), mask(PLAIN.0, PLAIN.1));
    let mut bytes = vec![0; 544];
    bytes[..4].copy_from_slice(&540_i32.to_le_bytes());
    bytes[4..12].copy_from_slice(b"n+2\0\r\n\x1a\n");
    bytes[12..14].copy_from_slice(&16_i16.to_le_bytes());
    bytes[14..16].copy_from_slice(&32_i16.to_le_bytes());
    for (index, size) in [3_i64, 2, 3, 4, 1, 1, 1, 1].into_iter().enumerate() {
        bytes[16 + 8 * index..][..8].copy_from_slice(&size.to_le_bytes());
    }
    let mut put = |at: usize, number: f64| bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
    (0..8).for_each(|index| put(104 + 8 * index, f64::from(first.pixdim[index])));
    let rows = first.sform.unwrap().1;
    rows.as_flattened().iter().enumerate().for_each(|(index, &x)| put(400 + 8 * index, f64::from(x)));
    bytes[168..176].copy_from_slice(&544_i64.to_le_bytes());
    bytes[348..352].copy_from_slice(&2_i32.to_le_bytes());
    bytes.extend(&first.voxels);
    let folder = Folder::new();
    folder.write("images/p_1.nii", bytes);
    folder.write("masks/p_1.nii", mask.bytes());
    let read = folder.cohort(COHORT).unwrap().read(&image_need(4, 4), Part::Train).map(volumes).unwrap();
    assert_eq!(read, [plain()]);
}
