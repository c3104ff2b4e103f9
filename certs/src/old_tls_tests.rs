//! Peers that know nothing newer than TLS 1.2, played by OpenSSL: rustls is built without it, in tests as in hospitals.

use std::io::{self, Read, Write};
use std::sync::Arc;

use openssl::ssl::{self, MidHandshakeSslStream, Ssl, SslContext, SslMethod, SslStream, SslVersion};
use rustls::{ClientConnection, ConnectionCommon, ServerConnection};

use crate::handshake_tests::{NOW, at, authority, issue};
use crate::{HandshakeError, Role, tls};

#[test]
fn a_client_older_than_tls_1_3_is_refused() {
    let heart = authority("heart");
    let server = tls::server_config(&issue(&heart, Role::Coordinator), at(NOW)).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    let mut client = Old::new(Ssl::connect);
    assert_eq!(refusal(&mut client, &mut server), Some(HandshakeError::PeerTooOld));
    let failure = client.failure.expect("the client is told");
    assert!(failure.contains("protocol version"), "{failure}");
}

#[test]
fn a_coordinator_older_than_tls_1_3_is_refused() {
    let heart = authority("heart");
    let client = tls::client_config(&issue(&heart, Role::Site), at(NOW)).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), "localhost".try_into().unwrap()).unwrap();
    let mut server = Old::new(Ssl::accept);
    assert_eq!(refusal(&mut server, &mut client), Some(HandshakeError::RefusedVersion));
    let failure = server.failure.expect("the coordinator gave up first");
    assert!(failure.contains("unsupported protocol"), "{failure}");
}

/// OpenSSL's end of a handshake.
#[derive(Debug)]
struct Old {
    /// The handshake, until it fails.
    shaking: Option<MidHandshakeSslStream<Wire>>,
    /// What was sent and has not reached the other end.
    sent: Vec<u8>,
    failure: Option<String>,
}

impl Old {
    fn new(begin: impl FnOnce(Ssl, Wire) -> Result<SslStream<Wire>, ssl::HandshakeError<Wire>>) -> Self {
        let mut context = SslContext::builder(SslMethod::tls()).unwrap();
        context.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
        let ssl = Ssl::new(&context.build()).unwrap();
        let mut end = Self { shaking: None, sent: Vec::new(), failure: None };
        end.stand(begin(ssl, Wire::default()));
        end
    }

    fn receive(&mut self, bytes: &[u8]) {
        if let Some(mut shaking) = self.shaking.take() {
            shaking.get_mut().received.extend_from_slice(bytes);
            self.stand(shaking.handshake());
        }
    }

    fn stand(&mut self, outcome: Result<SslStream<Wire>, ssl::HandshakeError<Wire>>) {
        match outcome.expect_err("the versions have nothing in common") {
            ssl::HandshakeError::WouldBlock(mut shaking) => {
                self.sent.append(&mut shaking.get_mut().sent);
                self.shaking = Some(shaking);
            }
            ssl::HandshakeError::Failure(mut failed) => {
                self.sent.append(&mut failed.get_mut().sent);
                self.failure = Some(failed.error().to_string());
            }
            ssl::HandshakeError::SetupFailure(stack) => panic!("OpenSSL cannot begin: {stack}"),
        }
    }
}

/// Passes bytes to and fro until one end gives up, and returns what ours says of the other.
fn refusal<D>(theirs: &mut Old, ours: &mut ConnectionCommon<D>) -> Option<HandshakeError> {
    let mut refusal = None;
    while refusal.is_none() && (ours.wants_write() || !theirs.sent.is_empty()) {
        let sent = std::mem::take(&mut theirs.sent);
        let mut rest = sent.as_slice();
        while !rest.is_empty() && refusal.is_none() {
            ours.read_tls(&mut rest).unwrap();
            refusal = ours.process_new_packets().err().map(|error| HandshakeError::from(&error));
        }
        let mut answer = Vec::new();
        while ours.wants_write() {
            ours.write_tls(&mut answer).unwrap();
        }
        theirs.receive(&answer);
    }
    refusal
}

/// What was sent to the other end, and what came from it and is not read yet.
#[derive(Debug, Default)]
struct Wire {
    sent: Vec<u8>,
    received: Vec<u8>,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.received.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read = self.received.as_slice().read(buffer)?;
        self.received.drain(..read);
        Ok(read)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sent.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
