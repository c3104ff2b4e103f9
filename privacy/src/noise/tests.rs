//! The law of both samplers, by statistics with pinned keys. Each bias is planted in draws that pass.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};

use super::*;

fn noise_bits(m: u32) -> NoiseBits {
    NoiseBits::try_from(i64::from(m)).unwrap()
}

/// Draws of the fast sampler under a pinned key.
fn draws(m: u32, key: u8) -> impl Iterator<Item = i64> {
    let mut stream = ChaCha20Rng::from_seed([key; 32]);
    let sampler = Sampler::new(noise_bits(m), Proposal::shared());
    std::iter::repeat_with(move || sampler.draw(&mut || stream.next_u64())).take(DRAWS)
}

/// Counts of draws.
struct Tally {
    /// In 64 cells to a standard deviation, from -8 on; the outermost hold the rest.
    cells: Vec<f64>,
    low_bits: [f64; 16],
    squares: f64,
    sigma: f64,
}

impl Tally {
    fn of(m: u32, draws: impl Iterator<Item = i64>) -> Self {
        let sigma = 2_f64.powi(i32::try_from(m).unwrap());
        let mut tally = Self { cells: vec![0.0; CELLS], low_bits: [0.0; 16], squares: 0.0, sigma };
        for value in draws {
            let cell = ((value >> (m - 6)) + 512).clamp(0, 1023);
            tally.cells[usize::try_from(cell).unwrap()] += 1.0;
            tally.low_bits[usize::try_from(value & 15).unwrap()] += 1.0;
            tally.squares += (value as f64 / sigma).powi(2);
        }
        tally
    }

    fn total(&self) -> f64 {
        self.cells.iter().sum()
    }

    /// Of the cells from one multiple of a standard deviation to another.
    fn count(&self, from: usize, to: usize) -> f64 {
        self.cells[64 * (8 + from)..64 * (8 + to)].iter().sum::<f64>()
            + self.cells[64 * (8 - to)..64 * (8 - from)].iter().sum::<f64>()
    }

    /// P(X < the cell's left edge); the discrete law's distribution function is the continuous one's at
    /// half integers, up to 1 / (24 sigma^2) < 4e-8.
    fn law(&self, cell: usize) -> f64 {
        match cell {
            0 => 0.0,
            CELLS => 1.0,
            _ => libm::erfc(-((cell as f64 - 512.0) / 64.0 - 0.5 / self.sigma) / 2_f64.sqrt()) / 2.0,
        }
    }

    /// Intervals of nearly equal probability: where each ends.
    fn intervals(&self) -> Vec<usize> {
        let ends = (1..INTERVALS).map(|i| {
            (0..CELLS).find(|&cell| self.law(cell) * INTERVALS as f64 >= i as f64).expect("below 1")
        });
        ends.chain([CELLS]).collect()
    }

    fn shape(&self) -> Vec<f64> {
        let ends = self.intervals();
        let starts = [0].into_iter().chain(ends.iter().copied());
        starts.zip(&ends).map(|(start, &end)| self.cells[start..end].iter().sum()).collect()
    }

    /// The p-value of each test.
    fn p_values(&self) -> [(&'static str, f64); 8] {
        let n = self.total();
        let ends = self.intervals();
        let laws = [0].into_iter().chain(ends.iter().copied()).zip(&ends);
        let shape = laws.map(|(start, &end)| n * (self.law(end) - self.law(start)));
        let shape = chi_square(self.shape().into_iter().zip(shape));
        let mut below = 0.0;
        let mut distance = 0_f64;
        for (cell, count) in self.cells.iter().enumerate() {
            distance = distance.max((below / n - self.law(cell)).abs());
            below += count;
        }
        let low_bits = chi_square(self.low_bits.into_iter().map(|count| (count, n / 16.0)));
        // Cells hold their left edge, so the cell at zero holds zero: it has no part in the sign.
        let negative: f64 = self.cells[..512].iter().sum();
        let expected = n * self.law(512);
        let central = self.count(0, 1);
        let inside = n * (self.law(576) - self.law(448));
        [
            ("shape", chi_square_p(shape, INTERVALS as f64 - 1.0)),
            ("distribution function", kolmogorov_p(distance * n.sqrt())),
            ("low bits", chi_square_p(low_bits, 15.0)),
            ("sign", normal_p((negative - expected) / (expected * (1.0 - expected / n)).sqrt())),
            ("one sigma", normal_p((central - inside) / (inside * (1.0 - inside / n)).sqrt())),
            ("variance", normal_p((self.squares / n - 1.0) / (2.0 / n).sqrt())),
            ("four sigma", poisson_p(self.count(4, 8), n * 2.0 * self.law(64 * 4))),
            ("five sigma", poisson_p(self.count(5, 8), n * 2.0 * self.law(64 * 3))),
        ]
    }

    /// The tests that a sample fails at a significance of 1e-5 each.
    fn failed(&self) -> Vec<&'static str> {
        self.p_values().into_iter().filter(|&(_, p)| p < SIGNIFICANCE).map(|(name, _)| name).collect()
    }
}

