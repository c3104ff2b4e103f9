//! Files that are there whole or not at all, whenever the power goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Writes a file that its owner alone can read, in place of an earlier one; it is on disk when this returns.
///
/// # Errors
/// Returns the file system's errors; an earlier file is then still there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    // A command and the agent may write the same file at one time.
    new.push(format!(".{}.new", std::process::id()));
    let new = PathBuf::from(new);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_process_has_written_half_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let (path, others) = (folder.path().join("a.json"), folder.path().join("a.json.new"));
        fs::write(&others, "ha").unwrap();
        replace(&path, b"whole").unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), fs::read(&others).unwrap()),
            (b"whole".to_vec(), b"ha".to_vec())
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "its own half-written file is gone");
    }
}
