//! The client's way to the coordinator.

use std::io;
use std::sync::Arc;

use fedtwin_certs::HandshakeError;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use super::tuning;

/// Connects to the coordinator at `address` (`host:port`), whose certificate must be for `server_name`.
///
/// The channel reconnects by itself; a call that finds the coordinator away fails as unavailable, and
/// [`ConnectError::find`] says why.
///
/// # Errors
/// Says whether the address, the network, or which side's certificate is the obstacle.
pub async fn connect(
    address: &str,
    server_name: &str,
    config: Arc<ClientConfig>,
) -> Result<Channel, ConnectError> {
    let bad_address = || ConnectError::Address(address.to_owned());
    let uri = format!("https://{address}");
    let endpoint = Endpoint::from_shared(uri).map_err(|_invalid| bad_address())?;
    let well_formed =
        endpoint.uri().authority().is_some_and(|a| a.as_str() == address && a.port_u16().is_some());
    if !well_formed {
        return Err(bad_address());
    }
    let server_name = ServerName::try_from(server_name.to_owned());
    let server_name = server_name.map_err(|_invalid| ConnectError::ServerName)?;
    let target = Target { address: address.into(), server_name, connector: TlsConnector::from(config) };
    let connector = service_fn(move |_uri| {
        let target = target.clone();
        async move { target.dial_in_time().await.map(TokioIo::new) }
    });
    let channel = tuning::tune_endpoint(endpoint).connect_with_connector(connector).await;
    channel.map_err(|error| ConnectError::find(&error).unwrap_or_else(|| ConnectError::Http(Arc::new(error))))
}

/// Why there is no connection to the coordinator.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// The address cannot be dialled.
    #[error("{0:?} is not an address: expected host:port, like coordinator.example.org:7443")]
    Address(String),
    /// The name cannot be in a certificate.
    #[error("the coordinator's name is neither a DNS name nor an IP address")]
    ServerName,
    /// Nobody answers there.
    #[error(
        "{address} cannot be reached; is the coordinator running, and does the firewall let this machine dial out?"
    )]
    Unreachable {
        /// The address dialled.
        address: Arc<str>,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// Something answers there, but not in time.
    #[error("{address} did not answer within {seconds} s")]
    Slow {
        /// The address dialled.
        address: Arc<str>,
        /// How long this side waited.
        seconds: u64,
    },
    /// One side refused the other's certificate.
    #[error("no connection to {address}: {refusal}")]
    Refused {
        /// The address dialled.
        address: Arc<str>,
        /// Which side, and why.
        refusal: HandshakeError,
    },
    /// The connection broke before it was of use.
    #[error(
        "the connection to {address} broke before the coordinator said anything; its log says why (too many \
         connections with this certificate, perhaps)"
    )]
    Broken {
        /// The address dialled.
        address: Arc<str>,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The connection stands but carries no HTTP/2.
    #[error("the coordinator does not speak HTTP/2 as expected")]
    Http(#[source] Arc<tonic::transport::Error>),
}

impl ConnectError {
    /// Finds the reason in the causes of an error, such as a failed call's status.
    #[must_use]
    pub fn find(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut causes = std::iter::successors(Some(error), |error| error.source());
        causes.find_map(|error| error.downcast_ref::<Self>()).cloned()
    }
}

#[derive(Clone)]
struct Target {
    address: Arc<str>,
    server_name: ServerName<'static>,
    connector: TlsConnector,
}

impl Target {
    async fn dial_in_time(&self) -> Result<TlsStream<BufReader<TcpStream>>, ConnectError> {
        let slow =
            || ConnectError::Slow { address: self.address(), seconds: tuning::CONNECT_TIME_MAX.as_secs() };
        timeout(tuning::CONNECT_TIME_MAX, self.dial()).await.unwrap_or_else(|_elapsed| Err(slow()))
    }

    async fn dial(&self) -> Result<TlsStream<BufReader<TcpStream>>, ConnectError> {
        let unreachable =
            |source| ConnectError::Unreachable { address: self.address(), source: Arc::new(source) };
        let tcp = TcpStream::connect(&*self.address).await.map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        let tcp = BufReader::with_capacity(tuning::READ_BYTES, tcp);
        let handshake = self.connector.connect(self.server_name.clone(), tcp);
        let mut tls = handshake.await.map_err(|error| self.broken(error))?;
        // In TLS 1.3 a client finishes before the server has looked at its certificate. The server speaks first in
        // HTTP/2 too (RFC 9113, section 3.4), so its first bytes, or its refusal, are awaited here; had this side
        // written already, the closing of the socket could swallow the refusal.
        let first = tls.fill_buf().await.map_err(|error| self.broken(error))?;
        if first.is_empty() {
            return Err(self.broken(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(tls)
    }

    fn broken(&self, error: io::Error) -> ConnectError {
        match tuning::refusal(&error) {
            Some(refusal) => ConnectError::Refused { address: self.address(), refusal },
            None => ConnectError::Broken { address: self.address(), source: Arc::new(error) },
        }
    }

    fn address(&self) -> Arc<str> {
        Arc::clone(&self.address)
    }
}
