//! NIfTI folders: what is read, and what is refused with which message.

use fedtwin_plan::cohort_need::{DataNeed, ImageNeed};
use fedtwin_plan::record::{Part, VolumeRecord};

use crate::common::{Folder, Nifti, gzipped, image_need, volumes};

const COHORT: &str = "
name = 'scans'
patients = 9
source.images = { images = 'images', masks = 'masks', slice_axis = 0 }
split.modulo = { divisor = 5, test = 3 }
";

/// Voxels that tell their place: x + 10 y + 100 z in the file's axes.
fn ramp([a, b, c]: [i16; 3]) -> Vec<f32> {
    let place = |x, y, z| f32::from(x) + 10.0 * f32::from(y) + 100.0 * f32::from(z);
    (0..c).flat_map(|z| (0..b).flat_map(move |y| (0..a).map(move |x| place(x, y, z)))).collect()
}

const SHAPE: [i16; 3] = [2, 3, 4];

fn good_mask() -> Nifti {
    Nifti::uint8(SHAPE, (0..24).map(|voxel| voxel % 3).collect())
}

fn folder(image: &Nifti, mask: &Nifti) -> Folder {
    let folder = Folder::new();
    folder.write("images/p_1.nii.gz", gzipped(&image.bytes()));
    folder.write("masks/p_1.nii", mask.bytes());
    folder
}

fn read(folder: &Folder, text: &str) -> Result<Vec<VolumeRecord>, String> {
    let cohort = folder.cohort(text).unwrap();
    cohort.read(&image_need(4, 4), Part::Train).map(volumes).map_err(|e| folder.message(&e))
}

fn refusal(image: &Nifti, mask: &Nifti) -> String {
    read(&folder(image, mask), COHORT).unwrap_err()
}

fn close(a: f32, b: f32) -> bool {
    (a - b).abs() < 1e-5
}

#[test]
fn slices_run_across_the_named_axis() {
    let folder = folder(&Nifti::float32(SHAPE, &ramp(SHAPE)), &good_mask());
    for (axis, shape, spacing_mm, steps) in [
        (0, [2, 3, 4], [1.0, 2.0, 3.0], [1.0, 10.0, 100.0]),
        (1, [3, 2, 4], [2.0, 1.0, 3.0], [10.0, 1.0, 100.0]),
        (2, [4, 2, 3], [3.0, 1.0, 2.0], [100.0, 1.0, 10.0]),
    ] {
        let text = COHORT.replace("slice_axis = 0", &format!("slice_axis = {axis}"));
        let [volume] = read(&folder, &text).unwrap().try_into().unwrap();
        assert_eq!((volume.shape, volume.spacing_mm), (shape, spacing_mm));
        // Of 24 voxels, percentile 0.5 is the least and 99.5 the last but one: 1 scales by a known factor.
        let index = |[slice, row, column]: [usize; 3]| (slice * shape[1] + row) * shape[2] + column;
        let at = |place: [usize; 3]| volume.image[index(place)];
        let unit = (at([0, 0, 1]) - at([0, 0, 0])) / steps[2];
        for place in [[1, 0, 0], [0, 1, 0], [0, 1, 1]] {
            let expected: f32 = (0..3).map(|i| [0.0, 1.0][place[i]] * steps[i]).sum();
            assert!(close((at(place) - at([0, 0, 0])) / unit / expected, 1.0), "{axis} {place:?}");
        }
        assert_eq!(volume.mask.iter().filter(|&&organ| organ == 1).count(), 16);
    }
}

#[test]
fn each_volume_is_normalised_by_itself() {
    let image = Nifti { slope: 2.5, intercept: -7.0, ..Nifti::float32(SHAPE, &ramp(SHAPE)) };
    let [scaled] = read(&folder(&image, &good_mask()), COHORT).unwrap().try_into().unwrap();
    let [plain] = read(&folder(&Nifti::float32(SHAPE, &ramp(SHAPE)), &good_mask()), COHORT)
        .unwrap()
        .try_into()
        .unwrap();
    assert!(scaled.image.iter().zip(&plain.image).all(|(&a, &b)| close(a, b)));
    // But for the brightest voxel, which lies beyond the percentile and is compressed, not cut off.
    let mean = plain.image.iter().sum::<f32>() / 24.0;
    let variance = plain.image.iter().map(|x| x * x).sum::<f32>() / 24.0;
    assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.01);
}