fn chi_square(cells: impl Iterator<Item = (f64, f64)>) -> f64 {
    cells.map(|(count, expected)| (count - expected).powi(2) / expected).sum()
}

/// Wilson and Hilferty's approximation.
fn chi_square_p(chi2: f64, freedom: f64) -> f64 {
    let variance = 2.0 / (9.0 * freedom);
    let z = ((chi2 / freedom).cbrt() - 1.0 + variance) / variance.sqrt();
    libm::erfc(z / 2_f64.sqrt()) / 2.0
}

fn normal_p(z: f64) -> f64 {
    libm::erfc(z.abs() / 2_f64.sqrt())
}

/// Kolmogorov's limit from above: for a distribution in steps, and looked at in a few places, it is even
/// less.
fn kolmogorov_p(distance: f64) -> f64 {
    (2.0 * (-2.0 * distance * distance).exp()).min(1.0)
}

/// Both sides: twice the smaller of P(X <= count) and P(X >= count).
fn poisson_p(count: f64, mean: f64) -> f64 {
    let term = |k: f64| (k * mean.ln() - mean - libm::lgamma(k + 1.0)).exp();
    let below: f64 = (0_u32..).map(f64::from).take_while(|&k| k < count).map(term).sum();
    (2.0 * (below + term(count)).min(1.0 - below)).clamp(0.0, 1.0)
}

/// Two samples of one law: chi-square over the intervals, and Smirnov's test.
fn two_sample_p(a: &Tally, b: &Tally) -> [f64; 2] {
    let (m, n) = (a.total(), b.total());
    let cells = a.shape().into_iter().zip(b.shape());
    let chi2 = cells.map(|(x, y)| (x * (n / m).sqrt() - y * (m / n).sqrt()).powi(2) / (x + y)).sum();
    let (mut below, mut distance) = ((0.0, 0.0), 0_f64);
    for (x, y) in a.cells.iter().zip(&b.cells) {
        below = (below.0 + x / m, below.1 + y / n);
        distance = distance.max((below.0 - below.1).abs());
    }
    [chi_square_p(chi2, INTERVALS as f64 - 1.0), kolmogorov_p(distance * (m * n / (m + n)).sqrt())]
}

const DRAWS: usize = 10_000_000;
/// opendp takes about 20 microseconds for each.
const OPENDP_DRAWS: usize = 1_000_000;
const CELLS: usize = 1024;
const INTERVALS: usize = 32;
/// Of each of eight tests.
const SIGNIFICANCE: f64 = 1e-5;

#[test]
fn ten_million_fast_draws_have_the_law_at_m_10_and_20() {
    for m in [10, 20] {
        let tally = Tally::of(m, draws(m, 1));
        assert!(tally.failed().is_empty(), "{m} {:?}", tally.p_values());
    }
}

#[test]
fn a_planted_bias_of_a_thousandth_fails() {
    let check = |test: &str, biased: &dyn Fn(u32, usize, i64) -> i64| {
        for m in [10, 20] {
            let tally = Tally::of(m, draws(m, 1).enumerate().map(|(i, value)| biased(m, i, value)));
            assert!(tally.failed().contains(&test), "{test} {m} {:?}", tally.p_values());
        }
    };
    // Of 500 draws one is made positive, and half of them were: 1e-3 too many.
    check("sign", &|_, i, value| if i % 500 == 0 { value.abs() } else { value });
    // One in 500 loses its low bits; one in 16 had none.
    check("low bits", &|_, i, value| if i % 500 == 0 { value & !15 } else { value });
    // The standard deviation is off by 2e-3: the distribution function by 5e-4.
    check("variance", &|_, _, value| value + value / 500);
    check("shape", &|_, _, value| value + value / 333);
    // The distribution function is 1e-3 too low at zero.
    check("distribution function", &|_, i, value| if i % 500 == 0 { value.abs() } else { value });
    // No tail at all, which is 6e-5 of the draws; and one in a thousand in it.
    check("four sigma", &|m, _, value| if value.abs() >> m >= 4 { 0 } else { value });
    check("five sigma", &|m, i, value| if i % 1000 == 0 { value.signum() * (6 << m) } else { value });
}

