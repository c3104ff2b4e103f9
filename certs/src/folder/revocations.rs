//! The revocation list on disk, and the largest that was seen here.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fedtwin_plan::Digest;
use fedtwin_plan::time::Timestamp;

use super::pem_file::{Kind, pem_text, read_file};
use super::{FolderError, sync};
use crate::certificate::{AuthorityCertificate, CertificateError};
use crate::revocation::{Revocation, RevocationList};

/// The file of a revocation list, read anew whenever it is asked.
///
/// A list with a smaller number than one that was seen before is refused, as is another list of the same number: whoever
/// delivers the file could else bring a certificate back. The largest is remembered in a file of its own.
#[derive(Debug)]
pub struct Revocations {
    file: PathBuf,
    seen: PathBuf,
    authority: AuthorityCertificate,
    current: Mutex<Option<Current>>,
}

/// What was read last.
#[derive(Debug, Clone)]
struct Current {
    digest: Digest,
    list: Arc<RevocationList>,
}

impl Revocations {
    /// Names the file of the list and the file that remembers the largest one seen.
    #[must_use]
    pub fn new(file: PathBuf, seen: PathBuf, authority: AuthorityCertificate) -> Self {
        Self { file, seen, authority, current: Mutex::new(None) }
    }

    /// Names the file of the list, and beside it, with the ending `.seen`, the one that remembers.
    #[must_use]
    pub fn beside(file: &Path, authority: &AuthorityCertificate) -> Self {
        let mut seen = file.as_os_str().to_owned();
        seen.push(".seen");
        Self::new(file.to_owned(), seen.into(), authority.clone())
    }

    /// Returns the list as the file has it now.
    ///
    /// # Errors
    /// Refuses a file that is not there or not a list of this authority, a list that does not hold now, and one older than
    /// a list that was seen.
    pub fn current(&self, now: Timestamp) -> Result<Arc<RevocationList>, CertificateError> {
        let list = self.read().map_err(|error| CertificateError::NoList(with_causes(&error)))?;
        list.check_time(now)?;
        Ok(list)
    }

    fn read(&self) -> Result<Arc<RevocationList>, FolderError> {
        let der = read_file(&self.file, Kind::RevocationList)?;
        let digest = Digest::of(&der);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = current.as_ref().filter(|current| current.digest == digest) {
            return Ok(Arc::clone(&current.list));
        }
        let list = RevocationList::parse(&der, &self.authority)
            .map_err(|source| FolderError::NotAList { file: self.file.clone(), source })?;
        let seen = Seen::read(&self.seen)?;
        if let Some(seen) = seen.filter(|seen| !seen.allows(list.number, digest)) {
            let (file, number) = (self.file.clone(), list.number);
            return Err(FolderError::OlderList { file, number, seen: seen.number });
        }
        if seen.is_none_or(|seen| seen.number < list.number) {
            Seen { number: list.number, digest }.write(&self.seen)?;
        }
        let list = Arc::new(list);
        *current = Some(Current { digest, list: Arc::clone(&list) });
        Ok(list)
    }
}

impl Revocation for Revocations {
    fn check(&self, serial: &str, now: Timestamp) -> Result<(), CertificateError> {
        self.current(now)?.check(serial)
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The largest list that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    number: u64,
    digest: Digest,
}

impl Seen {
    fn allows(&self, number: u64, digest: Digest) -> bool {
        number > self.number || (number == self.number && digest == self.digest)
    }

    fn read(path: &Path) -> Result<Option<Self>, FolderError> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|source| FolderError::Io { file: path.to_owned(), source })?,
        };
        let parsed = text.trim_end().split_once(' ').and_then(|(number, digest)| {
            Some(Self { number: number.parse().ok()?, digest: digest.parse().ok()? })
        });
        parsed.map(Some).ok_or_else(|| FolderError::NotSeen(path.to_owned()))
    }

    /// On the disk when this returns: what was seen is not forgotten by a crash.
    fn write(self, path: &Path) -> Result<(), FolderError> {
        replace(path, format!("{} {}\n", self.number, self.digest).as_bytes())
    }
}

/// Writes a revocation list, in the place of the one before it.
///
/// # Errors
/// Passes on what the disk says.
pub fn write_revocation_list(file: &Path, der: &[u8]) -> Result<(), FolderError> {
    replace(file, pem_text(Kind::RevocationList, der).as_bytes())
}

/// Reads and verifies a revocation list, whether or not its successor is due; there may be none yet.
///
/// # Errors
/// Refuses a file that is no list of this authority.
pub fn load_revocation_list(
    file: &Path,
    authority: &AuthorityCertificate,
) -> Result<Option<RevocationList>, FolderError> {
    let der = match read_file(file, Kind::RevocationList) {
        Err(FolderError::Missing(_)) => return Ok(None),
        other => other?,
    };
    let list = RevocationList::parse(&der, authority);
    list.map(Some).map_err(|source| FolderError::NotAList { file: file.to_owned(), source })
}

/// Replaces a file as a whole, on the disk when this returns.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    use std::io::Write as _;
    let failed = |source| FolderError::Io { file: path.to_owned(), source };
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let options = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&new);
    let written = options.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&new, path)).map_err(failed)?;
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => sync(parent),
        None => sync(Path::new(".")),
    }
}
