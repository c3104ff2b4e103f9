//! Random changes of one copy of a patient's slices, as the plan's augmentation says.
//!
//! What is drawn follows from the copy's own randomness, whoever else was sampled. None of it protects
//! anybody: it is part of training alone.

use fedtwin_plan::numbers::Interval;
use fedtwin_plan::plan::{Augmentation, Axis};
use rand::{Rng, RngExt};

/// Where a copy's pixels go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Placement {
    /// Rows, then columns, are mirrored within the slice.
    pub mirrored: [bool; 2],
    /// Then rows move down and columns to the right by so many pixels.
    pub shift: [i32; 2],
}

/// What happens to a copy's intensities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Intensities {
    gamma: Option<f32>,
    gain: f32,
    offset: f32,
    noise: Option<f32>,
}

impl Placement {
    /// Draws a placement.
    #[must_use]
    pub fn draw(augmentation: &Augmentation, rng: &mut impl Rng) -> Self {
        let mirrored = [Axis::Rows, Axis::Columns]
            .map(|axis| augmentation.flips.contains(&axis) && rng.random_range(0..2) == 1);
        let largest = augmentation.shift_px.map_or(0, |shift| shift.get());
        let largest = i32::try_from(largest).expect("a plan's shift is at most 1024");
        Self { mirrored, shift: [(); 2].map(|()| rng.random_range(-largest..=largest)) }
    }

    /// Returns where a pixel goes within `padded` rows and columns, if it stays in the frame.
    #[must_use]
    pub fn of(&self, pixel: [usize; 2], size: [usize; 2], padded: [usize; 2]) -> Option<[usize; 2]> {
        let mut place = [0; 2];
        for axis in 0..2 {
            let at = if self.mirrored[axis] { size[axis] - 1 - pixel[axis] } else { pixel[axis] };
            place[axis] = at.checked_add_signed(self.shift[axis] as isize).filter(|&at| at < padded[axis])?;
        }
        Some(place)
    }
}

impl Intensities {
    /// Draws a change.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "images are f32")]
    pub fn draw(augmentation: &Augmentation, rng: &mut impl Rng) -> Self {
        let mut within =
            |range: Option<Interval>| range.map(|range| rng.random_range(range.low()..=range.high()) as f32);
        Self {
            gamma: within(augmentation.gamma),
            gain: within(augmentation.gain).unwrap_or(1.0),
            offset: within(augmentation.offset).unwrap_or(0.0),
            noise: augmentation.noise.map(|noise| noise.get() as f32),
        }
    }

    /// Changes one pixel.
    pub fn apply(&self, value: f32, rng: &mut impl Rng) -> f32 {
        let curved = self.gamma.map_or(value, |gamma| value.abs().powf(gamma).copysign(value));
        let noise = self.noise.map_or(0.0, |noise| noise * normal(rng));
        curved * self.gain + self.offset + noise
    }
}

/// Draws from the standard normal distribution (Box and Muller 1958).
fn normal(rng: &mut impl Rng) -> f32 {
    let radius = (-2.0 * (1.0 - rng.random_range(0.0_f32..1.0)).ln()).sqrt();
    radius * (rng.random_range(0.0_f32..1.0) * std::f32::consts::TAU).cos()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn augmentation() -> Augmentation {
        Augmentation {
            copies: 2.try_into().unwrap(),
            shift_px: Some(3.try_into().unwrap()),
            gain: Some([0.5, 2.0].try_into().unwrap()),
            offset: Some([-1.0, 1.0].try_into().unwrap()),
            gamma: Some([0.5, 2.0].try_into().unwrap()),
            noise: Some(0.25.try_into().unwrap()),
            flips: vec![Axis::Columns],
        }
    }

    #[test]
    fn pixels_are_mirrored_within_the_slice_and_then_shifted() {
        let placement = Placement { mirrored: [false, true], shift: [1, -2] };
        let place = |pixel| placement.of(pixel, [2, 4], [3, 5]);
        assert_eq!(place([0, 0]), Some([1, 1]));
        assert_eq!(place([1, 1]), Some([2, 0]));
        assert_eq!(place([1, 2]), None, "out to the left");
        let down = Placement { mirrored: [true, false], shift: [2, 0] };
        assert_eq!(down.of([1, 3], [2, 4], [3, 5]), Some([2, 3]));
        assert_eq!(down.of([0, 3], [2, 4], [3, 5]), None, "out at the bottom");
        assert_eq!(Placement::default().of([1, 3], [2, 4], [3, 5]), Some([1, 3]));
    }

    #[test]
    fn draws_cover_their_ranges_and_nothing_else() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut shifts, mut mirrored) = ([[0_u32; 7]; 2], 0);
        for _ in 0..7000 {
            let Placement { mirrored: [rows, columns], shift } = Placement::draw(&augmentation(), &mut rng);
            assert!(!rows, "only columns are mirrored");
            mirrored += u32::from(columns);
            for (counts, shift) in shifts.iter_mut().zip(shift) {
                counts[usize::try_from(shift + 3).unwrap()] += 1;
            }
            let intensities = Intensities::draw(&augmentation(), &mut rng);
            assert!((0.5..=2.0).contains(&intensities.gain) && (-1.0..=1.0).contains(&intensities.offset));
            assert!((0.5..=2.0).contains(&intensities.gamma.unwrap()));
        }
        // Five standard deviations: 29.3 for a seventh and 41.8 for a half of 7000.
        assert!(shifts.as_flattened().iter().all(|count| (853..=1147).contains(count)), "{shifts:?}");
        assert!((3291..=3709).contains(&mirrored), "{mirrored}");
    }

    #[test]
    fn intensities_are_curved_scaled_moved_and_disturbed() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let exact = Intensities { gamma: Some(2.0), gain: 3.0, offset: 1.0, noise: None };
        assert!((exact.apply(-2.0, &mut rng) - -11.0).abs() < 1e-6, "sign(x) |x|^g g + o");
        let noisy = Intensities { gamma: None, gain: 1.0, offset: 0.0, noise: Some(0.5) };
        let draws: Vec<_> = (0..20_000).map(|_| f64::from(noisy.apply(0.0, &mut rng))).collect();
        let mean = draws.iter().sum::<f64>() / 2e4;
        let variance = draws.iter().map(|draw| draw * draw).sum::<f64>() / 2e4;
        // Standard errors: 0.5 / sqrt(20,000) = 0.0035, and sqrt(2 / 20,000) = 1 % of the variance.
        assert!(mean.abs() < 0.018 && (variance / 0.25 - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
