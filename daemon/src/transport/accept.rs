//! The server's accept loop: handshakes in their own tasks, bounded in number and time, and places for those who
//! pass.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use fedtwin_certs::{Certificate, HandshakeError, Identity};
use fedtwin_plan::time::Timestamp;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::server::Connected;

use super::calls::{Answered, Calls, Idle};
use super::handshakes::{HANDSHAKE_TIME_MAX, HANDSHAKES_MAX, Handshakes};
use super::places::{Full, Place, Places};
use super::tuning;

/// What a listener takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Handshakes under way.
    pub handshakes: usize,
    /// Open connections.
    pub connections: usize,
    /// Of these, those of one certificate's holder.
    pub connections_per_peer: usize,
    /// How long a connection may carry no call; it is looked at once in that time.
    pub silence: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            handshakes: HANDSHAKES_MAX,
            connections: CONNECTIONS_MAX,
            connections_per_peer: CONNECTIONS_PER_PEER_MAX,
            silence: SILENCE_MAX,
        }
    }
}

/// Who is at the other end of a connection; handlers find it in a request's extensions.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Whom the verified certificate names.
    pub identity: Identity,
    /// Where the connection comes from.
    pub address: SocketAddr,
    /// The certificate's serial number in hexadecimal.
    pub serial: String,
    /// When the certificate expires; an open connection may outlive it.
    pub expires: Timestamp,
    pub(super) calls: Calls,
}

impl Peer {
    /// Takes note of an answer that is there as a whole: its connection breaks if it is not read within a silence, or two.
    #[must_use]
    pub fn answered(&self) -> Answered {
        self.calls.answered()
    }
}

/// A connection whose handshake succeeded; it breaks when it has carried no call for a while, or an answer is not read.
pub struct PeerStream {
    tls: TlsStream<BufReader<TcpStream>>,
    peer: Peer,
    idle: Idle,
    _place: Place,
}

impl Connected for PeerStream {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl fmt::Debug for PeerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerStream").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(why) = self.idle.poll_over(cx) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
        }
        Pin::new(&mut self.tls).poll_read(cx, buffer)
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}

/// The connections of a listener, for `serve_with_incoming`; dropping it stops listening.
#[derive(Debug)]
pub struct Incoming {
    connections: mpsc::Receiver<PeerStream>,
    _accepting: AbortOnDropHandle<()>,
}

impl Stream for Incoming {
    type Item = io::Result<PeerStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.connections.poll_recv(cx).map(|connection| connection.map(Ok))
    }
}

/// Accepts connections; must be called within a tokio runtime.
///
/// A failed handshake is logged with its reason and concerns nobody else.
#[must_use]
pub fn accept(listener: TcpListener, config: Arc<ServerConfig>, limits: ConnectionLimits) -> Incoming {
    let (ready, connections) = mpsc::channel(READY_MAX);
    let door = Door {
        acceptor: TlsAcceptor::from(config),
        places: Places::new(limits.connections, limits.connections_per_peer),
        silence: limits.silence,
        ready,
    };
    let accepting = tokio::spawn(accept_all(listener, door, limits.handshakes));
    Incoming { connections, _accepting: AbortOnDropHandle::new(accepting) }
}

async fn accept_all(listener: TcpListener, door: Door, handshakes_max: usize) {
    let mut handshakes = Handshakes::new(handshakes_max);
    loop {
        handshakes.make_room().await;
        match listener.accept().await {
            Ok((tcp, address)) => handshakes.spawn(door.clone().welcome(tcp, address)),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// What every arrival passes.
#[derive(Clone)]
struct Door {
    acceptor: TlsAcceptor,
    places: Places,
    silence: Duration,
    ready: mpsc::Sender<PeerStream>,
}

impl Door {
    async fn welcome(self, tcp: TcpStream, address: SocketAddr) {
        match self.handshake(tcp, address).await {
            Ok(stream) => {
                tracing::debug!(%address, identity = %stream.peer.identity, "connected");
                // Fails only when the server has stopped taking connections.
                let _ = self.ready.send(stream).await;
            }
            Err(error) => tracing::info!(%address, %error, "connection refused"),
        }
    }

    async fn handshake(&self, tcp: TcpStream, address: SocketAddr) -> Result<PeerStream, AcceptError> {
        tcp.set_nodelay(true)?;
        let tcp = BufReader::with_capacity(tuning::READ_BYTES, tcp);
        let accepted = timeout(HANDSHAKE_TIME_MAX, self.acceptor.accept(tcp)).await;
        let tls = accepted.map_err(|_elapsed| AcceptError::Slow)?.map_err(AcceptError::from_handshake)?;
        let certificates = tls.get_ref().1.peer_certificates();
        let leaf = certificates.and_then(<[_]>::first).expect("the verifier requires a certificate");
        let certificate = Certificate::parse(leaf).expect("the verifier parsed the same certificate");
        let Certificate { identity, serial, until: expires, .. } = certificate;
        let place = self.places.take(&identity, 1);
        let place = place.map_err(|full| AcceptError::Full { identity: identity.clone(), full })?;
        let calls = Calls::default();
        let idle = Idle::new(calls.clone(), self.silence);
        Ok(PeerStream { tls, peer: Peer { identity, address, serial, expires, calls }, idle, _place: place })
    }
}

#[derive(Debug, thiserror::Error)]
enum AcceptError {
    #[error("no handshake within {} s", HANDSHAKE_TIME_MAX.as_secs())]
    Slow,
    #[error("{0}")]
    Refused(HandshakeError),
    #[error("{identity} finds no place: {}", in_words(*full))]
    Full { identity: Identity, full: Full },
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
}

impl AcceptError {
    fn from_handshake(error: io::Error) -> Self {
        match tuning::refusal(&error) {
            Some(refusal) => Self::Refused(refusal),
            None => Self::Broken(error),
        }
    }
}

fn in_words(full: Full) -> String {
    match full {
        Full::Each(each) => {
            format!("it has {each} connections, as many as one certificate's holder may have")
        }
        Full::All(all) => format!("{all} connections are open"),
    }
}

/// Open connections: some hundreds of sites and their people, with room for reconnections.
const CONNECTIONS_MAX: usize = 1024;
/// An agent has one, and a second one for half a minute after its line broke; a person has a few programs.
const CONNECTIONS_PER_PEER_MAX: usize = 8;
/// A program that has connected calls within a round trip, and one that is done leaves; an agent's stream of notices
/// is a call.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Finished handshakes that the server has not taken yet.
const READY_MAX: usize = 16;
/// Accepting fails when file handles run out; they come back when connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
