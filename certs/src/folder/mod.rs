//! Credentials on disk: `ca.pem tls.pem tls.key identity.pem identity.key`; an authority: `ca.pem ca.key`.
//!
//! Folders have mode 0700 and keys 0600; nothing is ever overwritten.

mod pem_file;
mod register;
mod revocations;

use std::io;
use std::path::{Path, PathBuf};

use crate::authority::{Authority, LoadAuthorityError};
use crate::certificate::{AuthorityCertificate, Certificate, CertificateError};
use crate::credentials::{Credentials, CredentialsError, Parts};
use crate::identity::Identity;
use crate::signature::PublicKey;

pub use self::register::{issued_to, record_issued, serial_of};
pub use self::revocations::{Revocations, load_revocation_list, write_revocation_list};
use crate::revocation::NotAList;

use self::pem_file::{Kind, create_folder, read, read_file, sync, write};

/// Writes credentials into a new folder.
///
/// # Errors
/// Refuses a folder that exists; passes on what the disk says.
pub fn create_credentials(folder: &Path, credentials: &Credentials) -> Result<(), FolderError> {
    create_folder(folder)?;
    write(folder, CA_PEM, Kind::Certificate, credentials.authority().as_der())?;
    write(folder, TLS_PEM, Kind::Certificate, credentials.tls_der())?;
    write(folder, TLS_KEY, Kind::Key, credentials.tls_key().as_pkcs8())?;
    write(folder, IDENTITY_PEM, Kind::Certificate, credentials.identity_der())?;
    write(folder, IDENTITY_KEY, Kind::Key, credentials.identity_key().as_pkcs8())?;
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
    Credentials::new(parts)
        .map_err(|source| FolderError::Credentials { folder: folder.to_owned(), source: Box::new(source) })
}

/// Writes an authority into a new folder.
///
/// # Errors
/// Refuses a folder that exists; passes on what the disk says.
pub fn create_authority(folder: &Path, authority: &Authority) -> Result<(), FolderError> {
    create_folder(folder)?;
    write(folder, CA_PEM, Kind::Certificate, authority.certificate().as_der())?;
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
    Authority::load(der, &key).map_err(|source| FolderError::Authority { folder: folder.to_owned(), source })
}

/// Loads an authority's certificate alone: all that verifying signatures needs.
///
/// # Errors
/// Names the file and what is wrong with it.
pub fn load_authority_certificate(file: &Path) -> Result<AuthorityCertificate, FolderError> {
    let der = read_file(file, Kind::Certificate)?.to_vec();
    AuthorityCertificate::parse(der)
        .map_err(|source| FolderError::Certificate { file: file.to_owned(), source })
}

/// Loads an identity certificate that the authority issued, and the identity key in it.
///
/// # Errors
/// Names the file and what is wrong with it.
pub fn load_identity(
    file: &Path,
    authority: &AuthorityCertificate,
) -> Result<(Identity, PublicKey), FolderError> {
    let (certificate, key) = load_identity_certificate(file, authority)?;
    Ok((certificate.identity, key))
}

/// Does what [`load_identity`] does, and returns the whole certificate.
///
/// # Errors
/// As [`load_identity`].
pub fn load_identity_certificate(
    file: &Path,
    authority: &AuthorityCertificate,
) -> Result<(Certificate, PublicKey), FolderError> {
    let der = read_file(file, Kind::Certificate)?;
    let verified = authority.verify(&der);
    let verified = verified.and_then(|certificate| Ok((certificate.signing_key()?, certificate)));
    let (key, certificate) =
        verified.map_err(|source| FolderError::Certificate { file: file.to_owned(), source })?;
    Ok((certificate, key))
}

/// Refuses a file or folder that everybody on this machine may write, where what is in it decides whom to believe.
///
/// # Errors
/// Says what to do about it.
pub fn refuse_writable(path: &Path) -> Result<(), FolderError> {
    pem_file::refuse_writable(path)
}

/// Why a folder was not written or loaded.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Keys are never overwritten.
    #[error("{0} exists already; choose another folder, or remove it if its keys are not needed any more")]
    Exists(PathBuf),
    /// A file that should be there is not.
    #[error("{0} is missing; ask the federation's operator for new credentials, or name another folder")]
    Missing(PathBuf),
    /// The disk says no.
    #[error("{file} cannot be read or written")]
    Io {
        /// The path that was tried.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key that others can read.
    #[error("{0} can be read by others; if nobody did, make it private: chmod 600 {0}")]
    Exposed(PathBuf),
    /// A file that decides whom to believe, and that is anybody's to change.
    #[error("everybody on this machine may write {0}, which decides whom to believe: chmod o-w {0}")]
    Writable(PathBuf),
    /// Not one PEM block of the expected kind.
    #[error("{file} does not hold exactly one PEM block \"{expected}\"")]
    NotPem {
        /// The path that was tried.
        file: PathBuf,
        /// The expected label.
        expected: &'static str,
    },
    /// Not a revocation list of the authority's.
    #[error("{file} is not accepted as a revocation list")]
    NotAList {
        /// The path that was tried.
        file: PathBuf,
        /// Why.
        source: NotAList,
    },
    /// A revocation list that takes something back.
    #[error(
        "{file} is revocation list {number}, and list {seen} or another of that number was seen here before: get the newest from \
         the federation's operator"
    )]
    OlderList {
        /// The path that was tried.
        file: PathBuf,
        /// Its number.
        number: u64,
        /// The largest number that was seen.
        seen: u64,
    },
    /// The memory of revocation lists cannot be read.
    #[error(
        "{0} does not say which revocation list was seen here last; if it is known to be of no use, remove it"
    )]
    NotSeen(PathBuf),
    /// The files do not belong together.
    #[error("the credentials in {folder} cannot be used")]
    Credentials {
        /// The path that was tried.
        folder: PathBuf,
        /// Which file, and why.
        source: Box<CredentialsError>,
    },
    /// The files do not belong together.
    #[error("the authority in {folder} cannot be used")]
    Authority {
        /// The path that was tried.
        folder: PathBuf,
        /// Which file, and why.
        source: LoadAuthorityError,
    },
    /// Not an authority's certificate.
    #[error("{file} is not accepted")]
    Certificate {
        /// The path that was tried.
        file: PathBuf,
        /// Why.
        source: CertificateError,
    },
}

