//! The Fourier transform of real sequences, with a proven bound on its rounding error.
//!
//! Why not a library: an amount in a ledger is computed again at each replay, on another machine and by
//! a later release. Here every operation is named, in an order that does not depend on the processor, and the
//! error bound of `relative_error` is that of this code.
//!
//! The transform splits a polynomial modulo x^n - r^2 into those modulo x^(n/2) - r and x^(n/2) + r, down to
//! its values at the roots of unity, which come out in bit-reversed order. Nobody here needs another one.

use std::f64::consts::{FRAC_PI_2, SQRT_2};
use std::ops::{Add, Mul, Sub};

use libm::{cos, sin};

/// A complex number.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Complex {
    re: f64,
    im: f64,
}

/// The transform of real sequences of one length.
pub(crate) struct RealFft {
    /// exp(i a_p) with a_0 = 0, a_1 = pi/2, a_2p = a_p / 2 and a_(2p+1) = a_p / 2 + pi/2: the square root
    /// of block p's root of unity, at whatever depth the block is.
    roots: Vec<Complex>,
}

/// The transform X of a real sequence x: `X(a_p)` = sum over j of `x_j exp(i j a_p)` at position p. Position 0 has
/// the two real values X(0) and X(pi) as its parts.
pub(crate) struct Spectrum(Vec<Complex>);

impl RealFft {
    /// Prepares sequences of `length` values, a power of two from 4 upwards.
    pub(crate) fn new(length: usize) -> Self {
        assert!(length.is_power_of_two() && length >= 4, "lengths are powers of two from 4 upwards");
        Self { roots: (0..length / 2).map(root).collect() }
    }

    /// Returns the number of values.
    pub(crate) fn length(&self) -> usize {
        self.roots.len() * 2
    }

    /// Bounds the Euclidean norm of each transform's error, either way, relative to that of its exact result.
    ///
    /// Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition, theorem 24.2, with
    /// this code's stages: one is a product with a root (sqrt 2 gamma_2 and the root's own error of 4 u, by
    /// an angle within pi/4 and functions accurate to an ulp) and a sum (u), below 8 u; two more combine
    /// the transform of the even with that of the odd values.
    pub(crate) fn relative_error(&self) -> f64 {
        f64::from(self.length().ilog2() + 2) * STAGE_ERROR
    }

    /// Transforms a sequence.
    pub(crate) fn spectrum(&self, values: &[f64]) -> Spectrum {
        assert_eq!(values.len(), self.length(), "the length was fixed");
        let mut data: Vec<_> =
            values.chunks_exact(2).map(|pair| Complex { re: pair[0], im: pair[1] }).collect();
        self.split(&mut data, 0);
        for p in 0..data.len() {
            let partner = opposite(p);
            if partner < p {
                continue;
            }
            // The sequences of even and of odd places, at the angle 2 a_p.
            let (z, conjugate) = (data[p], data[partner].conjugate());
            let even = (z + conjugate) * 0.5;
            let turned = (z - conjugate).divided_by_i() * 0.5 * self.roots[p];
            let (here, across) = (even + turned, even - turned);
            if p == 0 {
                data[0] = Complex { re: here.re, im: across.re };
            } else {
                data[partner] = across.conjugate();
                data[p] = here;
            }
        }
        Spectrum(data)
    }

    /// Transforms a sequence of values, none negative, of which the ones at 0 and beside it may be far larger than all
    /// others; returns a bound on the error's Euclidean norm too, relative to a transform that keeps norms.
    ///
    /// Rare losses are such a sequence: all but a millionth of the probability is near 0, and an error relative to that would
    /// drown the rest once it is raised to a power. The three values are transformed by their definition,
    /// x_0 + x_1 e^ia + x_(-1) e^-ia: with u for the unit roundoff, sum, product and root are off by at most 6 u of
    /// x_1 + x_(-1) in each part, the two additions by 2 u of everything each.
    pub(crate) fn spectrum_of_peak(&self, mut values: Vec<f64>) -> (Spectrum, f64) {
        let all: f64 = values.iter().sum();
        let last = values.len() - 1;
        let [here, next, previous] = [0, 1, last].map(|place| std::mem::take(&mut values[place]));
        let Spectrum(mut data) = self.spectrum(&values);
        let (even, odd) = (next + previous, next - previous);
        for (value, root) in data.iter_mut().zip(&self.roots).skip(1) {
            *value = *value + Complex { re: here + even * root.re, im: odd * root.im };
        }
        data[0] = Complex { re: data[0].re + (here + even), im: data[0].im + (here - even) };
        let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
        let direct = f64::EPSILON / 2.0 * (9.0 * even + 4.0 * all);
        (Spectrum(data), self.relative_error() * norm + direct)
    }

