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
            let workers: Vec<_> =
                values.chunks_mut(share).map(|part| scope.spawn(move || fill_part(m, part))).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("the sampler does not panic"))
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
    let measurement =
        make_gaussian::<_, _, ZeroConcentratedDivergence>(domain, L2Distance::<f64>::default(), scale, None);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The noise that the heaviest test of the project asks for: m = 10, ten million draws.
    const DRAWS: usize = 10_000_000;

    /// Chi-square statistics of draws at m = 10, each with its degrees of freedom.
    struct Verdict {
        /// Of 32 intervals of nearly equal probability.
        shape: f64,
        /// Of the four lowest bits: a sampler that rounds coarsely fails here.
        low_bits: f64,
        /// Of the sign among the draws that are not zero.
        sign: f64,
    }

    impl Verdict {
        fn of(draws: impl Iterator<Item = i64>) -> Self {
            let law = Law::new();
            let mut counts = vec![0_u64; 2 * LIMIT + 1];
            for value in draws {
                let at = value.clamp(-(LIMIT as i64), LIMIT as i64) + LIMIT as i64;
                counts[usize::try_from(at).unwrap()] += 1;
            }
            let total = counts.iter().sum::<u64>() as f64;
            let (mut shape, mut low_bits) = ([(0.0, 0.0); SHAPES], [(0.0, 0.0); 16]);
            let (mut positive, mut negative, mut below, mut shape_at) = (0.0, 0.0, 0.0, 0);
            for (at, (&count, &probability)) in counts.iter().zip(&law.0).enumerate() {
                let (count, expected) = (count as f64, probability * total);
                let add = |cell: &mut (f64, f64)| *cell = (cell.0 + count, cell.1 + expected);
                add(&mut shape[shape_at]);
                add(&mut low_bits[at % 16]);
                below += probability;
                if below * SHAPES as f64 >= (shape_at + 1) as f64 {
                    shape_at = (shape_at + 1).min(SHAPES - 1);
                }
                positive += if at > LIMIT { count } else { 0.0 };
                negative += if at < LIMIT { count } else { 0.0 };
            }
            let chi2 = |cells: &[(f64, f64)]| cells.iter().map(|(n, e)| (n - e).powi(2) / e).sum();
            let half = (positive + negative) / 2.0;
            let sign = chi2(&[(positive, half), (negative, half)]);
            Self { shape: chi2(&shape), low_bits: chi2(&low_bits), sign }
        }

        /// At a significance of 1e-5 each: a true sampler fails once in 33,000 runs.
        fn holds(&self) -> bool {
            self.shape < critical(31.0) && self.low_bits < critical(15.0) && self.sign < critical(1.0)
        }
    }

    /// The probabilities of -LIMIT..=LIMIT; both ends hold their tails.
    struct Law(Vec<f64>);

    impl Law {
        fn new() -> Self {
            let weight = |x: f64| (-x * x / (2.0 * 1024.0 * 1024.0)).exp();
            let limit = i32::try_from(LIMIT).unwrap();
            let tail: f64 = (limit..2 * limit).map(|x| weight(f64::from(x))).sum();
            let mut weights: Vec<_> = (-limit..=limit).map(|x| weight(f64::from(x))).collect();
            (weights[0], weights[2 * LIMIT]) = (tail, tail);
            let total: f64 = weights.iter().sum();
            Self(weights.into_iter().map(|w| w / total).collect())
        }
    }

    /// The chi-square quantile at 1 - 1e-5, by Wilson and Hilferty's approximation.
    fn critical(freedom: f64) -> f64 {
        let variance = 2.0 / (9.0 * freedom);
        freedom * (1.0 - variance + 4.265 * variance.sqrt()).powi(3)
    }

    const LIMIT: usize = 6 * 1024;
    const SHAPES: usize = 32;

    #[test]
    fn ten_million_draws_pass_a_chi_square_test_that_planted_biases_fail() {
        let draws = discrete_gaussian(NoiseBits::try_from(10).unwrap(), DRAWS).unwrap();
        let Verdict { shape, low_bits, sign } = Verdict::of(draws.iter().copied());
        assert!(Verdict::of(draws.iter().copied()).holds(), "{shape} {low_bits} {sign}");
        let wider = draws.iter().map(|&v| v + v / 333);
        assert!(Verdict::of(wider).shape > critical(31.0), "a standard deviation off by 0.3 % must fail");
        let signed = draws.iter().enumerate().map(|(i, &v)| if i % 500 == 0 { v.abs() } else { v });
        assert!(Verdict::of(signed).sign > critical(1.0), "a sign bias of 1e-3 must fail");
        let coarse = draws.iter().enumerate().map(|(i, &v)| if i % 500 == 0 { v & !15 } else { v });
        assert!(Verdict::of(coarse).low_bits > critical(15.0), "rounding 1 in 500 draws must fail");
    }

    #[test]
    fn larger_noise_has_its_standard_deviation() {
        let draws = discrete_gaussian(NoiseBits::try_from(20).unwrap(), 20_000).unwrap();
        let variance = draws.iter().map(|&v| (v as f64).powi(2)).sum::<f64>() / 20_000.0;
        // The relative error of the variance is sqrt(2 / 20,000) = 1 %.
        assert!((variance / 4_f64.powi(20) - 1.0).abs() < 0.05, "{variance}");
        assert_ne!(draws, discrete_gaussian(NoiseBits::try_from(20).unwrap(), 20_000).unwrap());
    }

    #[test]
    fn an_empty_vector_needs_no_noise() {
        assert!(discrete_gaussian(NoiseBits::try_from(10).unwrap(), 0).unwrap().is_empty());
    }
}
