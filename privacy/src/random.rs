//! Secret randomness from the operating system.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng as _;
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::{Zeroize, Zeroizing};

/// The operating system gives no randomness: nothing private can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no randomness")]
pub struct NoRandomness;

/// A source of uniformly random bytes.
pub trait RandomSource {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness>;

    /// Draws an integer uniformly from `0..bound`, exactly: by rejection, without any remainder's bias.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    ///
    /// # Panics
    /// When `bound` is zero.
    fn below(&mut self, bound: u32) -> Result<u32, NoRandomness> {
        assert!(bound > 0, "there is no integer below zero");
        let mask = u32::MAX.checked_shr((bound - 1).leading_zeros()).unwrap_or(0);
        loop {
            let mut bytes = [0; 4];
            self.fill(&mut bytes)?;
            let candidate = u32::from_le_bytes(bytes) & mask;
            if candidate < bound {
                return Ok(candidate);
            }
        }
    }
}

impl<R: RandomSource + ?Sized> RandomSource for &mut R {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        (**self).fill(bytes)
    }
}

/// The operating system's randomness, fetched in pieces and wiped after use.
pub struct SecureRandom {
    system: SystemRandom,
    buffer: Box<[u8; BUFFER_BYTES]>,
    used: usize,
}

impl SecureRandom {
    /// Starts with an empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self { system: SystemRandom::new(), buffer: Box::new([0; BUFFER_BYTES]), used: BUFFER_BYTES }
    }
}

impl Default for SecureRandom {
    fn default() -> Self {
        Self::new()
    }
}

impl RandomSource for SecureRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        for piece in bytes.chunks_mut(BUFFER_BYTES) {
            if BUFFER_BYTES - self.used < piece.len() {
                self.system.fill(self.buffer.as_mut_slice()).map_err(|_unspecified| NoRandomness)?;
                self.used = 0;
            }
            let taken = &mut self.buffer[self.used..self.used + piece.len()];
            piece.copy_from_slice(taken);
            taken.zeroize();
            self.used += piece.len();
        }
        Ok(())
    }
}

impl Drop for SecureRandom {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}

impl std::fmt::Debug for SecureRandom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecureRandom")
    }
}

/// Makes a ChaCha20 keystream under a new key of the operating system's; key and keystream are wiped when
/// it is dropped.
///
/// # Errors
/// When there is no randomness to be had.
pub(crate) fn keyed_stream() -> Result<ChaCha20Rng, NoRandomness> {
    let mut key = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(key.as_mut_slice()).map_err(|_unspecified| NoRandomness)?;
    Ok(ChaCha20Rng::from_seed(*key))
}

/// One page: a system call for every thousand draws.
const BUFFER_BYTES: usize = 4096;

/// Randomness that a test can repeat; whoever knows the seed knows every draw.
#[cfg(any(test, feature = "testing"))]
#[derive(Debug)]
pub struct SeededRandom {
    seed: u64,
    counter: u64,
}

#[cfg(any(test, feature = "testing"))]
impl SeededRandom {
    /// Starts the sequence of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, counter: 0 }
    }
}

#[cfg(any(test, feature = "testing"))]
impl RandomSource for SeededRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        for piece in bytes.chunks_mut(32) {
            let block = [self.seed.to_le_bytes(), self.counter.to_le_bytes()].concat();
            self.counter += 1;
            piece.copy_from_slice(&fedtwin_plan::Digest::of(&block).0[..piece.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_draws_are_uniform() {
        // Chi-square with 9 degrees of freedom stays below 33.7 with probability 1 - 1e-4.
        let mut random = SecureRandom::new();
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[random.below(10).unwrap() as usize] += 1;
        }
        let chi2: f64 = counts.iter().map(|&c| (f64::from(c) - 1e4).powi(2) / 1e4).sum();
        assert!(chi2 < 33.7, "{counts:?}");
    }

    #[test]
    fn bounds_at_the_edges_terminate() {
        let mut random = SecureRandom::new();
        assert_eq!(random.below(1), Ok(0));
        for bound in [2, 1 << 31, (1 << 31) + 1, u32::MAX] {
            assert!(random.below(bound).unwrap() < bound);
        }
    }

    #[test]
    fn long_fills_cross_the_buffer() {
        let mut random = SecureRandom::new();
        let (mut first, mut second) = (vec![0; 10_001], vec![0; 10_001]);
        random.fill(&mut first).unwrap();
        random.fill(&mut second).unwrap();
        assert_ne!(first, second);
        assert!(first.chunks(16).all(|piece| piece.iter().any(|&b| b != 0)));
    }
}
