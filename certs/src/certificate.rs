//! Certificates of this federation, read strictly: one name, one purpose, one issuer.

use std::sync::Arc;

use fedtwin_plan::FederationName;
use fedtwin_plan::names::NotAName;
use fedtwin_plan::time::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::asn1_rs::{Oid, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::identity::{Identity, NotAnIdentity, Role};
use crate::revocation::Revocation;
use crate::signature::PublicKey;

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPurpose {
    /// Opening connections as a client.
    Tls,
    /// Opening and accepting connections.
    TlsServer,
    /// Signing plans, ledgers and checkpoints.
    Signing,
}

/// A holder's certificate that was parsed, not verified: see [`AuthorityCertificate::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whom the certificate names.
    pub identity: Identity,
    /// What the certificate is for.
    pub purpose: KeyPurpose,
    /// The serial number in hexadecimal.
    pub serial: String,
    /// The first moment of validity.
    pub from: Timestamp,
    /// The last moment of validity.
    pub until: Timestamp,
    /// The subject's key as it stands in the certificate, without its algorithm.
    public_key: Vec<u8>,
}

impl Certificate {
    /// Parses a certificate in DER form.
    ///
    /// # Errors
    /// Refuses what is no certificate, or does not name exactly one identity and one purpose.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        let x509 = parse_x509(der)?;
        if x509.is_ca() {
            return Err(CertificateError::IsAuthority);
        }
        let purpose = purpose(&x509)?;
        let identity: Identity = only_uri(&x509)?.parse()?;
        check_serving(&x509, &identity, purpose)?;
        if purpose == KeyPurpose::Signing && x509.public_key().algorithm.algorithm != ED25519 {
            return Err(CertificateError::NotSigning);
        }
        Ok(Self {
            identity,
            purpose,
            serial: x509.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
            from: timestamp(x509.validity().not_before.timestamp()),
            until: timestamp(x509.validity().not_after.timestamp()),
            public_key: x509.public_key().subject_public_key.data.to_vec(),
        })
    }

    /// Checks that `now` is within the certificate's validity.
    ///
    /// # Errors
    /// Says since when or from when on it is not.
    pub fn check_time(&self, now: Timestamp) -> Result<(), CertificateError> {
        if now < self.from {
            Err(CertificateError::NotYetValid { from: date_time(self.from) })
        } else if now > self.until {
            Err(CertificateError::Expired { until: date_time(self.until) })
        } else {
            Ok(())
        }
    }

    /// Returns the identity key that this certificate vouches for.
    ///
    /// # Errors
    /// Refuses a certificate for another purpose, or with a key of another kind.
    pub fn signing_key(&self) -> Result<PublicKey, CertificateError> {
        match self.purpose {
            KeyPurpose::Signing => {
                let bytes =
                    self.public_key.as_slice().try_into().map_err(|_length| CertificateError::NotSigning)?;
                Ok(PublicKey::from_bytes(bytes))
            }
            KeyPurpose::Tls | KeyPurpose::TlsServer => Err(CertificateError::NotSigning),
        }
    }

    /// Returns the subject's key without its algorithm.
    pub(crate) fn public_key(&self) -> &[u8] {
        &self.public_key
    }
}

/// The certificate of a federation's authority: what everybody else's is verified against.
///
/// It may know which certificates have been taken back ([`Self::with_revocation`]): then everybody who asks it whether a
/// certificate is good hears of that.
#[derive(Debug, Clone)]
pub struct AuthorityCertificate {
    der: Vec<u8>,
    federation: FederationName,
    from: Timestamp,
    until: Timestamp,
    revocation: Option<Arc<dyn Revocation>>,
}

impl PartialEq for AuthorityCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for AuthorityCertificate {}

impl AuthorityCertificate {
    /// Parses an authority's certificate in DER form.
    ///
    /// # Errors
    /// Refuses what is no certificate of a federation's authority, signed by itself.
    pub fn parse(der: Vec<u8>) -> Result<Self, CertificateError> {
        let x509 = parse_x509(&der)?;
        if !x509.is_ca() || x509.verify_signature(None).is_err() {
            return Err(CertificateError::NotAuthority);
        }
        let federation =
            only_uri(&x509)?.strip_prefix("spiffe://").ok_or(CertificateError::NotAuthority)?.parse()?;
        let from = timestamp(x509.validity().not_before.timestamp());
        let until = timestamp(x509.validity().not_after.timestamp());
        Ok(Self { federation, from, until, der, revocation: None })
    }

    /// Returns the certificate in DER form.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// Returns the federation that the authority speaks for.
    #[must_use]
    pub fn federation(&self) -> &FederationName {
        &self.federation
    }

