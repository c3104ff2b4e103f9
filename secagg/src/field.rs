//! The field of 65,536 elements, as pairs over the field of 256: a + b Y with Y^2 = Y + [`DELTA`].
//!
//! The field of 256 elements is GF(2) modulo x^8 + x^4 + x^3 + x^2 + 1, that of most sharing schemes and codes. An
//! element of it, the pair (a, 0), multiplies both parts of a pair alike: what is shared at places below 256 is shared
//! byte by byte as it would be without the extension.
//!
//! No tables and no branches on values, so that neither the cache nor the time tells a secret. Only the element that a
//! row is [scaled](Row::scaled) by shows in the time; it has to be public.

use std::ops::{Add, AddAssign, Mul};

use zeroize::Zeroize;

use crate::shamir::{SECRET_BYTES, Secret};

/// An element: the low part and that of Y.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Element([u8; 2]);

impl Element {
    pub(crate) const ZERO: Self = Self([0, 0]);
    pub(crate) const ONE: Self = Self([1, 0]);

    /// Returns the element with that number, one for each.
    pub(crate) const fn new(number: u16) -> Self {
        Self(number.to_le_bytes())
    }

    /// Returns the inverse of an element; zero has none and gives zero.
    pub(crate) const fn inverse(self) -> Self {
        let Self([a, b]) = self;
        // Its conjugate is a + b + b Y, and their product is below 256.
        let norm = multiply(a, a ^ b) ^ multiply(multiply(b, b), DELTA);
        let inverse = inverse(norm);
        Self([multiply(a ^ b, inverse), multiply(b, inverse)])
    }
}

impl Add for Element {
    type Output = Self;

    /// Adds, which is also how to subtract.
    fn add(self, Self([c, d]): Self) -> Self {
        let Self([a, b]) = self;
        Self([a ^ c, b ^ d])
    }
}

impl AddAssign for Element {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Mul for Element {
    type Output = Self;

    fn mul(self, Self([c, d]): Self) -> Self {
        let Self([a, b]) = self;
        let (low, high) = (multiply(a, c), multiply(b, d));
        // Karatsuba: (a + b)(c + d) - low = a d + b c + b d.
        Self([low ^ multiply(high, DELTA), multiply(a ^ b, c ^ d) ^ low])
    }
}

/// The elements of a secret or of a share, side by side.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Row([u64; ROW_WORDS]);

impl Row {
    pub(crate) fn of(secret: &Secret) -> Self {
        let (words, _none) = secret.as_chunks::<8>();
        Self(std::array::from_fn(|word| u64::from_le_bytes(words[word])))
    }

    pub(crate) fn to_secret(self) -> Secret {
        let mut secret = Secret::default();
        for (bytes, word) in secret.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *bytes = word.to_le_bytes();
        }
        secret
    }

    /// Multiplies each element by a public one.
    pub(crate) fn scaled(self, Element([low, high]): Element) -> Self {
        let by_low = self.times(low);
        if high == 0 {
            return by_low;
        }
        let by_high = self.times(high);
        let delta_high = Self(by_high.0.map(|word| (word >> 8) & EVEN_BYTES)).times(DELTA);
        Self(std::array::from_fn(|word| {
            let (odd, even) = (by_high.0[word] & !EVEN_BYTES, by_high.0[word] & EVEN_BYTES);
            by_low.0[word] ^ delta_high.0[word] ^ odd ^ (even << 8)
        }))
    }

    /// Multiplies each byte by a public one, eight of them in a word.
    fn times(self, by: u8) -> Self {
        let (mut product, mut power) = ([0; ROW_WORDS], self.0);
        for bit in 0..8 {
            for (product, power) in product.iter_mut().zip(&mut power) {
                if by >> bit & 1 == 1 {
                    *product ^= *power;
                }
                let carries = (*power >> 7) & BYTE_ONES;
                *power = ((*power & !(BYTE_ONES << 7)) << 1) ^ (carries * u64::from(POLYNOMIAL));
            }
        }
        Self(product)
    }

    /// Returns element number `column`.
    pub(crate) fn element(&self, column: usize) -> Element {
        let [low, high, ..] = (self.0[column / 4] >> (column % 4 * 16)).to_le_bytes();
        Element([low, high])
    }

