//! Credentials on disk: `ca.pem tls.pem tls.key identity.pem identity.key`; an authority: `ca.pem ca.key`.
//!
//! Folders have mode 0700 and keys 0600; nothing is ever overwritten.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pem::Pem;
use zeroize::Zeroizing;

use crate::authority::{Authority, LoadAuthorityError};
use crate::certificate::{AuthorityCertificate, CertificateError};
use crate::credentials::{Credentials, CredentialsError, Parts};

/// Writes credentials into a new folder.
///
/// # Errors
/// Refuses a folder that exists; passes on what the disk says.
pub fn create_credentials(folder: &Path, credentials: &Credentials) -> Result<(), FolderError> {
    create_folder(folder)?;
    write(
        folder,
        CA_PEM,
        Kind::Certificate,
        credentials.authority().as_der(),
    )?;
    write(folder, TLS_PEM, Kind::Certificate, credentials.tls_der())?;
    write(folder, TLS_KEY, Kind::Key, credentials.tls_key().as_pkcs8())?;
    write(
        folder,
        IDENTITY_PEM,
        Kind::Certificate,
        credentials.identity_der(),
    )?;
    write(
        folder,
        IDENTITY_KEY,
        Kind::Key,
        credentials.identity_key().as_pkcs8(),
    )?;
    sync(folder)
}

/// Loads credentials from a folder, whether or not they have expired.
///
/// # Errors
/// Names the file that is missing, unreadable, open to others, or does not belong to the rest.
pub fn load_credentials(folder: &Path) -> Result<Credentials, FolderError> {
    let parts = Parts {
        authority: read(folder, CA_PEM, Kind::Certificate)?.to_vec(),
        tls: read(folder, TLS_PEM, Kind::Certificate)?.to_vec(),
        tls_key: read(folder, TLS_KEY, Kind::Key)?,
        signing: read(folder, IDENTITY_PEM, Kind::Certificate)?.to_vec(),
        identity_key: read(folder, IDENTITY_KEY, Kind::Key)?,
    };
    Credentials::new(parts).map_err(|source| FolderError::Credentials {
        folder: folder.to_owned(),
        source,
    })
}

/// Writes an authority into a new folder.
///
/// # Errors
/// Refuses a folder that exists; passes on what the disk says.
pub fn create_authority(folder: &Path, authority: &Authority) -> Result<(), FolderError> {
    create_folder(folder)?;
    write(
        folder,
        CA_PEM,
        Kind::Certificate,
        authority.certificate().as_der(),
    )?;
    write(folder, CA_KEY, Kind::Key, &authority.pkcs8())?;
    sync(folder)
}

/// Loads an authority from a folder.
///
/// # Errors
/// Names the file that is missing, unreadable, open to others, or does not belong to the rest.
pub fn load_authority(folder: &Path) -> Result<Authority, FolderError> {
    let der = read(folder, CA_PEM, Kind::Certificate)?.to_vec();
    let key = read(folder, CA_KEY, Kind::Key)?;
    Authority::load(der, &key).map_err(|source| FolderError::Authority {
        folder: folder.to_owned(),
        source,
    })
}

/// Loads an authority's certificate alone: all that verifying signatures needs.
///
/// # Errors
/// Names the file and what is wrong with it.
pub fn load_authority_certificate(file: &Path) -> Result<AuthorityCertificate, FolderError> {
    let der = read_file(file, Kind::Certificate)?.to_vec();
    AuthorityCertificate::parse(der).map_err(|source| FolderError::Certificate {
        file: file.to_owned(),
        source,
    })
}