#[test]
fn constant_volumes_become_zeros_and_single_nan_voxels_the_least() {
    let constant = Nifti::float32(SHAPE, &[5.0; 24]);
    let [volume] = read(&folder(&constant, &good_mask()), COHORT).unwrap().try_into().unwrap();
    assert!(volume.image.iter().all(|&x| close(x, 0.0)));
    let mut voxels = ramp(SHAPE);
    voxels[7] = f32::NAN;
    let [volume] =
        read(&folder(&Nifti::float32(SHAPE, &voxels), &good_mask()), COHORT).unwrap().try_into().unwrap();
    assert!(volume.image.iter().all(|x| x.is_finite()));
}

#[test]
fn all_supported_types_are_read_in_both_byte_orders() {
    let values: Vec<u8> = (0..24).collect();
    let expected = read(&folder(&Nifti::uint8(SHAPE, values.clone()), &good_mask()), COHORT).unwrap();
    let check = |datatype: i16, voxels: Vec<u8>| {
        let image = Nifti { datatype, ..Nifti::uint8(SHAPE, voxels) };
        assert_eq!(read(&folder(&image, &good_mask()), COHORT).unwrap(), expected, "type {datatype}");
    };
    check(4, values.iter().flat_map(|&x| i16::from(x).to_le_bytes()).collect());
    check(512, values.iter().flat_map(|&x| u16::from(x).to_le_bytes()).collect());
    check(16, values.iter().flat_map(|&x| f32::from(x).to_le_bytes()).collect());
    check(64, values.iter().flat_map(|&x| f64::from(x).to_le_bytes()).collect());

    let mut swapped = Nifti { datatype: 4, ..Nifti::uint8(SHAPE, vec![]) }.bytes();
    for (start, end, width) in [(0, 4, 4), (40, 56, 2), (70, 74, 2), (76, 120, 4)] {
        swapped[start..end].chunks_mut(width).for_each(<[u8]>::reverse);
    }
    swapped.extend(values.iter().flat_map(|&x| i16::from(x).to_be_bytes()));
    let folder = folder(&good_mask(), &good_mask());
    folder.write("images/p_1.nii.gz", gzipped(&swapped));
    assert_eq!(read(&folder, COHORT).unwrap(), expected);
}

#[test]
fn unusable_volumes_are_refused_by_name() {
    let good = Nifti::float32(SHAPE, &ramp(SHAPE));
    let check = |image: Nifti, expected: &str| {
        let message = refusal(&image, &good_mask());
        assert!(message.starts_with("images/p_1.nii.gz: ") && message.contains(expected), "{message}");
    };
    let with_dim = |dim| Nifti { dim, ..good.clone() };
    check(with_dim([4, 2, 3, 2, 2, 1, 1, 1]), "has 4 dimensions (2 volumes), expected 3");
    check(with_dim([2, 2, 12, 1, 1, 1, 1, 1]), "has 2 dimensions, expected 3");
    check(with_dim([3, 0, 3, 4, 1, 1, 1, 1]), "has impossible dimensions");
    check(with_dim([9, 2, 3, 4, 1, 1, 1, 1]), "has impossible dimensions");
    check(with_dim([3, -1, 3, 4, 1, 1, 1, 1]), "has impossible dimensions");
    check(with_dim([3, 32767, 32767, 32767, 1, 1, 1, 1]), "voxels, expected at most 64000000");
    check(
        Nifti { datatype: 32, ..good.clone() },
        "has complex voxels (datatype 32), expected one number per voxel",
    );
    check(Nifti { datatype: 128, ..good.clone() }, "has voxels in colour (datatype 128)");
    check(Nifti { datatype: 77, ..good.clone() }, "has voxels of an unknown type");
    check(
        Nifti { pixdim: [0.0; 8], ..good.clone() },
        "has an impossible distance between voxels (0 x 0 x 0 mm)",
    );
    check(Nifti { voxels: good.voxels[..90].to_vec(), ..good.clone() }, "is cut off in its voxels");
    check(Nifti::float32(SHAPE, &[f32::NAN; 24]), "has no voxel that is a number");

    let message = refusal(&good, &Nifti { datatype: 16, ..Nifti::float32(SHAPE, &[f32::NAN; 24]) });
    assert_eq!(message, "masks/p_1.nii: is a mask with a voxel that is no number");
}