    pub(crate) fn set(&mut self, column: usize, Element(parts): Element) {
        let shift = column % 4 * 16;
        let word = &mut self.0[column / 4];
        *word = (*word & !(0xffff << shift)) | (u64::from(u16::from_le_bytes(parts)) << shift);
    }
}

impl Zeroize for Row {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl AddAssign for Row {
    fn add_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word ^= other);
    }
}

/// The elements of a row.
pub(crate) const COLUMNS: usize = SECRET_BYTES / 2;

/// Multiplies two elements of the field of 256.
const fn multiply(a: u8, b: u8) -> u8 {
    let (mut product, mut power, mut bit) = (0, a, 0);
    while bit < 8 {
        product ^= power & (b >> bit & 1).wrapping_neg();
        let carry = (power >> 7).wrapping_neg();
        power = power << 1 ^ carry & POLYNOMIAL;
        bit += 1;
    }
    product
}

/// Returns the inverse of an element of the field of 256, as its power 254; zero has none and gives zero.
const fn inverse(a: u8) -> u8 {
    // 254 = 2 + 4 + 8 + 16 + 32 + 64 + 128.
    let (mut square, mut product, mut bit) = (multiply(a, a), 1, 0);
    while bit < 7 {
        product = multiply(product, square);
        square = multiply(square, square);
        bit += 1;
    }
    product
}

/// x^8 + x^4 + x^3 + x^2 + 1 without its first term.
const POLYNOMIAL: u8 = 0x1d;
/// x^5: the lowest power of x for which Y^2 + Y + it has no root among the 256, so that it is irreducible.
const DELTA: u8 = 0x20;
const ROW_WORDS: usize = SECRET_BYTES / 8;
const BYTE_ONES: u64 = 0x0101_0101_0101_0101;
const EVEN_BYTES: u64 = 0x00ff_00ff_00ff_00ff;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn x_has_every_byte_but_zero_as_a_power() {
        let mut power = 1;
        let mut seen = [false; 256];
        for _ in 0..255 {
            power = multiply(power, 2);
            assert!(!seen[usize::from(power)]);
            seen[usize::from(power)] = true;
        }
        assert_eq!(power, 1);
        assert_eq!(multiply(0x80, 2), POLYNOMIAL);
    }

    #[test]
    fn the_extension_is_a_field_of_its_lowest_delta() {
        let has_root = |delta: u8| (0..=255).any(|y| multiply(y, y) ^ y ^ delta == 0);
        assert!(!has_root(DELTA));
        assert!((0..5).all(|power| has_root(1 << power)));
    }

    #[test]
    fn each_element_but_zero_has_an_inverse() {
        assert!((1..=u16::MAX).map(Element::new).all(|a| a * a.inverse() == Element::ONE));
        assert_eq!(Element::ZERO.inverse(), Element::ZERO);
    }

    #[test]
    fn bytes_are_multiplied_as_in_their_own_field() {
        for a in 0..=255 {
            for b in 0..=255 {
                let product = Element([a, 0]) * Element([b, 0]);
                assert_eq!(product, Element([multiply(a, b), 0]));
                assert_eq!(Element([a, b]) * Element([b, 0]), Element([multiply(a, b), multiply(b, b)]));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn it_is_a_ring(a: u16, b: u16, c: u16) {
            let [a, b, c] = [a, b, c].map(Element::new);
            prop_assert_eq!(a * b, b * a);
            prop_assert_eq!(a * (b + c), a * b + a * c);
            prop_assert_eq!(a * (b * c), a * b * c);
            prop_assert_eq!(a * Element::ONE, a);
        }

        #[test]
        fn rows_are_scaled_element_by_element(bytes: [u8; SECRET_BYTES], by: u16, column in 0..COLUMNS) {
            let (row, by) = (Row::of(&Secret::new(bytes)), Element::new(by));
            let mut scaled = row.scaled(by);
            for column in 0..COLUMNS {
                prop_assert_eq!(scaled.element(column), row.element(column) * by);
            }
            prop_assert_eq!(row.element(3), Element([bytes[6], bytes[7]]));
            scaled.set(column, by);
            prop_assert_eq!(scaled.element(column), by);
            prop_assert_eq!(&row.to_secret()[..], &bytes[..]);
        }
    }
}