    /// Returns the first and the last moment of validity.
    #[must_use]
    pub fn validity(&self) -> (Timestamp, Timestamp) {
        (self.from, self.until)
    }

    /// Has each question about a certificate ask a revocation list, too.
    #[must_use]
    pub fn with_revocation(self, revocation: Arc<dyn Revocation>) -> Self {
        Self { revocation: Some(revocation), ..self }
    }

    /// Checks that a certificate has not been taken back, by its serial number in hexadecimal.
    ///
    /// # Errors
    /// Refuses one that has been, and all where a list is to be asked and there is none.
    pub fn check_revocation(&self, serial: &str, now: Timestamp) -> Result<(), CertificateError> {
        self.revocation.as_ref().map_or(Ok(()), |revocation| revocation.check(serial, now))
    }

    /// Says whether this authority signed a revocation list.
    pub(crate) fn has_signed(&self, list: &CertificateRevocationList<'_>) -> Result<bool, CertificateError> {
        let authority = parse_x509(&self.der)?;
        let named = list.issuer().as_raw() == authority.subject().as_raw();
        Ok(named && list.verify_signature(authority.public_key()).is_ok())
    }

    /// Returns the authority's key without its algorithm.
    pub(crate) fn public_key(&self) -> Result<Vec<u8>, CertificateError> {
        Ok(parse_x509(&self.der)?.public_key().subject_public_key.data.to_vec())
    }

    /// Verifies that this authority issued the certificate, whatever its purpose and time.
    ///
    /// # Errors
    /// Refuses what [`Certificate::parse`] refuses, and certificates of others.
    pub fn verify(&self, der: &[u8]) -> Result<Certificate, CertificateError> {
        let certificate = Certificate::parse(der)?;
        let (subject, issuer) = (parse_x509(der)?, parse_x509(&self.der)?);
        let named = subject.issuer().as_raw() == issuer.subject().as_raw();
        let signed = subject.verify_signature(Some(issuer.public_key())).is_ok();
        if named && signed && certificate.identity.federation == self.federation {
            Ok(certificate)
        } else {
            Err(CertificateError::Foreign { federation: self.federation.clone() })
        }
    }

    /// Verifies an identity certificate and returns whom it names and that holder's identity key.
    ///
    /// # Errors
    /// Refuses certificates of others, outside their validity, taken back, and certificates for TLS.
    pub fn verify_identity(
        &self,
        der: &[u8],
        now: Timestamp,
    ) -> Result<(Identity, PublicKey), CertificateError> {
        let certificate = self.verify(der)?;
        certificate.check_time(now)?;
        self.check_revocation(&certificate.serial, now)?;
        let key = certificate.signing_key()?;
        Ok((certificate.identity, key))
    }
}

/// Why a certificate is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not a certificate.
    #[error("the bytes are not an X.509 certificate in DER form")]
    Malformed,
    /// None or several URI names.
    #[error(
        "the certificate has {count} URI names, expected exactly one like spiffe://<federation>/<role>/<name>"
    )]
    NotOneName {
        /// How many there are.
        count: usize,
    },
    /// A URI that names nobody.
    #[error(transparent)]
    Identity(#[from] NotAnIdentity),
    /// An authority of no federation.
    #[error(transparent)]
    Federation(#[from] NotAName),
    /// An authority's certificate in a holder's place.
    #[error("the certificate is an authority's, expected a holder's")]
    IsAuthority,
    /// A holder's certificate in the authority's place.
    #[error("the certificate is not that of a federation's authority")]
    NotAuthority,
    /// A certificate that could be taken for a server's, or a coordinator's that could not.
    #[error(
        "the certificate of {0} is for serving or carries a host's name, which is a coordinator's alone, or is a coordinator's \
         that does not"
    )]
    NotServing(Identity),
    /// No purpose, or several.
    #[error("the certificate is neither for TLS nor for signing, or for both")]
    NotOnePurpose,
    /// A TLS certificate where an identity certificate is needed.
    #[error("the certificate is for TLS, expected an identity certificate for signing (identity.pem)")]
    NotSigning,
    /// An identity certificate where a TLS certificate is needed.
    #[error("the certificate is for signing, expected a TLS certificate (tls.pem)")]
    NotTls,
    /// Issued by another authority.
    #[error("the certificate was not issued by the authority of federation {federation}")]
    Foreign {
        /// The federation whose authority was expected.
        federation: FederationName,
    },
    /// Not valid any more.
    #[error("the certificate expired at {until}")]
    Expired {
        /// When it expired.
        until: String,
    },
    /// Taken back by the authority.
    #[error("the certificate was revoked at {since}")]
    Revoked {
        /// When.
        since: String,
    },
    /// There is no revocation list that holds, and so nobody is believed.
    #[error("no certificate is accepted without the federation's revocation list: {0}")]
    NoList(String),
    /// Not valid yet.
    #[error("the certificate is valid only from {from} on; check the clock")]
    NotYetValid {
        /// When it becomes valid.
        from: String,
    },
    /// A server that is no coordinator.
    #[error("the server is {0}, expected the federation's coordinator")]
    NotCoordinator(Identity),
}

