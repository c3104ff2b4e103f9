//! Discrete Gaussian noise with a standard deviation of 2^m grid units, sampled exactly.
//!
//! Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential Privacy", 2020
//! (arXiv 2004.00010), algorithm 3, as implemented and proven in opendp; the randomness is OpenSSL's,
//! seeded by the operating system.

use std::num::NonZeroUsize;
use std::thread;

use opendp::domains::{AtomDomain, VectorDomain};
use opendp::measurements::make_gaussian;
use opendp::measures::ZeroConcentratedDivergence;
use opendp::metrics::L2Distance;

use crate::accountant::NoiseBits;

/// Noise that could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum NoiseError {
    /// The sampler failed, which means that there is no randomness to be had.
    #[error("the noise sampler failed: {0}")]
    Sampler(String),
}

/// Draws discrete Gaussian noise.
pub trait NoiseSource {
    /// Replaces `values` by independent draws of standard deviation 2^m.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    fn fill(&self, m: NoiseBits, values: &mut [i64]) -> Result<(), NoiseError>;
}

/// opendp's exact sampler, on all cores.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpendpNoise;

impl NoiseSource for OpendpNoise {
    fn fill(&self, m: NoiseBits, values: &mut [i64]) -> Result<(), NoiseError> {
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let share = values.len().div_ceil(threads).max(VALUES_PER_THREAD_MIN);
        thread::scope(|scope| {
            let workers: Vec<_> = values
                .chunks_mut(share)
                .map(|part| scope.spawn(move || fill_part(m, part)))
                .collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().expect("the sampler does not panic"))
        })
    }
}

/// Draws `len` values of discrete Gaussian noise with opendp's sampler.
///
/// # Errors
/// When there is no randomness to be had.
pub fn discrete_gaussian(m: NoiseBits, len: usize) -> Result<Vec<i64>, NoiseError> {
    let mut values = vec![0; len];
    OpendpNoise.fill(m, &mut values)?;
    Ok(values)
}

/// Draws on one thread: a `Measurement` cannot be sent to another.
fn fill_part(m: NoiseBits, values: &mut [i64]) -> Result<(), NoiseError> {
    let domain = VectorDomain::new(AtomDomain::<i64>::default());
    let scale = f64::from(m.get()).exp2();
    let failed = |e: opendp::error::Error| NoiseError::Sampler(e.to_string());
    let measurement = make_gaussian::<_, _, ZeroConcentratedDivergence>(
        domain,
        L2Distance::<f64>::default(),
        scale,
        None,
    );
    let measurement = measurement.map_err(failed)?;
    for batch in values.chunks_mut(VALUES_PER_BATCH) {
        batch.copy_from_slice(&measurement.invoke(&vec![0; batch.len()]).map_err(failed)?);
    }
    Ok(())
}

/// Below this a thread costs more than it saves.
const VALUES_PER_THREAD_MIN: usize = 256;

/// opendp holds a batch as arbitrary-precision integers: 4096 of them fit the cache.
const VALUES_PER_BATCH: usize = 4096;
