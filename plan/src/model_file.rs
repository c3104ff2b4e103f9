//! Model files: safetensors with a header that the architecture fixes byte by byte.
//!
//! Because the header is a function of the [`Architecture`], a receiver compares it for equality and
//! never parses one from the network. The values follow as little-endian `f32` in parameter order.
//! Format: <https://github.com/huggingface/safetensors#format>.

use std::fmt::Write as _;
use std::io;

use crate::architecture::{Architecture, Initial, ParameterSpec};

/// Returns the safetensors header of a model: its length in 8 bytes, then JSON padded with spaces.
#[must_use]
pub fn header(architecture: &Architecture) -> Vec<u8> {
    let mut json = String::from("{");
    let mut offset = 0;
    for (index, parameter) in architecture.parameters().iter().enumerate() {
        let end = offset + parameter.values() * VALUE_BYTES;
        let comma = if index == 0 { "" } else { "," };
        let shape = parameter.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        write!(
            json,
            r#"{comma}"{}":{{"dtype":"F32","shape":[{shape}],"data_offsets":[{offset},{end}]}}"#,
            parameter.name
        )
        .expect("writing to a string cannot fail");
        offset = end;
    }
    json.push('}');
    while json.len() % 8 != 0 {
        json.push(' ');
    }
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(json.as_bytes());
    bytes
}

/// Returns the whole file's length in bytes.
#[must_use]
pub fn file_bytes(architecture: &Architecture) -> u64 {
    (header(architecture).len() + architecture.values() * VALUE_BYTES) as u64
}

/// Returns the file that holds `values`.
///
/// # Panics
/// If `values` has another length than the architecture.
#[must_use]
pub fn encode(architecture: &Architecture, values: &[f32]) -> Vec<u8> {
    assert_eq!(values.len(), architecture.values(), "a model file holds exactly the architecture's values");
    let mut bytes = header(architecture);
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// Why bytes are not a usable model of an architecture.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelFileError {
    /// The header names other tensors or shapes, or the length differs.
    #[error("the model's tensors are not those of the plan (its names, shapes or length differ)")]
    OtherShape,
    /// A weight is NaN, infinite or beyond [`WEIGHT_MAX`].
    #[error("the model's value {index} is not a number from -2^40 to 2^40")]
    OutOfRange {
        /// The place in parameter order.
        index: usize,
    },
}

/// Reads the values of a model file.
///
/// # Errors
/// Refuses a file whose header or length differs from the architecture's, or with a value that is no weight.
pub fn decode(architecture: &Architecture, bytes: &[u8]) -> Result<Vec<f32>, ModelFileError> {
    let mut decoder = Decoder::new(architecture);
    decoder.push(bytes)?;
    decoder.finish()
}

/// Reads a model file that arrives in pieces, without ever holding its bytes.
#[derive(Debug)]
pub struct Decoder {
    pieces: Pieces,
    values: Vec<f32>,
}

impl Decoder {
    /// Starts a file of this architecture.
    #[must_use]
    pub fn new(architecture: &Architecture) -> Self {
        let pieces = Pieces::new(architecture);
        let values = Vec::with_capacity(pieces.length);
        Self { pieces, values }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// Refuses another header, more values than the architecture's, and one that is no weight.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), ModelFileError> {
        let Self { pieces, values } = self;
        pieces
            .push(piece, &mut |weights| values.extend(weights.iter().map(|&value| f32::from_le_bytes(value))))
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Refuses one that is too short.
    pub fn finish(self) -> Result<Vec<f32>, ModelFileError> {
        self.pieces.finish()?;
        Ok(self.values)
    }
}

/// Checks a model file that arrives in pieces, without holding its values either.
#[derive(Debug)]
pub struct Checker(Pieces);

impl Checker {
    /// Starts a file of this architecture.
    #[must_use]
    pub fn new(architecture: &Architecture) -> Self {
        Self(Pieces::new(architecture))
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// Refuses another header, more values than the architecture's, and one that is no weight.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), ModelFileError> {
        self.0.push(piece, &mut |_value| ())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Refuses one that is too short.
    pub fn finish(self) -> Result<(), ModelFileError> {
        self.0.finish()
    }
}

/// A weight as it is in a file.
type Value = [u8; VALUE_BYTES];

/// What is done with weights that were found good.
type Taking<'a> = &'a mut dyn FnMut(&[Value]);

/// What came of a file that arrives in pieces.
#[derive(Debug)]
struct Pieces {
    header: Vec<u8>,
    /// Bytes of the header that came.
    header_seen: usize,
    length: usize,
    /// Values that came.
    seen: usize,
    /// The beginning of a value whose rest is in the next piece.
    part: Vec<u8>,
}

impl Pieces {
    fn new(architecture: &Architecture) -> Self {
        Self {
            header: header(architecture),
            header_seen: 0,
            length: architecture.values(),
            seen: 0,
            part: Vec::new(),
        }
    }

