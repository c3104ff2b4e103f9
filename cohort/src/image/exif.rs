//! The one tag of Exif that changes what a picture shows: how it is turned (TIFF 6.0, section 2; Exif 2.32, 4.6.4).

/// Reads the tag Orientation, 1 to 8, of the first directory in a block of Exif.
pub(crate) fn orientation(exif: &[u8]) -> Option<u16> {
    let is_little_endian = match exif.first_chunk()? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let bytes = *exif.get(at..)?.first_chunk()?;
        Some(if is_little_endian { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let u32_at = |at: usize| {
        let bytes = *exif.get(at..)?.first_chunk()?;
        Some(if is_little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let directory = usize::try_from(u32_at(4)?).ok()?;
    let entries = usize::from(u16_at(directory)?);
    for entry in (0..entries).map(|nth| directory + 2 + ENTRY_BYTES * nth) {
        // A tag, its type and how many values of that type there are; then the value, in the first of four bytes.
        let (tag, kind, count, value) =
            (u16_at(entry)?, u16_at(entry + 2)?, u32_at(entry + 4)?, u16_at(entry + 8)?);
        u16_at(entry + 10)?;
        if (tag, kind, count) == (ORIENTATION, SHORT, 1) {
            return Some(value).filter(|value| (1..=8).contains(value));
        }
    }
    None
}

const ENTRY_BYTES: usize = 12;
const ORIENTATION: u16 = 0x112;
/// A number of 16 bits.
const SHORT: u16 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// A block with one directory of these entries, each a tag, its type, how many and the first of four bytes.
    fn block(is_little_endian: bool, entries: &[[u16; 4]]) -> Vec<u8> {
        let short = |x: u16| if is_little_endian { x.to_le_bytes() } else { x.to_be_bytes() };
        let long = |x: u32| if is_little_endian { x.to_le_bytes() } else { x.to_be_bytes() };
        let mut block = if is_little_endian { b"II*\0" } else { b"MM\0*" }.to_vec();
        block.extend(long(8));
        block.extend(short(u16::try_from(entries.len()).unwrap()));
        for &[tag, kind, count, value] in entries {
            block.extend([short(tag), short(kind)].concat());
            block.extend(long(count.into()));
            block.extend([short(value), short(0)].concat());
        }
        block
    }

    #[test]
    fn the_tag_is_found_in_either_byte_order_and_counts_from_1_to_8() {
        let other = [0x100, 3, 1, 5];
        for is_little_endian in [true, false] {
            let read = |entries: &[[u16; 4]]| orientation(&block(is_little_endian, entries));
            for value in 1..=8 {
                assert_eq!(read(&[other, [ORIENTATION, SHORT, 1, value]]), Some(value));
            }
            for value in [0, 9, 256, 0x600] {
                assert_eq!(read(&[[ORIENTATION, SHORT, 1, value]]), None, "{value}");
            }
            assert_eq!(read(&[[ORIENTATION, 4, 1, 6], [ORIENTATION, SHORT, 2, 6], other]), None);
            assert_eq!(read(&[]), None);
        }
    }

    #[test]
    fn a_block_that_is_cut_or_points_behind_its_end_has_no_tag() {
        let whole = block(true, &[[0x100, 3, 1, 5], [ORIENTATION, SHORT, 1, 6]]);
        for length in 0..whole.len() {
            assert_eq!(orientation(&whole[..length]), None, "{length}");
        }
        let mut astray = whole;
        astray[4..8].fill(0xff);
        assert_eq!(orientation(&astray), None);
    }
}
