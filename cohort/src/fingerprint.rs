//! One digest over all files that a cohort is made of.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fedtwin_plan::Digest;
use fedtwin_plan::digest::RunningDigest;

use crate::error::CohortError;

/// Digests names and bytes of `files`, sorted by their names relative to `folder`, each once.
///
/// A name stands behind its length and before the digest of its bytes, so that no two lists of files can be one stream.
pub(crate) fn digest(folder: &Path, files: Vec<PathBuf>) -> Result<Digest, CohortError> {
    let mut named: Vec<_> = files.into_iter().map(|file| (name(folder, &file), file)).collect();
    named.sort();
    named.dedup();
    let mut digest = RunningDigest::new();
    digest.update(b"fedtwin cohort v1\n");
    for (name, file) in named {
        digest.update(&(name.len() as u64).to_le_bytes());
        digest.update(&name);
        digest.update(&of_file(&file).map_err(CohortError::storage(&file))?.0);
    }
    Ok(digest.finish())
}

/// A folder that is moved as a whole is still the same cohort.
fn name(folder: &Path, file: &Path) -> Vec<u8> {
    file.strip_prefix(folder).unwrap_or(file).as_os_str().as_encoded_bytes().to_vec()
}

fn of_file(file: &Path) -> io::Result<Digest> {
    let (mut file, mut digest) = (File::open(file)?, RunningDigest::new());
    let mut bytes = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(digest.finish()),
            read => digest.update(&bytes[..read]),
        }
    }
}

/// Large enough that the disk and not the calls take the time.
const BUFFER_BYTES: usize = 1 << 18;