/// Writes a moment for people, in UTC.
pub(crate) fn date_time(moment: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(moment.0) * 1_000_000)
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_else(|| "the far future".to_owned())
}

fn parse_x509(der: &[u8]) -> Result<X509Certificate<'_>, CertificateError> {
    let Ok(([], x509)) = X509Certificate::from_der(der) else {
        return Err(CertificateError::Malformed);
    };
    // The signature covers neither the second mention of its algorithm nor its own padding: nothing may vary there.
    let same_algorithm = x509.signature_algorithm == x509.tbs_certificate.signature;
    if same_algorithm && x509.signature_value.unused_bits == 0 {
        Ok(x509)
    } else {
        Err(CertificateError::Malformed)
    }
}

fn only_uri<'a>(x509: &'a X509Certificate<'_>) -> Result<&'a str, CertificateError> {
    let names = x509.subject_alternative_name().map_err(|_invalid| CertificateError::Malformed)?;
    let names = names.map_or(&[][..], |extension| &extension.value.general_names);
    let uris =
        names.iter().filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None });
    let uris: Vec<&str> = uris.collect();
    match uris[..] {
        [uri] => Ok(uri),
        _ => Err(CertificateError::NotOneName { count: uris.len() }),
    }
}

/// Checks that a coordinator's TLS certificate is for serving, and that nobody else's could be taken for a server's: by its
/// purpose, by names of hosts, or by a common name, which old clients take for one.
fn check_serving(
    x509: &X509Certificate<'_>,
    identity: &Identity,
    purpose: KeyPurpose,
) -> Result<(), CertificateError> {
    let serves = purpose == KeyPurpose::TlsServer;
    let may_serve = identity.role == Role::Coordinator && purpose != KeyPurpose::Signing;
    let names = x509.subject_alternative_name().map_err(|_invalid| CertificateError::Malformed)?;
    let hosts = names.map_or(0, |names| names.value.general_names.len()) > 1;
    let common_name = x509.subject().iter_common_name().next().is_some();
    if serves == may_serve && (may_serve || !hosts) && !common_name {
        Ok(())
    } else {
        Err(CertificateError::NotServing(identity.clone()))
    }
}

fn purpose(x509: &X509Certificate<'_>) -> Result<KeyPurpose, CertificateError> {
    let usage = x509.key_usage().map_err(|_invalid| CertificateError::Malformed)?;
    let extended = x509.extended_key_usage().map_err(|_invalid| CertificateError::Malformed)?;
    let (Some(usage), Some(extended)) = (usage, extended) else {
        return Err(CertificateError::NotOnePurpose);
    };
    if usage.value.flags != KEY_USAGE_DIGITAL_SIGNATURE {
        return Err(CertificateError::NotOnePurpose);
    }
    let none = ExtendedKeyUsage {
        any: false,
        server_auth: false,
        client_auth: false,
        code_signing: false,
        email_protection: false,
        time_stamping: false,
        ocsp_signing: false,
        other: Vec::new(),
    };
    let client = ExtendedKeyUsage { client_auth: true, ..none.clone() };
    let server = ExtendedKeyUsage { server_auth: true, ..client.clone() };
    let signing = ExtendedKeyUsage { other: vec![DOCUMENT_SIGNING], ..none };
    let purposes =
        [(client, KeyPurpose::Tls), (server, KeyPurpose::TlsServer), (signing, KeyPurpose::Signing)];
    let found = purposes.into_iter().find(|(expected, _)| expected == extended.value);
    found.map(|(_, purpose)| purpose).ok_or(CertificateError::NotOnePurpose)
}

pub(crate) fn timestamp(unix_s: i64) -> Timestamp {
    Timestamp(u64::try_from(unix_s).unwrap_or(0).saturating_mul(1000))
}

/// Bit 0 of the key usage extension alone (RFC 5280, section 4.2.1.3).
const KEY_USAGE_DIGITAL_SIGNATURE: u16 = 1;

/// id-kp-documentSigning (RFC 9336): TLS implementations of any make refuse a certificate that names only this purpose.
const DOCUMENT_SIGNING: Oid<'static> = oid!(1.3.6.1.5.5.7.3.36);

/// id-Ed25519 (RFC 8410, section 3).
const ED25519: Oid<'static> = oid!(1.3.101.112);
