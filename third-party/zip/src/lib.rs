//! The names of `zip` 0.6 that `tch` and the build script of `torch-sys` use, with nothing behind them.
//!
//! `tch` reads and writes `.npz` files with that library, and `torch-sys` unpacks the libtorch that it can download.
//! fedtwin does neither: models are safetensors, and `cargo xtask` fetches libtorch. Neither crate has a feature that
//! leaves the library out, and it brings zstd, bzip2 and the ciphers of encrypted archives: 27 crates, three of them C,
//! all compiled twice because a build script needs them too. Every function fails here; none panics.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::path::PathBuf;

use result::{ZipError, ZipResult};

/// An archive that is read; there is none.
#[derive(Debug)]
pub struct ZipArchive<R> {
    never: Infallible,
    reader: PhantomData<R>,
}

impl<R: Read> ZipArchive<R> {
    /// Opens no archive.
    ///
    /// # Errors
    /// Fails always.
    pub fn new(_reader: R) -> ZipResult<Self> {
        Err(ZipError)
    }

    /// The number of files.
    pub fn len(&self) -> usize {
        match self.never {}
    }

    /// Says whether there are no files.
    pub fn is_empty(&self) -> bool {
        match self.never {}
    }

    /// One of the files.
    ///
    /// # Errors
    /// None, for there is no archive to ask.
    pub fn by_index(&mut self, _index: usize) -> ZipResult<ZipFile> {
        match self.never {}
    }
}

/// A file in an archive; there is none.
#[derive(Debug)]
pub struct ZipFile(Infallible);

impl ZipFile {
    /// The name within the archive.
    pub fn name(&self) -> &str {
        match self.0 {}
    }

    /// The name as a path without what would lead out of a folder.
    pub fn mangled_name(&self) -> PathBuf {
        match self.0 {}
    }

    /// Bytes when unpacked.
    pub fn size(&self) -> u64 {
        match self.0 {}
    }
}

impl Read for ZipFile {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }
}

/// An archive that would be written.
#[derive(Debug)]
pub struct ZipWriter<W>(PhantomData<W>);

impl<W: Write> ZipWriter<W> {
    /// Takes the file, and writes nothing to it.
    pub fn new(_writer: W) -> Self {
        Self(PhantomData)
    }

    /// Starts no file.
    ///
    /// # Errors
    /// Fails always.
    pub fn start_file(&mut self, _name: impl Into<String>, _options: write::FileOptions) -> ZipResult<()> {
        Err(ZipError)
    }
}

impl<W> Write for ZipWriter<W> {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::Error::other(ZipError))
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::Error::other(ZipError))
    }
}

/// How a file would be packed.
#[derive(Debug, Clone, Copy)]
pub enum CompressionMethod {
    /// As it is.
    Stored,
}

/// What writing takes.
pub mod write {
    use super::CompressionMethod;

    /// How a file would be written.
    #[derive(Debug, Clone, Copy, Default)]
    pub struct FileOptions(());

    impl FileOptions {
        /// Chooses how the file would be packed.
        #[must_use]
        pub fn compression_method(self, _method: CompressionMethod) -> Self {
            self
        }
    }
}

/// What every call ends in.
pub mod result {
    use std::error::Error;
    use std::fmt;

    /// An outcome that is never `Ok`.
    pub type ZipResult<T> = Result<T, ZipError>;

    /// Says that this build has no archives.
    #[derive(Debug, Clone, Copy)]
    pub struct ZipError;

    impl fmt::Display for ZipError {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(
                "fedtwin is built without zip archives: keep tensors as safetensors, and let `cargo xtask` fetch libtorch",
            )
        }
    }

    impl Error for ZipError {}
}
