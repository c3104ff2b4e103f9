//! What an authority certifies, and what nobody accepts although it could.

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::*;

const FROM: Timestamp = Timestamp(1_700_000_000_000);
const UNTIL: Timestamp = Timestamp(1_900_000_000_000);

fn authority() -> Authority {
    Authority::create(&"heart".parse().unwrap(), FROM, UNTIL).unwrap()
}

fn terms(hosts: &[&str]) -> CertificateTerms {
    let hosts = hosts.iter().map(|&host| host.to_owned()).collect();
    CertificateTerms { from: FROM, tls_until: Timestamp(1_800_000_000_000), identity_until: UNTIL, hosts }
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
fn nobody_has_a_common_name_and_only_a_coordinator_serves() {
    let authority = authority();
    let parsed = |der: &[u8], look: &dyn Fn(&X509Certificate<'_>)| {
        look(&X509Certificate::from_der(der).unwrap().1);
    };
    for role in Role::ALL {
        let hosts: &[&str] = if role == Role::Coordinator { &["localhost", "127.0.0.1"] } else { &[] };
        let issued = authority.issue(role, &"localhost".parse().unwrap(), &terms(hosts)).unwrap();
        for der in [issued.tls_der(), issued.identity_der(), authority.certificate().as_der()] {
            parsed(der, &|x509| assert!(x509.subject().iter_common_name().next().is_none(), "{role}"));
        }
        parsed(issued.tls_der(), &|x509| {
            let purposes = x509.extended_key_usage().unwrap().unwrap().value;
            assert_eq!(purposes.server_auth, role == Role::Coordinator, "{role}");
            assert!(purposes.client_auth && !purposes.any, "{role}");
            let names = &x509.subject_alternative_name().unwrap().unwrap().value.general_names;
            assert_eq!(names.len(), 1 + hosts.len(), "{role}");
        });
    }
}

/// The control: certificates that the authority could sign, and that nobody accepts.
#[test]
fn a_site_that_could_be_taken_for_a_host_is_refused() {
    let authority = authority();
    let site: Identity = "spiffe://heart/site/va".parse().unwrap();
    let check = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = holder_params(&site, FROM, UNTIL).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        authority.certificate().verify(params.signed_by(&key, &authority.issuer).unwrap().der())
    };
    assert!(check(&|_as_it_is| {}).is_ok());
    let host = SanType::DnsName("hub.example".try_into().unwrap());
    let changes: [&dyn Fn(&mut CertificateParams); 4] = [
        &|params| params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth),
        &|params| params.distinguished_name.push(DnType::CommonName, "hub.example"),
        &|params| params.subject_alt_names.push(host.clone()),
        &|params| params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into())),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(check(change), Err(CertificateError::NotServing(site.clone())), "{number}");
    }
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
    let issue = |role, terms: &CertificateTerms| authority.issue(role, &"x".parse().unwrap(), terms);
    let refused = |role, terms: &CertificateTerms| issue(role, terms).unwrap_err().to_string();
    assert!(issue(Role::Coordinator, &terms(&["localhost", "127.0.0.1"])).is_ok());
    let to_the_end = CertificateTerms { tls_until: Timestamp(UNTIL.0 + 999), ..terms(&[]) };
    assert!(issue(Role::Site, &to_the_end).is_ok());
    assert!(refused(Role::Coordinator, &terms(&[])).contains("needs at least one DNS name"));
    assert!(refused(Role::Coordinator, &terms(&["not a host"])).contains("neither a DNS name"));
    assert!(refused(Role::Site, &terms(&["localhost"])).contains("a site only dials out"));
    let late = CertificateTerms { tls_until: Timestamp(UNTIL.0 + 1000), ..terms(&[]) };
    assert!(refused(Role::Site, &late).contains("within the authority's own"));
    let empty = CertificateTerms { tls_until: FROM, from: Timestamp(FROM.0 + 1), ..terms(&[]) };
    assert!(refused(Role::Site, &empty).contains("before it begins"));
}
