//! The format of every update: little-endian integers modulo 2^k.
//!
//! Values wrap around; the plan chooses k so that the sum over all sites does not, and only the sum is
//! ever read as a number.

use fedtwin_plan::WireBits;

/// Bytes that are not as many values as expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{found} bytes, expected {expected}")]
pub struct WrongLength {
    /// The bytes that came.
    pub found: usize,
    /// The bytes of the expected number of values.
    pub expected: usize,
}

/// Encodes values modulo 2^k.
#[must_use]
pub fn encode(values: &[i64], bits: WireBits) -> Vec<u8> {
    let mut bytes = vec![0; values.len() * bits.bytes()];
    match bits {
        WireBits::B32 => write_low(values, bytes.as_chunks_mut::<4>().0),
        WireBits::B40 => write_low(values, bytes.as_chunks_mut::<5>().0),
        WireBits::B64 => write_low(values, bytes.as_chunks_mut::<8>().0),
    }
    bytes
}

/// Writes the lowest `N` bytes of each value; a length known to the compiler makes it one store.
fn write_low<const N: usize>(values: &[i64], places: &mut [[u8; N]]) {
    for (place, value) in places.iter_mut().zip(values) {
        place.copy_from_slice(&value.to_le_bytes()[..N]);
    }
}

/// Decodes values and adds them to `sums`, each as the number of least magnitude that it can stand for.
///
/// A caller with a stream passes whole values and the part of the sums that they belong to.
///
/// # Errors
/// Refuses bytes that are not exactly one value for each sum, and adds nothing then.
pub fn decode_add(bytes: &[u8], bits: WireBits, sums: &mut [i64]) -> Result<(), WrongLength> {
    let expected = sums.len() * bits.bytes();
    if bytes.len() != expected {
        return Err(WrongLength { found: bytes.len(), expected });
    }
    match bits {
        WireBits::B32 => {
            for (sum, &value) in sums.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *sum = sum.wrapping_add(i64::from(i32::from_le_bytes(value)));
            }
        }
        WireBits::B40 => {
            for (sum, &[b0, b1, b2, b3, b4]) in sums.iter_mut().zip(bytes.as_chunks::<5>().0) {
                let shifted = i64::from_le_bytes([0, 0, 0, b0, b1, b2, b3, b4]);
                *sum = sum.wrapping_add(shifted >> 24);
            }
        }
        WireBits::B64 => {
            for (sum, &value) in sums.iter_mut().zip(bytes.as_chunks::<8>().0) {
                *sum = sum.wrapping_add(i64::from_le_bytes(value));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn width() -> impl Strategy<Value = (WireBits, u32)> {
        prop::sample::select(vec![(WireBits::B32, 32), (WireBits::B40, 40), (WireBits::B64, 64)])
    }

    proptest! {
        #[test]
        fn sums_of_updates_are_sums_of_integers(
            (bits, k) in width(),
            sites in prop::collection::vec(prop::collection::vec(any::<i64>(), 19), 1..5),
        ) {
            let small = |v: i64| v >> (64 - k + 3);
            let mut sums = vec![0; 19];
            for site in &sites {
                let values: Vec<_> = site.iter().map(|&v| small(v)).collect();
                decode_add(&encode(&values, bits), bits, &mut sums).unwrap();
            }
            let expected: Vec<i64> = (0..19).map(|i| sites.iter().map(|site| small(site[i])).sum()).collect();
            prop_assert_eq!(sums, expected);
        }

        #[test]
        fn values_are_equal_modulo_two_to_the_k((bits, k) in width(), value in any::<i64>()) {
            let mut decoded = [0];
            decode_add(&encode(&[value], bits), bits, &mut decoded).unwrap();
            prop_assert_eq!(i128::from(decoded[0] - value).rem_euclid(1 << k.min(63)), 0);
        }
    }

    #[test]
    fn other_lengths_are_refused_whole() {
        for (bits, width) in [(WireBits::B32, 4), (WireBits::B40, 5), (WireBits::B64, 8)] {
            for length in [0, 1, 3 * width - 1, 3 * width + 1, 4 * width] {
                let mut sums = [7; 3];
                let refused = decode_add(&vec![1; length], bits, &mut sums);
                assert_eq!(refused, Err(WrongLength { found: length, expected: 3 * width }));
                assert_eq!(sums, [7; 3]);
            }
        }
    }
}
