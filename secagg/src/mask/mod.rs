//! Masks: key streams that hide a vector, and cancel in the sum.
//!
//! A mask's key stream is AES-128's in counter mode (FIPS 197, SP 800-38A), of a key that makes no other; its values are
//! integers of the plan's width, so that masked values modulo 2^k are uniform: nothing but a sum in which masks cancel
//! says anything. A vector can be masked piece by piece in any order.
//!
//! A counter block is the attempt's nonce, then the number of the 16 bytes as a big-endian integer of 64 bits. Each
//! 1,024 values take `1024 k / 8` bytes of the stream: first the top 32 bits of each, little-endian, then the `k - 32` bits
//! below them.

mod sum;

use aes::Aes128Enc;
use aes::cipher::KeyInit;
use fedtwin_plan::{Digest, SiteName, WireBits};

use self::sum::{BLOCK_VALUES, BlockSum, NONCE_BYTES};
use crate::shamir::Secret;

/// The sum of some masks, each with its sign.
pub struct Masks {
    bits: WireBits,
    nonce: [u8; NONCE_BYTES],
    /// Ready to use; wiped when they are dropped.
    plus: Vec<Aes128Enc>,
    minus: Vec<Aes128Enc>,
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
    /// Makes the masks of an attempt with that roster.
    pub(crate) fn new(bits: WireBits, binding: &Digest, signed: &[(Secret, Sign)]) -> Self {
        let keys = |sign| -> Vec<Aes128Enc> {
            // Room for all, so that none is moved, which would leave a copy.
            let mut keys = Vec::with_capacity(signed.len());
            let secrets = signed.iter().filter(|(_, its_sign)| *its_sign == sign).map(|(secret, _)| secret);
            keys.extend(
                secrets.map(|secret| Aes128Enc::new(secret[..KEY_BYTES].try_into().expect("16 of 32 bytes"))),
            );
            keys
        };
        let (nonce, _rest) = binding.0.split_first_chunk().expect("a digest is longer");
        Self { bits, nonce: *nonce, plus: keys(Sign::Plus), minus: keys(Sign::Minus) }
    }

    /// Returns how many masks there are: what masking takes is the length of a vector times as much.
    #[must_use]
    pub fn count(&self) -> usize {
        self.plus.len() + self.minus.len()
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

    fn apply(&self, first: u64, mut values: &mut [i64], sign: Sign) {
        let (plus, minus) = match sign {
            Sign::Plus => (&self.plus, &self.minus),
            Sign::Minus => (&self.minus, &self.plus),
        };
        let mut sum = BlockSum::new(self.bits, self.nonce);
        let mut block = first / BLOCK_VALUES as u64;
        let mut skipped = usize::try_from(first % BLOCK_VALUES as u64).expect("it is less than a block");
        while !values.is_empty() {
            sum.begin(block);
            sum.add(minus);
            sum.negate();
            sum.add(plus);
            let masks = sum.values().skip(skipped);
            let count =
                masks.zip(values.iter_mut()).map(|(mask, value)| *value = value.wrapping_add(mask)).count();
            values = &mut values[count..];
            (block, skipped) = (block + 1, 0);
        }
    }
}

impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Masks of {} keys", self.count())
    }
}

/// The part of a secret that is a key.
const KEY_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WIDTHS: [WireBits; 3] = [WireBits::B32, WireBits::B40, WireBits::B64];

    fn masks(bits: WireBits, signs: &[Sign]) -> Masks {
        let key = |(byte, &sign): (u8, &Sign)| (Secret::new([byte; 32]), sign);
        let signed: Vec<_> = (0..).zip(signs).map(key).collect();
        Masks::new(bits, &Digest::of(b"roster"), &signed)
    }

    /// Says whether vectors are the same modulo 2^k.
    fn equal(bits: WireBits, one: &[i64], other: &[i64]) -> bool {
        one.iter().zip(other).all(|(one, other)| bits.least(one.wrapping_sub(*other)) == 0)
    }

    #[test]
    fn masks_of_opposite_signs_cancel() {
        for bits in WIDTHS {
            let plain: Vec<i64> = (0..5000).collect();
            let mut values = plain.clone();
            masks(bits, &[Sign::Plus]).add_to(0, &mut values);
            assert_ne!(bits.least(values[4999]), 4999);
            masks(bits, &[Sign::Minus]).add_to(0, &mut values);
            assert!(equal(bits, &values, &plain));
        }
    }

    #[test]
    fn masks_of_another_roster_do_not_cancel() {
        let mut values = vec![0; 3];
        let secret = || Secret::new([9; 32]);
        for (binding, sign) in [(b"one", Sign::Plus), (b"two", Sign::Minus)] {
            Masks::new(WireBits::B40, &Digest::of(binding), &[(secret(), sign)]).add_to(0, &mut values);
        }
        assert!(values.iter().all(|&value| WireBits::B40.least(value) != 0));
    }

    #[test]
    fn more_masks_than_are_packed_at_once_are_the_sum_of_each() {
        let (bits, binding) = (WireBits::B40, Digest::of(b"roster"));
        let secret = |number: u16| {
            let mut secret = Secret::default();
            secret[..2].copy_from_slice(&number.to_le_bytes());
            [(secret, Sign::Plus)]
        };
        let all: Vec<_> = (0..600).flat_map(secret).collect();
        let (mut together, mut each) = (vec![0; 1100], vec![0; 1100]);
        Masks::new(bits, &binding, &all).add_to(0, &mut together);
        for number in 0..600 {
            Masks::new(bits, &binding, &secret(number)).add_to(0, &mut each);
        }
        assert!(equal(bits, &together, &each));
    }

    proptest! {
        /// The sum of many is taken four at a time: it has to be that of each.
        #[test]
        fn many_masks_are_the_sum_of_each(width in 0_usize..3, signs in prop::collection::vec(any::<bool>(), 0..11)) {
            let (bits, binding) = (WIDTHS[width], Digest::of(b"roster"));
            let sign = |plus| if plus { Sign::Plus } else { Sign::Minus };
            let signed = |byte: u8, plus| (Secret::new([byte; 32]), sign(plus));
            let all: Vec<_> = (0..).zip(&signs).map(|(byte, &plus)| signed(byte, plus)).collect();
            let (mut together, mut each) = (vec![5; 1500], vec![5; 1500]);
            Masks::new(bits, &binding, &all).add_to(77, &mut together);
            for one in all {
                Masks::new(bits, &binding, &[one]).add_to(77, &mut each);
            }
            prop_assert!(equal(bits, &together, &each));
        }

        #[test]
        fn pieces_are_masked_as_the_whole(width in 0_usize..3, cut in 0_usize..5000, values in prop::collection::vec(any::<i64>(), 5000)) {
            let bits = WIDTHS[width];
            let masks = masks(bits, &[Sign::Plus, Sign::Minus, Sign::Plus]);
            let (mut whole, mut pieces) = (values.clone(), values.clone());
            masks.add_to(0, &mut whole);
            let (head, tail) = pieces.split_at_mut(cut);
            masks.add_to(cut as u64, tail);
            masks.add_to(0, head);
            prop_assert_eq!(&pieces, &whole);
            masks.take_from(0, &mut whole);
            prop_assert!(equal(bits, &whole, &values));
        }
    }
}
