//! The pipe between a site agent and its trainer: frames of a JSON header and raw little-endian values.
//!
//! The agent asks, the trainer answers, one at a time. A frame is the header's length (`u32`), the
//! payload's length (`u64`), the header and the payload. The trainer never learns of keys, ledger or noise.
//!
//! What depends on patients and may leave the site once it is noised, sums and counts, comes as integers in the
//! payload: there is no value that the pipe cannot hold, so that no patient decides whether there is an answer.
//! Whoever reads says first how long an answer may be.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use fedtwin_plan::inventory::Inventory;
use fedtwin_plan::numbers::Positive;
use fedtwin_plan::{Digest, PatientId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::report::Report;
use crate::stand_in::StandIn;

/// What the agent asks of its trainer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Read the whole cohort that `cohort_file` describes, for people to be told what is there; answered by
    /// [`Response::Checked`].
    Check {
        /// The site's cohort file.
        cohort_file: PathBuf,
    },
    /// Load the cohort that `cohort_file` describes, as the plan needs it; answered by [`Response::Ready`].
    Load {
        /// The plan's TOML text.
        plan: String,
        /// The site's cohort file.
        cohort_file: PathBuf,
        /// Threads that the tensor library may use.
        threads: usize,
        /// A hostile record in one training patient's place: an audit asks for it, a study never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        altered: Option<(PatientId, StandIn)>,
    },
    /// Clip, quantise and sum the gradients of the sampled patients; the payload holds the weights
    /// (`f32`), all of them. Answered by [`Response::Sum`].
    Sum {
        /// The sampled patients, each once.
        sampled: Vec<PatientId>,
        /// Seeds the choice of each patient's slices in this step.
        slice_seed: u64,
        /// The round's clip, which the plan allows.
        clip: Positive,
    },
    /// Count the site's test patients by their scores, as the plan's metrics ask; the payload holds the weights.
    /// Answered by [`Response::Measured`].
    Measure,
    /// Score the weights in the payload on the site's test patients; answered by [`Response::Scored`].
    Score {
        /// Whether to fit the site's own intercept on its training patients first.
        fit_intercept: bool,
    },
}

/// What the trainer answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Response {
    /// What the cohort holds; it stays at the site.
    Checked(Box<Inventory>),
    /// The cohort is loaded.
    Ready(Loaded),
    /// The payload holds the integer sum (`i64`) of the trained values and, where the clip adapts, of the
    /// indicator.
    Sum,
    /// The payload holds the number of test patients (`u64`) in each cell of the plan's metrics; a patient without a
    /// score is in none.
    Measured,
    /// The site's own report; it stays at the site.
    Scored(Box<Report>),
    /// The request failed; the trainer is still there.
    Failed {
        /// What happened, without patient values.
        message: String,
    },
}

/// What a loaded cohort holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loaded {
    /// Training patients found.
    pub train: u32,
    /// Test patients found.
    pub test: u32,
    /// Of the bytes and names of every file that the cohort is made of, as in its [`Inventory`].
    pub digest: Digest,
}

/// How long a frame may be for whoever reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Bytes of the header.
    pub header: u32,
    /// Bytes of the payload.
    pub payload: u64,
}

impl FrameLimits {
    /// For requests, whose sender is trusted: a model of any size, and any number of sampled patients.
    pub const LARGEST: Self = Self { header: HEADER_BYTES_MAX, payload: PAYLOAD_BYTES_MAX };
    /// For an answer without a payload, whose header may be a report of every test patient.
    pub const REPORT: Self = Self { header: HEADER_BYTES_MAX, payload: 0 };

    /// For an answer of so many integers of 64 bits, or a reason why there are none.
    #[must_use]
    pub const fn integers(values: usize) -> Self {
        Self { header: REASON_BYTES_MAX, payload: 8 * values as u64 }
    }
}

/// Writes one frame.
///
/// # Errors
/// Returns the writer's error.
pub fn write_frame<T: Serialize>(writer: &mut impl Write, header: &T, payload: &[u8]) -> io::Result<()> {
    let header = serde_json::to_vec(header)?;
    let header_bytes = u32::try_from(header.len()).map_err(|_too_long| io::ErrorKind::InvalidInput)?;
    writer.write_all(&header_bytes.to_le_bytes())?;
    writer.write_all(&(payload.len() as u64).to_le_bytes())?;
    writer.write_all(&header)?;
    writer.write_all(payload)?;
    writer.flush()
}

