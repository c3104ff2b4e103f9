//! The sum of many key streams over one block of a vector.
//!
//! Where a value's bytes lie in the stream is chosen for this sum: the top 32 bits of all values first, which are added
//! without a carry to keep, then what is below them. Four streams are made at a time, so that the sum is read and written
//! for every fourth only; with the counters they stay in the nearest cache.

use aes::Aes128Enc;
use aes::cipher::BlockCipherEncrypt;
use aes::cipher::array::Array;
use fedtwin_plan::WireBits;
use zeroize::{Zeroize, Zeroizing};

/// The values of a block, whose key stream is made as a whole.
pub(super) const BLOCK_VALUES: usize = 1024;

/// Sums blocks, one after the other; wiped when it is dropped.
pub(super) struct BlockSum {
    bits: WireBits,
    nonce: [u8; NONCE_BYTES],
    counters: Vec<CipherBlock>,
    streams: [Zeroizing<Vec<CipherBlock>>; STREAMS],
    /// The sums of the values' top 32 bits.
    tops: Zeroizing<[u32; BLOCK_VALUES]>,
    /// The sums of what is below them where that is a byte, in 16 bits each: of four neighbours the first and third, and
    /// the second and fourth.
    packed: Zeroizing<[[u32; 2]; BLOCK_VALUES / 4]>,
    /// The sums of what is below them.
    rests: Zeroizing<[u64; BLOCK_VALUES]>,
}

impl BlockSum {
    pub(super) fn new(bits: WireBits, nonce: [u8; NONCE_BYTES]) -> Self {
        let blank = vec![[0; CIPHER_BLOCK_BYTES]; BLOCK_VALUES * bits.bytes() / CIPHER_BLOCK_BYTES];
        Self {
            bits,
            nonce,
            streams: std::array::from_fn(|_| Zeroizing::new(blank.clone())),
            counters: blank,
            tops: Zeroizing::new([0; BLOCK_VALUES]),
            packed: Zeroizing::new([[0; 2]; BLOCK_VALUES / 4]),
            rests: Zeroizing::new([0; BLOCK_VALUES]),
        }
    }

    /// Goes to a block, where the sum is zero.
    pub(super) fn begin(&mut self, block: u64) {
        let first = block * self.counters.len() as u64;
        for (counter, number) in self.counters.iter_mut().zip(first..) {
            counter[..NONCE_BYTES].copy_from_slice(&self.nonce);
            counter[NONCE_BYTES..].copy_from_slice(&number.to_be_bytes());
        }
        self.tops.zeroize();
        self.rests.zeroize();
    }

    /// Adds the key streams of these keys.
    pub(super) fn add(&mut self, keys: &[Aes128Enc]) {
        for keys in keys.chunks(PACKED_KEYS) {
            for keys in keys.chunks(STREAMS) {
                self.make_streams(keys);
                self.add_streams();
            }
            self.unpack();
        }
    }

    /// Turns the sum's sign.
    pub(super) fn negate(&mut self) {
        self.tops.iter_mut().for_each(|top| *top = top.wrapping_neg());
        self.rests.iter_mut().for_each(|rest| *rest = rest.wrapping_neg());
    }

    /// Returns the sum at each of the block's values, right modulo 2^k.
    pub(super) fn values(&self) -> impl Iterator<Item = i64> {
        let below = 8 * self.bits.bytes() - TOP_BITS;
        let sums = self.tops.iter().zip(&*self.rests);
        sums.map(move |(&top, &rest)| (u64::from(top) << below).wrapping_add(rest).cast_signed())
    }

    fn make_streams(&mut self, keys: &[Aes128Enc]) {
        for (number, stream) in self.streams.iter_mut().enumerate() {
            let Some(key) = keys.get(number) else {
                stream.fill([0; CIPHER_BLOCK_BYTES]);
                continue;
            };
            let counters = Array::cast_slice_from_core(&self.counters);
            key.encrypt_blocks_b2b(counters, Array::cast_slice_from_core_mut(stream))
                .expect("both have the blocks of a block");
        }
    }

    fn add_streams(&mut self) {
        let streams = self.streams.each_ref().map(|stream| stream.as_flattened().split_at(TOPS_BYTES));
        add_tops(&mut *self.tops, streams.map(|(tops, _)| tops));
        let rests = streams.map(|(_, rests)| rests);
        match self.bits {
            WireBits::B32 => {}
            WireBits::B40 => add_bytes(&mut *self.packed, rests),
            WireBits::B64 => add_words(&mut *self.rests, rests),
        }
    }

    /// Moves packed sums to where they have room.
    fn unpack(&mut self) {
        let (rests, _none) = self.rests.as_chunks_mut::<4>();
        for (rests, packed) in rests.iter_mut().zip(&mut *self.packed) {
            let [even, odd] = std::mem::take(packed);
            for (rest, sum) in rests.iter_mut().zip([even, odd, even >> 16, odd >> 16]) {
                *rest = rest.wrapping_add((sum & 0xffff).into());
            }
        }
    }
}

