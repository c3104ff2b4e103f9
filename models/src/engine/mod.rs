//! One gradient for each patient, out of a library that adds them up.
//!
//! A [`Crew`] computes passes of a fixed number of slots, each for one patient; a slot without one holds a null record.
//! What a slot holds, and how the gradients of a pass are found, is a family's [`Objective`]. Every pass runs on one
//! thread and has the same shape whoever was sampled, so that a vector's bits depend on its own patient and on the
//! weights, and neither on other patients, nor on how many passes run at once.

mod crew;

use fedtwin_trainer::model::TrainError;
use tch::Device;

pub use crew::{Crew, Prepare};

/// What is differentiated: the loss of a slot, as a function of a model's weights.
///
/// Slots never meet in the arithmetic, but they share kernels. So a patient's slot follows from its identifier alone,
/// unused slots hold null records, and the tests replace slots by null, noise and NaN and compare the others' bits.
pub trait Objective: Send {
    /// What a pass has of one patient.
    type Slot: Clone;

    /// Sets the weights at which gradients are taken.
    ///
    /// # Shapes
    /// `weights`: all values of the model.
    ///
    /// # Errors
    /// Refuses another length.
    fn load(&mut self, weights: &[f32]) -> Result<(), TrainError>;

    /// Writes the gradient of each slot's loss; a null record's is zero.
    ///
    /// # Shapes
    /// `patients`: `[slots]`. `gradients`: `[slots, trained values]`, row-major.
    ///
    /// # Panics
    /// If either has another length.
    fn gradients(&self, patients: &[Self::Slot], gradients: &mut [f32]);
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

impl Resources {
    /// Returns how many passes run at once, at least one, where each takes so many bytes.
    ///
    /// That changes no bit of any gradient: it says how many passes run at once, and not what a pass is.
    #[must_use]
    pub fn passes_at_once(&self, pass_bytes: u64) -> usize {
        // The other half is for records, weights, sums and the library itself.
        let bytes = (self.memory_mb << 20) / 2;
        let in_memory = usize::try_from(bytes / pass_bytes.max(1)).unwrap_or(usize::MAX).max(1);
        match self.device {
            // One thread keeps a GPU busy.
            Device::Cuda(_) | Device::Vulkan | Device::Mps => 1,
            Device::Cpu => self.threads.clamp(1, in_memory),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_threads_bound_the_passes_at_once() {
        let of = |device: Device, threads: usize, memory_mb: u64| {
            Resources { device, threads, memory_mb }.passes_at_once(28 << 20)
        };
        assert_eq!(of(Device::Cpu, 64, 1024), 18, "half of the memory");
        assert_eq!((of(Device::Cpu, 4, 1024), of(Device::Cpu, 0, 1024)), (4, 1));
        assert_eq!(of(Device::Cpu, 4, 16), 1, "there is one nevertheless");
        assert_eq!(of(Device::Cuda(0), 64, 1024), 1);
    }
}
