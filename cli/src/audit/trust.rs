//! Whom an auditor believes: identity certificates under the federation's authority, or a bare key.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use fedtwin_audit_log::PublicKey;
use fedtwin_auditor::keys::KnownKeys;
use fedtwin_certs::folder::{self, FolderError, Revocations};
use fedtwin_daemon::clock;
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
    /// The federation's revocation list: identity certificates in it vouch for nothing, and a coordinator's neither.
    #[arg(long, value_name = "REVOKED.PEM")]
    pub revoked: Option<PathBuf>,
    /// The writer's identity key instead, as 64 hexadecimal digits.
    #[arg(long, value_name = "HEX", conflicts_with = "ca", value_parser = public_key)]
    pub key: Option<PublicKey>,
}

impl Trust {
    /// Reads and verifies the certificates.
    ///
    /// A certificate that has expired still vouches for what was signed under it. One that was revoked does not: whoever has
    /// its key could have signed it since, whatever time it says.
    ///
    /// # Errors
    /// Refuses certificates that the authority did not issue for signing, or has taken back.
    pub fn load(&self) -> Result<KnownKeys, FolderError> {
        let mut keys: Vec<_> = self.key.iter().map(|key| (None, *key)).collect();
        if let Some(ca) = &self.ca {
            let mut authority = folder::load_authority_certificate(ca)?;
            if let Some(list) = &self.revoked {
                let revocations = Revocations::beside(list, &authority);
                authority = authority.with_revocation(Arc::new(revocations));
            }
            for file in &self.identity {
                let (certificate, key) = folder::load_identity_certificate(file, &authority)?;
                authority
                    .check_revocation(&certificate.serial, clock::now())
                    .map_err(|source| FolderError::Certificate { file: file.clone(), source })?;
                keys.push((Some(certificate.identity), PublicKey(*key.as_bytes())));
            }
        }
        Ok(keys.into_iter().collect())
    }
}

fn public_key(text: &str) -> Result<PublicKey, &'static str> {
    // A key has the length and the digits of a digest.
    let Digest(bytes) =
        text.parse().map_err(|_not_hex| "expected an identity key of 64 hexadecimal digits")?;
    Ok(PublicKey(bytes))
}
