//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fedtwin_plan::Digest;
use fedtwin_plan::digest::RunningDigest;

/// A file that appears under its name with all its bytes, on disk, or not at all.
#[derive(Debug)]
pub struct NewFile(tempfile::NamedTempFile);

impl NewFile {
    /// Starts the file in the folder where it will stay.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn create_in(folder: &Path) -> io::Result<Self> {
        tempfile::Builder::new().prefix("new-").tempfile_in(folder).map(Self)
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn commit(self, path: &Path) -> io::Result<()> {
        self.0.as_file().sync_all()?;
        self.0.persist(path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }

    /// Puts the file in its place, for what may be lost with the power.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn replace(self, path: &Path) -> io::Result<()> {
        self.0.persist(path)?;
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A model on its way to disk.
#[derive(Debug)]
pub struct NewModel {
    folder: PathBuf,
    file: NewFile,
    digest: RunningDigest,
}

impl NewModel {
    pub(super) fn create_in(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let file = NewFile::create_in(&folder)?;
        Ok(Self { folder, file, digest: RunningDigest::new() })
    }

    /// Returns the digest of what was written so far.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest.clone().finish()
    }

    /// Has on disk what was written so far, so that less is left for [`Self::commit`].
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.0.as_file().sync_data()
    }

    /// Names the file by its content and puts it in place.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn commit(self) -> io::Result<Digest> {
        let digest = self.digest.finish();
        self.file.commit(&self.folder.join(format!("{digest}.{}", super::MODEL)))?;
        Ok(digest)
    }
}

impl Write for NewModel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