    fn push(&mut self, piece: &[u8], take: Taking<'_>) -> Result<(), ModelFileError> {
        let header = &self.header[self.header_seen..];
        let (of_header, mut rest) = piece.split_at(header.len().min(piece.len()));
        if !header.starts_with(of_header) {
            return Err(ModelFileError::OtherShape);
        }
        self.header_seen += of_header.len();
        if !self.part.is_empty() {
            let missing = (VALUE_BYTES - self.part.len()).min(rest.len());
            let (end, after) = rest.split_at(missing);
            self.part.extend_from_slice(end);
            rest = after;
            if self.part.len() < VALUE_BYTES {
                return Ok(());
            }
            let value = std::mem::take(&mut self.part);
            self.take(&value, take)?;
        }
        let whole = rest.len() - rest.len() % VALUE_BYTES;
        self.part.extend_from_slice(&rest[whole..]);
        self.take(&rest[..whole], take)
    }

    fn take(&mut self, bytes: &[u8], take: Taking<'_>) -> Result<(), ModelFileError> {
        if bytes.len() / VALUE_BYTES > self.length - self.seen {
            return Err(ModelFileError::OtherShape);
        }
        let (values, _none) = bytes.as_chunks::<VALUE_BYTES>();
        let is_good = |&value: &Value| is_weight(f32::from_le_bytes(value));
        // One by one only where one is bad: without a way out of the loop, several are looked at in one instruction.
        if !values.iter().fold(true, |all, value| all & is_good(value)) {
            let good = values.iter().take_while(|value| is_good(value)).count();
            return Err(ModelFileError::OutOfRange { index: self.seen + good });
        }
        take(values);
        self.seen += values.len();
        Ok(())
    }

    fn finish(&self) -> Result<(), ModelFileError> {
        let complete = self.header_seen == self.header.len() && self.part.is_empty();
        if complete && self.seen == self.length { Ok(()) } else { Err(ModelFileError::OtherShape) }
    }
}

/// Says whether a value may be a model's weight: finite, and at most [`WEIGHT_MAX`].
#[must_use]
pub fn is_weight(value: f32) -> bool {
    value.abs() <= WEIGHT_MAX
}

/// Reads little-endian values; a trailing part of a value is left out.
#[must_use]
pub fn values_from_le(bytes: &[u8]) -> Vec<f32> {
    let (values, _rest) = bytes.as_chunks::<VALUE_BYTES>();
    values.iter().map(|&value| f32::from_le_bytes(value)).collect()
}

/// Returns the plan's initial weights: uniform in ±1/sqrt(fan_in), as PyTorch initialises convolutions,
/// or the one number that a parameter begins with. The same on every machine for the same seed.
#[must_use]
pub fn initial_values(architecture: &Architecture, seed: u64) -> Vec<f32> {
    let mut file = Vec::new();
    write_initial(architecture, seed, &mut file).expect("writing to memory does not fail");
    values_from_le(&file[header(architecture).len()..])
}

/// Writes the file with the plan's initial weights, a part at a time.
///
/// # Errors
/// Returns what writing returns.
pub fn write_initial(architecture: &Architecture, seed: u64, file: &mut impl io::Write) -> io::Result<()> {
    file.write_all(&header(architecture))?;
    let mut random = SplitMix64(seed);
    write_drawn(architecture.parameters(), &mut random, file)
}

/// Writes the initial values of a model's adapters alone, the same that [`write_initial`] writes last.
///
/// # Errors
/// Returns what writing returns.
pub fn write_adapters(architecture: &Architecture, seed: u64, file: &mut impl io::Write) -> io::Result<()> {
    let mut random = SplitMix64(seed);
    write_drawn(architecture.base().parameters(), &mut random, &mut io::sink())?;
    write_drawn(architecture.adapters(), &mut random, file)
}

fn write_drawn(
    parameters: &[ParameterSpec],
    random: &mut SplitMix64,
    file: &mut impl io::Write,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    for parameter in parameters {
        let mut left = parameter.values();
        while left > 0 {
            let part = left.min(PART_VALUES);
            left -= part;
            bytes.clear();
            for _value in 0..part {
                bytes.extend(random.weight(parameter.initial).to_le_bytes());
            }
            file.write_all(&bytes)?;
        }
    }
    Ok(())
}

/// Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", figure 16. Public
/// initial weights need no secrecy.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An initial weight; none is drawn where all are one number.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "weights are single precision, and a fan-in is far below 2^52"
    )]
    fn weight(&mut self, initial: Initial) -> f32 {
        match initial {
            Initial::All(value) => value,
            Initial::FanIn(fan_in) => (1.0 / (fan_in as f64).sqrt() * self.symmetric()) as f32,
        }
    }

    /// Uniform in [-1, 1).
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    fn symmetric(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (2.0 / (1_u64 << 53) as f64) - 1.0
    }
}

