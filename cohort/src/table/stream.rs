//! A file's text, unpacked and decoded piece by piece, so that a table may be larger than memory.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use encoding_rs::Decoder;

use super::text::Encoding;
use crate::error::CohortError;
use crate::packed::{Unpacked, reason};

/// A window on a file's text, which moves towards the end.
pub(crate) struct Stream {
    file: PathBuf,
    bytes: Unpacked<BufReader<Box<dyn Read>>>,
    decoder: Decoder,
    window: String,
    /// Whether the window reaches to the end of the file.
    is_at_end: bool,
}

impl Stream {
    /// Opens a file, plain or gzipped, at its beginning. A byte order mark outweighs the encoding; bytes that are no letter
    /// become U+FFFD, which is refused only where it is used.
    pub(crate) fn open(file: &Path, encoding: Encoding) -> Result<Self, CohortError> {
        let opened = File::open(file).map_err(CohortError::storage(file))?;
        Self::of_bytes(file, Box::new(opened), encoding)
    }

    /// Reads bytes from anywhere, for which `file` stands in messages.
    pub(crate) fn of_bytes(
        file: &Path,
        bytes: Box<dyn Read>,
        encoding: Encoding,
    ) -> Result<Self, CohortError> {
        let mut stream = Self {
            file: file.to_owned(),
            bytes: Unpacked::new(BufReader::new(bytes)).map_err(CohortError::storage(file))?,
            decoder: encoding.decoder(),
            window: String::new(),
            is_at_end: false,
        };
        stream.advance(0, 1)?;
        Ok(stream)
    }

    /// Returns the file that is read.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Returns the text that is held.
    pub(crate) fn window(&self) -> &str {
        &self.window
    }

    /// Lets go of the first `passed` bytes of the window, behind which `line` is, and reads on; says whether there was more.
    /// At the end of the file the window stays as it is.
    ///
    /// What a window holds at least doubles with each call that lets nothing go, so that a reader which begins a long row again
    /// does so seldom.
    pub(crate) fn advance(&mut self, passed: usize, line: u64) -> Result<bool, CohortError> {
        if self.is_at_end {
            return Ok(false);
        }
        self.window.drain(..passed);
        let wanted = PIECE_BYTES.max(self.window.len());
        let mut bytes = Vec::with_capacity(wanted);
        let read = self.bytes.by_ref().take(wanted as u64).read_to_end(&mut bytes);
        read.map_err(|e| CohortError::file(&self.file, format!("is damaged ({})", reason(&e))))?;
        self.is_at_end = bytes.len() < wanted;
        let decoded = self.window.len();
        let room = self.decoder.max_utf8_buffer_length(bytes.len());
        self.window.reserve(room.expect("a piece is far smaller than the largest buffer"));
        let _ = self.decoder.decode_to_string(&bytes, &mut self.window, self.is_at_end);
        match self.window[decoded..].find('\0') {
            Some(at) => Err(self.no_text(line + line_ends(&self.window[..decoded + at]))),
            None => Ok(true),
        }
    }

    fn no_text(&self, line: u64) -> CohortError {
        let message = format!(
            "holds a byte of 0, so that it is no text in {}: a workbook, an archive, or another encoding, \
             which the schema can name",
            self.decoder.encoding().name()
        );
        CohortError::table(&self.file, line, message)
    }
}

/// Counts lines that end, as an editor counts them.
fn line_ends(text: &str) -> u64 {
    text.replace("\r\n", "\n").matches(['\n', '\r']).count() as u64
}

/// Large enough that calls take no time, and small beside a table that matters.
const PIECE_BYTES: usize = 1 << 16;