    /// Transforms back.
    pub(crate) fn values(&self, spectrum: Spectrum) -> Vec<f64> {
        let Spectrum(mut data) = spectrum;
        for p in 0..data.len() {
            let partner = opposite(p);
            if partner < p {
                continue;
            }
            let (here, across) = match p {
                0 => (Complex { re: data[0].re, im: 0.0 }, Complex { re: data[0].im, im: 0.0 }),
                _ => (data[p], data[partner].conjugate()),
            };
            let even = (here + across) * 0.5;
            let odd = (here - across) * 0.5 * self.roots[p].conjugate();
            data[partner] = even.conjugate() + odd.conjugate().times_i();
            data[p] = even + odd.times_i();
        }
        self.join(&mut data, 0);
        #[expect(clippy::cast_precision_loss, reason = "a power of two")]
        let scale = 1.0 / data.len() as f64;
        data.iter().flat_map(|z| [z.re * scale, z.im * scale]).collect()
    }

    /// Evaluates a polynomial modulo x^n - root^2 of block `block` at all of its roots.
    fn split(&self, data: &mut [Complex], block: usize) {
        if data.len() == 1 {
            return;
        }
        let root = self.roots[block];
        let (low, high) = data.split_at_mut(data.len() / 2);
        for (a, b) in low.iter_mut().zip(high.iter_mut()) {
            let turned = *b * root;
            *b = *a - turned;
            *a = *a + turned;
        }
        self.split(low, 2 * block);
        self.split(high, 2 * block + 1);
    }

    /// Undoes `split`, but for a factor of n.
    fn join(&self, data: &mut [Complex], block: usize) {
        if data.len() == 1 {
            return;
        }
        let root = self.roots[block].conjugate();
        let (low, high) = data.split_at_mut(data.len() / 2);
        self.join(low, 2 * block);
        self.join(high, 2 * block + 1);
        for (a, b) in low.iter_mut().zip(high.iter_mut()) {
            let difference = *a - *b;
            *a = *a + *b;
            *b = difference * root;
        }
    }
}

impl Spectrum {
    /// Multiplies by the `exponent`-th power of another spectrum: `exponent` convolutions.
    ///
    /// Each product is accurate to sqrt 2 gamma_2 < 3 u (Higham, lemma 3.5), and squaring does as many as
    /// multiplying one by one would: the relative error is below 3 u (exponent + 1). What falls below
    /// [`MODULUS_MIN`] is dropped.
    pub(crate) fn multiply_by_power(&mut self, other: &Self, exponent: u64) {
        let (mine, others) = (&mut self.0, &other.0);
        let real = |a: f64, b: f64| Complex { re: a, im: 0.0 } * Complex { re: b, im: 0.0 }.power(exponent);
        let ends = (real(mine[0].re, others[0].re), real(mine[0].im, others[0].im));
        for (a, b) in mine.iter_mut().zip(others) {
            *a = *a * b.power(exponent);
        }
        mine[0] = Complex { re: ends.0.re, im: ends.1.re };
    }

    /// Returns the spectrum of the sequence 1, 0, 0, ...
    pub(crate) fn one(length: usize) -> Self {
        let mut data = vec![Complex { re: 1.0, im: 0.0 }; length / 2];
        data[0].im = 1.0;
        Self(data)
    }
}

impl Complex {
    fn conjugate(self) -> Self {
        Self { re: self.re, im: -self.im }
    }

    fn times_i(self) -> Self {
        Self { re: -self.im, im: self.re }
    }

    fn divided_by_i(self) -> Self {
        Self { re: self.im, im: -self.re }
    }

    fn is_negligible(self) -> bool {
        self.re.abs() < MODULUS_MIN && self.im.abs() < MODULUS_MIN
    }

    fn power(self, mut exponent: u64) -> Self {
        let (mut base, mut result) = (self, Self { re: 1.0, im: 0.0 });
        while exponent > 0 {
            if exponent % 2 == 1 {
                result = result * base;
            }
            exponent /= 2;
            base = base * base;
            // Numbers below the normal range are slow, and these no longer matter.
            if result.is_negligible() || (exponent > 0 && base.is_negligible()) {
                return Self::default();
            }
        }
        result
    }
}

impl Add for Complex {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }
}

impl Sub for Complex {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { re: self.re - other.re, im: self.im - other.im }
    }
}

impl Mul for Complex {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }
}

impl Mul<f64> for Complex {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self { re: self.re * factor, im: self.im * factor }
    }
}