/// Why a folder was not written or loaded.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Keys are never overwritten.
    #[error(
        "{0} exists already; choose another folder, or remove it if its keys are not needed any more"
    )]
    Exists(PathBuf),
    /// A file that should be there is not.
    #[error(
        "{0} is missing; ask the federation's operator for new credentials, or name another folder"
    )]
    Missing(PathBuf),
    /// The disk says no.
    #[error("{file} cannot be read or written")]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key that others can read.
    #[error("{0} can be read by others; if nobody did, make it private: chmod 600 {0}")]
    Exposed(PathBuf),
    /// Not one PEM block of the expected kind.
    #[error("{file} does not hold exactly one PEM block \"{expected}\"")]
    NotPem {
        /// The file.
        file: PathBuf,
        /// The expected label.
        expected: &'static str,
    },
    /// The files do not belong together.
    #[error("the credentials in {folder} cannot be used")]
    Credentials {
        /// The folder.
        folder: PathBuf,
        /// Which file, and why.
        source: CredentialsError,
    },
    /// The files do not belong together.
    #[error("the authority in {folder} cannot be used")]
    Authority {
        /// The folder.
        folder: PathBuf,
        /// Which file, and why.
        source: LoadAuthorityError,
    },
    /// Not an authority's certificate.
    #[error("{file} is not accepted")]
    Certificate {
        /// The file.
        file: PathBuf,
        /// Why.
        source: CertificateError,
    },
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Certificate,
    Key,
}

impl Kind {
    const fn label(self) -> &'static str {
        match self {
            Self::Certificate => "CERTIFICATE",
            Self::Key => "PRIVATE KEY",
        }
    }

    const fn mode(self) -> u32 {
        match self {
            Self::Certificate => 0o644,
            Self::Key => 0o600,
        }
    }
}

fn create_folder(folder: &Path) -> Result<(), FolderError> {
    DirBuilder::new()
        .mode(0o700)
        .create(folder)
        .map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => FolderError::Exists(folder.to_owned()),
            _ => FolderError::Io {
                file: folder.to_owned(),
                source,
            },
        })
}

fn write(folder: &Path, name: &str, kind: Kind, der: &[u8]) -> Result<(), FolderError> {
    let file = folder.join(name);
    let text = Zeroizing::new(pem::encode(&Pem::new(kind.label(), der)));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(kind.mode())
        .open(&file)
        .and_then(|mut handle| {
            handle.write_all(text.as_bytes())?;
            handle.sync_all()
        });
    written.map_err(|source| FolderError::Io { file, source })
}

fn sync(folder: &Path) -> Result<(), FolderError> {
    let synced = File::open(folder).and_then(|handle| handle.sync_all());
    synced.map_err(|source| FolderError::Io {
        file: folder.to_owned(),
        source,
    })
}

fn read(folder: &Path, name: &str, kind: Kind) -> Result<Zeroizing<Vec<u8>>, FolderError> {
    read_file(&folder.join(name), kind)
}

fn read_file(file: &Path, kind: Kind) -> Result<Zeroizing<Vec<u8>>, FolderError> {
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => FolderError::Missing(file.to_owned()),
        _ => FolderError::Io {
            file: file.to_owned(),
            source,
        },
    };
    let handle = File::open(file).map_err(io)?;
    let mode = handle.metadata().map_err(io)?.permissions().mode();
    if kind == Kind::Key && mode & 0o077 != 0 {
        return Err(FolderError::Exposed(file.to_owned()));
    }
    let mut text = Zeroizing::new(Vec::new());
    handle
        .take(PEM_LENGTH_MAX)
        .read_to_end(&mut text)
        .map_err(io)?;
    let not_pem = || FolderError::NotPem {
        file: file.to_owned(),
        expected: kind.label(),
    };
    let blocks = pem::parse_many(text.as_slice()).map_err(|_malformed| not_pem())?;
    match <[Pem; 1]>::try_from(blocks) {
        Ok([block]) if block.tag() == kind.label() => Ok(Zeroizing::new(block.into_contents())),
        Ok(_) | Err(_) => Err(not_pem()),
    }
}

const CA_PEM: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
const TLS_PEM: &str = "tls.pem";
const TLS_KEY: &str = "tls.key";
const IDENTITY_PEM: &str = "identity.pem";
const IDENTITY_KEY: &str = "identity.key";

/// Certificates and keys here take about 1 KiB; what is longer is something else.
const PEM_LENGTH_MAX: u64 = 64 * 1024;
