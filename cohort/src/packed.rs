//! Reads files that may be compressed, by their first bytes and whatever their name says.
//!
//! A gzip file may have several members (RFC 1952, 2.2), and zeros behind the last one: what tapes and block devices
//! leave behind. Anything else behind a member is refused, and so is a file that ends within one.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;
use zstd::stream::read::Decoder;

/// A file's bytes, uncompressed.
pub(crate) enum Unpacked<R> {
    Plain(R),
    Member(Box<GzDecoder<R>>),
    Frames(Box<Decoder<'static, R>>),
    End,
}

impl<R: BufRead> Unpacked<R> {
    /// Looks at the first bytes of `file`.
    pub(crate) fn new(mut file: R) -> io::Result<Self> {
        // A buffer is filled with more than these bytes unless the file has no more.
        let first = file.fill_buf()?;
        let (is_gzip, is_zstandard) = (first.starts_with(&GZIP), first.starts_with(&ZSTANDARD));
        Ok(if is_gzip {
            Self::member(file)
        } else if is_zstandard {
            Self::Frames(Box::new(Decoder::with_buffer(file)?))
        } else {
            Self::Plain(file)
        })
    }

    fn member(file: R) -> Self {
        Self::Member(Box::new(GzDecoder::new(file)))
    }

    /// Goes on behind a member.
    fn behind(mut file: R) -> io::Result<Self> {
        if file.fill_buf()?.starts_with(&GZIP[..1]) {
            return Ok(Self::member(file));
        }
        loop {
            let bytes = file.fill_buf()?;
            let length = bytes.len();
            match bytes {
                [] => return Ok(Self::End),
                _ if bytes.iter().all(|&byte| byte == 0) => file.consume(length),
                _ => {
                    let message = "other bytes than zeros behind the compressed ones";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
            }
        }
    }
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                Self::Plain(file) => return file.read(into),
                Self::Frames(frames) => return frames.read(into),
                Self::End => return Ok(0),
                Self::Member(member) => member.read(into)?,
            };
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            if let Self::Member(member) = std::mem::replace(self, Self::End) {
                *self = Self::behind(member.into_inner())?;
            }
        }
    }
}

/// Says for people why a file could not be read; never more than what its structure is.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the file ends too early".to_owned(),
        _ => error.to_string(),
    }
}

/// The two bytes with which every gzip member begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The four bytes with which every Zstandard frame begins (RFC 8878, 3.1.1).
const ZSTANDARD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(file: &[u8]) -> io::Result<Vec<u8>> {
        // One byte at a time from the file's buffer: the worst that a reader can meet.
        let mut bytes = Vec::new();
        Unpacked::new(io::BufReader::with_capacity(2, file))?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn the_first_two_bytes_decide() {
        assert_eq!(read(b"plain").unwrap(), b"plain");
        assert_eq!(read(&packed(b"packed")).unwrap(), b"packed");
        assert_eq!(read(b"").unwrap(), b"");
        assert_eq!(read(&GZIP[..1]).unwrap(), GZIP[..1]);
    }

    #[test]
    fn members_follow_each_other_and_zeros_follow_the_last() {
        let two = [packed(b"one "), packed(b"two")].concat();
        assert_eq!(read(&two).unwrap(), b"one two");
        for zeros in [1, 511, 100_000] {
            assert_eq!(read(&[two.clone(), vec![0; zeros]].concat()).unwrap(), b"one two");
        }
        for other in [&b"x"[..], b"\0\0x", &GZIP[..1], &[0x1f, 0, 0], &GZIP] {
            assert!(read(&[&two, other].concat()).is_err(), "{other:?}");
        }
    }

    #[test]
    fn zstandard_frames_are_read_and_a_cut_anywhere_is_refused() {
        let read = |file: &[u8]| -> io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            Unpacked::new(file)?.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let frame = zstd::encode_all(&b"a frame"[..], 3).unwrap();
        assert_eq!(read(&frame).unwrap(), b"a frame");
        assert_eq!(read(&[&frame[..], &frame].concat()).unwrap(), b"a framea frame");
        for length in ZSTANDARD.len()..frame.len() {
            assert!(read(&frame[..length]).is_err(), "at {length}");
        }
        assert!(read(&[&frame[..], b"x"].concat()).is_err());
    }

    #[test]
    fn a_cut_anywhere_and_a_wrong_checksum_are_refused() {
        let whole = packed(&[7; 1000]);
        for length in 2..whole.len() {
            let error = read(&whole[..length]).unwrap_err();
            assert_eq!(reason(&error), "the file ends too early", "at {length}");
        }
        let mut wrong = whole.clone();
        let at = wrong.len() - 6;
        wrong[at] ^= 1;
        assert!(read(&wrong).unwrap_err().to_string().contains("corrupt"));
    }
}
