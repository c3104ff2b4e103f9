//! Revocation lists on disk, in handshakes both ways, and before plans.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use fedtwin_plan::time::Timestamp;

use crate::certificate::CertificateError;
use crate::folder::{Revocations, load_revocation_list, write_revocation_list};
use crate::handshake_tests::{FROM, NOW, at, authority, issue, shake};
use crate::revocation::NotAList;
use crate::{
    Authority, Credentials, HandshakeError, PlanSignatureError, RevocationList, Role, sign_plan, tls,
    verify_plan,
};

fn s(unix_s: u64) -> Timestamp {
    Timestamp(unix_s * 1000)
}

/// A federation whose list is a file, and somebody who reads it.
struct Bench {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), authority: authority("heart") }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("revoked.pem")
    }

    fn list(&self, number: u64, revoked: &[&str]) -> Vec<u8> {
        let revoked: BTreeMap<_, _> =
            revoked.iter().map(|&serial| (serial.to_owned(), s(NOW - 60))).collect();
        let list = RevocationList { number, issued: s(NOW - 60), until: s(NOW + 86_400), revoked };
        self.authority.revoke(&list).unwrap()
    }

    fn publish(&self, number: u64, revoked: &[&str]) {
        write_revocation_list(&self.file(), &self.list(number, revoked)).unwrap();
    }

    /// Somebody's memory of lists, which a restart keeps.
    fn reader(&self) -> Arc<Revocations> {
        let seen = self.folder.path().join("seen");
        Arc::new(Revocations::new(self.file(), seen, self.authority.certificate().clone()))
    }

    /// Credentials of somebody who asks the list.
    fn cautious(&self, role: Role) -> Credentials {
        issue(&self.authority, role).with_revocation(self.reader())
    }

    fn connects(
        &self,
        client: &Credentials,
        server: &Credentials,
    ) -> (Option<HandshakeError>, Option<HandshakeError>) {
        let client = tls::client_config(client, at(NOW)).unwrap();
        let outcome = shake(client, tls::server_config(server, at(NOW)).unwrap());
        (outcome.client, outcome.server)
    }
}

#[test]
fn a_revoked_client_is_refused_at_the_next_handshake() {
    let bench = Bench::new();
    let (hub, site, other) = (
        bench.cautious(Role::Coordinator),
        issue(&bench.authority, Role::Site),
        issue(&bench.authority, Role::Site),
    );
    bench.publish(1, &[]);
    assert_eq!(bench.connects(&site, &hub), (None, None));
    bench.publish(2, &[&site.tls().serial]);
    let refused = (Some(HandshakeError::RefusedRevoked), Some(HandshakeError::PeerRevoked));
    assert_eq!(bench.connects(&site, &hub), refused);
    assert_eq!(bench.connects(&other, &hub), (None, None), "nobody else is");
}

#[test]
fn a_revoked_coordinator_is_refused_by_its_clients() {
    let bench = Bench::new();
    let (hub, site) = (issue(&bench.authority, Role::Coordinator), bench.cautious(Role::Site));
    bench.publish(1, &[]);
    assert_eq!(bench.connects(&site, &hub), (None, None));
    bench.publish(2, &[&hub.tls().serial]);
    let refused = (Some(HandshakeError::PeerRevoked), Some(HandshakeError::RefusedRevoked));
    assert_eq!(bench.connects(&site, &hub), refused);
}

#[test]
fn without_a_list_that_holds_nobody_gets_through_either_way() {
    let bench = Bench::new();
    let plain = |role| issue(&bench.authority, role);
    let check = |expected: &str| {
        let (client, _) = bench.connects(&bench.cautious(Role::Site), &plain(Role::Coordinator));
        let (_, server) = bench.connects(&plain(Role::Site), &bench.cautious(Role::Coordinator));
        for refusal in [client, server] {
            let words = refusal.expect(expected).to_string();
            assert!(words.contains("without the federation's revocation list"), "{words}");
            assert!(words.contains(expected), "{words}");
        }
    };
    check("revoked.pem is missing");
    std::fs::write(bench.file(), "hello").unwrap();
    check("does not hold exactly one PEM block \"X509 CRL\"");
    write_revocation_list(&bench.file(), &authority("heart").revoke(&list_at(9, NOW + 60)).unwrap()).unwrap();
    check("is not signed by the authority of federation heart");
    write_revocation_list(&bench.file(), &bench.authority.revoke(&list_at(1, NOW - 1)).unwrap()).unwrap();
    check("get the newest from the operator");
    bench.publish(2, &[]);
    let site = bench.cautious(Role::Site);
    assert_eq!(bench.connects(&site, &bench.cautious(Role::Coordinator)), (None, None));
}

