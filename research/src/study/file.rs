//! Signed plans on disk: `FILE` holds the exact bytes that were signed, `FILE.sig` the signature.
//!
//! The signature file is PEM (RFC 7468): a block with the Ed25519 signature, and the signer's identity
//! certificate, which `openssl x509` reads too.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use fedtwin_plan::signed::{PLAN_BYTES_MAX, SignedPlan};
use pem::Pem;

/// Why a signed plan was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum StudyFileError {
    /// Signed plans are never overwritten.
    #[error("{0} exists already; remove it, or choose another name with --out")]
    Exists(PathBuf),
    /// The disk says no.
    #[error("{file} cannot be {action}")]
    Io {
        /// The path that was tried.
        file: PathBuf,
        /// Read or written.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The plan is longer than any plan may be.
    #[error("{0} is longer than a plan may be ({PLAN_BYTES_MAX} bytes)")]
    TooLong(PathBuf),
    /// The signature file holds something else.
    #[error("{0} does not hold a plan's signature and its signer's certificate")]
    NotASignature(PathBuf),
}

/// Returns where the signature of the plan in `file` is.
#[must_use]
pub fn signature_file(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// Writes a signed plan into two new files.
///
/// # Errors
/// Refuses files that exist; passes on what the disk says.
pub fn write(file: &Path, signed: &SignedPlan) -> Result<(), StudyFileError> {
    let signature_file = signature_file(file);
    if signature_file.exists() {
        return Err(StudyFileError::Exists(signature_file));
    }
    let blocks = [
        Pem::new(SIGNATURE, signed.signature.as_slice()),
        Pem::new(CERTIFICATE, signed.certificate.as_slice()),
    ];
    write_new(file, &signed.text)?;
    write_new(&signature_file, pem::encode_many(&blocks).as_bytes())
}

/// Reads a signed plan; nothing in it is verified.
///
/// # Errors
/// Names the file that is missing, too long or no signature.
pub fn read(file: &Path) -> Result<SignedPlan, StudyFileError> {
    let text = read_bounded(file)?;
    let signature_file = signature_file(file);
    let blocks = pem::parse_many(read_bounded(&signature_file)?);
    let blocks = blocks.ok().and_then(|blocks| <[Pem; 2]>::try_from(blocks).ok());
    match blocks {
        Some([signature, certificate])
            if signature.tag() == SIGNATURE && certificate.tag() == CERTIFICATE =>
        {
            Ok(SignedPlan {
                text,
                signature: signature.into_contents(),
                certificate: certificate.into_contents(),
            })
        }
        Some(_) | None => Err(StudyFileError::NotASignature(signature_file)),
    }
}

/// Reads a file that should hold a plan or a draft.
pub(super) fn read_bounded(file: &Path) -> Result<Vec<u8>, StudyFileError> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|handle| handle.take(PLAN_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(|source| StudyFileError::Io { file: file.to_owned(), action: "read", source })?;
    if bytes.len() > PLAN_BYTES_MAX { Err(StudyFileError::TooLong(file.to_owned())) } else { Ok(bytes) }
}

fn write_new(file: &Path, bytes: &[u8]) -> Result<(), StudyFileError> {
    let written = OpenOptions::new().write(true).create_new(true).open(file).and_then(|mut handle| {
        handle.write_all(bytes)?;
        handle.sync_all()
    });
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => StudyFileError::Exists(file.to_owned()),
        _ => StudyFileError::Io { file: file.to_owned(), action: "written", source },
    })
}

const SIGNATURE: &str = "FEDTWIN PLAN SIGNATURE";
const CERTIFICATE: &str = "CERTIFICATE";