#[test]
fn a_mask_of_another_shape_is_refused_before_voxels_are_read() {
    let good = Nifti::float32(SHAPE, &[]);
    let folder = folder(&good, &Nifti::uint8([2, 4, 3], vec![]));
    let error = folder.cohort(COHORT).unwrap().read(&image_need(4, 4), Part::Train).unwrap_err();
    assert_eq!(
        folder.message(&error),
        "masks/p_1.nii: is a mask of 2 x 4 x 3 voxels, expected 2 x 3 x 4 voxels as of its image images/p_1.nii.gz"
    );
}

#[test]
fn declared_slices_are_held_against_the_plan_without_a_file() {
    let folder = Folder::new();
    let fits = |limits: &str, need: &DataNeed| {
        let cohort = folder.cohort(&format!("limits = {limits}\n{COHORT}")).unwrap();
        cohort.fits(need).map_err(|mismatch| mismatch.to_string())
    };
    let declared = "{ slice_max = { height = 5, width = 4 }, slices_max = 9 }";
    assert_eq!(fits(declared, &image_need(5, 4)), Ok(()));
    let refused = "it expects slices of at most 4 x 4, the cohort's are declared to be up to 5 x 4";
    assert_eq!(fits(declared, &image_need(4, 4)), Err(refused.to_owned()));
    assert_eq!(fits("{}", &image_need(4, 4)), Ok(()));
    let DataNeed::Images(need) = image_need(4, 4) else { panic!("images") };
    assert_eq!(fits(declared, &DataNeed::Images(ImageNeed { tiles: true, ..need })), Ok(()));
}

#[test]
fn a_scan_beyond_the_declared_limits_is_the_cohorts_fault() {
    let folder = folder(&Nifti::float32(SHAPE, &ramp(SHAPE)), &good_mask());
    let taken = |limits: &str| {
        let text = COHORT.replace("patients = 9", "patients = 1\nconfirmed.no_test = true");
        let cohort = folder.cohort(&format!("limits = {limits}\n{text}")).unwrap();
        cohort.take_inventory().map(|inventory| inventory.train).map_err(|e| folder.message(&e))
    };
    assert_eq!(taken("{ slice_max = { height = 3, width = 4 }, slices_max = 2, records_max = 1 }"), Ok(1));
    assert_eq!(
        taken("{ slice_max = { height = 2, width = 4 } }"),
        Err("images/p_1.nii.gz: has slices of 3 x 4, limits.slice_max declares at most 2 x 4".to_owned())
    );
    assert_eq!(
        taken("{ slices_max = 1 }"),
        Err("images/p_1.nii.gz: has 2 slices, limits.slices_max declares at most 1".to_owned())
    );
}

fn organ_in_all_but_one([a, b, c]: [i16; 3]) -> Nifti {
    Nifti::uint8([a, b, c], (0..a * b * c).map(|voxel| u8::from(voxel > 0)).collect())
}

