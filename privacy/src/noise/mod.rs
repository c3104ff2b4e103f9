//! Discrete Gaussian noise with a standard deviation of 2^m grid units, sampled exactly.
//!
//! Two samplers of the same law (Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential
//! Privacy", 2020, arXiv 2004.00010): [`FastNoise`], in machine integers, with ChaCha20 under a key of the
//! operating system's; its proof is in `strips`. And [`OpendpNoise`], opendp's own, which is that paper's
//! algorithm 3 in arbitrary precision, with OpenSSL's randomness: its tests' oracle, and for those who
//! trust nothing else. Both are opendp measurements with opendp's privacy map: zero concentrated
//! differential privacy of C_int^2 / (2 4^m), for vectors that differ by at most C_int in L2.
//!
//! Noise is drawn before patients are read, in batches whose lengths depend on the length of the vector
//! alone.

mod exponential;
mod strips;
#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::thread;

use chacha20::rand_core::Rng as _;
use opendp::core::{Function, Measurement};
use opendp::domains::{AtomDomain, VectorDomain};
use opendp::error::{Error, ErrorVariant};
use opendp::measurements::make_gaussian;
use opendp::measures::ZeroConcentratedDivergence;
use opendp::metrics::L2Distance;
use zeroize::Zeroize;

use self::strips::{Proposal, Sampler};
use crate::accountant::NoiseBits;
use crate::random::keyed_stream;

/// Noise that could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum NoiseError {
    /// The sampler failed, which means that there is no randomness to be had.
    #[error("the noise sampler failed: {0}")]
    Sampler(String),
}

impl From<Error> for NoiseError {
    fn from(error: Error) -> Self {
        Self::Sampler(error.to_string())
    }
}

/// Draws discrete Gaussian noise.
pub trait NoiseSource {
    /// Replaces `values` by independent draws of standard deviation 2^m.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    fn fill(&self, m: NoiseBits, values: &mut [i64]) -> Result<(), NoiseError>;
}

/// The exact sampler in machine integers, on all cores.
#[derive(Debug, Clone, Copy, Default)]
pub struct FastNoise;

impl FastNoise {
    /// Replaces `values` by independent draws, on at most so many threads.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    pub fn fill_on(threads: NonZeroUsize, m: NoiseBits, values: &mut [i64]) -> Result<(), NoiseError> {
        // Below 2^14 values a thread costs more than it saves.
        fill_on(threads, 1 << 14, values, || fast_measurement(m))
    }
}

impl NoiseSource for FastNoise {
    fn fill(&self, m: NoiseBits, values: &mut [i64]) -> Result<(), NoiseError> {
        Self::fill_on(all_cores(), m, values)
    }
}

/// opendp's exact sampler, on all cores.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpendpNoise;

impl OpendpNoise {
    /// Replaces `values` by independent draws, on at most so many threads.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    pub fn fill_on(threads: NonZeroUsize, m: NoiseBits, values: &mut [i64]) -> Result<(), NoiseError> {
        fill_on(threads, 256, values, || opendp_measurement(m))
    }
}

impl NoiseSource for OpendpNoise {
    fn fill(&self, m: NoiseBits, values: &mut [i64]) -> Result<(), NoiseError> {
        Self::fill_on(all_cores(), m, values)
    }
}

/// Integer vectors to noisy ones, with the zero concentrated divergence between outputs.
type Gaussian =
    Measurement<VectorDomain<AtomDomain<i64>>, L2Distance<f64>, ZeroConcentratedDivergence, Vec<i64>>;

fn opendp_measurement(m: NoiseBits) -> Result<Gaussian, Error> {
    let domain = VectorDomain::new(AtomDomain::default());
    make_gaussian(domain, L2Distance::default(), f64::from(m.get()).exp2(), None)
}

/// The same mechanism as opendp's with the same map, and another sampler of the same law: under a new key
/// at each call.
fn fast_measurement(m: NoiseBits) -> Result<Gaussian, Error> {
    let opendp = opendp_measurement(m)?;
    let sampler = Sampler::new(m, Proposal::shared());
    let add_noise = move |values: &Vec<i64>| {
        let mut stream = keyed_stream().map_err(|e| Error {
            variant: ErrorVariant::FailedFunction,
            message: Some(e.to_string()),
            backtrace: std::backtrace::Backtrace::disabled(),
        })?;
        let mut words = || stream.next_u64();
        Ok(values.iter().map(|value| value.saturating_add(sampler.draw(&mut words))).collect())
    };
    Measurement::new(
        opendp.input_domain.clone(),
        opendp.input_metric.clone(),
        opendp.output_measure.clone(),
        Function::new_fallible(add_noise),
        opendp.privacy_map.clone(),
    )
}

/// Shares the values out evenly; each thread makes its own measurement, which cannot be sent to another.
fn fill_on(
    threads: NonZeroUsize,
    share_min: usize,
    values: &mut [i64],
    measurement: impl Fn() -> Result<Gaussian, Error> + Sync,
) -> Result<(), NoiseError> {
    let share = values.len().div_ceil(threads.get()).max(share_min);
    let fill_part = |part: &mut [i64]| fill_part(&measurement()?, part);
    if values.len() <= share {
        return fill_part(values);
    }
    thread::scope(|scope| {
        let workers: Vec<_> = values.chunks_mut(share).map(|part| scope.spawn(|| fill_part(part))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("the sampler does not panic"))
    })
}

fn fill_part(measurement: &Gaussian, values: &mut [i64]) -> Result<(), NoiseError> {
    let zeros = vec![0; VALUES_PER_BATCH.min(values.len())];
    for batch in values.chunks_mut(VALUES_PER_BATCH) {
        let mut noise = if batch.len() == zeros.len() {
            measurement.invoke(&zeros)?
        } else {
            measurement.invoke(&vec![0; batch.len()])?
        };
        batch.copy_from_slice(&noise);
        noise.zeroize();
    }
    Ok(())
}

fn all_cores() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// A batch fits the cache, as machine integers and as opendp's of arbitrary precision; a key for each costs
/// nothing that shows.
const VALUES_PER_BATCH: usize = 4096;
