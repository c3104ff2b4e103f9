//! Finds the few bytes that end a cell, eight bytes at a time.

/// Returns where one of three ASCII letters stands first, from `from` on; the text's length if none does.
///
/// A byte of `word ^ pattern` is 0 where the letter is, and the lowest such byte is the lowest whose high bit
/// `(x - 0x01..) & !x & 0x80..` has: a borrow reaches only bytes above a zero (Warren, "Hacker's Delight", 6-1).
#[inline]
pub(crate) fn find(bytes: &[u8], from: usize, letters: [u8; 3]) -> usize {
    let [a, b, c] = letters.map(|letter| u64::from(letter) * LOWS);
    let mut at = from;
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ a) | zeros(word ^ b) | zeros(word ^ c);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().position(|byte| letters.contains(byte)).map_or(bytes.len(), |behind| at + behind)
}

/// Marks the lowest byte that is 0, and perhaps some above it.
#[inline]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(LOWS) & !word & HIGHS
}

const LOWS: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_of_three_letters_is_found(
            bytes in proptest::collection::vec(proptest::sample::select(b",\n\r-+\x0b\x0c\x8a\xac\x00\xff ".as_slice()), 0..40),
            from in 0_usize..42,
        ) {
            let letters = [b',', b'\n', b'\r'];
            let expected = (from..bytes.len()).find(|&at| letters.contains(&bytes[at])).unwrap_or(bytes.len());
            prop_assert_eq!(find(&bytes, from, letters), expected);
        }
    }
}
