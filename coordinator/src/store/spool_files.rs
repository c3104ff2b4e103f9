//! The files of spools, which later updates are written over.
//!
//! A file that is written over has its pages in memory already. The pages of a new one have to be found and those of the
//! last one given back, which took a fifth of the processor time of a round of 31 million weights. So while a study is
//! open, the file of an update that is not needed any more stays for the next one. What it holds then counts for
//! nothing: an update is what was received, verified, and in the file's first bytes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::removed;

/// The files of all spools; clones share them.
#[derive(Debug, Clone)]
pub struct SpoolFiles(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    made: u64,
    keeps: bool,
    spare: Vec<PathBuf>,
}

/// A file that nobody else writes to; it is spare or removed when this is dropped.
#[derive(Debug)]
pub(crate) struct SpoolFile {
    path: PathBuf,
    home: SpoolFiles,
    holds_an_update: bool,
}

impl SpoolFiles {
    /// Takes a folder in which nothing else is; at first nothing is kept.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self(Arc::new(Shared { folder, files: Mutex::default() }))
    }

    /// Returns a spare file, or the name of a new one, which is not made yet.
    pub(crate) fn take(&self) -> SpoolFile {
        let mut files = self.files();
        let path = files.spare.pop().unwrap_or_else(|| {
            files.made += 1;
            self.0.folder.join(files.made.to_string())
        });
        drop(files);
        SpoolFile { path, home: self.clone(), holds_an_update: false }
    }

    /// Keeps the files of updates from now on.
    pub(crate) fn keep(&self) {
        self.files().keeps = true;
    }

    /// Keeps none any more, and removes those that are spare.
    pub(crate) fn keep_none(&self) {
        let spare = {
            let mut files = self.files();
            files.keeps = false;
            std::mem::take(&mut files.spare)
        };
        spare.iter().for_each(|path| removed(path, fs::remove_file(path)));
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SpoolFile {
    /// Opens the file to write `length` bytes from its beginning, whatever is in it.
    pub(crate) fn open(&self, length: u64) -> io::Result<fs::File> {
        let file = fs::File::options().create(true).truncate(false).write(true).open(&self.path)?;
        file.set_len(length)?;
        Ok(file)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes note that a whole update came. A site that sends others leaves no files behind.
    pub(crate) fn holds_an_update(&mut self) {
        self.holds_an_update = true;
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        let mut files = self.home.files();
        if self.holds_an_update && files.keeps {
            files.spare.push(std::mem::take(&mut self.path));
        } else {
            drop(files);
            removed(&self.path, fs::remove_file(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_updates_are_written_over_while_they_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let files = SpoolFiles::new(folder.path().to_path_buf());
        let there = || folder.path().read_dir().unwrap().count();
        let update = |bytes: &[u8]| {
            let mut file = files.take();
            io::Write::write_all(&mut file.open(bytes.len() as u64).unwrap(), bytes).unwrap();
            file.holds_an_update();
            file
        };
        drop(update(b"not kept"));
        assert_eq!(there(), 0);
        files.keep();
        let (first, second) = (update(b"a long one"), update(b"another"));
        let path = first.path().to_path_buf();
        drop(first);
        let third = update(b"short");
        assert_eq!(
            (third.path(), fs::read(&path).unwrap().as_slice()),
            (path.as_path(), b"short".as_slice())
        );
        drop(third);
        // What was cut off is no update, and its file goes.
        let cut_off = files.take();
        cut_off.open(5).unwrap();
        drop(cut_off);
        assert_eq!(there(), 1);
        drop(second);
        assert_eq!(there(), 1);
        files.keep_none();
        assert_eq!(there(), 0);
    }
}