const CA_PEM: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
const TLS_PEM: &str = "tls.pem";
const TLS_KEY: &str = "tls.key";
const IDENTITY_PEM: &str = "identity.pem";
const IDENTITY_KEY: &str = "identity.key";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use fedtwin_plan::time::Timestamp;

    use super::*;
    use crate::{CertificateTerms, Role};

    const FROM: Timestamp = Timestamp(1_700_000_000_000);
    const UNTIL: Timestamp = Timestamp(1_900_000_000_000);

    fn authority() -> Authority {
        Authority::create(&"heart".parse().unwrap(), FROM, UNTIL).unwrap()
    }

    fn issue(authority: &Authority) -> Credentials {
        let terms =
            CertificateTerms { from: FROM, tls_until: UNTIL, identity_until: UNTIL, hosts: Vec::new() };
        authority.issue(Role::Site, &"va".parse().unwrap(), &terms).unwrap()
    }

    fn message(error: &FolderError) -> String {
        use std::error::Error;
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}")
    }

    #[test]
    fn credentials_and_authority_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let (ca, va, later) =
            (folder.path().join("ca"), folder.path().join("va"), folder.path().join("later"));
        create_authority(&ca, &authority()).unwrap();
        let authority = load_authority(&ca).unwrap();
        let written = issue(&authority);
        create_credentials(&va, &written).unwrap();
        let read = load_credentials(&va).unwrap();
        assert_eq!(read.identity().to_string(), "spiffe://heart/site/va");
        let signature = read.identity_key().sign("plan", b"m");
        assert!(written.identity_key().public().verify("plan", b"m", &signature).is_ok());
        assert_eq!(load_authority_certificate(&va.join(CA_PEM)).unwrap(), *authority.certificate());
        create_credentials(&later, &issue(&load_authority(&ca).unwrap())).unwrap();
        assert!(authority.certificate().verify(load_credentials(&later).unwrap().tls_der()).is_ok());
    }

    #[test]
    fn keys_are_private_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let va = folder.path().join("va");
        create_credentials(&va, &issue(&authority())).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&va), mode(&va.join(TLS_KEY)), mode(&va.join(IDENTITY_KEY))), (0o700, 0o600, 0o600));
        let before = fs::read(va.join(TLS_KEY)).unwrap();
        let again = create_credentials(&va, &issue(&authority())).unwrap_err();
        assert!(message(&again).contains("exists already"));
        assert_eq!(fs::read(va.join(TLS_KEY)).unwrap(), before);
        fs::set_permissions(va.join(TLS_KEY), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(message(&load_credentials(&va).unwrap_err()).contains("make it private: chmod 600"));
    }

    #[test]
    fn a_damaged_folder_says_which_file_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let (va, other) = (folder.path().join("va"), folder.path().join("other"));
        let authority = authority();
        create_credentials(&va, &issue(&authority)).unwrap();
        create_credentials(&other, &issue(&authority)).unwrap();
        let check = |file: &str, content: Option<&[u8]>, expected: &str| {
            let path = va.join(file);
            let before = fs::read(&path).unwrap();
            match content {
                Some(content) => fs::write(&path, content).unwrap(),
                None => fs::rename(&path, va.join("away")).unwrap(),
            }
            let error = message(&load_credentials(&va).unwrap_err());
            assert!(error.contains(expected), "{error}");
            if content.is_none() {
                fs::rename(va.join("away"), &path).unwrap();
            }
            fs::write(&path, before).unwrap();
        };
        let of_other = |file: &str| fs::read(other.join(file)).unwrap();
        check(TLS_PEM, None, "tls.pem is missing; ask the federation's operator");
        check(
            IDENTITY_PEM,
            Some(b"hello"),
            "identity.pem does not hold exactly one PEM block \"CERTIFICATE\"",
        );
        check(CA_PEM, Some(&of_other(TLS_PEM)), "ca.pem is not accepted");
        check(TLS_KEY, Some(&of_other(TLS_KEY)), "tls.key does not belong to tls.pem");
        check(IDENTITY_KEY, Some(&of_other(IDENTITY_KEY)), "identity.key does not belong to identity.pem");
        check(
            TLS_KEY,
            Some(&of_other(TLS_PEM)),
            "tls.key does not hold exactly one PEM block \"PRIVATE KEY\"",
        );
        check(IDENTITY_KEY, Some(&of_other(TLS_KEY)), "identity.key is not accepted");
        check(TLS_PEM, Some(&of_other(IDENTITY_PEM)), "tls.pem is not accepted");
        assert!(load_credentials(&va).is_ok());
    }
}
