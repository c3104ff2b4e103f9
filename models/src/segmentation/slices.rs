//! A patient's slices in the plan's fixed shape: which ones, and padded how.
//!
//! A slice keeps its place at the top left and is padded with zeros at the bottom and the right; one that
//! is larger is cut into tiles, each of which is a slice in its turn. A slot with fewer slices than the plan
//! asks for is filled with null slices. Padding and null slices weigh nothing in the loss.

use fedtwin_plan::PatientId;
use fedtwin_plan::cohort_need::ImageNeed;
use fedtwin_plan::plan::Augmentation;
use fedtwin_plan::record::VolumeRecord;
use fedtwin_trainer::model::TrainError;
use rand::seq::index;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::segmentation::augment::{Intensities, Placement};
use crate::segmentation::tiles::Tile;

/// Slices of one patient, padded to one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct PaddedSlices {
    /// `[slices, channels, height, width]`, with one channel, or four where the model sees coordinates.
    pub shape: [usize; 4],
    /// Intensities and then, in channels of their own, slice, row and column, each from -1 to 1 over the
    /// volume; row-major in `shape`.
    pub images: Vec<f32>,
    /// 1 inside the organ and 0 outside: `[slices, 1, height, width]`.
    pub masks: Vec<f32>,
    /// 1 where the volume has a pixel and 0 where it was padded.
    pub weights: Vec<f32>,
}

impl PaddedSlices {
    /// Makes the record of an empty slot: it takes as long as a patient's, and its gradient is zero.
    #[must_use]
    pub fn null(shape: [usize; 4]) -> Self {
        let [slices, _, height, width] = shape;
        let zeros = |values: usize| vec![0.0; values];
        let pixels = slices * height * width;
        Self { shape, images: zeros(shape.iter().product()), masks: zeros(pixels), weights: zeros(pixels) }
    }

    /// Copies the `chosen` tiles of `volume` into a fixed `shape` of `[slices, channels, height, width]`.
    ///
    /// # Panics
    /// If more tiles are chosen than `shape` holds, they are larger, or the channels are neither one nor four.
    #[must_use]
    pub fn new(volume: &VolumeRecord, shape: [usize; 4], chosen: &[Tile]) -> Self {
        let [slices, channels, padded_height, padded_width] = shape;
        assert!(channels == 1 || channels == 4, "intensities, or intensities and coordinates");
        assert!(chosen.len() <= slices, "at most as many slices as the shape holds");
        let mut padded = Self::null(shape);
        for (slot, tile) in chosen.iter().enumerate() {
            let [height, width] = tile.size;
            assert!(height <= padded_height && width <= padded_width, "the cohort was checked when loaded");
            for row in 0..height {
                let from = tile.row_in(volume, row);
                let to = (slot * padded_height + row) * padded_width;
                let image = padded.image(slot, 0, row);
                padded.images[image..image + width].copy_from_slice(&volume.image[from..from + width]);
                for column in 0..if channels == 1 { 0 } else { width } {
                    let indices = [tile.slice, tile.row + row, tile.column + column];
                    for (axis, index) in indices.into_iter().enumerate() {
                        let image = padded.image(slot, 1 + axis, row) + column;
                        padded.images[image] = place(index, volume.shape[axis]);
                    }
                }
                padded.weights[to..to + width].fill(1.0);
                let inside = &volume.mask[from..from + width];
                for (mask, &inside) in padded.masks[to..to + width].iter_mut().zip(inside) {
                    *mask = f32::from(inside);
                }
            }
        }
        padded
    }

    /// Changes all slices of one copy of a patient alike.
    ///
    /// `size` is that of the volume's tiles. Pixels that the shift brings in are padding, and padding stays
    /// zero.
    #[must_use]
    pub fn augmented(&self, size: [usize; 2], augmentation: &Augmentation, rng: &mut impl Rng) -> Self {
        let placement = Placement::draw(augmentation, rng);
        let intensities = Intensities::draw(augmentation, rng);
        let [slices, channels, height, width] = self.shape;
        let mut changed = Self::null(self.shape);
        for (slice, row) in (0..slices).flat_map(|slice| (0..size[0]).map(move |row| (slice, row))) {
            for column in 0..size[1] {
                let from = (slice * height + row) * width + column;
                let image = |channel: usize| self.image(slice, channel, row) + column;
                // Drawn for every pixel, so that the others' do not depend on which ones leave the frame.
                let intensity = intensities.apply(self.images[image(0)], rng);
                let Some([new_row, new_column]) = placement.of([row, column], size, [height, width]) else {
                    continue;
                };
                let to = (slice * height + new_row) * width + new_column;
                changed.weights[to] = self.weights[from];
                changed.masks[to] = self.masks[from];
                let moved = |channel: usize| self.image(slice, channel, new_row) + new_column;
                changed.images[moved(0)] = intensity * self.weights[from];
                for channel in 1..channels {
                    // Coordinates stay with their tissue.
                    changed.images[moved(channel)] = self.images[image(channel)];
                }
            }
        }
        changed
    }

