//! One file with one PEM block (RFC 7468), and the folder around it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use pem::Pem;
use zeroize::Zeroizing;

use super::FolderError;

/// What a file holds, and who may read it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Certificate,
    Key,
    RevocationList,
}

impl Kind {
    const fn label(self) -> &'static str {
        match self {
            Self::Certificate => "CERTIFICATE",
            Self::Key => "PRIVATE KEY",
            Self::RevocationList => "X509 CRL",
        }
    }

    const fn length_max(self) -> u64 {
        match self {
            Self::Certificate | Self::Key => PEM_LENGTH_MAX,
            Self::RevocationList => LIST_LENGTH_MAX,
        }
    }

    const fn mode(self) -> u32 {
        match self {
            Self::Certificate | Self::RevocationList => 0o644,
            Self::Key => 0o600,
        }
    }
}

/// Creates a folder for its owner alone.
pub(super) fn create_folder(folder: &Path) -> Result<(), FolderError> {
    DirBuilder::new().mode(0o700).create(folder).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => FolderError::Exists(folder.to_owned()),
        _ => FolderError::Io { file: folder.to_owned(), source },
    })
}

/// Writes a new file, on the disk when this returns.
pub(super) fn write(folder: &Path, name: &str, kind: Kind, der: &[u8]) -> Result<(), FolderError> {
    let file = folder.join(name);
    let text = pem_text(kind, der);
    let written = OpenOptions::new().write(true).create_new(true).mode(kind.mode()).open(&file).and_then(
        |mut handle| {
            handle.write_all(text.as_bytes())?;
            handle.sync_all()
        },
    );
    written.map_err(|source| FolderError::Io { file, source })
}

/// Writes a PEM block.
pub(super) fn pem_text(kind: Kind, der: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(pem::encode(&Pem::new(kind.label(), der)))
}

/// Makes a folder's new entries survive a crash.
pub(super) fn sync(folder: &Path) -> Result<(), FolderError> {
    let synced = File::open(folder).and_then(|handle| handle.sync_all());
    synced.map_err(|source| FolderError::Io { file: folder.to_owned(), source })
}

/// Reads the file of this name in a folder.
pub(super) fn read(folder: &Path, name: &str, kind: Kind) -> Result<Zeroizing<Vec<u8>>, FolderError> {
    read_file(&folder.join(name), kind)
}

/// Refuses a file or folder that everybody on this machine may write: what is in it decides whom to believe.
pub(super) fn refuse_writable(path: &Path) -> Result<(), FolderError> {
    let metadata = std::fs::metadata(path);
    let metadata = metadata.map_err(|source| FolderError::Io { file: path.to_owned(), source })?;
    if metadata.permissions().mode() & 0o002 == 0 {
        Ok(())
    } else {
        Err(FolderError::Writable(path.to_owned()))
    }
}

/// Reads a file; a key must be its owner's alone, and a certificate not everybody's to write.
pub(super) fn read_file(file: &Path, kind: Kind) -> Result<Zeroizing<Vec<u8>>, FolderError> {
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => FolderError::Missing(file.to_owned()),
        _ => FolderError::Io { file: file.to_owned(), source },
    };
    let handle = File::open(file).map_err(io)?;
    let mode = handle.metadata().map_err(io)?.permissions().mode();
    match kind {
        Kind::Key if mode & 0o077 != 0 => return Err(FolderError::Exposed(file.to_owned())),
        Kind::Certificate if mode & 0o002 != 0 => return Err(FolderError::Writable(file.to_owned())),
        // A revocation list is signed, and what was seen of it is remembered.
        Kind::Key | Kind::Certificate | Kind::RevocationList => {}
    }
    let mut text = Zeroizing::new(Vec::new());
    handle.take(kind.length_max()).read_to_end(&mut text).map_err(io)?;
    let not_pem = || FolderError::NotPem { file: file.to_owned(), expected: kind.label() };
    let blocks = pem::parse_many(text.as_slice()).map_err(|_malformed| not_pem())?;
    match <[Pem; 1]>::try_from(blocks) {
        Ok([block]) if block.tag() == kind.label() => Ok(Zeroizing::new(block.into_contents())),
        Ok(_) | Err(_) => Err(not_pem()),
    }
}

/// Certificates and keys here take about 1 KiB; what is longer is something else.
const PEM_LENGTH_MAX: u64 = 64 * 1024;

/// A revoked certificate takes some 50 bytes: lists of many thousands.
const LIST_LENGTH_MAX: u64 = 4 << 20;
