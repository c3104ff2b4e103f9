//! How many patients share a pass of a segmentation study, and what a pass takes.

use fedtwin_plan::Ratio;
use fedtwin_plan::family::UnetSize;

/// The public size of a study's work, which is all that the number of slots may depend on.
///
/// Were it chosen by the clock or by the drawn batch, other patients could change a vector's last bits.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// The net's size.
    pub size: UnetSize,
    /// Slices of a slot, over all its copies.
    pub slices: usize,
    /// Rows of a padded slice.
    pub height: usize,
    /// Columns of a padded slice.
    pub width: usize,
    /// The probability with which a patient is in a step.
    pub sampling: Ratio,
}

impl Work {
    /// Returns the slots of a pass.
    ///
    /// The more of them, the fewer values each has, because starting kernels then takes longer than running them; and
    /// only where at least half of a pass's slots are expected to have a patient, otherwise one. As few as take about as
    /// long as more: passes are what threads share.
    ///
    /// A GPU is not measured. It starts a kernel more slowly and runs it faster, so that it gains by more slots at no
    /// fewer values than a CPU.
    #[must_use]
    pub fn slots(&self) -> usize {
        let half_full = self.sampling.to_f64() >= 0.5;
        match self.values() {
            values if half_full && values <= VALUES_OF_EIGHT => 8,
            values if half_full && values <= VALUES_OF_FOUR => 4,
            _ => 1,
        }
    }

    /// Returns the values of a slot at the net's first level: pixels times channels.
    #[must_use]
    pub fn values(&self) -> usize {
        self.slices * self.height * self.width * self.size.base.size()
    }

    /// Returns what one slot takes in a pass at most: its activations and the gradients of the largest ones.
    ///
    /// Each level keeps four convolutions' outputs and the pooled ones with their places; the rest is what kernels copy. In
    /// the backward pass a level's gradients are as large again.
    #[must_use]
    pub fn slot_bytes(&self) -> u64 {
        let pixels = (self.slices * self.height * self.width) as u64;
        let level = |level: usize| (self.size.channels_at(level) as u64 * pixels) >> (2 * level);
        let kept: u64 = (0..=self.size.depth.size()).map(|l| level(l) * VALUES_PER_CHANNEL).sum();
        (kept + level(0) * VALUES_PER_CHANNEL) * size_of::<f32>() as u64
    }
}

/// Values per channel and pixel that a level takes: 4 of convolutions, 1 pooled with its place, 5 that kernels copy.
const VALUES_PER_CHANNEL: u64 = 10;

/// Up to these values of a slot, passes have eight slots or four. Milliseconds of processor time of 8 gradients with depth
/// 2 on one core (AMD EPYC, AVX2, oneDNN 3.12), medians of turns of the same operations in libtorch; whole steps are those
/// of `cargo xtask bench dp-step unet-8x4-16-8 ...`:
///
/// | slices, size, base | values | one | four | eight |
/// |---|---|---|---|---|
/// | 4 of 16 x 16, 8 | 8,192 | 44 | 23 | 17 |
/// | 4 of 32 x 32, 8 | 32,768 | 64 | 46 | 40 |
/// | 4 of 32 x 32, 16 | 65,536 | 115 | 105 | 99 |
/// | 1 of 80 x 80, 16 | 102,400 | 189 | 159 | 154 |
/// | 1 of 96 x 96, 16 | 147,456 | 237 | 211 | 204 |
/// | 1 of 128 x 128, 16 | 262,144 | 362 | 335 | 329 |
/// | 2 of 96 x 96, 16 | 294,912 | 403 | 372 | 373 |
/// | 2 of 128 x 128, 16 | 524,288 | 685 | 661 | - |
///
/// A core with AVX-512 was measured only while levels were upsampled: there one slot was as fast as eight from 100,000
/// values on.
const VALUES_OF_EIGHT: usize = 110_000;
const VALUES_OF_FOUR: usize = 300_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn work(slices: usize, size: usize, sampling: (u32, u32)) -> Work {
        let net = UnetSize { base: 16.try_into().unwrap(), depth: 2.try_into().unwrap() };
        let sampling = Ratio::new(sampling.0, sampling.1).unwrap();
        Work { size: net, slices, height: size, width: size, sampling }
    }

    #[test]
    fn small_slots_share_a_pass_where_most_are_full() {
        assert_eq!(work(1, 128, (1, 1)).slots(), 4);
        assert_eq!(work(24, 128, (1, 1)).slots(), 1);
        assert_eq!(work(1, 64, (1, 1)).slots(), 8);
        assert_eq!(work(1, 64, (1, 2)).slots(), 8);
        assert_eq!(work(1, 64, (1, 3)).slots(), 1);
        assert_eq!(work(2, 64, (1, 1)).slots(), 4, "two slices, or two copies of one");
    }

    #[test]
    fn a_slot_takes_its_activations_at_all_levels() {
        // 16 x 128^2 values at the first level, half of that at the second, a quarter at the third.
        let values = 10 * (1 << 18) * 11 / 4;
        assert_eq!(work(1, 128, (1, 1)).slot_bytes(), 4 * values);
    }
}
