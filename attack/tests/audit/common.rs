//! What the tests of audits share: randomness that can be repeated, and events by their mu.

use fedtwin_plan::Ratio;
use fedtwin_privacy::accountant::GaussianEvent;
use fedtwin_privacy::random::{NoRandomness, RandomSource};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// Coins and samples of a seed, which each test prints; the noise is real and cannot be repeated.
pub(crate) struct Seeded(ChaCha20Rng);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        println!("seed {seed}");
        Self(ChaCha20Rng::seed_from_u64(seed))
    }
}

impl RandomSource for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

/// Returns an event of `steps` steps over all patients that together cost `mu`.
pub(crate) fn full_batch(mu: f64, steps: u64) -> GaussianEvent {
    event(Ratio::ONE, (steps as f64).sqrt() / mu, steps)
}

/// Returns an event with about this noise multiplier.
pub(crate) fn event(sampling: Ratio, multiplier: f64, steps: u64) -> GaussianEvent {
    let m = 16_u32;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a norm in grid units")]
    let c_int = (f64::from(m).exp2() / multiplier) as u64;
    GaussianEvent::local(sampling, m, c_int, steps).unwrap()
}
