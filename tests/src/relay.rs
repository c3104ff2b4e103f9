//! A relay that sees everything: it ends a site's TLS with a coordinator's credentials, dials the real
//! coordinator with the site's, and keeps every decrypted byte that passes, in both directions.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use fedtwin_certs::{Credentials, tls};
use fedtwin_daemon::clock;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A running relay; dropping it stops it.
#[derive(Debug)]
pub struct Relay {
    /// Where the site has to dial.
    pub address: SocketAddr,
    capture: Capture,
    relaying: JoinHandle<()>,
}

/// The bytes that passed.
#[derive(Debug, Clone, Default)]
pub struct Capture(Arc<Mutex<Bytes>>);

#[derive(Debug, Default)]
struct Bytes {
    up: Vec<u8>,
    down: Vec<u8>,
}

impl Capture {
    /// Says whether these bytes passed in either direction.
    ///
    /// # Panics
    /// If there is nothing to look for.
    #[must_use]
    pub fn holds(&self, needle: &[u8]) -> bool {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        [&bytes.up, &bytes.down].iter().any(|side| side.windows(needle.len()).any(|part| part == needle))
    }

    /// Returns how many bytes passed up and down.
    #[must_use]
    pub fn lengths(&self) -> (usize, usize) {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (bytes.up.len(), bytes.down.len())
    }
}

impl Relay {
    /// Starts between a site and the coordinator at `upstream`.
    ///
    /// # Errors
    /// Fails where there is no port or the credentials make no TLS configuration.
    pub async fn start(
        coordinator: &Credentials,
        site: &Credentials,
        upstream: SocketAddr,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let acceptor = TlsAcceptor::from(Arc::new(tls::server_config(coordinator, clock::for_tls())?));
        let connector = TlsConnector::from(Arc::new(tls::client_config(site, clock::for_tls())?));
        let capture = Capture::default();
        let kept = capture.clone();
        let relaying = tokio::spawn(async move {
            while let Ok((tcp, _site)) = listener.accept().await {
                let (acceptor, connector, kept) = (acceptor.clone(), connector.clone(), kept.clone());
                // A connection that breaks concerns its two ends, which dial again.
                tokio::spawn(async move { relay(tcp, &acceptor, (&connector, upstream), kept).await.ok() });
            }
        });
        Ok(Self { address, capture, relaying })
    }

    /// Returns what passed and passes.
    #[must_use]
    pub fn capture(&self) -> Capture {
        self.capture.clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.relaying.abort();
    }
}

async fn relay(
    tcp: TcpStream,
    acceptor: &TlsAcceptor,
    (connector, upstream): (&TlsConnector, SocketAddr),
    capture: Capture,
) -> anyhow::Result<()> {
    let site = acceptor.accept(tcp).await?;
    let name = "localhost".try_into().expect("localhost is a name");
    let coordinator = connector.connect(name, TcpStream::connect(upstream).await?).await?;
    let (from_site, to_site) = tokio::io::split(site);
    let (from_coordinator, to_coordinator) = tokio::io::split(coordinator);
    let down = capture.clone();
    tokio::try_join!(
        pass(from_site, to_coordinator, move |bytes| {
            capture.0.lock().unwrap_or_else(PoisonError::into_inner).up.extend_from_slice(bytes);
        }),
        pass(from_coordinator, to_site, move |bytes| {
            down.0.lock().unwrap_or_else(PoisonError::into_inner).down.extend_from_slice(bytes);
        }),
    )?;
    Ok(())
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    keep: impl Fn(&[u8]),
) -> std::io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        keep(&buffer[..read]);
        to.write_all(&buffer[..read]).await?;
        to.flush().await?;
    }
}