/// The largest weight of a model, 2^40.
///
/// No honest model comes near: at 2^40 neighbouring `f32` are 2^17 apart. Below it, a risk model's logit of a million
/// inputs stays under 2^70 and its gradient with it, far from the 2^128 at which `f32` overflows. A deep U-Net without
/// normalisation can overflow with weights of a hundred; what then is no number counts nowhere and adds nothing.
pub const WEIGHT_MAX: f32 = (1_u64 << 40) as f32;
/// Bytes of one weight.
pub const VALUE_BYTES: usize = 4;
/// Weights written at once.
const PART_VALUES: usize = 1 << 14;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::{LinearRisk, UnetSize};

    fn small() -> Architecture {
        UnetSize { base: 2.try_into().unwrap(), depth: 1.try_into().unwrap() }.architecture(1, None)
    }

    #[test]
    fn files_round_trip() {
        let values = initial_values(&small(), 3);
        let file = encode(&small(), &values);
        assert_eq!(file.len() as u64, file_bytes(&small()));
        assert_eq!(decode(&small(), &file).unwrap(), values);
    }

    #[test]
    fn files_read_the_same_in_pieces_of_any_size() {
        let values = initial_values(&small(), 3);
        let file = encode(&small(), &values);
        for size in [1, 2, 3, 5, 7, 8, 64, 1001, file.len()] {
            let mut decoder = Decoder::new(&small());
            file.chunks(size).try_for_each(|piece| decoder.push(piece)).unwrap();
            assert_eq!(decoder.finish().unwrap(), values, "pieces of {size}");
        }
        let mut decoder = Decoder::new(&small());
        decoder.push(&file).unwrap();
        assert_eq!(decoder.push(&[0; 4]), Err(ModelFileError::OtherShape), "one value too many");
        let mut checker = Checker::new(&small());
        file.chunks(7).try_for_each(|piece| checker.push(piece)).unwrap();
        assert_eq!(checker.finish(), Ok(()));
    }

    #[test]
    fn other_shapes_and_values_that_are_no_weights_are_refused() {
        let mut values = initial_values(&small(), 3);
        let file = encode(&small(), &values);
        let risk = LinearRisk.architecture(3);
        assert_eq!(decode(&risk, &file), Err(ModelFileError::OtherShape));
        assert_eq!(decode(&small(), &file[..file.len() - 1]), Err(ModelFileError::OtherShape));
        assert_eq!(decode(&small(), &[]), Err(ModelFileError::OtherShape));
        values[5] = -WEIGHT_MAX;
        assert_eq!(decode(&small(), &encode(&small(), &values)).unwrap(), values);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, WEIGHT_MAX.next_up(), -1e30] {
            values[5] = bad;
            let file = encode(&small(), &values);
            assert_eq!(decode(&small(), &file), Err(ModelFileError::OutOfRange { index: 5 }));
        }
    }

    #[test]
    fn the_generator_matches_the_authors_values() {
        // First outputs for seed 1234567, as published with the reference implementation.
        let mut random = SplitMix64(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }
}
