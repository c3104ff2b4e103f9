//! The state folder is the agent's alone: reports in it hold each test patient's outcome and risk.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// Makes the folder if there is none, and closes one that others may enter. The rights of what is in it stay as they
/// are: whether others could have written a file that people confirmed something with is judged where it is read.
///
/// # Errors
/// Names the folder if it cannot be made or its rights cannot be changed.
pub(crate) fn open(state: &Path) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", state.display()));
    DirBuilder::new().recursive(true).mode(FOLDER).create(state).map_err(named)?;
    let mode = fs::metadata(state).map_err(named)?.permissions().mode();
    if mode & OTHERS != 0 {
        tracing::info!(path = %state.display(), "others could enter the state folder; now the agent alone can");
        fs::set_permissions(state, Permissions::from_mode(FOLDER)).map_err(named)?;
    }
    Ok(())
}

/// Says whether others than its owner may write a file: then it says nothing about who wrote it.
///
/// # Errors
/// Returns the file system's errors.
pub(crate) fn is_others_to_write(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & OTHERS_WRITE != 0)
}

/// Has this process make files and folders that it alone can read, wherever nothing else is asked for.
pub(crate) fn make_files_private() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(OTHERS));
}

const FOLDER: u32 = 0o700;
/// The rights of the group and of everybody.
const OTHERS: u32 = 0o077;
/// The group's and everybody's right to write.
const OTHERS_WRITE: u32 = 0o022;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_folder_is_closed_to_others_whoever_made_it() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let new = folder.path().join("sites/va/state");
        open(&new).unwrap();
        assert_eq!(mode(&new), 0o700);
        fs::set_permissions(&new, Permissions::from_mode(0o755)).unwrap();
        open(&new).unwrap();
        assert_eq!(mode(&new), 0o700);
    }
}
