//! Connections over loopback: who gets through, what the handler sees, what the refused read.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use fedtwin_certs::{Authority, CertificateTerms, Credentials, Role, tls};
use fedtwin_daemon::transport::{ConnectError, ConnectionLimits, Peer, accept, connect, tune_server};
use fedtwin_daemon::{clock, program};
use fedtwin_plan::time::Timestamp;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;
use tonic::transport::{Channel, Server};
use tower::ServiceExt;

const HOUR: Duration = Duration::from_secs(3600);

fn earlier(by: Duration) -> Timestamp {
    Timestamp(clock::now().since(Timestamp(0)).saturating_sub(by).as_millis().try_into().unwrap())
}

fn authority() -> Authority {
    Authority::create(&"heart".parse().unwrap(), earlier(4 * HOUR), clock::now() + 4 * HOUR).unwrap()
}

fn issue(authority: &Authority, role: Role, tls_until: Timestamp) -> Credentials {
    let hosts = if role == Role::Coordinator { vec!["localhost".to_owned()] } else { Vec::new() };
    let terms =
        CertificateTerms { from: earlier(3 * HOUR), tls_until, identity_until: clock::now() + HOUR, hosts };
    authority.issue(role, &"va".parse().unwrap(), &terms).unwrap()
}

fn client(authority: &Authority, role: Role) -> Arc<ClientConfig> {
    let credentials = issue(authority, role, clock::now() + HOUR);
    Arc::new(tls::client_config(&credentials, clock::for_tls()).unwrap())
}

/// Answers every call with the identity that the handler sees.
#[derive(Clone)]
struct WhoAmI;

impl NamedService for WhoAmI {
    const NAME: &'static str = "test.WhoAmI";
}

impl Service<http::Request<Body>> for WhoAmI {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let peer = request.extensions().get::<Peer>().unwrap();
        assert!(peer.expires > clock::now());
        let response = http::Response::builder().header("identity", peer.identity.to_string());
        std::future::ready(Ok(response.header("serial", &peer.serial).body(Body::empty()).unwrap()))
    }
}

/// A server that stops when the token is cancelled.
async fn serve(authority: &Authority) -> (SocketAddr, CancellationToken) {
    serve_within(authority, ConnectionLimits::default()).await
}

