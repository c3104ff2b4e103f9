//! Masks: key streams that hide a vector, and cancel in the sum.
//!
//! A mask's values are ChaCha20's key stream (RFC 8439, nonce zero, one key per mask) as little-endian integers of the
//! plan's width, so that masked values modulo 2^k are uniform: nothing but a sum in which masks cancel says
//! anything. A vector can be masked piece by piece in any order.

use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use chacha20::{ChaCha20, Key};
use fedtwin_plan::{SiteName, WireBits};
use zeroize::Zeroizing;

use crate::shamir::Secret;

/// The sum of some masks, each with its sign.
pub struct Masks {
    bits: WireBits,
    signed: Vec<(Secret, Sign)>,
}

/// What two sites do with the mask that they share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Plus,
    Minus,
}

impl Sign {
    /// What `own` does with the mask that it shares with `peer`.
    pub(crate) fn of(own: &SiteName, peer: &SiteName) -> Self {
        if own < peer { Self::Plus } else { Self::Minus }
    }
}

impl Masks {
    pub(crate) fn new(bits: WireBits, signed: Vec<(Secret, Sign)>) -> Self {
        Self { bits, signed }
    }

    /// Returns how many masks there are: what masking takes is the length of a vector times as much.
    #[must_use]
    pub fn count(&self) -> usize {
        self.signed.len()
    }

    /// Adds the masks to a piece of a vector that begins with the vector's value number `first`; results are
    /// right modulo 2^k.
    pub fn add_to(&self, first: u64, values: &mut [i64]) {
        self.apply(first, values, Sign::Plus);
    }

    /// Takes the masks off again.
    pub fn take_from(&self, first: u64, values: &mut [i64]) {
        self.apply(first, values, Sign::Minus);
    }

    /// Adds the masks on several threads, which share a piece of at least some thousand values.
    pub fn add_to_on(&self, threads: usize, first: u64, values: &mut [i64]) {
        self.apply_on(threads, first, values, Sign::Plus);
    }

    /// Takes the masks off on several threads.
    pub fn take_from_on(&self, threads: usize, first: u64, values: &mut [i64]) {
        self.apply_on(threads, first, values, Sign::Minus);
    }

    fn apply_on(&self, threads: usize, first: u64, values: &mut [i64], sign: Sign) {
        let part = values.len().div_ceil(threads.max(1)).max(BLOCK_VALUES);
        std::thread::scope(|scope| {
            let mut parts = values.chunks_mut(part).enumerate();
            let own = parts.next();
            for (index, values) in parts {
                scope.spawn(move || self.apply(first + (index * part) as u64, values, sign));
            }
            if let Some((_, values)) = own {
                self.apply(first, values, sign);
            }
        });
    }

    fn apply(&self, first: u64, values: &mut [i64], sign: Sign) {
        let width = self.bits.bytes();
        let mut stream = Zeroizing::new([0; BLOCK_VALUES * VALUE_BYTES_MAX]);
        // Each block stays in the nearest cache until it has all masks.
        for (index, block) in values.chunks_mut(BLOCK_VALUES).enumerate() {
            let start = (first + (index * BLOCK_VALUES) as u64) * width as u64;
            let stream = &mut stream[..block.len() * width];
            for (key, its_sign) in &self.signed {
                stream.fill(0);
                let mut cipher = ChaCha20::new(<&Key>::from(&**key), &[0; 12].into());
                cipher.try_seek(start).expect("a vector is shorter than 2^38 bytes");
                cipher.apply_keystream(stream);
                if *its_sign == sign {
                    combine(self.bits, stream, block, i64::wrapping_add);
                } else {
                    combine(self.bits, stream, block, i64::wrapping_sub);
                }
            }
        }
    }
}

/// Adds or subtracts values of a key stream.
fn combine(bits: WireBits, stream: &[u8], values: &mut [i64], with: impl Fn(i64, i64) -> i64) {
    match bits {
        WireBits::B32 => {
            for (value, &bytes) in values.iter_mut().zip(stream.as_chunks::<4>().0) {
                *value = with(*value, u32::from_le_bytes(bytes).into());
            }
        }
        WireBits::B40 => {
            for (value, &[b0, b1, b2, b3, b4]) in values.iter_mut().zip(stream.as_chunks::<5>().0) {
                *value = with(*value, i64::from_le_bytes([b0, b1, b2, b3, b4, 0, 0, 0]));
            }
        }
        WireBits::B64 => {
            for (value, &bytes) in values.iter_mut().zip(stream.as_chunks::<8>().0) {
                *value = with(*value, i64::from_le_bytes(bytes));
            }
        }
    }
}

impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Masks of {} keys", self.signed.len())
    }
}

/// With their key stream, 32 KiB at most.
const BLOCK_VALUES: usize = 2048;
const VALUE_BYTES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WIDTHS: [WireBits; 3] = [WireBits::B32, WireBits::B40, WireBits::B64];

    fn masks(bits: WireBits, signs: &[Sign]) -> Masks {
        let key = |(byte, &sign): (u8, &Sign)| (Secret::new([byte; 32]), sign);
        Masks::new(bits, (0..).zip(signs).map(key).collect())
    }

    #[test]
    fn values_are_the_key_stream_of_rfc_8439() {
        // Appendix A.1, test vector 1: key, nonce and counter zero.
        let stream = [0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5];
        let first = |bits: WireBits| {
            let mut values = [0];
            masks(bits, &[Sign::Plus]).add_to(0, &mut values);
            values[0]
        };
        assert_eq!(first(WireBits::B32), i64::from(u32::from_le_bytes(*stream.first_chunk().unwrap())));
        assert_eq!(first(WireBits::B40), 0xa0_ade0_b876);
        assert_eq!(first(WireBits::B64), i64::from_le_bytes(*stream.first_chunk().unwrap()));
    }

    #[test]
    fn masks_of_opposite_signs_cancel() {
        for bits in WIDTHS {
            let mut values: Vec<i64> = (0..5000).collect();
            let key = || Secret::new([9; 32]);
            Masks::new(bits, vec![(key(), Sign::Plus)]).add_to(0, &mut values);
            assert_ne!(values[4999], 4999);
            Masks::new(bits, vec![(key(), Sign::Minus)]).add_to(0, &mut values);
            assert!(values.iter().zip(0..).all(|(&value, expected)| bits.least(value - expected) == 0));
        }
    }

    proptest! {
        #[test]
        fn pieces_are_masked_as_the_whole(width in 0_usize..3, cut in 0_usize..5000, values in prop::collection::vec(any::<i64>(), 5000)) {
            let masks = masks(WIDTHS[width], &[Sign::Plus, Sign::Minus, Sign::Plus]);
            let (mut whole, mut pieces) = (values.clone(), values.clone());
            masks.add_to(0, &mut whole);
            let (head, tail) = pieces.split_at_mut(cut);
            masks.add_to(cut as u64, tail);
            masks.add_to(0, head);
            prop_assert_eq!(&pieces, &whole);
            let mut threaded = whole.clone();
            masks.take_from(0, &mut whole);
            masks.take_from_on(2, 0, &mut threaded);
            prop_assert_eq!(&threaded, &whole);
            prop_assert_eq!(whole, values);
        }
    }
}