/// Beyond one standard deviation the acceptance is too low by so much that a thousandth of all draws are
/// missing there.
#[test]
fn an_acceptance_that_misplaces_a_thousandth_of_the_draws_fails() {
    for m in [10, 20] {
        let mut redrawn = draws(m, 2);
        let mut next = 0;
        let biased = draws(m, 1).map(|value| {
            next += usize::from(value.abs() >> m != 0);
            let rejected = value.abs() >> m != 0 && next % 217 == 0;
            if rejected { redrawn.next().unwrap() } else { value }
        });
        let tally = Tally::of(m, biased);
        assert!(tally.failed().contains(&"one sigma"), "{m} {:?}", tally.p_values());
    }
}

#[test]
fn opendp_draws_and_fast_draws_have_one_law() {
    let (mut opendp, mut fast) = (vec![0; OPENDP_DRAWS], vec![0; OPENDP_DRAWS]);
    OpendpNoise.fill(noise_bits(10), &mut opendp).unwrap();
    FastNoise.fill(noise_bits(10), &mut fast).unwrap();
    let tally = |draws: &[i64]| Tally::of(10, draws.iter().copied());
    let (opendp, fast) = (tally(&opendp), tally(&fast));
    assert!(opendp.failed().is_empty(), "{:?}", opendp.p_values());
    assert!(fast.failed().is_empty(), "{:?}", fast.p_values());
    let same = two_sample_p(&opendp, &fast);
    assert!(same.iter().all(|&p| p > SIGNIFICANCE), "{same:?}");
    // The test's own control: against noise that is three percent larger, some forty standard errors.
    let mut larger = vec![0; OPENDP_DRAWS];
    FastNoise.fill(noise_bits(10), &mut larger).unwrap();
    larger.iter_mut().for_each(|value| *value += *value / 32);
    let other = two_sample_p(&opendp, &tally(&larger));
    assert!(other.iter().any(|&p| p < SIGNIFICANCE), "{other:?}");
}

#[test]
fn the_privacy_map_is_opendps() {
    for (m, c_int) in [(10, 1000.0), (20, 1_048_576.0), (30, 1.0)] {
        let rho = (c_int / 2_f64.powi(i32::try_from(m).unwrap())).powi(2) / 2.0;
        for measurement in [fast_measurement(noise_bits(m)), opendp_measurement(noise_bits(m))] {
            let stated = measurement.unwrap().map(&c_int).unwrap();
            // Rounded up, and not by much.
            assert!(stated >= rho && stated <= rho * (1.0 + 1e-12), "{m} {c_int} {stated} {rho}");
        }
    }
}

#[test]
fn the_measurement_adds_its_noise_and_saturates() {
    let measurement = fast_measurement(noise_bits(10)).unwrap();
    let noisy = measurement.invoke(&vec![1 << 40, -1 << 40, i64::MAX, i64::MIN]).unwrap();
    let near = |value: i64, of: i64| value.abs_diff(of) < 12 << 10;
    assert!(near(noisy[0], 1 << 40) && near(noisy[1], -1 << 40), "{noisy:?}");
    assert!(near(noisy[2], i64::MAX) && near(noisy[3], i64::MIN), "{noisy:?}");
}

#[test]
fn threads_and_batches_share_no_noise() {
    let threads = NonZeroUsize::new(4).unwrap();
    // Four threads with five batches each, the last one short.
    let mut values = vec![0; 4 * 5 * VALUES_PER_BATCH - 17];
    FastNoise::fill_on(threads, noise_bits(30), &mut values).unwrap();
    let mut again = vec![0; values.len()];
    FastNoise::fill_on(threads, noise_bits(30), &mut again).unwrap();
    let total = values.len() + again.len();
    values.extend(again);
    values.sort_unstable();
    values.dedup();
    // Of 163,806 draws from some 3e9 about four pairs are equal by chance; a repeated batch would make
    // thousands.
    assert!(values.len() + 40 > total, "{} of {total}", values.len());
}

#[test]
fn an_empty_vector_needs_no_noise() {
    FastNoise.fill(noise_bits(10), &mut []).unwrap();
    OpendpNoise.fill(noise_bits(10), &mut []).unwrap();
}
