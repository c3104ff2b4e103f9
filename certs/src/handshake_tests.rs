//! Handshakes in memory: who gets through, and what each side reads when somebody does not.

use std::sync::Arc;
use std::time::Duration;

use fedtwin_plan::time::Timestamp;
use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, RootCertStore, ServerConfig, ServerConnection,
};

use crate::{Authority, CertificateTerms, Credentials, HandshakeError, HolderName, Role, tls};

pub(crate) const FROM: u64 = 1_700_000_000;
pub(crate) const NOW: u64 = 1_700_100_000;
const TLS_UNTIL: u64 = 1_700_200_000;
const UNTIL: u64 = 1_900_000_000;

#[derive(Debug)]
struct At(u64);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0)))
    }
}

pub(crate) fn at(unix_s: u64) -> Arc<dyn TimeProvider> {
    Arc::new(At(unix_s))
}

pub(crate) fn authority(federation: &str) -> Authority {
    Authority::create(&federation.parse().unwrap(), Timestamp(FROM * 1000), Timestamp(UNTIL * 1000)).unwrap()
}

pub(crate) fn issue(authority: &Authority, role: Role) -> Credentials {
    let hosts = if role == Role::Coordinator { vec!["localhost".to_owned()] } else { Vec::new() };
    let (tls_until, identity_until) = (Timestamp(TLS_UNTIL * 1000), Timestamp(UNTIL * 1000));
    let terms = CertificateTerms { from: Timestamp(FROM * 1000), tls_until, identity_until, hosts };
    let name: HolderName = "va".parse().unwrap();
    authority.issue(role, &name, &terms).unwrap()
}

fn server(authority: &Authority) -> ServerConfig {
    tls::server_config(&issue(authority, Role::Coordinator), at(NOW)).unwrap()
}

fn client(authority: &Authority, role: Role) -> ClientConfig {
    tls::client_config(&issue(authority, role), at(NOW)).unwrap()
}

/// A client that trusts the authority, made without this crate.
fn bare_client(authority: &Authority, shown: Option<(Vec<u8>, Vec<u8>)>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().as_der().into()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_details(provider, at(NOW)).with_protocol_versions(&[&TLS13]).unwrap();
    let builder = builder.with_root_certificates(roots);
    match shown {
        Some((certificate, key)) => {
            builder.with_client_auth_cert(vec![certificate.into()], private(key)).unwrap()
        }
        None => builder.with_no_client_auth(),
    }
}

/// A server made without this crate, which asks for no certificate.
fn bare_server(certificate: Vec<u8>, key: Vec<u8>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_details(provider, at(NOW)).with_protocol_versions(&[&TLS13]).unwrap();
    builder.with_no_client_auth().with_single_cert(vec![certificate.into()], private(key)).unwrap()
}

fn private(pkcs8: Vec<u8>) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(pkcs8).into()
}

/// A certificate by the true authority with names that it never issues.
fn odd_certificate(authority: &Authority, uris: &[&str]) -> (Vec<u8>, Vec<u8>) {
    let issuer_key = KeyPair::try_from(authority.pkcs8().as_slice()).unwrap();
    let issuer = Issuer::from_ca_cert_der(&authority.certificate().as_der().into(), issuer_key).unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2023, 1, 1), date_time_ymd(2030, 1, 1));
    params.subject_alt_names.extend(uris.iter().map(|&uri| SanType::URI(uri.try_into().unwrap())));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, &issuer).unwrap().der().to_vec(), key.serialize_der())
}

/// What each side says at the end.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) client: Option<HandshakeError>,
    pub(crate) server: Option<HandshakeError>,
}

pub(crate) fn shake(client: ClientConfig, server: ServerConfig) -> Outcome {
    let mut client = ClientConnection::new(Arc::new(client), "localhost".try_into().unwrap()).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    let mut outcome = Outcome { client: None, server: None };
    while client.wants_write() || server.wants_write() {
        outcome.server = outcome.server.or(pass(&mut *client, &mut *server));
        outcome.client = outcome.client.or(pass(&mut *server, &mut *client));
    }
    if outcome == (Outcome { client: None, server: None }) {
        assert!(!client.is_handshaking() && !server.is_handshaking());
    }
    outcome
}

fn pass<A, B>(from: &mut ConnectionCommon<A>, to: &mut ConnectionCommon<B>) -> Option<HandshakeError> {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        to.read_tls(&mut rest).unwrap();
        if let Err(error) = to.process_new_packets() {
            return Some(HandshakeError::from(&error));
        }
    }
    None
}

fn both(client: HandshakeError, server: HandshakeError) -> Outcome {
    Outcome { client: Some(client), server: Some(server) }
}

#[test]
fn every_role_of_the_federation_gets_through() {
    let heart = authority("heart");
    for role in Role::ALL {
        assert_eq!(
            shake(client(&heart, role), server(&heart)),
            Outcome { client: None, server: None },
            "{role}"
        );
    }
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let heart = authority("heart");
    let outcome = shake(bare_client(&heart, None), server(&heart));
    assert_eq!(
        outcome,
        both(HandshakeError::RefusedWithoutCertificate, HandshakeError::PeerWithoutCertificate)
    );
}

