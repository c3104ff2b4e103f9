//! One digest over all files that a cohort is made of.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fedtwin_plan::Digest;
use fedtwin_plan::digest::RunningDigest;

use crate::error::CohortError;

/// The files of a cohort and what they held: by the name relative to the cohort file's folder, the file and the digest of
/// its bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contents(BTreeMap<Vec<u8>, (PathBuf, Digest)>);

impl Contents {
    /// Reads all `files`, each once.
    pub(crate) fn of(folder: &Path, files: Vec<PathBuf>) -> Result<Self, CohortError> {
        let held = |file: PathBuf| {
            let digest = of_file(&file)?;
            Ok((name(folder, &file), (file, digest)))
        };
        files.into_iter().map(held).collect::<Result<_, _>>().map(Self)
    }

    /// Digests names and bytes, sorted by the names.
    ///
    /// A name stands behind its length and before the digest of its bytes, so that no two lists of files can be one stream.
    pub(crate) fn digest(&self) -> Digest {
        let mut digest = RunningDigest::new();
        digest.update(b"fedtwin cohort v1\n");
        for (name, (_, of_file)) in &self.0 {
            digest.update(&(name.len() as u64).to_le_bytes());
            digest.update(name);
            digest.update(&of_file.0);
        }
        digest.finish()
    }

    /// Refuses a file that held something else before, or was not there at one of both times.
    fn changed_since(&self, before: &Self) -> Result<(), CohortError> {
        let differs =
            |(name, held): &(&Vec<u8>, &(PathBuf, Digest)), other: &Self| other.0.get(*name) != Some(*held);
        let changed = self.0.iter().find(|held| differs(held, before));
        match changed.or_else(|| before.0.iter().find(|held| differs(held, self))) {
            Some((_, (file, _))) => Err(CohortError::file(
                file,
                "changed while it was read, so that what was found is of neither file: check the cohort again",
            )),
            None => Ok(()),
        }
    }
}

/// Reads a cohort by `read`, and returns the digest of what was read: of files that held the same before and after.
///
/// A file that changed meanwhile is the reason, whatever `read` says.
pub(crate) fn unchanged<T>(
    contents: impl Fn() -> Result<Contents, CohortError>,
    read: impl FnOnce() -> Result<T, CohortError>,
) -> Result<(T, Digest), CohortError> {
    let before = contents()?;
    let found = read();
    match (contents(), found) {
        (Ok(after), found) => {
            after.changed_since(&before)?;
            Ok((found?, after.digest()))
        }
        (Err(_gone), Err(why)) => Err(why),
        (Err(gone), Ok(_)) => Err(gone),
    }
}

/// A folder that is moved as a whole is still the same cohort.
fn name(folder: &Path, file: &Path) -> Vec<u8> {
    file.strip_prefix(folder).unwrap_or(file).as_os_str().as_encoded_bytes().to_vec()
}

/// Says whether two files hold the same.
pub(crate) fn same_bytes(a: &Path, b: &Path) -> Result<bool, CohortError> {
    let length =
        |file: &Path| std::fs::metadata(file).map(|data| data.len()).map_err(CohortError::storage(file));
    if length(a)? != length(b)? {
        return Ok(false);
    }
    Ok(of_file(a)? == of_file(b)?)
}

/// Digests the bytes of one file.
fn of_file(file: &Path) -> Result<Digest, CohortError> {
    digest_all(file).map_err(CohortError::storage(file))
}

fn digest_all(file: &Path) -> io::Result<Digest> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_while_it_is_read_is_refused_whatever_was_found() {
        let folder = tempfile::tempdir().unwrap();
        let [table, list] = ["rows.csv", "split.csv"].map(|name| folder.path().join(name));
        std::fs::write(&table, "one").unwrap();
        let check = |read: &dyn Fn() -> Result<u32, CohortError>| {
            let files = || [&table, &list].into_iter().filter(|file| file.exists()).cloned().collect();
            unchanged(|| Contents::of(folder.path(), files()), read).map_err(|e| e.to_string())
        };
        let digest = Contents::of(folder.path(), vec![table.clone()]).unwrap().digest();
        assert_eq!(check(&|| Ok(7)), Ok((7, digest)));
        let refuse = || CohortError::table(&table, 3, "has 1 cells, expected 2");
        assert!(check(&|| Err(refuse())).unwrap_err().ends_with("rows.csv:3: has 1 cells, expected 2"));
        let rewrite = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
        let changed = |result: Result<_, String>, file: &str| {
            let message = result.unwrap_err();
            assert!(message.contains(&format!("{file}: changed while it was read")), "{message}");
        };
        changed(
            check(&|| {
                rewrite(&table, "two");
                Ok(7)
            }),
            "rows.csv",
        );
        changed(
            check(&|| {
                rewrite(&table, "three");
                Err(refuse())
            }),
            "rows.csv",
        );
        changed(
            check(&|| {
                rewrite(&list, "another");
                Ok(7)
            }),
            "split.csv",
        );
        changed(
            check(&|| {
                std::fs::remove_file(&list).unwrap();
                Ok(7)
            }),
            "split.csv",
        );
    }
}
