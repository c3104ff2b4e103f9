//! By which keys logs are verified: identity certificates under the federation's authority, or a bare key.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use fedtwin_audit_log::PublicKey;
use fedtwin_certs::certificate::CertificateError;
use fedtwin_certs::folder::{self, FolderError};
use fedtwin_certs::{AuthorityCertificate, Identity};
use fedtwin_plan::Digest;

/// Whom to believe, as arguments.
#[derive(Debug, Clone, Default, Args)]
pub struct Trust {
    /// The authority's certificate.
    #[arg(long, value_name = "CA.PEM", requires = "identity")]
    pub ca: Option<PathBuf>,
    /// The identity certificate of a log's writer; may be given for several writers.
    #[arg(long, value_name = "IDENTITY.PEM", requires = "ca")]
    pub identity: Vec<PathBuf>,
    /// The writer's identity key instead, as 64 hexadecimal digits.
    #[arg(long, value_name = "HEX", conflicts_with = "ca", value_parser = public_key)]
    pub key: Option<PublicKey>,
}

/// Keys of known or unknown writers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(Vec<(Option<Identity>, PublicKey)>);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The authority's certificate cannot be read.
    #[error(transparent)]
    Authority(#[from] FolderError),
    /// The identity certificate cannot be read.
    #[error("{file} cannot be read")]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{0} does not hold exactly one PEM block \"CERTIFICATE\"")]
    NotPem(PathBuf),
    /// The certificate does not hold.
    #[error("{file} is not accepted")]
    Certificate {
        /// The file.
        file: PathBuf,
        /// Why.
        source: CertificateError,
    },
}

impl Trust {
    /// Reads and verifies the certificates.
    ///
    /// A certificate that has expired still vouches for what was signed under it.
    ///
    /// # Errors
    /// Refuses certificates that the authority did not issue for signing.
    pub fn load(&self) -> Result<Keys, KeyError> {
        let mut keys: Vec<_> = self.key.iter().map(|key| (None, *key)).collect();
        if let Some(ca) = &self.ca {
            let authority = folder::load_authority_certificate(ca)?;
            for file in &self.identity {
                let (identity, key) = load_identity(file, &authority)?;
                keys.push((Some(identity), key));
            }
        }
        Ok(Keys(keys))
    }
}

impl Keys {
    /// Returns the key of the writer `identity`, or the one key whose holder is not stated.
    #[must_use]
    pub fn of(&self, identity: &Identity) -> Option<PublicKey> {
        let matching = |(holder, _): &&(Option<Identity>, PublicKey)| {
            holder.as_ref().is_none_or(|holder| holder == identity)
        };
        self.0.iter().find(matching).map(|&(_, key)| key)
    }

    /// Returns the keys of known holders by the names under which they cosign: `<federation>/<role>/<name>`.
    pub fn cosigners(&self) -> impl Iterator<Item = (String, PublicKey)> {
        self.0.iter().filter_map(|(holder, key)| Some((holder.as_ref()?.cosigner(), *key)))
    }

    /// Returns the only key, for logs that do not say whose they are.
    #[must_use]
    pub fn only(&self) -> Option<PublicKey> {
        match self.0.as_slice() {
            [(_, key)] => Some(*key),
            [] | [_, _, ..] => None,
        }
    }
}

fn load_identity(file: &Path, authority: &AuthorityCertificate) -> Result<(Identity, PublicKey), KeyError> {
    let text = std::fs::read(file).map_err(|source| KeyError::Io { file: file.to_owned(), source })?;
    let block = pem::parse(text).ok().filter(|block| block.tag() == "CERTIFICATE");
    let block = block.ok_or_else(|| KeyError::NotPem(file.to_owned()))?;
    let verified = authority.verify(block.contents());
    let verified = verified.and_then(|certificate| Ok((certificate.signing_key()?, certificate.identity)));
    let (key, identity) =
        verified.map_err(|source| KeyError::Certificate { file: file.to_owned(), source })?;
    Ok((identity, PublicKey(*key.as_bytes())))
}

fn public_key(text: &str) -> Result<PublicKey, &'static str> {
    // A key has the length and the digits of a digest.
    let Digest(bytes) =
        text.parse().map_err(|_not_hex| "expected an identity key of 64 hexadecimal digits")?;
    Ok(PublicKey(bytes))
}
