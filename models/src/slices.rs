//! A patient's slices in the plan's fixed shape: which ones, and padded how.
//!
//! A slice keeps its place at the top left and is padded with zeros at the bottom and the right; a
//! slot with fewer slices than the plan asks for is filled with null slices. Padding and null slices
//! weigh nothing in the loss.

use fedtwin_plan::PatientId;
use fedtwin_plan::cohort_need::ImageNeed;
use fedtwin_plan::record::VolumeRecord;
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use crate::trainer::TrainError;

/// Slices of one patient, padded to one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct PaddedSlices {
    /// `[slices, 1, height, width]`.
    pub shape: [usize; 4],
    /// Intensities, row-major in `shape`.
    pub images: Vec<f32>,
    /// 1 inside the organ and 0 outside.
    pub masks: Vec<f32>,
    /// 1 where the volume has a pixel and 0 where it was padded.
    pub weights: Vec<f32>,
}

impl PaddedSlices {
    /// Makes the record of an empty slot: it takes as long as a patient's, and its gradient is zero.
    #[must_use]
    pub fn null(shape: [usize; 4]) -> Self {
        let zeros = vec![0.0; shape.iter().product()];
        Self { shape, images: zeros.clone(), masks: zeros.clone(), weights: zeros }
    }

    /// Copies the `chosen` slices of `volume` into a fixed `shape` of `[slices, 1, height, width]`.
    ///
    /// # Panics
    /// If more slices are chosen than `shape` holds, or the volume's slices are larger.
    #[must_use]
    pub fn new(volume: &VolumeRecord, shape: [usize; 4], chosen: &[usize]) -> Self {
        let [slices, _, padded_height, padded_width] = shape;
        let [_, height, width] = volume.shape;
        assert!(chosen.len() <= slices, "at most as many slices as the shape holds");
        assert!(height <= padded_height && width <= padded_width, "the cohort was checked when loaded");
        let mut padded = Self::null(shape);
        for (slot, &slice) in chosen.iter().enumerate() {
            for row in 0..height {
                let from = (slice * height + row) * width;
                let to = (slot * padded_height + row) * padded_width;
                padded.images[to..to + width].copy_from_slice(&volume.image[from..from + width]);
                padded.weights[to..to + width].fill(1.0);
                let inside = &volume.mask[from..from + width];
                for (mask, &inside) in padded.masks[to..to + width].iter_mut().zip(inside) {
                    *mask = f32::from(inside);
                }
            }
        }
        padded
    }
}

/// Returns the slices that `patient` contributes to a step: `count` of its `slices`, uniformly without
/// replacement, or all of them where there are fewer.
///
/// The choice follows from the seed and the patient alone, whoever else was sampled.
#[must_use]
pub fn choose(slice_seed: u64, patient: PatientId, slices: usize, count: usize) -> Vec<usize> {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&slice_seed.to_le_bytes());
    seed[8..12].copy_from_slice(&patient.0.to_le_bytes());
    index::sample(&mut ChaCha8Rng::from_seed(seed), slices, count.min(slices)).into_vec()
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
        if rows > height || columns > width {
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

    #[test]
    fn slices_stay_at_the_top_left_and_the_rest_is_null() {
        let padded = PaddedSlices::new(&volume(), [3, 1, 2, 3], &[2, 0]);
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
    fn every_slice_is_chosen_equally_often_and_never_twice() {
        let mut counts = [0_u32; 7];
        for seed in 0..7000 {
            let mut chosen = choose(seed, PatientId(3), 7, 4);
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
    fn patients_choose_differently_and_a_small_volume_gives_all_it_has() {
        let choices: Vec<_> = (0..8).map(|id| choose(5, PatientId(id), 100, 4)).collect();
        assert!(choices.windows(2).all(|pair| pair[0] != pair[1]));
        let mut all = choose(5, PatientId(0), 3, 4);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
        assert_eq!(choose(5, PatientId(0), 0, 4), Vec::<usize>::new());
    }

    #[test]
    fn volumes_that_do_not_fit_are_refused() {
        let need = |height: i64| ImageNeed {
            height: height.try_into().unwrap(),
            width: 2.try_into().unwrap(),
            slices_per_patient: 4.try_into().unwrap(),
        };
        assert_eq!(check(&[volume()], &need(1)), Ok(()));
        let mut taller = volume();
        taller.shape = [1, 3, 2];
        assert!(
            check(&[taller.clone()], &need(2)).unwrap_err().to_string().contains("above the plan's 2 x 2")
        );
        taller.mask.pop();
        assert!(check(&[taller], &need(4)).unwrap_err().to_string().contains("another size"));
    }
}
