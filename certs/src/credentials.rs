//! What one holder needs to take part: both keys, their certificates, and the authority's.

use std::fmt;
use std::sync::Arc;

use fedtwin_plan::time::Timestamp;
use rcgen::KeyPair;
use zeroize::Zeroizing;

use crate::certificate::{AuthorityCertificate, Certificate, CertificateError, KeyPurpose};
use crate::identity::Identity;
use crate::revocation::Revocation;
use crate::signature::{IdentityKey, NotAnIdentityKey};

/// Two keys of one holder with the certificates that vouch for them.
#[derive(Debug)]
pub struct Credentials {
    authority: AuthorityCertificate,
    tls: Certificate,
    tls_der: Vec<u8>,
    tls_key: TlsKey,
    signing: Certificate,
    signing_der: Vec<u8>,
    identity_key: IdentityKey,
}

/// The parts of [`Credentials`], certificates in DER and keys in PKCS#8 form.
pub(crate) struct Parts {
    pub(crate) authority: Vec<u8>,
    pub(crate) tls: Vec<u8>,
    pub(crate) tls_key: Zeroizing<Vec<u8>>,
    pub(crate) signing: Vec<u8>,
    pub(crate) identity_key: Zeroizing<Vec<u8>>,
}

impl Credentials {
    /// Puts parts together that belong together.
    ///
    /// Does not look at the time, so that expired credentials can still be loaded and named in a message.
    pub(crate) fn new(parts: Parts) -> Result<Self, CredentialsError> {
        let authority = AuthorityCertificate::parse(parts.authority).map_err(CredentialsError::Authority)?;
        let tls = authority.verify(&parts.tls).map_err(CredentialsError::Tls)?;
        let signing = authority.verify(&parts.signing).map_err(CredentialsError::Identity)?;
        let tls_key = TlsKey(parts.tls_key);
        let identity_key = IdentityKey::from_pkcs8(parts.identity_key)?;
        if tls.purpose == KeyPurpose::Signing {
            return Err(CredentialsError::Tls(CertificateError::NotTls));
        }
        if tls_key.public()? != tls.public_key() {
            return Err(CredentialsError::TlsKeyOfAnother);
        }
        if signing.signing_key().map_err(CredentialsError::Identity)? != *identity_key.public() {
            return Err(CredentialsError::IdentityKeyOfAnother);
        }
        if tls.identity != signing.identity {
            return Err(CredentialsError::TwoNames { tls: tls.identity, signing: signing.identity });
        }
        Ok(Self {
            authority,
            tls,
            tls_der: parts.tls,
            tls_key,
            signing,
            signing_der: parts.signing,
            identity_key,
        })
    }

    /// Has each question about somebody's certificate ask a revocation list, too.
    #[must_use]
    pub fn with_revocation(self, revocation: Arc<dyn Revocation>) -> Self {
        Self { authority: self.authority.with_revocation(revocation), ..self }
    }

    /// Returns whom these credentials name.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.tls.identity
    }

    /// Returns the authority's certificate.
    #[must_use]
    pub fn authority(&self) -> &AuthorityCertificate {
        &self.authority
    }

    /// Returns the TLS certificate, as parsed.
    #[must_use]
    pub fn tls(&self) -> &Certificate {
        &self.tls
    }

    /// Returns the TLS certificate in DER form.
    #[must_use]
    pub fn tls_der(&self) -> &[u8] {
        &self.tls_der
    }

    /// Returns the identity certificate in DER form, to be sent along with signatures.
    #[must_use]
    pub fn identity_der(&self) -> &[u8] {
        &self.signing_der
    }

    /// Returns the key that signs plans, ledgers and checkpoints.
    #[must_use]
    pub fn identity_key(&self) -> &IdentityKey {
        &self.identity_key
    }

    /// Returns the key that opens connections.
    pub(crate) fn tls_key(&self) -> &TlsKey {
        &self.tls_key
    }

    /// Checks that both certificates are valid now: worth asking at the start of a program, before a peer refuses them.
    ///
    /// # Errors
    /// Names the certificate and the time.
    pub fn check_time(&self, now: Timestamp) -> Result<(), CredentialsError> {
        self.tls.check_time(now).map_err(CredentialsError::Tls)?;
        self.signing.check_time(now).map_err(CredentialsError::Identity)
    }
}

/// The key of a TLS certificate, in PKCS#8 form, wiped on drop.
pub(crate) struct TlsKey(Zeroizing<Vec<u8>>);

impl TlsKey {
    pub(crate) fn as_pkcs8(&self) -> &[u8] {
        &self.0
    }

    fn public(&self) -> Result<Vec<u8>, CredentialsError> {
        let pair = KeyPair::try_from(self.as_pkcs8()).map_err(|_rejected| CredentialsError::NotATlsKey)?;
        Ok(pair.public_key_raw().to_vec())
    }
}

impl fmt::Debug for TlsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsKey")
    }
}

/// Parts that do not belong together, or not now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// The authority's certificate is not accepted.
    #[error("ca.pem is not accepted")]
    Authority(#[source] CertificateError),
    /// The TLS certificate is not accepted.
    #[error("tls.pem is not accepted; the federation's operator can issue new credentials")]
    Tls(#[source] CertificateError),
    /// The identity certificate is not accepted.
    #[error("identity.pem is not accepted; the federation's operator can issue new credentials")]
    Identity(#[source] CertificateError),
    /// The TLS key cannot be read.
    #[error("tls.key is not a private key in PKCS#8 form")]
    NotATlsKey,
    /// The identity key cannot be read.
    #[error("identity.key is not accepted")]
    NotAnIdentityKey(#[from] NotAnIdentityKey),
    /// The TLS key and certificate are of different pairs.
    #[error("tls.key does not belong to tls.pem; files of two folders were mixed")]
    TlsKeyOfAnother,
    /// The identity key and certificate are of different pairs.
    #[error("identity.key does not belong to identity.pem; files of two folders were mixed")]
    IdentityKeyOfAnother,
    /// The certificates name two holders.
    #[error("tls.pem names {tls} but identity.pem names {signing}; files of two folders were mixed")]
    TwoNames {
        /// Whom the TLS certificate names.
        tls: Identity,
        /// Whom the identity certificate names.
        signing: Identity,
    },
}