    /// Returns where a row of a channel begins among the images.
    fn image(&self, slice: usize, channel: usize, row: usize) -> usize {
        let [_, channels, height, width] = self.shape;
        ((slice * channels + channel) * height + row) * width
    }

    /// Puts copies of one patient one after the other.
    ///
    /// # Panics
    /// Without a copy.
    #[must_use]
    pub fn joined(mut copies: Vec<Self>) -> Self {
        if copies.len() == 1 {
            return copies.swap_remove(0);
        }
        let [slices, channels, height, width] = copies[0].shape;
        let join = |of: fn(&Self) -> &[f32]| copies.iter().flat_map(of).copied().collect();
        Self {
            shape: [slices * copies.len(), channels, height, width],
            images: join(|copy| &copy.images),
            masks: join(|copy| &copy.masks),
            weights: join(|copy| &copy.weights),
        }
    }
}

/// Returns where an index lies between the first (-1) and the last (1) of `size`; the only one is in the middle.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a few thousand voxels")]
fn place(index: usize, size: usize) -> f32 {
    if size < 2 { 0.0 } else { (2.0 * index as f64 / (size - 1) as f64 - 1.0) as f32 }
}

/// Returns the randomness of one copy of a patient in a step: from the seed, the patient and the copy
/// alone, whoever else was sampled.
#[must_use]
pub fn randomness(slice_seed: u64, patient: PatientId, copy: u32) -> ChaCha8Rng {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&slice_seed.to_le_bytes());
    seed[8..12].copy_from_slice(&patient.0.to_le_bytes());
    seed[12..16].copy_from_slice(&copy.to_le_bytes());
    ChaCha8Rng::from_seed(seed)
}

/// Returns the slices, or tiles, that a copy has: `count` of `slices`, uniformly without replacement, or all of them
/// where there are fewer.
pub fn choose(rng: &mut impl Rng, slices: usize, count: usize) -> Vec<usize> {
    index::sample(rng, slices, count.min(slices)).into_vec()
}