/// Reads one frame, or `None` where the other end closed the pipe between two frames.
///
/// # Errors
/// Returns the reader's error, and `InvalidData` for a frame over the limits or a header of another shape.
pub fn read_frame<T: DeserializeOwned>(
    reader: &mut impl Read,
    limits: FrameLimits,
) -> io::Result<Option<(T, Vec<u8>)>> {
    let mut lengths = [0; 12];
    let first = reader.read(&mut lengths)?;
    if first == 0 {
        return Ok(None);
    }
    reader.read_exact(&mut lengths[first..])?;
    let [h0, h1, h2, h3, payload @ ..] = lengths;
    let (header_bytes, payload_bytes) = (u32::from_le_bytes([h0, h1, h2, h3]), u64::from_le_bytes(payload));
    if header_bytes > limits.header || payload_bytes > limits.payload {
        let message = format!(
            "the frame has {header_bytes} and {payload_bytes} bytes, expected at most {} and {}",
            limits.header, limits.payload
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let header = read_exactly(reader, header_bytes.into())?;
    let payload = read_exactly(reader, payload_bytes)?;
    Ok(Some((serde_json::from_slice(&header)?, payload)))
}

/// Grows with what arrives, so that a false length cannot claim memory.
fn read_exactly(reader: &mut impl Read, bytes: u64) -> io::Result<Vec<u8>> {
    let mut buffer = Vec::new();
    reader.take(bytes).read_to_end(&mut buffer)?;
    if buffer.len() as u64 == bytes { Ok(buffer) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// A report of a cohort's test patients is the longest header.
const HEADER_BYTES_MAX: u32 = 1 << 28;
/// The largest model that a plan allows, as `i64`.
const PAYLOAD_BYTES_MAX: u64 = 8_000_000_000;
/// A reason is a few lines.
const REASON_BYTES_MAX: u32 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FrameLimits = FrameLimits::LARGEST;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &Response::Sum, payload).unwrap();
        bytes
    }

    #[test]
    fn frames_round_trip_until_the_pipe_closes() {
        let mut bytes = frame(b"abc");
        bytes.extend(frame(b""));
        let mut reader = bytes.as_slice();
        assert_eq!(read_frame(&mut reader, LIMITS).unwrap(), Some((Response::Sum, b"abc".to_vec())));
        assert_eq!(read_frame(&mut reader, LIMITS).unwrap(), Some((Response::Sum, Vec::new())));
        assert_eq!(read_frame::<Response>(&mut reader, LIMITS).unwrap(), None);
    }

    #[test]
    fn a_clip_leaves_the_pipe_as_it_went_in_to_the_last_bit() {
        for number in 1..=1000 {
            let clip = f64::from(number).sqrt().try_into().unwrap();
            let request = Request::Sum { sampled: Vec::new(), slice_seed: 0, clip };
            let mut bytes = Vec::new();
            write_frame(&mut bytes, &request, &[]).unwrap();
            let (read, _payload) = read_frame(&mut bytes.as_slice(), LIMITS).unwrap().unwrap();
            assert_eq!(request, read, "the root of {number}");
        }
    }

    #[test]
    fn broken_frames_are_errors() {
        let good = frame(b"abc");
        for length in 1..good.len() {
            assert!(read_frame::<Response>(&mut &good[..length], LIMITS).is_err(), "cut at {length}");
        }
        let mut huge = good.clone();
        huge[10] = 0xff;
        assert!(read_frame::<Response>(&mut huge.as_slice(), LIMITS).is_err());
        let mut other = good;
        other[12] = b'[';
        assert!(read_frame::<Response>(&mut other.as_slice(), LIMITS).is_err());
    }

    #[test]
    fn a_frame_above_what_was_asked_for_is_refused_before_it_is_read() {
        let lengths =
            |header: u32, payload: u64| [&header.to_le_bytes()[..], &payload.to_le_bytes()].concat();
        let asked = FrameLimits::integers(3);
        for lengths in
            [lengths(1, 25), lengths(asked.header + 1, 0), lengths(1, u64::MAX), lengths(u32::MAX, 1)]
        {
            // Nothing follows: whoever tried to read on would say that the end came too early.
            let refused = read_frame::<Response>(&mut lengths.as_slice(), asked).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidData, "{refused}");
        }
        let answer = frame(&[0; 24]);
        assert_eq!(read_frame(&mut answer.as_slice(), asked).unwrap(), Some((Response::Sum, vec![0; 24])));
    }
}