async fn serve_within(authority: &Authority, limits: ConnectionLimits) -> (SocketAddr, CancellationToken) {
    let credentials = issue(authority, Role::Coordinator, clock::now() + HOUR);
    let config = tls::server_config(&credentials, clock::for_tls()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let incoming = accept(listener, Arc::new(config), limits);
    let router = tune_server(Server::builder()).add_service(WhoAmI);
    let stopped = stop.clone().cancelled_owned();
    tokio::spawn(async move { router.serve_with_incoming_shutdown(incoming, stopped).await.unwrap() });
    (address, stop)
}

async fn dial(address: SocketAddr, config: Arc<ClientConfig>) -> Result<Channel, ConnectError> {
    connect(&address.to_string(), "localhost", config).await
}

async fn who_am_i(channel: &mut Channel) -> Result<http::Response<Body>, tonic::transport::Error> {
    let request =
        http::Request::builder().method("POST").uri("/test.WhoAmI/Ask").body(Body::empty()).unwrap();
    channel.ready().await?.call(request).await
}

async fn refused(address: SocketAddr, config: Arc<ClientConfig>) -> String {
    program::describe(&dial(address, config).await.unwrap_err())
}

#[tokio::test]
async fn a_handler_sees_who_calls() {
    let heart = authority();
    let (address, _stop) = serve(&heart).await;
    for role in [Role::Site, Role::Researcher] {
        let credentials = issue(&heart, role, clock::now() + HOUR);
        let config = Arc::new(tls::client_config(&credentials, clock::for_tls()).unwrap());
        let mut channel = dial(address, config).await.unwrap();
        let response = who_am_i(&mut channel).await.unwrap();
        assert_eq!(response.headers()["identity"], format!("spiffe://heart/{role}/va"));
        assert_eq!(response.headers()["serial"], credentials.tls().serial);
    }
}

#[tokio::test]
async fn refused_clients_read_why() {
    let (heart, lung) = (authority(), authority());
    let (address, _stop) = serve(&heart).await;

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(heart.certificate().as_der().into()).unwrap();
    let bare = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut bare = bare.with_root_certificates(roots).with_no_client_auth();
    bare.alpn_protocols = vec![b"h2".to_vec()];
    let why = refused(address, Arc::new(bare.clone())).await;
    assert!(why.contains("requires a client certificate and was shown none"), "{why}");

    let expired = issue(&heart, Role::Site, earlier(HOUR));
    let expired = tls::client_config(&expired, clock::for_tls()).unwrap();
    let why = refused(address, Arc::new(expired)).await;
    assert!(why.contains("refused this certificate: expired"), "{why}");

    let mut foreign = bare;
    foreign.client_auth_cert_resolver = Arc::clone(&client(&lung, Role::Site).client_auth_cert_resolver);
    let why = refused(address, Arc::new(foreign)).await;
    assert!(why.contains("refused this certificate: issued by another federation's authority"), "{why}");

    let why = refused(address, client(&lung, Role::Site)).await;
    assert!(why.contains("the peer's certificate comes from another federation's authority"), "{why}");

    assert!(dial(address, client(&heart, Role::Site)).await.is_ok(), "the refused disturb nobody");
}

#[tokio::test]
async fn strangers_and_silence_do_not_stop_the_loop() {
    let heart = authority();
    let (address, _stop) = serve(&heart).await;
    let _silent = TcpStream::connect(address).await.unwrap();
    let mut stranger = TcpStream::connect(address).await.unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // An alert, or the connection's end: nothing of use to a stranger.
    let _ = stranger.read_to_end(&mut answer).await;
    assert!(answer.len() < 16);
    assert!(dial(address, client(&heart, Role::Site)).await.is_ok());
}

#[tokio::test]
async fn connections_that_say_nothing_delay_others_for_a_moment_only() {
    let heart = authority();
    let (address, _stop) =
        serve_within(&heart, ConnectionLimits { handshakes: 8, ..ConnectionLimits::default() }).await;
    let mut silent = Vec::new();
    for _ in 0..16 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    assert!(dial(address, client(&heart, Role::Site)).await.is_ok(), "within the time for connecting");
}

#[tokio::test]
async fn a_holder_has_so_many_connections_and_leaves_the_others_theirs() {
    let heart = authority();
    let (address, _stop) =
        serve_within(&heart, ConnectionLimits { connections_per_peer: 2, ..ConnectionLimits::default() })
            .await;
    let config = client(&heart, Role::Site);
    let mut first = dial(address, Arc::clone(&config)).await.unwrap();
    let _second = dial(address, Arc::clone(&config)).await.unwrap();
    let why = refused(address, Arc::clone(&config)).await;
    assert!(why.contains("too many connections with this certificate"), "{why}");
    assert!(dial(address, client(&heart, Role::Researcher)).await.is_ok(), "another holder");
    who_am_i(&mut first).await.unwrap();
    drop(first);
    // The place is free once the server has seen the end of the connection.
    while dial(address, Arc::clone(&config)).await.is_err() {}
}

#[tokio::test]
async fn a_connection_without_calls_is_closed() {
    let heart = authority();
    let silence = Duration::from_millis(100);
    let limits = ConnectionLimits { connections_per_peer: 1, silence, ..ConnectionLimits::default() };
    let (address, _stop) = serve_within(&heart, limits).await;
    let config = client(&heart, Role::Site);
    let mut kept = dial(address, Arc::clone(&config)).await.unwrap();
    // The only place is free again though the first one never hung up.
    while dial(address, Arc::clone(&config)).await.is_err() {}
    // What was cut dials again when it is used.
    while who_am_i(&mut kept).await.is_err() {}
}

#[tokio::test]
async fn obstacles_have_names() {
    let heart = authority();
    for bad in
        ["", "localhost", "localhost:", "localhost:70000", "https://localhost:1", "a b:1", "localhost:1/x"]
    {
        let error = connect(bad, "localhost", client(&heart, Role::Site)).await.unwrap_err();
        assert!(matches!(error, ConnectError::Address(_)), "{bad}: {error}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let error = connect(&address.to_string(), "not a name", client(&heart, Role::Site)).await.unwrap_err();
    assert!(matches!(error, ConnectError::ServerName), "{error}");
    drop(listener);
    let error = dial(address, client(&heart, Role::Site)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    assert!(program::describe(&error).contains("is the coordinator running"));

    let (address, _stop) = serve(&heart).await;
    let why = connect(&address.to_string(), "example.org", client(&heart, Role::Site)).await.unwrap_err();
    assert!(why.to_string().contains("for another host name"), "{why}");
}

#[tokio::test]
async fn a_call_after_the_coordinator_left_says_why_it_failed() {
    let heart = authority();
    let (address, stop) = serve(&heart).await;
    let mut channel = dial(address, client(&heart, Role::Site)).await.unwrap();
    who_am_i(&mut channel).await.unwrap();
    stop.cancel();
    let error = loop {
        // The first calls may still find the old connection.
        if let Err(error) = who_am_i(&mut channel).await
            && let Some(found) = ConnectError::find(&error)
        {
            break found;
        }
    };
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    assert!(error.source().is_some());
}