fn list_at(number: u64, until: u64) -> RevocationList {
    RevocationList { number, issued: s(FROM), until: s(until), revoked: BTreeMap::new() }
}

#[test]
fn a_list_older_than_one_that_was_seen_is_refused_even_after_a_restart() {
    let bench = Bench::new();
    let site = issue(&bench.authority, Role::Site);
    bench.publish(7, &[&site.tls().serial]);
    let read = || bench.reader().current(s(NOW)).map(|list| list.number);
    assert_eq!(read(), Ok(7));
    let same = std::fs::read(bench.file()).unwrap();
    // An older one, and another of the same number.
    for (number, revoked) in [(6, &[][..]), (1, &[]), (7, &[])] {
        bench.publish(number, revoked);
        let refused = read().unwrap_err().to_string();
        assert!(refused.contains("list 7 or another of that number was seen here before"), "{refused}");
    }
    std::fs::write(bench.file(), same).unwrap();
    assert_eq!(read(), Ok(7));
    bench.publish(8, &[]);
    assert_eq!(read(), Ok(8), "the authority may take a revocation back by a newer list");
    std::fs::write(bench.folder.path().join("seen"), "?").unwrap();
    assert!(read().unwrap_err().to_string().contains("does not say which revocation list was seen"));
}

#[test]
fn a_plan_of_a_revoked_researcher_is_refused() {
    let bench = Bench::new();
    let (ada, site) = (issue(&bench.authority, Role::Researcher), bench.cautious(Role::Site));
    let serial = bench.authority.certificate().verify(ada.identity_der()).unwrap().serial;
    let signed = sign_plan(&ada, b"no plan".to_vec());
    let verify = || verify_plan(&signed, site.authority(), s(NOW)).unwrap_err();
    bench.publish(1, &[]);
    assert!(matches!(verify(), PlanSignatureError::Text(_)), "the signature is good");
    bench.publish(2, &[&serial]);
    assert!(matches!(verify(), PlanSignatureError::Certificate(CertificateError::Revoked { .. })));
    std::fs::remove_file(bench.file()).unwrap();
    assert!(matches!(verify(), PlanSignatureError::Certificate(CertificateError::NoList(_))));
}

#[test]
fn lists_read_back_and_no_altered_byte_is_accepted() {
    let bench = Bench::new();
    let serials = [issue(&bench.authority, Role::Site), issue(&bench.authority, Role::Auditor)];
    let serials: Vec<_> = serials.iter().map(|holder| holder.tls().serial.as_str()).collect();
    let der = bench.list(300, &serials);
    let parse = |der: &[u8]| RevocationList::parse(der, bench.authority.certificate());
    let read = parse(&der).unwrap();
    assert_eq!((read.number, read.issued, read.until), (300, s(NOW - 60), s(NOW + 86_400)));
    assert_eq!(read.revoked.len(), 2);
    assert!(serials.iter().all(|serial| read.check(serial).is_err()) && read.check("00ab").is_ok());
    for at in 0..der.len() {
        let mut altered = der.clone();
        altered[at] ^= 1;
        // The last bytes of an ECDSA signature's encoding can vary without another meaning; what it says cannot.
        if let Ok(list) = parse(&altered) {
            assert_eq!(list, read, "byte {at}");
        }
    }
    assert_eq!(parse(b"hello"), Err(NotAList::Malformed));
    let file = bench.folder.path().join("none.pem");
    assert_eq!(load_revocation_list(&file, bench.authority.certificate()).unwrap(), None);
    assert!(bench.authority.revoke(&list_at(1, FROM)).is_err(), "a list has to last");
}