/// Whether a plan is refused must not tell how large the largest scan is.
#[test]
fn without_a_declared_limit_a_scan_larger_than_the_plans_slices_is_an_empty_place() {
    let good = Nifti::float32(SHAPE, &ramp(SHAPE));
    let folder = folder(&good, &good_mask());
    for name in ["p_2", "p_3", "p_8"] {
        let [a, b, c] = if name == "p_2" { [2, 3, 5] } else { SHAPE };
        let voxels = (0..a * b * c).map(f32::from).collect::<Vec<_>>();
        folder.write(&format!("images/{name}.nii"), Nifti::float32([a, b, c], &voxels).bytes());
        folder.write(&format!("masks/{name}.nii"), organ_in_all_but_one([a, b, c]).bytes());
    }
    folder.write("images/p_8.nii", Nifti::float32([2, 3, 5], &[1.0; 30]).bytes());
    folder.write("masks/p_8.nii", organ_in_all_but_one([2, 3, 5]).bytes());
    let cohort = folder.cohort(COHORT).unwrap();
    cohort.fits(&image_need(3, 4)).unwrap();
    let part = |part| volumes(cohort.read(&image_need(3, 4), part).unwrap());
    assert_eq!(part(Part::Train).iter().map(VolumeRecord::is_null).collect::<Vec<_>>(), [false, true]);
    // p_3 and p_8 test: of whom the plan cannot see there is no score.
    assert_eq!(part(Part::Test).len(), 1);
    assert_eq!(volumes(cohort.read(&image_need(3, 5), Part::Test).unwrap()).len(), 2);
}

#[test]
fn images_and_masks_come_in_pairs() {
    let good = Nifti::float32(SHAPE, &ramp(SHAPE));
    let folder = folder(&good, &good_mask());
    folder.write("images/p_2.nii", good.bytes());
    assert_eq!(read(&folder, COHORT).unwrap_err(), "images/p_2.nii: has no mask of that name");
    folder.write("masks/p_2.nii", good_mask().bytes());
    folder.write("masks/p_4.nii", good_mask().bytes());
    assert_eq!(read(&folder, COHORT).unwrap_err(), "masks/p_4.nii: has no image of that name in images");
    folder.write("images/p_4.nii", good.bytes());
    folder.write("images/notes.txt", "not an image");
    folder.write("images/._p_1.nii.gz", "what another system leaves behind");
    assert_eq!(read(&folder, COHORT).unwrap().len(), 3);
    folder.write("images/p_4.nii.gz", gzipped(&good.bytes()));
    assert!(read(&folder, COHORT).unwrap_err().ends_with("is there twice, under two endings"));
}

#[test]
fn an_image_is_not_its_own_mask() {
    let folder = folder(&good_mask(), &good_mask());
    let own = COHORT.replace("masks = 'masks'", "masks = './images/../images'");
    assert_eq!(
        read(&folder, &own).unwrap_err(),
        "images: is the folder of images and of masks: each image would be its own mask"
    );
    folder.write("images/p_2.nii", good_mask().bytes());
    folder.write("masks/p_2.nii", good_mask().bytes());
    let message = read(&folder, COHORT).unwrap_err();
    let expected = "masks/p_2.nii: is a mask with the same bytes as its image images/p_2.nii: if";
    assert!(message.starts_with(expected), "{message}");
    for rule in ["labels = [2]", "threshold = 0.5"] {
        let declared = COHORT.replace("slice_axis = 0", &format!("slice_axis = 0, mask.{rule}"));
        assert_eq!(read(&folder, &declared).unwrap().len(), 2, "{rule}");
    }
}

#[test]
fn a_label_that_may_be_the_brightest_grey_is_judged_by_all_masks() {
    let taken = |labels: [u8; 3], rule: &str| {
        let folder = Folder::new();
        for (i, label) in (1..).zip(labels) {
            folder.write(&format!("images/p_{i}.nii"), Nifti::float32(SHAPE, &ramp(SHAPE)).bytes());
            let mask = Nifti::uint8(SHAPE, (0..24).map(|voxel| label * (voxel % 2)).collect());
            folder.write(&format!("masks/p_{i}.nii"), mask.bytes());
        }
        let text = COHORT.replace("patients = 9", "patients = 2");
        let cohort =
            folder.cohort(&text.replace("slice_axis = 0", &format!("slice_axis = 0{rule}"))).unwrap();
        cohort.take_inventory().map(|inventory| inventory.positive).map_err(|e| folder.message(&e))
    };
    for same in [[1; 3], [255; 3], [1, 2, 1], [0, 255, 255], [0, 1, 2]] {
        assert!(taken(same, "").is_ok(), "{same:?}");
    }
    for [one, other, ignored] in [[1, 1, 255], [255, 1, 1], [2, 100, 2], [0, 3, 255]] {
        let message = taken([one, other, ignored], "").unwrap_err();
        let expected =
            "alone, where other masks have others, which is organ in some and \"ignore\" in others";
        assert!(message.starts_with("masks/p_") && message.contains(expected), "{message}");
    }
    assert_eq!(taken([1, 1, 255], ", mask.labels = [1]"), Ok(2));
    assert_eq!(taken([1, 1, 255], ", mask.threshold = 1"), Ok(3));
}

