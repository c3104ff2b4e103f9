//! The federation's own certificate authority.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use fedtwin_plan::FederationName;
use fedtwin_plan::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType, SerialNumber, date_time_ymd,
};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::certificate::{AuthorityCertificate, CertificateError, date_time};
use crate::credentials::{Credentials, CredentialsError, Parts};
use crate::identity::{HolderName, Identity, Role};

/// For how long, and at which addresses, a holder's certificates are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
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
        params.distinguished_name.push(DnType::CommonName, format!("fedtwin authority of {federation}"));
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
    pub fn issue(&self, role: Role, name: &HolderName, terms: &Terms) -> Result<Credentials, IssueError> {
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

    fn check_terms(&self, role: Role, terms: &Terms) -> Result<(), IssueError> {
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

fn holder_params(
    identity: &Identity,
    from: Timestamp,
    until: Timestamp,
) -> Result<CertificateParams, IssueError> {
    let mut params = params(&identity.to_string(), from, until)?;
    params.distinguished_name.push(DnType::CommonName, format!("{} {}", identity.role, identity.name));
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

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: Timestamp = Timestamp(1_700_000_000_000);
    const UNTIL: Timestamp = Timestamp(1_900_000_000_000);

    fn authority() -> Authority {
        Authority::create(&"heart".parse().unwrap(), FROM, UNTIL).unwrap()
    }

    fn terms(hosts: &[&str]) -> Terms {
        let hosts = hosts.iter().map(|&host| host.to_owned()).collect();
        Terms { from: FROM, tls_until: Timestamp(1_800_000_000_000), identity_until: UNTIL, hosts }
    }

    #[test]
    fn both_certificates_name_the_holder_and_serve_one_purpose_each() {
        let authority = authority();
        let credentials = authority.issue(Role::Site, &"va".parse().unwrap(), &terms(&[])).unwrap();
        let certificate = authority.certificate();
        let now = Timestamp(1_750_000_000_000);
        let (identity, key) = certificate.verify_identity(credentials.identity_der(), now).unwrap();
        assert_eq!(identity.to_string(), "spiffe://heart/site/va");
        assert_eq!(key, *credentials.identity_key().public());
        let refused = |der: &[u8], now| certificate.verify_identity(der, now).unwrap_err();
        assert_eq!(refused(credentials.tls_der(), now), CertificateError::NotSigning);
        assert_eq!(refused(certificate.as_der(), now), CertificateError::IsAuthority);
        assert!(matches!(
            refused(credentials.identity_der(), Timestamp(0)),
            CertificateError::NotYetValid { .. }
        ));
        let late = refused(credentials.identity_der(), Timestamp(UNTIL.0 + 1)).to_string();
        assert_eq!(late, "the certificate expired at 2030-03-17T17:46:40Z");
        assert!(credentials.check_time(now).is_ok());
        assert!(credentials.check_time(UNTIL).is_err(), "the TLS certificate has expired");
    }

    #[test]
    fn certificates_of_another_authority_are_foreign_even_under_the_same_name() {
        let credentials = authority().issue(Role::Site, &"va".parse().unwrap(), &terms(&[])).unwrap();
        let refused = authority().certificate().verify_identity(credentials.identity_der(), FROM);
        assert!(matches!(refused, Err(CertificateError::Foreign { .. })));
    }

    #[test]
    fn no_altered_byte_changes_what_a_certificate_says() {
        let authority = authority();
        let credentials = authority.issue(Role::Site, &"va".parse().unwrap(), &terms(&[])).unwrap();
        let der = credentials.identity_der();
        let verify = |der: &[u8]| authority.certificate().verify_identity(der, FROM);
        let original = verify(der).unwrap();
        let accepted = (0..der.len()).filter(|&index| {
            let mut altered = der.to_vec();
            altered[index] ^= 1;
            verify(&altered).is_ok_and(|said| said == original || panic!("byte {index}: {said:?}"))
        });
        // One: the tag around the algorithm that stands outside the signature, which the parser reads leniently.
        assert!(accepted.count() <= 1);
        assert!(verify(&[der, &[0]].concat()).is_err());
    }

    #[test]
    fn terms_must_fit_authority_and_role() {
        let authority = authority();
        let issue = |role, terms: &Terms| authority.issue(role, &"x".parse().unwrap(), terms);
        let refused = |role, terms: &Terms| issue(role, terms).unwrap_err().to_string();
        assert!(issue(Role::Coordinator, &terms(&["localhost", "127.0.0.1"])).is_ok());
        let to_the_end = Terms { tls_until: Timestamp(UNTIL.0 + 999), ..terms(&[]) };
        assert!(issue(Role::Site, &to_the_end).is_ok());
        assert!(refused(Role::Coordinator, &terms(&[])).contains("needs at least one DNS name"));
        assert!(refused(Role::Coordinator, &terms(&["not a host"])).contains("neither a DNS name"));
        assert!(refused(Role::Site, &terms(&["localhost"])).contains("a site only dials out"));
        let late = Terms { tls_until: Timestamp(UNTIL.0 + 1000), ..terms(&[]) };
        assert!(refused(Role::Site, &late).contains("within the authority's own"));
        let empty = Terms { tls_until: FROM, from: Timestamp(FROM.0 + 1), ..terms(&[]) };
        assert!(refused(Role::Site, &empty).contains("before it begins"));
    }
}
