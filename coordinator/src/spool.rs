//! Spools: an update goes to a file as it arrives, and counts only when it is complete and verified.
//!
//! A spool's file is given back when its last owner drops it. It is not fsynced: a coordinator that loses power
//! asks the site again, and the site still has the bytes.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use fedtwin_plan::Digest;
use fedtwin_plan::digest::RunningDigest;
use fedtwin_proto::domain::UpdateHeader;
use fedtwin_proto::limits::CHUNK_BYTES;

use crate::store::{SpoolFile, SpoolFiles};

/// A complete, verified update in a file.
#[derive(Debug)]
pub struct Update {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// The update's length.
    pub bytes: u64,
    file: SpoolFile,
}

impl Update {
    /// Returns the file with the update's bytes.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

/// An update on its way in.
#[derive(Debug)]
pub struct Spool {
    header: UpdateHeader,
    file: File,
    place: SpoolFile,
    digest: RunningDigest,
    received: u64,
    chunks: u32,
}

/// Why an update does not count.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The length is not the model's.
    #[error("site misbehaved: the update has {actual} bytes, the plan's model needs {expected}")]
    WrongLength {
        /// What the header or the chunks say.
        actual: u64,
        /// What the plan says.
        expected: u64,
    },
    /// Chunks are missing, repeated or out of order.
    #[error("site misbehaved: chunk {actual} came where chunk {expected} was expected")]
    WrongChunk {
        /// The chunk that came.
        actual: u32,
        /// The chunk that should have come.
        expected: u32,
    },
    /// A chunk is larger than the protocol allows, or empty.
    #[error("site misbehaved: a chunk has {0} bytes, expected 1 to {CHUNK_BYTES}")]
    ChunkSize(usize),
    /// The update ended before its length was reached.
    #[error("site misbehaved: the update ended after {actual} of {expected} bytes")]
    CutOff {
        /// Bytes that came.
        actual: u64,
        /// Bytes that were announced.
        expected: u64,
    },
    /// The bytes are not those that were announced.
    #[error("site misbehaved: the update's digest is not the announced one")]
    WrongDigest,
    /// The coordinator cannot store the update.
    #[error("storage: an update cannot be spooled")]
    Storage {
        /// The spool's file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Spool {
    /// Starts a spool in one of the files.
    ///
    /// # Errors
    /// Refuses an update of another length than the plan's; returns the file system's errors.
    pub fn create(files: &SpoolFiles, header: UpdateHeader, expected: u64) -> Result<Self, SpoolError> {
        if header.length != expected {
            return Err(SpoolError::WrongLength { actual: header.length, expected });
        }
        let place = files.take();
        let file = place
            .open(header.length)
            .map_err(|source| SpoolError::Storage { path: place.path().to_path_buf(), source })?;
        Ok(Self { header, file, place, digest: RunningDigest::new(), received: 0, chunks: 0 })
    }

    /// Returns what the site announced.
    #[must_use]
    pub fn header(&self) -> &UpdateHeader {
        &self.header
    }

    /// Appends the next chunk.
    ///
    /// # Errors
    /// Refuses a chunk out of order, of a wrong size, or past the announced length.
    pub fn append(&mut self, index: u32, data: &[u8]) -> Result<(), SpoolError> {
        if index != self.chunks {
            return Err(SpoolError::WrongChunk { actual: index, expected: self.chunks });
        }
        if data.is_empty() || data.len() > CHUNK_BYTES {
            return Err(SpoolError::ChunkSize(data.len()));
        }
        let received = self.received + data.len() as u64;
        if received > self.header.length {
            return Err(SpoolError::WrongLength { actual: received, expected: self.header.length });
        }
        self.digest.update(data);
        self.file
            .write_all(data)
            .map_err(|source| SpoolError::Storage { path: self.place.path().to_path_buf(), source })?;
        self.received = received;
        self.chunks += 1;
        Ok(())
    }

    /// Ends the update.
    ///
    /// # Errors
    /// Refuses one that is cut off or has another digest than announced.
    pub fn finish(mut self) -> Result<Update, SpoolError> {
        if self.received != self.header.length {
            return Err(SpoolError::CutOff { actual: self.received, expected: self.header.length });
        }
        if self.digest.finish() != self.header.digest {
            return Err(SpoolError::WrongDigest);
        }
        self.place.holds_an_update();
        Ok(Update { digest: self.header.digest, bytes: self.received, file: self.place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(bytes: &[u8]) -> UpdateHeader {
        let key = fedtwin_proto::domain::AttemptKey { study: "s".parse().unwrap(), round: 1, attempt: 1 };
        UpdateHeader { key, length: bytes.len() as u64, digest: Digest::of(bytes) }
    }

    #[test]
    fn only_complete_verified_updates_count() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..100).collect();
        let files = SpoolFiles::new(folder.path().to_path_buf());
        let spool = || Spool::create(&files, header(&bytes), 100);
        let refused = |chunks: &[(u32, &[u8])]| {
            let mut spool = spool().unwrap();
            let appended = chunks.iter().try_for_each(|&(index, data)| spool.append(index, data));
            appended.and_then(|()| spool.finish().map(drop)).unwrap_err().to_string()
        };
        assert!(refused(&[(1, &bytes)]).contains("chunk 1 came where chunk 0"));
        assert!(refused(&[(0, &bytes[..50]), (0, &bytes[50..])]).contains("chunk 0 came where chunk 1"));
        assert!(refused(&[(0, &bytes[..50])]).contains("after 50 of 100"));
        assert!(refused(&[(0, &bytes), (1, &[0])]).contains("101 bytes"));
        assert!(refused(&[(0, &[])]).contains("0 bytes"));
        assert!(refused(&[(0, &vec![0; CHUNK_BYTES + 1])]).contains("expected 1 to"));
        assert!(refused(&[(0, &[7; 100])]).contains("digest"));
        assert!(Spool::create(&files, header(&bytes), 96).is_err());
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "refused spools are removed");

        let mut good = spool().unwrap();
        good.append(0, &bytes[..60]).unwrap();
        good.append(1, &bytes[60..]).unwrap();
        let update = good.finish().unwrap();
        assert_eq!(std::fs::read(update.path()).unwrap(), bytes);
    }
}
