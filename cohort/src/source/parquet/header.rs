//! Page headers in Thrift's compact protocol, as far as they say how much a page will take.
//!
//! A header names sizes of which a decoder makes room at once; whoever wrote rubbish would end the program by them. So each
//! header is gone through before it is decoded: every length must lie within the bytes that are there.

/// What a page header says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PageSizes {
    pub(super) uncompressed: u64,
    pub(super) compressed: u64,
}

/// Reads the header at the beginning of `bytes`; nothing if it is none.
pub(super) fn page_sizes(bytes: &[u8]) -> Option<PageSizes> {
    let mut header = Compact { rest: bytes };
    let (mut uncompressed, mut compressed) = (None, None);
    header.fields(0, &mut |field, value| match field {
        // By their numbers in parquet.thrift.
        2 => uncompressed = value,
        3 => compressed = value,
        _ => {}
    })?;
    let size = |size: Option<i64>| u64::try_from(size?).ok();
    Some(PageSizes { uncompressed: size(uncompressed)?, compressed: size(compressed)? })
}

/// What is still to come of a structure (thrift-compact-protocol.md).
struct Compact<'a> {
    rest: &'a [u8],
}

impl Compact<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    /// Reads a number of at most 64 bits, seven in a byte.
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn skip(&mut self, bytes: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    /// Goes through the fields of a structure, and shows those with whole numbers.
    fn fields(&mut self, depth: u8, show: &mut dyn FnMut(i64, Option<i64>)) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        let mut field = 0_i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            field = match head >> 4 {
                0 => self.zigzag()?,
                step => field.checked_add(i64::from(step))?,
            };
            match head & 0xf {
                // A flag's value is in its type.
                1 | 2 => {}
                5 | 6 => show(field, Some(self.zigzag()?)),
                kind => self.value(kind, depth)?,
            }
        }
    }

    /// Passes over a value that is none of a structure's flags.
    fn value(&mut self, kind: u8, depth: u8) -> Option<()> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.varint().map(|_number| ()),
            7 => self.skip(8),
            8 => {
                let bytes = self.varint()?;
                self.skip(bytes)
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                // Each takes at least one byte, so that this ends.
                (0..count).try_for_each(|_nth| self.value(head & 0xf, depth.checked_add(1)?))
            }
            12 => self.fields(depth + 1, &mut |_field, _value| ()),
            // Maps: a page header has none.
            _ => None,
        }
    }
}

/// Page headers have structures of structures, and no more.
const DEPTH_MAX: u8 = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A data page of 100 bytes in 50, with encodings and statistics of `min` bytes.
    fn header(min: &[u8]) -> Vec<u8> {
        let head: &[u8] =
            &[0x15, 0, 0x15, 200, 1, 0x15, 100, 0x2c, 0x15, 20, 0x15, 0, 0x15, 6, 0x15, 6, 0x1c, 0x58];
        let length = u8::try_from(min.len()).unwrap();
        [head, &[length], min, &[0, 0, 0]].concat()
    }

    #[test]
    fn sizes_are_read_and_lengths_are_within_the_header() {
        let whole = header(b"secret");
        let expected = Some(PageSizes { uncompressed: 100, compressed: 50 });
        assert_eq!(page_sizes(&whole), expected);
        assert_eq!(page_sizes(&[&whole[..], b"page"].concat()), expected);
        for end in 0..whole.len() {
            assert_eq!(page_sizes(&whole[..end]), None, "{end}");
        }
        let mut longer = whole.clone();
        longer[18] = 100;
        assert_eq!(page_sizes(&longer), None);
        // A negative size.
        let mut negative = whole;
        negative[3] = 201;
        assert_eq!(page_sizes(&negative), None);
        assert_eq!(page_sizes(&[0x1c; 100]), None, "structures of structures");
    }

    proptest! {
        #[test]
        fn rubbish_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _any_answer = page_sizes(&bytes);
        }
    }
}