/// Returns exp(i a_p). With d the place of p's highest bit and r the lower d bits reversed, the angle is
/// (2 r + 1) / 2^d quarter turns; it is brought to at most half a quarter, exactly.
fn root(p: usize) -> Complex {
    if p == 0 {
        return Complex { re: 1.0, im: 0.0 };
    }
    let d = p.ilog2();
    let reversed = if d == 0 { 0 } else { (p - (1 << d)).reverse_bits() >> (usize::BITS - d) };
    let (turns, quarter) = (2 * reversed + 1, 1_usize << d);
    // Beyond a quarter turn: cos(b + pi/2) = -sin b, sin(b + pi/2) = cos b.
    let (beyond, turns) = (turns > quarter, if turns > quarter { turns - quarter } else { turns });
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let angle = |turns: usize| turns as f64 / quarter as f64 * FRAC_PI_2;
    let (re, im) = match 2 * turns {
        _ if turns == quarter => (0.0, 1.0),
        double if double == quarter => (SQRT_2 / 2.0, SQRT_2 / 2.0),
        double if double < quarter => (cos(angle(turns)), sin(angle(turns))),
        _ => (sin(angle(quarter - turns)), cos(angle(quarter - turns))),
    };
    if beyond { Complex { re: -im, im: re } } else { Complex { re, im } }
}

/// Returns the position of the opposite angle.
fn opposite(p: usize) -> usize {
    if p == 0 { 0 } else { p ^ ((1 << p.ilog2()) - 1) }
}

/// 10 u, above the 8 u of `relative_error`'s comment and its higher-order terms.
const STAGE_ERROR: f64 = 5.0 * f64::EPSILON;

/// Powers below this are zero: an error that no sum of 2^21 of them makes visible.
pub(crate) const MODULUS_MIN: f64 = 1e-140;

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(length: usize) -> Vec<f64> {
        // A linear congruential generator: any sequence without symmetry will do.
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            #[expect(clippy::cast_precision_loss, reason = "any number will do")]
            let number = (state >> 11) as f64;
            number / 9e15
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn spectra_are_sums_over_roots_of_unity() {
        let fft = RealFft::new(64);
        let values = sequence(64);
        let Spectrum(spectrum) = fft.spectrum(&values);
        for (p, found) in spectrum.iter().enumerate().skip(1) {
            let angle = fft.roots[p].im.atan2(fft.roots[p].re);
            let mut expected = Complex::default();
            for (j, &value) in values.iter().enumerate() {
                #[expect(clippy::cast_precision_loss, reason = "below 64")]
                let turned = angle * j as f64;
                expected = expected + Complex { re: turned.cos(), im: turned.sin() } * value;
            }
            assert!((*found - expected).re.abs() + (*found - expected).im.abs() < 1e-12, "{p}");
        }
        let alternating: f64 = values.chunks(2).map(|pair| pair[0] - pair[1]).sum();
        assert!((spectrum[0].re - values.iter().sum::<f64>()).abs() < 1e-13);
        assert!((spectrum[0].im - alternating).abs() < 1e-13);
    }

    #[test]
    fn a_peak_and_what_is_beside_it_are_transformed_within_a_sharper_bound() {
        let fft = RealFft::new(1 << 12);
        let mut values: Vec<_> = sequence(1 << 12).iter().map(|value| value * 1e-9).collect();
        (values[0], values[1], values[(1 << 12) - 1]) = (0.9, 0.06, 0.04);
        let Spectrum(plain) = fft.spectrum(&values);
        let (Spectrum(sharp), bound) = fft.spectrum_of_peak(values.clone());
        let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
        assert!(bound < fft.relative_error() * norm(&values) / 20.0, "{bound}");
        for (a, b) in plain.iter().zip(&sharp) {
            assert!((*a - *b).re.abs() + (*a - *b).im.abs() < 1e-14);
        }
        // Back by the plain transform, what is far from the peak has kept its digits.
        let back = fft.values(Spectrum(sharp));
        let differences: Vec<_> = values.iter().zip(&back).map(|(a, b)| a - b).collect();
        assert!(norm(&differences) <= bound + fft.relative_error() * norm(&values));
    }

    #[test]
    fn transforms_are_inverse_within_the_bound() {
        for exponent in [2_u32, 3, 8, 15] {
            let fft = RealFft::new(1 << exponent);
            let values = sequence(1 << exponent);
            let back = fft.values(fft.spectrum(&values));
            let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
            let differences: Vec<_> = values.iter().zip(&back).map(|(a, b)| a - b).collect();
            let error = norm(&differences) / norm(&values);
            assert!(error <= 2.0 * fft.relative_error(), "{exponent}: {error}");
        }
    }

    #[test]
    fn powers_of_spectra_are_convolutions() {
        let fft = RealFft::new(16);
        let mut values = vec![0.0; 16];
        (values[0], values[1], values[15]) = (0.5, 0.3, 0.2);
        let mut product = Spectrum::one(16);
        product.multiply_by_power(&fft.spectrum(&values), 5);
        let found = fft.values(product);
        let mut expected = vec![0.0; 16];
        expected[0] = 1.0;
        for _ in 0..5 {
            expected = (0..16_usize)
                .map(|k| (0..16).map(|j| expected[j] * values[(16 + k - j) % 16]).sum())
                .collect();
        }
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-15), "{found:?} {expected:?}");
    }
}
