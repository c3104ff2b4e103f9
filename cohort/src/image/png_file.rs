//! PNG files as they are stored, and the way that they are meant to be seen.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use png::{ColorType, Decoder, DecodingError, Info, Limits, Reader, Transformations};

use crate::error::CohortError;
use crate::image::exif;
use crate::image::geometry::Order;

/// A picture's samples, row by row.
pub(crate) struct Png {
    /// Rows and columns as they are stored.
    pub size: [usize; 2],
    pub color: ColorType,
    /// Bits of a sample.
    pub bits: usize,
    /// Samples; those of more than 8 bits in big-endian pairs, those of fewer packed from the highest bit on.
    pub bytes: Vec<u8>,
    /// Bytes of a row.
    pub row_bytes: usize,
    /// Red, green and blue of each number.
    pub palette: Vec<u8>,
    /// The transparency chunk: opacities by number, or the one colour that is hidden.
    pub hidden: Option<Vec<u8>>,
    /// How to walk through `size` so that the picture is upright.
    pub walk: Order,
}

/// What to make of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Samples {
    /// The stored numbers.
    Stored,
    /// Colours of 8 or 16 bits, with opacities where there are any.
    Colours,
}

/// Reads the whole file at `file`.
pub(crate) fn read(file: &Path, samples: Samples) -> Result<Png, CohortError> {
    let mut reader = open(file, samples)?;
    let size = size(reader.info());
    let [rows, columns] = size;
    if rows.saturating_mul(columns) > PIXELS_MAX {
        let message = format!("has {rows} x {columns} pixels, expected at most {PIXELS_MAX}");
        return Err(CohortError::file(file, message));
    }
    if reader.info().animation_control.is_some_and(|animation| animation.num_frames > 1) {
        return Err(CohortError::file(file, "is a picture of several frames, expected one"));
    }
    let bytes_needed = reader.output_buffer_size().unwrap_or(usize::MAX).min(DECODED_BYTES_MAX);
    let mut bytes = vec![0; bytes_needed];
    let frame = reader.next_frame(&mut bytes).map_err(broken(file))?;
    // What says how the picture is turned may stand behind its pixels.
    reader.finish().map_err(broken(file))?;
    let info = reader.info();
    let owned = |chunk: &std::borrow::Cow<'_, [u8]>| chunk.to_vec();
    Ok(Png {
        size,
        color: frame.color_type,
        bits: usize::from(frame.bit_depth as u8),
        bytes,
        row_bytes: frame.line_size,
        palette: info.palette.as_ref().map(owned).unwrap_or_default(),
        hidden: info.trns.as_ref().map(owned),
        walk: upright(orientation(info)),
    })
}

impl Png {
    /// Returns rows and columns of the upright picture.
    pub(crate) fn upright_size(&self) -> [usize; 2] {
        let [rows, columns] = self.size;
        if self.walk.axes[1] == 1 { [rows, columns] } else { [columns, rows] }
    }

    /// Brings one value per stored pixel, row by row, into the order of the upright picture.
    pub(crate) fn upright<T: Copy>(&self, pixels: &[T]) -> Vec<T> {
        let [rows, columns] = self.size;
        self.walk.walk(pixels, [columns, rows, 1])
    }

    /// Returns all samples of each row as numbers.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u16> + '_ {
        let per_row = self.size[1] * self.color.samples();
        let rows = self.bytes.chunks_exact(self.row_bytes).take(self.size[0]);
        rows.flat_map(move |row| (0..per_row).map(move |index| sample(row, index, self.bits)))
    }
}

fn sample(row: &[u8], index: usize, bits: usize) -> u16 {
    match bits {
        16 => u16::from_be_bytes([row[2 * index], row[2 * index + 1]]),
        8 => row[index].into(),
        _ => {
            let per_byte = 8 / bits;
            let shift = 8 - bits * (index % per_byte + 1);
            (row[index / per_byte] >> shift & ((1 << bits) - 1)).into()
        }
    }
}

fn open(file: &Path, samples: Samples) -> Result<Reader<BufReader<File>>, CohortError> {
    let opened = BufReader::new(File::open(file).map_err(CohortError::storage(file))?);
    let mut decoder = Decoder::new_with_limits(opened, Limits { bytes: DECODED_BYTES_MAX });
    decoder.set_transformations(match samples {
        Samples::Stored => Transformations::IDENTITY,
        Samples::Colours => Transformations::EXPAND,
    });
    decoder.read_info().map_err(broken(file))
}

fn size(info: &Info<'_>) -> [usize; 2] {
    [info.height, info.width].map(|size| usize::try_from(size).unwrap_or(usize::MAX))
}

/// Reads how the picture is turned, as Exif counts it: from its Exif chunk, or from the text in which older programs keep it.
fn orientation(info: &Info<'_>) -> u16 {
    let chunk = info.exif_metadata.as_ref().map(|chunk| chunk.to_vec());
    let chunk = chunk.or_else(|| raw_profile(info));
    let tag = chunk.and_then(|chunk| exif::orientation(chunk.strip_prefix(b"Exif\0\0").unwrap_or(&chunk)));
    tag.unwrap_or(1)
}

/// ImageMagick's "Raw profile type exif": a name, the number of bytes, and the bytes in hexadecimal digits.
fn raw_profile(info: &Info<'_>) -> Option<Vec<u8>> {
    const KEYS: [&str; 2] = ["Raw profile type exif", "Raw profile type APP1"];
    let plain = info.uncompressed_latin1_text.iter().find(|text| KEYS.contains(&text.keyword.as_str()));
    let text = match plain {
        Some(text) => text.text.clone(),
        None => {
            let packed =
                info.compressed_latin1_text.iter().find(|text| KEYS.contains(&text.keyword.as_str()));
            let mut packed = packed?.clone();
            packed.decompress_text_with_limit(PROFILE_BYTES_MAX).ok()?;
            packed.get_text().ok()?
        }
    };
    let digits: String = text.split_whitespace().skip(2).collect();
    let pairs = digits.as_bytes().chunks_exact(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Returns the walk that turns a picture upright: through axes of columns, rows and one slice.
fn upright(orientation: u16) -> Order {
    let (rows_first, backwards_rows, backwards_columns) = match orientation {
        2 => (true, false, true),
        3 => (true, true, true),
        4 => (true, true, false),
        // Columns become rows.
        5 => (false, false, false),
        6 => (false, false, true),
        7 => (false, true, true),
        8 => (false, true, false),
        _ => (true, false, false),
    };
    let axes = if rows_first { [2, 1, 0] } else { [2, 0, 1] };
    Order { axes, backwards: [false, backwards_rows, backwards_columns] }
}

/// The decoder's messages tell of the file's structure, and of no pixel.
fn broken(file: &Path) -> impl FnOnce(DecodingError) -> CohortError {
    move |error| CohortError::file(file, format!("is no readable PNG picture ({error})"))
}

/// The most pixels of one picture: 8000 x 8000.
const PIXELS_MAX: usize = 64_000_000;

/// Four channels of 16 bits for each.
const DECODED_BYTES_MAX: usize = 8 * PIXELS_MAX;

/// An orientation takes a few dozen; a profile may hold a thumbnail.
const PROFILE_BYTES_MAX: usize = 1 << 20;