fn add_tops(sums: &mut [u32], streams: [&[u8]; STREAMS]) {
    let streams = streams.map(|stream| &stream.as_chunks::<4>().0[..sums.len()]);
    for (at, sum) in sums.iter_mut().enumerate() {
        *sum = streams.iter().fold(*sum, |sum, stream| sum.wrapping_add(u32::from_le_bytes(stream[at])));
    }
}

/// Adds bytes, four of each stream at once.
fn add_bytes(sums: &mut [[u32; 2]], streams: [&[u8]; STREAMS]) {
    let streams = streams.map(|stream| &stream.as_chunks::<4>().0[..sums.len()]);
    for (at, [even, odd]) in sums.iter_mut().enumerate() {
        let words = streams.map(|stream| u32::from_le_bytes(stream[at]));
        *even += words.iter().map(|word| word & EVEN_BYTES).sum::<u32>();
        *odd += words.iter().map(|word| (word >> 8) & EVEN_BYTES).sum::<u32>();
    }
}

fn add_words(sums: &mut [u64], streams: [&[u8]; STREAMS]) {
    let streams = streams.map(|stream| &stream.as_chunks::<4>().0[..sums.len()]);
    for (at, sum) in sums.iter_mut().enumerate() {
        let words: u64 = streams.iter().map(|stream| u64::from(u32::from_le_bytes(stream[at]))).sum();
        *sum = sum.wrapping_add(words);
    }
}

/// A block of the cipher.
type CipherBlock = [u8; CIPHER_BLOCK_BYTES];

const CIPHER_BLOCK_BYTES: usize = 16;
/// The counter takes the rest of the cipher's block.
pub(super) const NONCE_BYTES: usize = 8;
const TOP_BITS: usize = 32;
const TOPS_BYTES: usize = BLOCK_VALUES * TOP_BITS / 8;
/// Bytes whose sum has room in 16 bits.
const PACKED_KEYS: usize = 256;
const EVEN_BYTES: u32 = 0x00ff_00ff;
/// Streams that are added at once.
const STREAMS: usize = 4;

#[cfg(test)]
mod tests {
    use aes::cipher::KeyInit;

    use super::*;

    /// NIST SP 800-38A, F.5.1: AES-128 in counter mode, its key, first counter block and first two output blocks.
    const KEY: [u8; 16] = 0x2b7e_1516_28ae_d2a6_abf7_1588_09cf_4f3c_u128.to_be_bytes();
    const NONCE: [u8; 8] = 0xf0f1_f2f3_f4f5_f6f7_u64.to_be_bytes();
    const COUNTER: u64 = 0xf8f9_fafb_fcfd_feff;
    const STREAM: [u128; 2] =
        [0xec8c_df73_9860_7cb0_f2d2_1675_ea9e_a1e4, 0x362b_7c3c_6773_5163_18a0_77d7_fc50_73ae];

    fn values(bits: WireBits, block: u64) -> Vec<i64> {
        let mut sum = BlockSum::new(bits, NONCE);
        sum.begin(block);
        sum.add(&[Aes128Enc::new(&KEY.into())]);
        sum.values().collect()
    }

    #[test]
    fn the_key_stream_is_that_of_sp_800_38a() {
        // A block of 32 bits a value takes 256 of the cipher: the vector's first is the last of one, its second the first
        // of the next.
        assert_eq!(COUNTER % 256, 255);
        let blocks = [values(WireBits::B32, COUNTER / 256), values(WireBits::B32, COUNTER / 256 + 1)];
        for (found, expected) in [&blocks[0][BLOCK_VALUES - 4..], &blocks[1][..4]].into_iter().zip(STREAM) {
            let bytes = expected.to_be_bytes();
            let words = bytes.as_chunks::<4>().0.iter();
            let expected: Vec<i64> = words.map(|&word| u32::from_le_bytes(word).into()).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn top_bits_come_first_and_then_what_is_below_them() {
        for (bits, below) in [(WireBits::B32, 0), (WireBits::B40, 1), (WireBits::B64, 4)] {
            let block = 3;
            let mut stream: Vec<CipherBlock> = Vec::new();
            for number in 0..(BLOCK_VALUES * bits.bytes() / CIPHER_BLOCK_BYTES) as u64 {
                let counter = (block * BLOCK_VALUES as u64 * bits.bytes() as u64) / 16 + number;
                let mut bytes = [NONCE, counter.to_be_bytes()].concat();
                Aes128Enc::new(&KEY.into()).encrypt_block(bytes.as_mut_slice().try_into().unwrap());
                stream.push(bytes.try_into().unwrap());
            }
            let stream = stream.as_flattened();
            let number =
                |bytes: &[u8]| bytes.iter().rev().fold(0_i128, |value, &byte| 256 * value + i128::from(byte));
            for (at, value) in values(bits, block).into_iter().enumerate() {
                let top = number(&stream[4 * at..4 * at + 4]);
                let rest = number(&stream[4 * BLOCK_VALUES + below * at..][..below]);
                let expected = (top << (8 * below)) + rest;
                assert_eq!(
                    i128::from(value).rem_euclid(1 << (8 * bits.bytes())),
                    expected,
                    "value {at} of {bits:?}"
                );
            }
        }
    }
}