/// Checks that all volumes fit the plan's padded size and are whole.
///
/// # Errors
/// Says what does not fit, without telling whose volume it is.
pub fn check(volumes: &[VolumeRecord], need: &ImageNeed) -> Result<(), TrainError> {
    let (height, width) = (need.height.size(), need.width.size());
    let refuse = |reason: String| Err(TrainError::CohortIncompatible { reason });
    for volume in volumes {
        let [slices, rows, columns] = volume.shape;
        if !need.tiles && (rows > height || columns > width) {
            return refuse(format!("a volume has slices above the plan's {height} x {width} pixels"));
        }
        let voxels = slices * rows * columns;
        if volume.image.len() != voxels || volume.mask.len() != voxels {
            return refuse("a volume or its mask has another size than its shape".into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume() -> VolumeRecord {
        VolumeRecord {
            shape: [3, 1, 2],
            spacing_mm: [1.0; 3],
            image: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            mask: vec![0, 1, 1, 0, 1, 1],
        }
    }

    fn slices(chosen: &[usize]) -> Vec<Tile> {
        chosen.iter().map(|&slice| Tile { slice, row: 0, column: 0, size: [1, 2] }).collect()
    }

    #[test]
    fn slices_stay_at_the_top_left_and_the_rest_is_null() {
        let padded = PaddedSlices::new(&volume(), [3, 1, 2, 3], &slices(&[2, 0]));
        let null = [0.0; 6];
        assert_eq!(
            padded.images,
            [[5.0, 6.0, 0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 0.0, 0.0, 0.0, 0.0], null].concat()
        );
        assert_eq!(
            padded.masks,
            [[1.0, 1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0], null].concat()
        );
        assert_eq!(
            padded.weights,
            [[1.0, 1.0, 0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0, 0.0, 0.0], null].concat()
        );
    }

    #[test]
    fn coordinates_go_from_minus_one_to_one_over_the_volume_and_move_with_it() {
        let padded = PaddedSlices::new(&volume(), [1, 4, 2, 3], &slices(&[2]));
        let (slice, row) = ([1.0, 1.0, 0.0, 0.0, 0.0, 0.0], [0.0; 6]);
        assert_eq!(padded.images[6..], [slice, row, [-1.0, 1.0, 0.0, 0.0, 0.0, 0.0]].concat());
        assert_eq!(padded.masks.len(), 6);
        let augmentation = Augmentation {
            copies: 1.try_into().unwrap(),
            shift_px: Some(1.try_into().unwrap()),
            gain: None,
            offset: None,
            gamma: None,
            noise: None,
            flips: vec![],
        };
        for seed in 0..20 {
            let changed = padded.augmented([1, 2], &augmentation, &mut randomness(seed, PatientId(0), 0));
            for pixel in 0..6 {
                // Brightness 5 lies left, 6 right, in the last slice; where nothing lies, nothing is written.
                let column = match changed.images[pixel] {
                    5.0 => -1.0,
                    6.0 => 1.0,
                    _ => 0.0,
                };
                let coordinates = [6, 12, 18].map(|channel| changed.images[channel + pixel]);
                assert_eq!(coordinates.to_vec(), vec![column * column, 0.0, column]);
            }
        }
    }

    #[test]
    fn a_tile_has_the_pixels_and_the_coordinates_of_its_place() {
        let tile = Tile { slice: 1, row: 0, column: 1, size: [1, 1] };
        let padded = PaddedSlices::new(&volume(), [1, 4, 1, 2], &[tile]);
        assert_eq!(padded.images, [4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!((padded.masks, padded.weights), (vec![0.0, 0.0], vec![1.0, 0.0]));
    }

    #[test]
    fn every_slice_is_chosen_equally_often_and_never_twice() {
        let mut counts = [0_u32; 7];
        for seed in 0..7000 {
            let mut chosen = choose(&mut randomness(seed, PatientId(3), 0), 7, 4);
            assert_eq!(chosen.len(), 4);
            for &slice in &chosen {
                counts[slice] += 1;
            }
            chosen.sort_unstable();
            chosen.dedup();
            assert_eq!(chosen.len(), 4);
        }
        // Binomial(7000, 4/7) has a standard deviation of 41.4: five of them on either side.
        assert!(counts.iter().all(|count| (3793..=4207).contains(count)), "{counts:?}");
    }

    #[test]
    fn patients_and_copies_choose_differently_and_a_small_volume_gives_all_it_has() {
        let choices: Vec<_> =
            (0..8).map(|id| choose(&mut randomness(5, PatientId(id / 2), id % 2), 100, 4)).collect();
        assert!(choices.windows(2).all(|pair| pair[0] != pair[1]));
        let mut all = choose(&mut randomness(5, PatientId(0), 0), 3, 4);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
        assert_eq!(choose(&mut randomness(5, PatientId(0), 0), 0, 4), Vec::<usize>::new());
    }

    #[test]
    fn copies_are_changed_where_the_volume_has_pixels_and_padding_stays_null() {
        let plain = PaddedSlices::new(&volume(), [3, 1, 2, 3], &slices(&[2, 0]));
        let augmentation = Augmentation {
            copies: 1.try_into().unwrap(),
            shift_px: Some(1.try_into().unwrap()),
            gain: Some([2.0, 2.0].try_into().unwrap()),
            offset: Some([1.0, 1.0].try_into().unwrap()),
            gamma: None,
            noise: None,
            flips: vec![],
        };
        let mut places = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let mut rng = randomness(seed, PatientId(0), 0);
            let changed = plain.augmented([1, 2], &augmentation, &mut rng);
            assert_eq!(
                changed,
                plain.augmented([1, 2], &augmentation, &mut randomness(seed, PatientId(0), 0))
            );
            for (i, &image) in changed.images.iter().enumerate() {
                assert!(changed.weights[i] > 0.0 || (image == 0.0 && changed.masks[i] == 0.0));
            }
            assert!(changed.images[12..].iter().all(|&image| image == 0.0), "a null slice stays null");
            let kept: Vec<_> = changed.images.iter().copied().filter(|&image| image != 0.0).collect();
            let all = [11.0, 13.0, 3.0, 5.0];
            assert!(kept.iter().all(|image| all.contains(image)), "twice the intensity and one: {kept:?}");
            places.insert(changed.weights.iter().map(|&weight| weight > 0.0).collect::<Vec<_>>());
        }
        // Up leaves the frame: one placement of three, and then 2 x 3 of rows and columns.
        assert_eq!(places.len(), 1 + 6);
    }

    #[test]
    fn volumes_that_do_not_fit_are_refused() {
        let need = |height: i64| ImageNeed {
            height: height.try_into().unwrap(),
            width: 2.try_into().unwrap(),
            slices_per_patient: 4.try_into().unwrap(),
            coordinates: false,
            tiles: false,
        };
        assert_eq!(check(&[volume()], &need(1)), Ok(()));
        let mut taller = volume();
        taller.shape = [1, 3, 2];
        assert!(
            check(&[taller.clone()], &need(2)).unwrap_err().to_string().contains("above the plan's 2 x 2")
        );
        assert_eq!(check(&[taller.clone()], &ImageNeed { tiles: true, ..need(2) }), Ok(()));
        taller.mask.pop();
        assert!(check(&[taller], &need(4)).unwrap_err().to_string().contains("another size"));
    }
}
