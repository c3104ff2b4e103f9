//! What an authority has issued: a line for each certificate in its folder, so that it can be taken back by its holder's
//! name when nobody has the certificate any more.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::{FolderError, sync};
use crate::certificate::{Certificate, CertificateError};
use crate::credentials::Credentials;
use crate::identity::{HolderName, Role};

/// Notes the certificates of new credentials in the authority's folder, on the disk when this returns.
///
/// # Errors
/// Passes on what the disk says.
pub fn record_issued(ca: &Path, credentials: &Credentials) -> Result<(), FolderError> {
    let file = ca.join(ISSUED);
    let failed = |source| FolderError::Io { file: file.clone(), source };
    let signing = Certificate::parse(credentials.identity_der()).expect("credentials have parsed it");
    let lines: String = [credentials.tls(), &signing]
        .map(|certificate| format!("{} {}\n", certificate.serial, certificate.identity))
        .concat();
    let mut handle = OpenOptions::new().create(true).append(true).open(&file).map_err(failed)?;
    handle.write_all(lines.as_bytes()).and_then(|()| handle.sync_all()).map_err(failed)?;
    sync(ca)
}

/// Returns the serial numbers of all certificates that the authority noted for a holder.
///
/// # Errors
/// Passes on what the disk says.
pub fn issued_to(ca: &Path, role: Role, name: &HolderName) -> Result<Vec<String>, FolderError> {
    let file = ca.join(ISSUED);
    let text = match fs::read_to_string(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        other => other.map_err(|source| FolderError::Io { file, source })?,
    };
    let holder = format!("/{role}/{name}");
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let serials =
        lines.filter(|(_, identity)| identity.ends_with(&holder)).map(|(serial, _)| serial.to_owned());
    Ok(serials.collect())
}

/// Returns the serial number of a certificate of this authority in a file, whatever it is for.
///
/// # Errors
/// Refuses a file that is no certificate of the authority's.
pub fn serial_of(file: &Path, ca: &Path) -> Result<String, FolderError> {
    let authority = super::load_authority_certificate(&ca.join(super::CA_PEM))?;
    let der = super::read_file(file, super::Kind::Certificate)?;
    let certificate = authority.verify(&der);
    let refused = |source: CertificateError| FolderError::Certificate { file: file.to_owned(), source };
    Ok(certificate.map_err(refused)?.serial)
}

const ISSUED: &str = "issued";