#[test]
fn an_expired_client_is_refused() {
    let heart = authority("heart");
    let long_lived = |role, time| {
        let credentials = issue(&heart, role);
        let shown = (credentials.tls_der().to_vec(), credentials.tls_key().as_pkcs8().to_vec());
        let client = bare_client(&heart, Some(shown));
        let mut server = server(&heart);
        server.time_provider = at(time);
        shake(client, server)
    };
    assert_eq!(long_lived(Role::Site, TLS_UNTIL), Outcome { client: None, server: None });
    assert_eq!(
        long_lived(Role::Site, TLS_UNTIL + 1),
        both(HandshakeError::RefusedTime, HandshakeError::PeerExpired)
    );
    assert_eq!(
        long_lived(Role::Site, FROM - 1),
        both(HandshakeError::RefusedTime, HandshakeError::PeerNotYetValid)
    );
}

#[test]
fn an_expired_coordinator_is_refused() {
    let heart = authority("heart");
    let mut client = client(&heart, Role::Site);
    client.time_provider = at(TLS_UNTIL + 1);
    assert_eq!(shake(client, server(&heart)), both(HandshakeError::PeerExpired, HandshakeError::RefusedTime));
}

#[test]
fn a_foreign_client_is_refused_even_under_the_same_federation_name() {
    let heart = authority("heart");
    for other in ["heart", "lung"] {
        let other = authority(other);
        let credentials = issue(&other, Role::Site);
        let shown = (credentials.tls_der().to_vec(), credentials.tls_key().as_pkcs8().to_vec());
        // It trusts the right authority, so that its own certificate is what fails.
        let outcome = shake(bare_client(&heart, Some(shown)), server(&heart));
        assert_eq!(outcome, both(HandshakeError::RefusedForeign, HandshakeError::PeerForeign));
    }
}

#[test]
fn a_foreign_coordinator_is_refused_before_the_client_shows_itself() {
    let (heart, lung) = (authority("heart"), authority("lung"));
    let outcome = shake(client(&heart, Role::Site), server(&lung));
    assert_eq!(outcome, both(HandshakeError::PeerForeign, HandshakeError::RefusedForeign));
}

#[test]
fn an_identity_certificate_opens_no_connection() {
    let heart = authority("heart");
    let credentials = issue(&heart, Role::Site);
    let shown = (credentials.identity_der().to_vec(), credentials.identity_key().as_pkcs8().to_vec());
    let outcome = shake(bare_client(&heart, Some(shown)), server(&heart));
    assert_eq!(outcome, both(HandshakeError::RefusedPurpose, HandshakeError::PeerWrongPurpose));
}

#[test]
fn a_certificate_must_carry_exactly_one_name_of_this_federation() {
    let heart = authority("heart");
    for uris in [
        &[][..],
        &["spiffe://heart/site/va", "spiffe://heart/researcher/va"],
        &["spiffe://lung/site/va"],
        &["spiffe://heart/admin/va"],
    ] {
        let shown = odd_certificate(&heart, uris);
        let outcome = shake(bare_client(&heart, Some(shown)), server(&heart));
        assert!(matches!(outcome.server, Some(HandshakeError::PeerCertificate(_))), "{uris:?}: {outcome:?}");
    }
}

#[test]
fn only_a_coordinator_is_taken_for_one() {
    let heart = authority("heart");
    let (certificate, key) = odd_certificate(&heart, &["spiffe://heart/site/va"]);
    let outcome = shake(client(&heart, Role::Site), bare_server(certificate, key));
    let refusal = outcome.client.unwrap().to_string();
    assert!(
        refusal.contains("spiffe://heart/site/va is for serving")
            && refusal.contains("a coordinator's alone"),
        "{refusal}"
    );

    let site = issue(&heart, Role::Site);
    let shown = (site.tls_der().to_vec(), site.tls_key().as_pkcs8().to_vec());
    let outcome = shake(client(&heart, Role::Site), bare_server(shown.0, shown.1));
    assert_eq!(outcome.client, Some(HandshakeError::PeerWrongPurpose));
    assert!(tls::server_config(&site, at(NOW)).unwrap_err().to_string().contains("needs a coordinator's"));
}

#[test]
fn a_coordinator_under_another_host_name_is_refused() {
    let heart = authority("heart");
    let client =
        ClientConnection::new(Arc::new(client(&heart, Role::Site)), "example.org".try_into().unwrap());
    let (mut client, mut server) =
        (client.unwrap(), ServerConnection::new(Arc::new(server(&heart))).unwrap());
    assert_eq!(pass(&mut *client, &mut *server), None);
    assert_eq!(pass(&mut *server, &mut *client), Some(HandshakeError::PeerAnotherHost));
}
