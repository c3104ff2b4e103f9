//! Why a TLS handshake failed, in words for the person who must act.

use rustls::{AlertDescription, CertificateError as TlsCertificateError, Error, PeerIncompatible};

use crate::certificate::CertificateError;

/// Why a handshake failed, and on whose side something must change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The peer has no credentials.
    #[error(
        "the peer showed no certificate; it needs the credentials that its federation's operator issued to it"
    )]
    PeerWithoutCertificate,
    /// The peer's certificate is too old, or a clock is wrong.
    #[error(
        "the peer's certificate has expired; its holder needs new credentials from the operator (or a clock is wrong)"
    )]
    PeerExpired,
    /// The peer's certificate was taken back.
    #[error(
        "the peer's certificate was revoked by the federation's authority; its holder needs new credentials"
    )]
    PeerRevoked,
    /// The peer's certificate is too new, or a clock is wrong.
    #[error("the peer's certificate is not valid yet; a clock is wrong, or its holder must wait")]
    PeerNotYetValid,
    /// The peer belongs to another federation.
    #[error(
        "the peer's certificate comes from another federation's authority; check the address and ca.pem on both sides"
    )]
    PeerForeign,
    /// The peer's certificate is for something else.
    #[error("the peer's certificate is not for this use; an identity certificate cannot open connections")]
    PeerWrongPurpose,
    /// The server's certificate does not contain the address that was dialled.
    #[error("the server's certificate is for another host name; dial a name that the operator put into it")]
    PeerAnotherHost,
    /// The peer's certificate is not one of this federation's, in some other way.
    #[error("the peer's certificate is not accepted: {0}")]
    PeerCertificate(String),
    /// The peer offers no TLS 1.3.
    #[error("the peer does not speak TLS 1.3, and nothing older is accepted")]
    PeerTooOld,
    /// The peer wants a certificate and got none.
    #[error("the peer refused this connection: it requires a client certificate and was shown none")]
    RefusedWithoutCertificate,
    /// The peer finds our certificate too old or too new.
    #[error(
        "the peer refused this certificate: expired or not valid yet; ask the operator for new credentials, and check both clocks"
    )]
    RefusedTime,
    /// The peer knows that our certificate was taken back.
    #[error("the peer refused this certificate: revoked; ask the operator for new credentials")]
    RefusedRevoked,
    /// The peer does not know our authority.
    #[error(
        "the peer refused this certificate: issued by another federation's authority; check the address and whose credentials these are"
    )]
    RefusedForeign,
    /// The peer finds our certificate to be for something else.
    #[error(
        "the peer refused this certificate: not for opening connections; tls.pem must be a TLS certificate"
    )]
    RefusedPurpose,
    /// The peer speaks no version that this side speaks.
    #[error("the peer refused this connection: no TLS version in common; TLS 1.3 is needed on both sides")]
    RefusedVersion,
    /// The peer does not accept this connection, in some other way.
    #[error("the peer refused this connection ({0})")]
    Refused(String),
    /// Anything else, most likely not a peer of this system.
    #[error("the peer does not follow the protocol: {0}; is this the coordinator's address?")]
    Protocol(String),
}

impl From<&Error> for HandshakeError {
    fn from(error: &Error) -> Self {
        match error {
            Error::NoCertificatesPresented => Self::PeerWithoutCertificate,
            Error::InvalidCertificate(certificate) => from_certificate(certificate),
            Error::AlertReceived(alert) => from_alert(*alert),
            Error::PeerIncompatible(
                PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::Tls13RequiredForQuic
                | PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::Tls12NotOfferedOrEnabled,
            ) => Self::PeerTooOld,
            other => Self::Protocol(other.to_string()),
        }
    }
}

fn from_certificate(error: &TlsCertificateError) -> HandshakeError {
    match error {
        TlsCertificateError::Expired | TlsCertificateError::ExpiredContext { .. } => {
            HandshakeError::PeerExpired
        }
        TlsCertificateError::NotValidYet | TlsCertificateError::NotValidYetContext { .. } => {
            HandshakeError::PeerNotYetValid
        }
        TlsCertificateError::Revoked => HandshakeError::PeerRevoked,
        // A bad signature: an authority of the same name, yet not the same.
        TlsCertificateError::UnknownIssuer | TlsCertificateError::BadSignature => HandshakeError::PeerForeign,
        TlsCertificateError::InvalidPurpose | TlsCertificateError::InvalidPurposeContext { .. } => {
            HandshakeError::PeerWrongPurpose
        }
        TlsCertificateError::NotValidForName | TlsCertificateError::NotValidForNameContext { .. } => {
            HandshakeError::PeerAnotherHost
        }
        TlsCertificateError::Other(other) => match other.0.downcast_ref::<CertificateError>() {
            Some(ours) => HandshakeError::PeerCertificate(ours.to_string()),
            None => HandshakeError::PeerCertificate(other.to_string()),
        },
        other => HandshakeError::PeerCertificate(other.to_string()),
    }
}

fn from_alert(alert: AlertDescription) -> HandshakeError {
    match alert {
        AlertDescription::CertificateRequired => HandshakeError::RefusedWithoutCertificate,
        AlertDescription::CertificateExpired => HandshakeError::RefusedTime,
        AlertDescription::CertificateRevoked => HandshakeError::RefusedRevoked,
        AlertDescription::UnknownCA | AlertDescription::DecryptError => HandshakeError::RefusedForeign,
        AlertDescription::UnsupportedCertificate => HandshakeError::RefusedPurpose,
        AlertDescription::ProtocolVersion => HandshakeError::RefusedVersion,
        other => HandshakeError::Refused(format!("{other:?}")),
    }
}
