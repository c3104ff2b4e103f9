//! A coordinator that lies: valid credentials, real transport, and answers of the test's choosing.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fedtwin_certs::{Credentials, tls};
use fedtwin_daemon::{clock, transport};
use fedtwin_proto::domain::Notice;
use fedtwin_proto::limits::CHUNK_BYTES;
use fedtwin_proto::wire;
use fedtwin_proto::wire::sites_server::{Sites, SitesServer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

/// What the liar says.
#[derive(Debug, Clone, Default)]
pub struct Lies {
    /// The bytes of every model, whatever its digest.
    pub model: Vec<u8>,
    /// The notices for every site that subscribes.
    pub notices: Vec<Notice>,
    /// What it says that it and others remember of a site's ledger.
    pub checkpoints: Vec<String>,
    /// Never sends a model, nor says that there is none.
    pub silent: bool,
    /// By how many entries its mirror stays behind what it is sent.
    pub entries_lost: u64,
}

/// A running liar; dropping it stops it.
#[derive(Debug)]
pub struct FakeCoordinator {
    /// Where it listens.
    pub address: SocketAddr,
    serving: JoinHandle<()>,
}

impl FakeCoordinator {
    /// Starts with a coordinator's credentials.
    ///
    /// # Errors
    /// Fails where there is no port or the credentials are not a coordinator's.
    pub async fn start(credentials: &Credentials, lies: Lies) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let config = tls::server_config(credentials, clock::for_tls())?;
        let incoming = transport::accept(listener, Arc::new(config), transport::ConnectionLimits::default());
        let server = transport::tune_server(Server::builder())
            .add_service(SitesServer::new(Liar { lies, mirrored: AtomicU64::default() }));
        let serving = tokio::spawn(async move {
            server.serve_with_incoming(incoming).await.expect("the listener stays open");
        });
        Ok(Self { address, serving })
    }
}

/// What serves.
#[derive(Debug)]
struct Liar {
    lies: Lies,
    /// The entries of a site's ledger that it was sent.
    mirrored: AtomicU64,
}

impl Drop for FakeCoordinator {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Sites for Liar {
    type SubscribeStream = Messages<wire::Notice>;
    type FetchModelStream = Messages<wire::FileChunk>;

    async fn subscribe(
        &self,
        _request: Request<wire::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let notices: Vec<_> = self.lies.notices.iter().map(|notice| Ok(notice.clone().into())).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(notices).chain(tokio_stream::pending()))))
    }

    async fn fetch_model(
        &self,
        _request: Request<wire::ModelRequest>,
    ) -> Result<Response<Self::FetchModelStream>, Status> {
        if self.lies.silent {
            return std::future::pending().await;
        }
        let chunks = self.lies.model.chunks(CHUNK_BYTES);
        let chunks: Vec<_> = chunks.map(|data| Ok(wire::FileChunk { data: data.to_vec().into() })).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(chunks))))
    }

    async fn answer_plan(
        &self,
        _request: Request<wire::PlanAnswer>,
    ) -> Result<Response<wire::Acknowledged>, Status> {
        Ok(Response::new(wire::Acknowledged {}))
    }

    async fn send_update(
        &self,
        _request: Request<Streaming<wire::UpdateMessage>>,
    ) -> Result<Response<wire::Acknowledged>, Status> {
        Ok(Response::new(wire::Acknowledged {}))
    }

    async fn send_metrics(
        &self,
        _request: Request<wire::MetricsMessage>,
    ) -> Result<Response<wire::Acknowledged>, Status> {
        Ok(Response::new(wire::Acknowledged {}))
    }

    async fn send_secure(
        &self,
        _request: Request<wire::SecureMessage>,
    ) -> Result<Response<wire::Acknowledged>, Status> {
        Ok(Response::new(wire::Acknowledged {}))
    }

    async fn decline_round(
        &self,
        _request: Request<wire::AttemptDeclined>,
    ) -> Result<Response<wire::Acknowledged>, Status> {
        Ok(Response::new(wire::Acknowledged {}))
    }

    async fn mirror_ledger(
        &self,
        request: Request<wire::LedgerEntries>,
    ) -> Result<Response<wire::MirrorState>, Status> {
        let wire::LedgerEntries { first, entries, .. } = request.get_ref();
        let sent = entries.iter().filter(|byte| **byte == b'\n').count() as u64;
        // It counts what it was sent: an agent stops where that is forgotten.
        let taken = (first + sent).saturating_sub(self.lies.entries_lost);
        let entries = self.mirrored.fetch_max(taken, Ordering::Relaxed).max(taken);
        Ok(Response::new(wire::MirrorState { entries, checkpoints: self.lies.checkpoints.clone() }))
    }

    async fn witness(&self, _request: Request<wire::Sightings>) -> Result<Response<wire::Growths>, Status> {
        Ok(Response::new(wire::Growths { growths: Vec::new() }))
    }
}
