//! TLS configurations: version 1.3 only, both sides show a certificate of the federation, no resumption.
//!
//! What rustls checks (chain, validity, purpose, host name) is followed by what this federation asks on top: exactly
//! one identity in the certificate, a coordinator at the server's end, and that the certificate was not taken back.

use std::sync::Arc;

use fedtwin_plan::time::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, ServerConfig,
    SignatureScheme,
};

use crate::certificate::{AuthorityCertificate, Certificate, CertificateError, KeyPurpose};
use crate::credentials::Credentials;
use crate::identity::{Identity, Role};

/// Makes the coordinator's configuration: it accepts clients of its own federation, whatever their role.
///
/// # Errors
/// Refuses credentials of anybody but a coordinator.
pub fn server_config(
    credentials: &Credentials,
    time: Arc<dyn TimeProvider>,
) -> Result<ServerConfig, TlsConfigError> {
    if credentials.tls().purpose != KeyPurpose::TlsServer {
        return Err(TlsConfigError::NotCoordinator(credentials.identity().clone()));
    }
    let provider = provider();
    let inner =
        WebPkiClientVerifier::builder_with_provider(roots(credentials)?, Arc::clone(&provider)).build();
    let inner = inner.map_err(|e| Error::General(e.to_string()))?;
    let verifier = FederationClients { inner, authority: credentials.authority().clone() };
    let mut config = ServerConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(chain(credentials), key(credentials))?;
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    // A resumed session would not show its certificate again and could outlive it.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// Makes a client's configuration: it talks to the coordinator of its own federation only.
///
/// # Errors
/// Fails if rustls does not take the key.
pub fn client_config(
    credentials: &Credentials,
    time: Arc<dyn TimeProvider>,
) -> Result<ClientConfig, TlsConfigError> {
    let provider = provider();
    let inner =
        WebPkiServerVerifier::builder_with_provider(roots(credentials)?, Arc::clone(&provider)).build();
    let inner = inner.map_err(|e| Error::General(e.to_string()))?;
    let verifier = FederationCoordinator { inner, authority: credentials.authority().clone() };
    let mut config = ClientConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(chain(credentials), key(credentials))?;
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Returns whom a peer's certificate names, after the handshake verified it.
///
/// # Errors
/// Refuses what no handshake of these configurations accepts.
pub fn peer_identity(der: &[u8]) -> Result<Identity, CertificateError> {
    Ok(tls_identity(&Certificate::parse(der)?)?.clone())
}

/// Why credentials make no configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsConfigError {
    /// Only a coordinator accepts connections.
    #[error("these are the credentials of {0}; accepting connections needs a coordinator's")]
    NotCoordinator(Identity),
    /// rustls does not take them.
    #[error("the credentials do not make a TLS configuration")]
    Rustls(#[from] Error),
}

/// Accepts clients whose certificate the authority issued for TLS, with one identity in it.
#[derive(Debug)]
struct FederationClients {
    inner: Arc<dyn ClientCertVerifier>,
    authority: AuthorityCertificate,
}

impl ClientCertVerifier for FederationClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        member(end_entity, &self.authority, now).map_err(refuse)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Accepts a server that the authority certified as the federation's coordinator under the dialled name.
#[derive(Debug)]
struct FederationCoordinator {
    inner: Arc<dyn ServerCertVerifier>,
    authority: AuthorityCertificate,
}

impl ServerCertVerifier for FederationCoordinator {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        let identity = member(end_entity, &self.authority, now).map_err(refuse)?;
        if identity.role == Role::Coordinator {
            Ok(verified)
        } else {
            Err(refuse(CertificateError::NotCoordinator(identity)))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Checks what this federation asks on top, whether the certificate was taken back last of all.
fn member(der: &[u8], authority: &AuthorityCertificate, now: UnixTime) -> Result<Identity, CertificateError> {
    let certificate = Certificate::parse(der)?;
    let identity = tls_identity(&certificate)?;
    let federation = authority.federation();
    if identity.federation != *federation {
        return Err(CertificateError::Foreign { federation: federation.clone() });
    }
    authority.check_revocation(&certificate.serial, Timestamp(now.as_secs().saturating_mul(1000)))?;
    Ok(identity.clone())
}

fn tls_identity(certificate: &Certificate) -> Result<&Identity, CertificateError> {
    match certificate.purpose {
        KeyPurpose::Tls | KeyPurpose::TlsServer => Ok(&certificate.identity),
        KeyPurpose::Signing => Err(CertificateError::NotTls),
    }
}

fn refuse(error: CertificateError) -> Error {
    if let CertificateError::Revoked { .. } = error {
        return Error::InvalidCertificate(rustls::CertificateError::Revoked);
    }
    Error::InvalidCertificate(rustls::CertificateError::Other(OtherError(Arc::new(error))))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(credentials: &Credentials) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(credentials.authority().as_der().into())?;
    Ok(Arc::new(roots))
}

fn chain(credentials: &Credentials) -> Vec<CertificateDer<'static>> {
    vec![credentials.tls_der().to_vec().into()]
}

fn key(credentials: &Credentials) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(credentials.tls_key().as_pkcs8().to_vec()).into()
}

/// HTTP/2, as gRPC needs it (RFC 9113, section 3.2).
const ALPN_H2: &[u8] = b"h2";
