//! `bench noise`: what one value of discrete Gaussian noise costs.

use std::num::NonZeroUsize;
use std::thread;

use fedtwin_privacy::accountant::NoiseBits;
use fedtwin_privacy::noise::{FastNoise, NoiseError, OpendpNoise};
use serde::Serialize;
use tokio::time::Instant;

/// One line of the results.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    case: String,
    engine: &'static str,
    threads: usize,
    /// Of the fastest repetition: the others were disturbed.
    microseconds: f64,
    /// opendp's time on one core over this one's.
    ratio: f64,
}

type Fill = fn(NonZeroUsize, NoiseBits, &mut [i64]) -> Result<(), NoiseError>;

/// Measures the samplers side by side, and prints a line for each.
pub(crate) fn run() -> anyhow::Result<Vec<Figures>> {
    let one = NonZeroUsize::MIN;
    let all = thread::available_parallelism()?;
    let engines: [(&str, Fill, NonZeroUsize, usize); 4] = [
        ("opendp", OpendpNoise::fill_on, one, OPENDP_VALUES),
        ("opendp-all-cores", OpendpNoise::fill_on, all, OPENDP_VALUES),
        ("fast", FastNoise::fill_on, one, FAST_VALUES),
        ("fast-all-cores", FastNoise::fill_on, all, FAST_VALUES),
    ];
    println!("{:>6} {:>18} {:>8} {:>14} {:>8}", "case", "engine", "threads", "microseconds", "ratio");
    let mut results = Vec::new();
    for m in [10, 20] {
        let mut opendp = None;
        for (engine, fill, threads, values) in engines {
            let microseconds = microseconds_per_value(fill, threads, NoiseBits::try_from(m)?, values)?;
            let ratio = *opendp.get_or_insert(microseconds) / microseconds;
            let (case, threads) = (format!("m={m}"), threads.get());
            println!("{case:>6} {engine:>18} {threads:>8} {microseconds:>14.4} {ratio:>8.1}");
            results.push(Figures { case, engine, threads, microseconds, ratio });
        }
    }
    Ok(results)
}

fn microseconds_per_value(
    fill: Fill,
    threads: NonZeroUsize,
    m: NoiseBits,
    values: usize,
) -> anyhow::Result<f64> {
    let mut noise = vec![0; values];
    let mut best = f64::INFINITY;
    for _ in 0..REPETITIONS {
        let start = Instant::now();
        fill(threads, m, &mut noise)?;
        #[expect(clippy::cast_precision_loss, reason = "a few million values")]
        let microseconds = start.elapsed().as_secs_f64() * 1e6 / values as f64;
        best = best.min(microseconds);
    }
    Ok(best)
}

const REPETITIONS: usize = 5;
/// A tenth of a second.
const OPENDP_VALUES: usize = 10_000;
/// Some hundredths of a second; a U-Net's 118 thousand weights take the same time for each.
const FAST_VALUES: usize = 4_000_000;
