//! The federation's own certificate authority.

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use fedtwin_plan::FederationName;
use fedtwin_plan::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::certificate::{AuthorityCertificate, CertificateError, date_time};
use crate::credentials::{Credentials, CredentialsError, Parts};
use crate::identity::{HolderName, Identity, Role};
use crate::revocation::RevocationList;

/// For how long, and at which addresses, a holder's certificates are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateTerms {
    /// The first moment of validity of both certificates.
    pub from: Timestamp,
    /// The last moment of the TLS certificate: days to weeks.
    pub tls_until: Timestamp,
    /// The last moment of the identity certificate: years.
    pub identity_until: Timestamp,
    /// DNS names and IP addresses under which the coordinator is reached; none for everybody else.
    pub hosts: Vec<String>,
}

/// A federation's authority with its private key.
pub struct Authority {
    certificate: AuthorityCertificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Creates a new authority with a new key (ECDSA on P-256).
    ///
    /// # Errors
    /// Fails if the system gives no randomness or the validity cannot be written down.
    pub fn create(
        federation: &FederationName,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Self, IssueError> {
        let mut params = params(&format!("spiffe://{federation}"), from, until)?;
        // No common name anywhere: old clients take it for a host's.
        params
            .distinguished_name
            .push(DnType::OrganizationName, format!("fedtwin authority of {federation}"));
        // Path length 0: holders' certificates only, no authorities below this one.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.self_signed(&key)?;
        let certificate = AuthorityCertificate::parse(certificate.der().to_vec())?;
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// Puts an authority together from its certificate in DER and its key in PKCS#8 form.
    pub(crate) fn load(der: Vec<u8>, pkcs8: &Zeroizing<Vec<u8>>) -> Result<Self, LoadAuthorityError> {
        let certificate = AuthorityCertificate::parse(der).map_err(LoadAuthorityError::Certificate)?;
        let key = KeyPair::try_from(pkcs8.as_slice()).map_err(|_rejected| LoadAuthorityError::NotAKey)?;
        if key.public_key_raw() != certificate.public_key().map_err(LoadAuthorityError::Certificate)? {
            return Err(LoadAuthorityError::KeyOfAnother);
        }
        let issuer = Issuer::from_ca_cert_der(&certificate.as_der().into(), key);
        let issuer =
            issuer.map_err(|_rejected| LoadAuthorityError::Certificate(CertificateError::NotAuthority))?;
        Ok(Self { certificate, issuer })
    }

    /// Returns the authority's certificate.
    #[must_use]
    pub fn certificate(&self) -> &AuthorityCertificate {
        &self.certificate
    }

    /// Returns the private key in PKCS#8 form.
    pub(crate) fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.issuer.key().serialize_der())
    }

