//! Fetching pinned wheels from the Python package index with pip, and taking files out of them.
//!
//! pip checks every file against the pinned SHA-256 before it keeps it, and python3 unpacks: no code here handles
//! unchecked bytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::shell::run;

/// The interpreter that runs pip; Debian's package python3-pip brings both.
pub(crate) const PYTHON: &str = "python3";

/// Fetches the wheels that the pins (a pip requirements text with hashes) name into a folder, and lists them.
///
/// Wheels already there with the right hash are kept, so an interrupted run goes on where it stopped.
pub(crate) fn fetch(pins: &str, tags: &[String], folder: &Path) -> Result<Vec<PathBuf>, Error> {
    fs::create_dir_all(folder).map_err(Error::at(folder))?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, pins).map_err(Error::at(&requirements))?;
    let mut pip = Command::new(PYTHON);
    pip.args(["-m", "pip", "download", "--disable-pip-version-check", "--no-cache-dir", "--no-deps"]);
    pip.args(["--require-hashes", "--only-binary=:all:", "--python-version", "3.12"]);
    for tag in tags {
        pip.args(["--platform", tag]);
    }
    pip.arg("--dest").arg(folder).arg("--requirement").arg(&requirements);
    // The system's folder for temporary files may be too small for a wheel of half a gigabyte.
    run(pip.env("TMPDIR", folder))?;
    wheels_in(folder)
}

/// Unpacks the members whose whole path matches a Python regular expression into a folder.
pub(crate) fn unpack(wheels: &[PathBuf], members: &str, folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::at(folder))?;
    let mut python = Command::new(PYTHON);
    python.args(["-c", include_str!("unpack.py")]).arg(folder).arg(members).args(wheels);
    let status = python.status().map_err(|source| Error::Start { command: PYTHON.to_owned(), source })?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed { command: format!("{PYTHON} unpack.py"), status: status.to_string() })
}

fn wheels_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut wheels = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::at(folder))? {
        let path = entry.map_err(Error::at(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            wheels.push(path);
        }
    }
    wheels.sort();
    Ok(wheels)
}
