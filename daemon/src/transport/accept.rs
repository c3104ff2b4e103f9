//! The server's accept loop: handshakes in their own tasks, bounded in number and time.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use fedtwin_certs::{Certificate, Identity, Refusal};
use fedtwin_plan::time::Timestamp;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::server::Connected;

use super::tuning;

/// Who is at the other end of a connection; handlers find it in a request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Whom the verified certificate names.
    pub identity: Identity,
    /// Where the connection comes from.
    pub address: SocketAddr,
    /// The certificate's serial number in hexadecimal.
    pub serial: String,
    /// When the certificate expires; an open connection may outlive it.
    pub expires: Timestamp,
}

/// A connection whose handshake succeeded.
pub struct PeerStream {
    tls: TlsStream<BufReader<TcpStream>>,
    peer: Peer,
    _place: OwnedSemaphorePermit,
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
pub fn accept(listener: TcpListener, config: Arc<ServerConfig>) -> Incoming {
    let (ready, connections) = mpsc::channel(READY_MAX);
    let accepting = tokio::spawn(accept_all(listener, TlsAcceptor::from(config), ready));
    Incoming { connections, _accepting: AbortOnDropHandle::new(accepting) }
}

async fn accept_all(listener: TcpListener, acceptor: TlsAcceptor, ready: mpsc::Sender<PeerStream>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut handshakes = JoinSet::new();
    loop {
        while handshakes.try_join_next().is_some() {}
        if handshakes.len() >= HANDSHAKES_MAX {
            handshakes.join_next().await;
        }
        let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((tcp, address)) => {
                let arrival = Arrival { tcp, address, place };
                handshakes.spawn(welcome(arrival, acceptor.clone(), ready.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

struct Arrival {
    tcp: TcpStream,
    address: SocketAddr,
    place: OwnedSemaphorePermit,
}

async fn welcome(arrival: Arrival, acceptor: TlsAcceptor, ready: mpsc::Sender<PeerStream>) {
    let address = arrival.address;
    match handshake(arrival, &acceptor).await {
        Ok(stream) => {
            tracing::debug!(%address, identity = %stream.peer.identity, "connected");
            // Fails only when the server has stopped taking connections.
            let _ = ready.send(stream).await;
        }
        Err(error) => tracing::info!(%address, %error, "connection refused"),
    }
}

async fn handshake(arrival: Arrival, acceptor: &TlsAcceptor) -> Result<PeerStream, AcceptError> {
    let Arrival { tcp, address, place } = arrival;
    tcp.set_nodelay(true)?;
    let accepted =
        timeout(HANDSHAKE_TIME_MAX, acceptor.accept(BufReader::with_capacity(tuning::READ_BYTES, tcp))).await;
    let tls = accepted.map_err(|_elapsed| AcceptError::Slow)?.map_err(AcceptError::from_handshake)?;
    let leaf = tls
        .get_ref()
        .1
        .peer_certificates()
        .and_then(<[_]>::first)
        .expect("the verifier requires a certificate");
    let certificate = Certificate::parse(leaf).expect("the verifier parsed the same certificate");
    let Certificate { identity, serial, until: expires, .. } = certificate;
    Ok(PeerStream { tls, peer: Peer { identity, address, serial, expires }, _place: place })
}

#[derive(Debug, thiserror::Error)]
enum AcceptError {
    #[error("no handshake within {} s", HANDSHAKE_TIME_MAX.as_secs())]
    Slow,
    #[error("{0}")]
    Refused(Refusal),
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

/// Handshakes at once: each holds some 30 KiB, and 256 are done in a second on one core.
const HANDSHAKES_MAX: usize = 256;
/// A handshake takes two round trips; what takes longer than this is not trying.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// Open connections: some hundreds of sites and their people, with room for reconnections.
const CONNECTIONS_MAX: usize = 1024;
/// Finished handshakes that the server has not taken yet.
const READY_MAX: usize = 16;
/// Accepting fails when file handles run out; they come back when connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