#[test]
fn an_index_chooses_images() {
    let good = Nifti::float32(SHAPE, &ramp(SHAPE));
    let folder = folder(&good, &good_mask());
    folder.write("images/p_2.nii", "never opened");
    let text = COHORT.replace(
        "slice_axis = 0",
        "slice_axis = 0, only = { file = 'index.csv', id = 'id', column = 'group', equals = 'a' }",
    );
    folder.write("index.csv", "id,group\np_1,a\np_2,b\n");
    assert_eq!(read(&folder, &text).unwrap().len(), 1);
    folder.write("index.csv", "id,group\np_1,a\np_7,a\n");
    assert_eq!(
        read(&folder, &text).unwrap_err(),
        "index.csv:3: names p_7, of which there is no image in images"
    );
    folder.write("index.csv", "id,kind\n");
    assert_eq!(read(&folder, &text).unwrap_err(), "index.csv:1: expected a column \"group\", found id, kind");
}

#[test]
fn names_without_a_number_cannot_be_split_by_one() {
    let folder = Folder::new();
    folder.write("images/p.nii", Nifti::float32(SHAPE, &ramp(SHAPE)).bytes());
    folder.write("masks/p.nii", good_mask().bytes());
    let message = read(&folder, COHORT).unwrap_err();
    assert!(message.starts_with("images/p.nii: has no number in its patient's identifier"), "{message}");
}

#[test]
fn a_small_file_that_inflates_without_end_is_read_no_further_than_its_header_says() {
    let mut bytes = Nifti::float32(SHAPE, &ramp(SHAPE)).bytes();
    bytes.resize(50_000_000, 0);
    let folder = folder(&good_mask(), &good_mask());
    folder.write("images/p_1.nii.gz", gzipped(&bytes));
    let message = read(&folder, COHORT).unwrap_err();
    assert_eq!(message, "images/p_1.nii.gz: goes on after its voxels");
}

#[test]
fn rubbish_is_refused_and_never_panics() {
    let whole = Nifti::float32(SHAPE, &ramp(SHAPE)).bytes();
    let folder = folder(&good_mask(), &good_mask());
    let packed = gzipped(&whole);
    let cohort = folder.cohort(COHORT).unwrap();
    let read = |bytes: &[u8]| {
        folder.write("images/p_1.nii.gz", bytes);
        cohort.read(&image_need(4, 4), Part::Train).map(|records| records.patients())
    };
    for length in 0..packed.len() {
        assert!(read(&packed[..length]).is_err(), "cut off at {length}");
    }
    for length in (0..whole.len()).step_by(3) {
        assert!(read(&gzipped(&whole[..length])).is_err(), "cut off at {length} before packing");
    }
    // Each byte of the header in turn becomes 0, 255 or its complement: any answer but a panic.
    for place in 0..352 {
        for value in [0, 255, !whole[place], whole[place] ^ 1] {
            let mut bytes = whole.clone();
            bytes[place] = value;
            let _any_answer = read(&gzipped(&bytes));
        }
    }
    for place in 0..packed.len() {
        let mut bytes = packed.clone();
        bytes[place] ^= 1 << (place % 8);
        let _any_answer = read(&bytes);
    }
}
