//! How many patients share a pass of a segmentation study, and what a pass takes.

use fedtwin_plan::Ratio;
use fedtwin_plan::family::UnetSize;
use tch::Device;

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
    /// Returns the slots of a pass on a device.
    ///
    /// Several where starting kernels takes longer than running them, that is for slots with few values, and only where
    /// at least half of a pass's slots are expected to have a patient; otherwise one.
    #[must_use]
    pub fn slots(&self, device: Device) -> usize {
        let values_max = match device {
            Device::Cuda(_) => VALUES_TOGETHER_CUDA,
            Device::Cpu | Device::Mps | Device::Vulkan => VALUES_TOGETHER_CPU,
        };
        let half_full = self.sampling.to_f64() >= 0.5;
        if half_full && self.values() <= values_max { SLOTS_TOGETHER } else { 1 }
    }

    /// Returns the values of a slot at the net's first level: pixels times channels.
    #[must_use]
    pub fn values(&self) -> usize {
        self.slices * self.height * self.width * self.size.base.size()
    }

    /// Returns what one slot takes in a pass at most: its activations and the gradients of the largest ones.
    ///
    /// Each level keeps four convolutions' outputs, the pooled ones with their places, and the joined input of
    /// the way up, which is three times as wide; in the backward pass a level's gradients are as large
    /// again.
    #[must_use]
    pub fn slot_bytes(&self) -> u64 {
        let pixels = (self.slices * self.height * self.width) as u64;
        let level = |level: usize| (self.size.channels_at(level) as u64 * pixels) >> (2 * level);
        let kept: u64 = (0..=self.size.depth.size()).map(|l| level(l) * VALUES_PER_CHANNEL).sum();
        (kept + level(0) * VALUES_PER_CHANNEL) * size_of::<f32>() as u64
    }
}

/// Values per channel and pixel that a level keeps: 4 of convolutions, 3 joined, 2 upsampled, 1 pooled with
/// its place.
const VALUES_PER_CHANNEL: u64 = 10;

/// As many as were measured; more of them take memory and share no more.
const SLOTS_TOGETHER: usize = 8;

/// Milliseconds of a step of 8 patients with depth 2 on one core (AMD EPYC, AVX-512, oneDNN 3.12), by
/// `cargo xtask bench dp-step unet-8x4-16-8 ...`:
///
/// | slices, size, base | values | apart | together |
/// |---|---|---|---|
/// | 4 of 16 x 16, 8 | 8,192 | 26 | 12 |
/// | 1 of 32 x 32, 16 | 16,384 | 40 | 24 |
/// | 1 of 48 x 48, 8 | 18,432 | 36 | 18 |
/// | 4 of 32 x 32, 8 | 32,768 | 41 | 28 |
/// | 2 of 64 x 64, 8 | 65,536 | 68 | 57 |
/// | 4 of 32 x 32, 16 | 65,536 | 68 | 63 |
/// | 1 of 96 x 96, 8 | 73,728 | 66 | 53 |
/// | 2 of 48 x 48, 16 | 73,728 | 70 | 65 |
/// | 1 of 80 x 80, 16 | 102,400 | 92 | 93 |
/// | 2 of 64 x 64, 16 | 131,072 | 111 | 128 |
/// | 1 of 96 x 96, 16 | 147,456 | 117 | 122 |
/// | 1 of 128 x 128, 16 | 262,144 | 181 | 223 |
const VALUES_TOGETHER_CPU: usize = 90_000;

/// Not measured. A GPU starts a kernel more slowly and runs it faster, so that the two meet at no fewer
/// values than on a CPU.
const VALUES_TOGETHER_CUDA: usize = VALUES_TOGETHER_CPU;

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
        let of = |work: &Work| work.slots(Device::Cpu);
        assert_eq!(of(&work(1, 128, (1, 1))), 1);
        assert_eq!(of(&work(24, 128, (1, 1))), 1);
        assert_eq!(of(&work(1, 64, (1, 1))), 8);
        assert_eq!(of(&work(1, 64, (1, 2))), 8);
        assert_eq!(of(&work(1, 64, (1, 3))), 1);
        assert_eq!(of(&work(2, 64, (1, 1))), 1, "two slices, or two copies of one");
    }

    #[test]
    fn a_slot_takes_its_activations_at_all_levels() {
        // 16 x 128^2 values at the first level, half of that at the second, a quarter at the third.
        let values = 10 * (1 << 18) * 11 / 4;
        assert_eq!(work(1, 128, (1, 1)).slot_bytes(), 4 * values);
    }
}