    /// Makes two new keys for a holder and certifies them.
    ///
    /// # Errors
    /// Refuses terms that outlast the authority, hosts for anybody but a coordinator, and a coordinator without one.
    pub fn issue(
        &self,
        role: Role,
        name: &HolderName,
        terms: &CertificateTerms,
    ) -> Result<Credentials, IssueError> {
        self.check_terms(role, terms)?;
        let identity =
            Identity { federation: self.certificate.federation().clone(), role, name: name.clone() };
        let (tls_key, identity_key) =
            (KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?, KeyPair::generate_for(&PKCS_ED25519)?);

        let mut tls = holder_params(&identity, terms.from, terms.tls_until)?;
        tls.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if role == Role::Coordinator {
            tls.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        for host in &terms.hosts {
            tls.subject_alt_names.push(host_name(host)?);
        }
        let mut signing = holder_params(&identity, terms.from, terms.identity_until)?;
        // id-kp-documentSigning (RFC 9336): no TLS purpose, so that nobody's TLS accepts it.
        signing.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 36])];

        let parts = Parts {
            authority: self.certificate.as_der().to_vec(),
            tls: tls.signed_by(&tls_key, &self.issuer)?.der().to_vec(),
            tls_key: Zeroizing::new(tls_key.serialize_der()),
            signing: signing.signed_by(&identity_key, &self.issuer)?.der().to_vec(),
            identity_key: Zeroizing::new(identity_key.serialize_der()),
        };
        Ok(Credentials::new(parts)?)
    }

    /// Signs a list of certificates that are taken back, in DER form.
    ///
    /// # Errors
    /// Refuses an empty validity; fails if the list cannot be encoded.
    pub fn revoke(&self, list: &RevocationList) -> Result<Vec<u8>, IssueError> {
        let RevocationList { number, issued, until, revoked } = list;
        if issued >= until {
            return Err(IssueError::EmptyValidity { from: date_time(*issued), until: date_time(*until) });
        }
        if until.0 >= YEAR_10000_MS {
            return Err(IssueError::TooLate);
        }
        let moment = |t: Timestamp| date_time_ymd(1970, 1, 1) + Duration::from_secs(t.0 / 1000);
        let revoked = revoked.iter().map(|(serial, since)| {
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&serial_bytes(serial)?),
                revocation_time: moment(*since),
                reason_code: None,
                invalidity_date: None,
            })
        });
        let params = CertificateRevocationListParams {
            this_update: moment(*issued),
            next_update: moment(*until),
            crl_number: SerialNumber::from(*number),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect::<Result<_, IssueError>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(params.signed_by(&self.issuer)?.der().to_vec())
    }

    fn check_terms(&self, role: Role, terms: &CertificateTerms) -> Result<(), IssueError> {
        let (from, until) = self.certificate.validity();
        let last = terms.tls_until.max(terms.identity_until);
        // Certificates count whole seconds, and so does this comparison.
        if terms.from.0 / 1000 < from.0 / 1000 || last.0 / 1000 > until.0 / 1000 {
            return Err(IssueError::OutlastsAuthority { from: date_time(from), until: date_time(until) });
        }
        match (role, terms.hosts.is_empty()) {
            (Role::Coordinator, true) => Err(IssueError::CoordinatorWithoutHost),
            (Role::Coordinator, false)
            | (Role::Site | Role::Researcher | Role::Auditor | Role::Operator, true) => Ok(()),
            (Role::Site | Role::Researcher | Role::Auditor | Role::Operator, false) => {
                Err(IssueError::HostFor(role))
            }
        }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The validity ends before it begins.
    #[error("the validity ends ({until}) before it begins ({from})")]
    EmptyValidity {
        /// The first moment.
        from: String,
        /// The last moment.
        until: String,
    },
    /// The validity cannot be written into a certificate.
    #[error("the validity must end before the year 10000")]
    TooLate,
    /// Certificates may not be valid outside their authority's validity.
    #[error("the validity must lie within the authority's own, from {from} to {until}")]
    OutlastsAuthority {
        /// The authority's first moment.
        from: String,
        /// The authority's last moment.
        until: String,
    },
    /// A coordinator that could not be reached under any name.
    #[error("a coordinator needs at least one DNS name or IP address under which sites reach it")]
    CoordinatorWithoutHost,
    /// Hosts for somebody who only dials out.
    #[error("a {0} only dials out and gets no host names")]
    HostFor(Role),
    /// A host that is neither a DNS name nor an IP address.
    #[error("{0:?} is neither a DNS name nor an IP address")]
    NotAHost(String),
    /// A serial number that is none.
    #[error("{0:?} is no serial number in hexadecimal digits")]
    NotASerial(String),
    /// The system gave no randomness, or the certificate cannot be encoded.
    #[error("the certificate could not be made")]
    Encoding(#[from] rcgen::Error),
    /// The new authority's certificate does not read back.
    #[error("the new authority's certificate does not read back")]
    Certificate(#[from] CertificateError),
    /// The new credentials do not read back.
    #[error("the new credentials do not read back")]
    Credentials(#[from] CredentialsError),
}

/// Parts of an authority that do not belong together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadAuthorityError {
    /// The certificate is not an authority's.
    #[error("ca.pem is not accepted")]
    Certificate(#[source] CertificateError),
    /// The key cannot be read.
    #[error("ca.key is not a private key in PKCS#8 form")]
    NotAKey,
    /// The key and the certificate are of different pairs.
    #[error("ca.key does not belong to ca.pem; files of two folders were mixed")]
    KeyOfAnother,
}

fn params(uri: &str, from: Timestamp, until: Timestamp) -> Result<CertificateParams, IssueError> {
    if from > until {
        return Err(IssueError::EmptyValidity { from: date_time(from), until: date_time(until) });
    }
    if until.0 >= YEAR_10000_MS {
        return Err(IssueError::TooLate);
    }
    let moment = |t: Timestamp| date_time_ymd(1970, 1, 1) + Duration::from_secs(t.0 / 1000);
    let mut serial = [0; SERIAL_LENGTH];
    SystemRandom::new().fill(&mut serial).map_err(|_unspecified| rcgen::Error::RingUnspecified)?;
    // A positive integer of fixed length.
    serial[0] = serial[0] & 0x7f | 0x40;

    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = moment(from);
    params.not_after = moment(until);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn serial_bytes(serial: &str) -> Result<Vec<u8>, IssueError> {
    let pairs = serial.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = pairs.map(byte).collect();
    bytes.filter(|bytes| !bytes.is_empty()).ok_or_else(|| IssueError::NotASerial(serial.to_owned()))
}

fn holder_params(
    identity: &Identity,
    from: Timestamp,
    until: Timestamp,
) -> Result<CertificateParams, IssueError> {
    let mut params = params(&identity.to_string(), from, until)?;
    params.distinguished_name.push(DnType::OrganizationName, identity.federation.to_string());
    params
        .distinguished_name
        .push(DnType::OrganizationalUnitName, format!("{} {}", identity.role, identity.name));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

fn host_name(host: &str) -> Result<SanType, IssueError> {
    let not_a_host = || IssueError::NotAHost(host.to_owned());
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    rustls::pki_types::DnsName::try_from(host).map_err(|_invalid| not_a_host())?;
    Ok(SanType::DnsName(host.try_into().map_err(|_not_ascii| not_a_host())?))
}

/// RFC 5280, section 4.1.2.2: at most 20 bytes; CA/Browser Forum: at least 64 random bits.
const SERIAL_LENGTH: usize = 16;

/// RFC 5280, section 4.1.2.5.2: years have four digits.
const YEAR_10000_MS: u64 = 253_402_300_800_000;
