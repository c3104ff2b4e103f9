//! Which engine a study gets, and how many of its passes run at once.

use fedtwin_plan::Ratio;
use fedtwin_plan::model::UnetSpec;
use tch::Device;

use super::{Apart, Crew, Engine, Objective, Together};

/// The engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// One patient in a pass.
    Apart,
    /// Several patients in a pass.
    Together {
        /// How many.
        slots: usize,
    },
}

/// The public size of a study's work, which is all that the choice of an engine may depend on.
///
/// Were an engine chosen by the clock or by the drawn batch, other patients could change a vector's last
/// bits.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// The net.
    pub spec: UnetSpec,
    /// Slices of a slot, over all its copies.
    pub slices: usize,
    /// Rows of a padded slice.
    pub height: usize,
    /// Columns of a padded slice.
    pub width: usize,
    /// The probability with which a patient is in a step.
    pub sampling: Ratio,
}

/// What the site gives to a trainer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    /// Where tensors lie.
    pub device: Device,
    /// Threads that compute passes.
    pub threads: usize,
    /// Memory that the process may take, in MB (2^20 bytes).
    pub memory_mb: u64,
}

impl EngineKind {
    /// Returns the engine for a study's work on a device.
    #[must_use]
    pub fn of(work: &Work, device: Device) -> Self {
        let half_full = work.sampling.to_f64() >= 0.5;
        let pixels = work.slices * work.height * work.width;
        let pixels_max = match device {
            Device::Cuda(_) => PIXELS_TOGETHER_CUDA,
            Device::Cpu | Device::Mps | Device::Vulkan => PIXELS_TOGETHER_CPU,
        };
        if half_full && pixels <= pixels_max { Self::Together { slots: SLOTS_TOGETHER } } else { Self::Apart }
    }

    /// Makes one engine.
    #[must_use]
    pub fn engine(self, objective: &Objective) -> Box<dyn Engine> {
        match self {
            Self::Apart => Box::new(Apart::new(objective)),
            Self::Together { slots } => Box::new(Together::new(objective, slots)),
        }
    }

    /// Makes as many engines as the site has threads and memory for, and at least one.
    ///
    /// Neither changes a bit of any gradient: they say how many passes run at once, and not what a pass is.
    #[must_use]
    pub fn crew(self, objective: &Objective, work: &Work, resources: &Resources) -> Crew {
        let at_once = match resources.device {
            // One thread keeps a GPU busy.
            Device::Cuda(_) | Device::Vulkan | Device::Mps => 1,
            Device::Cpu => resources.threads.clamp(1, self.passes_in(work, resources.memory_mb).max(1)),
        };
        let engines = (0..at_once).map(|_| self.engine(objective)).collect();
        Crew::new(engines, objective.trained.values())
    }

    fn passes_in(self, work: &Work, memory_mb: u64) -> usize {
        let slots = match self {
            Self::Apart => 1,
            Self::Together { slots } => slots,
        };
        // The other half is for records, weights, sums and the library itself.
        let bytes = (memory_mb << 20) / 2;
        usize::try_from(bytes / work.slot_bytes().max(1)).unwrap_or(usize::MAX) / slots
    }
}

impl Work {
    /// Returns what one slot takes in a pass at most: its activations and the gradients of the largest ones.
    ///
    /// Each level keeps four convolutions' outputs, the pooled ones with their places, and the joined input of
    /// the way up, which is three times as wide; in the backward pass a level's gradients are as large
    /// again.
    #[must_use]
    pub fn slot_bytes(&self) -> u64 {
        let pixels = (self.slices * self.height * self.width) as u64;
        let level = |level: usize| (self.spec.channels_at(level) as u64 * pixels) >> (2 * level);
        let kept: u64 = (0..=self.spec.depth.size()).map(|l| level(l) * VALUES_PER_CHANNEL).sum();
        (kept + level(0) * VALUES_PER_CHANNEL) * size_of::<f32>() as u64
    }
}

/// Values per channel and pixel that a level keeps: 4 of convolutions, 3 joined, 2 upsampled, 1 pooled with
/// its place.
const VALUES_PER_CHANNEL: u64 = 10;

const SLOTS_TOGETHER: usize = 8;
const PIXELS_TOGETHER_CPU: usize = 0;
const PIXELS_TOGETHER_CUDA: usize = 0;
