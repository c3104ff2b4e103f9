//! The coordinator as researchers and auditors see it: the one file here that names wire types.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fedtwin_certs::folder::{self, FolderError, Revocations};
use fedtwin_certs::tls::{self, TlsConfigError};
use fedtwin_daemon::clock;
use fedtwin_daemon::transport::{self, ConnectError};
use fedtwin_plan::digest::RunningDigest;
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{Digest, SiteName, StudyId};
use fedtwin_proto::domain::{Malformed, StudyEvent};
use fedtwin_proto::limits::MESSAGE_BYTES_MAX;
use fedtwin_proto::wire;
use fedtwin_proto::wire::audit_client::AuditClient;
use fedtwin_proto::wire::research_client::ResearchClient;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

/// Where the coordinator is and who calls it.
#[derive(Debug, Clone)]
pub struct Address {
    /// The coordinator's address, as `HOST:PORT`.
    pub coordinator: String,
    /// The folder with the caller's credentials.
    pub credentials: PathBuf,
    /// The DNS name or IP address in the coordinator's certificate.
    pub server_name: String,
    /// The federation's revocation list; a coordinator that is in it is not believed.
    pub revoked: Option<PathBuf>,
}

/// An open connection to the coordinator.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
}

/// Why the coordinator did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The caller's credentials cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The caller's credentials have expired, or make no connection.
    #[error("these credentials cannot be used")]
    Credentials(#[from] fedtwin_certs::credentials::CredentialsError),
    /// The caller's credentials make no TLS configuration.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The coordinator said no.
    #[error("the coordinator refused: {0}")]
    Refused(String),
    /// The coordinator sent what no correct one sends.
    #[error("the coordinator misbehaved")]
    CoordinatorMisbehaved(#[from] Malformed),
    /// A file has other bytes than its name says.
    #[error("the coordinator misbehaved: the model it sent is not {0}")]
    OtherModel(Digest),
    /// A file is longer than anything the coordinator has.
    #[error("the coordinator misbehaved: it sent more than {0} bytes")]
    TooLong(u64),
    /// The model cannot be stored.
    #[error("{file} cannot be written")]
    Storage {
        /// The path that was tried.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        match ConnectError::find(&status) {
            Some(error) => Self::Connect(error),
            None => Self::Refused(status.message().to_owned()),
        }
    }
}

impl Client {
    /// Connects with the credentials in a folder.
    ///
    /// # Errors
    /// Says whether the credentials, the address, the network or a certificate is the obstacle.
    pub async fn connect(address: &Address) -> Result<Self, ClientError> {
        let mut credentials = folder::load_credentials(&address.credentials)?;
        credentials.check_time(clock::now())?;
        if let Some(list) = &address.revoked {
            let revocations = Revocations::beside(list, credentials.authority());
            credentials = credentials.with_revocation(Arc::new(revocations));
        }
        let config = Arc::new(tls::client_config(&credentials, clock::for_tls())?);
        let mut tries = 0;
        loop {
            match transport::connect(&address.coordinator, &address.server_name, Arc::clone(&config)).await {
                Ok(channel) => return Ok(Self { channel }),
                // A coordinator that was started along with this program is there in a moment.
                Err(ConnectError::Unreachable { .. }) if tries < CONNECT_RETRIES => tries += 1,
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(CONNECT_PAUSE).await;
        }
    }

    /// Gives the initial model that a plan names.
    ///
    /// # Errors
    /// Returns the coordinator's reason.
    pub async fn give_model(
        &self,
        plan: SignedPlan,
        chunks: impl Iterator<Item = Vec<u8>> + Send + 'static,
    ) -> Result<(), ClientError> {
        let plan = wire::model_message::Part::Plan(plan.into());
        let chunks =
            chunks.map(|data| wire::model_message::Part::Chunk(wire::FileChunk { data: data.into() }));
        let parts = std::iter::once(plan).chain(chunks);
        let messages = parts.map(|part| wire::ModelMessage { part: Some(part) });
        self.research().give_model(futures_util::stream::iter(messages)).await?;
        Ok(())
    }

    /// Opens a study and returns the plan's digest as the coordinator computed it.
    ///
    /// # Errors
    /// Returns the coordinator's reason.
    pub async fn open_study(&self, plan: SignedPlan) -> Result<Digest, ClientError> {
        let opened = self.research().open_study(wire::SignedPlan::from(plan)).await?;
        Ok(fedtwin_proto::domain::digest("plan", &opened.into_inner().plan)?)
    }

    /// Returns a study's events from its beginning.
    ///
    /// # Errors
    /// Returns the coordinator's reason.
    pub async fn watch_study(&self, study: &StudyId) -> Result<Events, ClientError> {
        let request = wire::StudyRequest { study: study.to_string() };
        Ok(Events(self.research().watch_study(request).await?.into_inner()))
    }

    /// Ends a study at all sites.
    ///
    /// # Errors
    /// Returns the coordinator's reason.
    pub async fn cancel_study(&self, study: &StudyId) -> Result<(), ClientError> {
        let request = wire::StudyRequest { study: study.to_string() };
        self.research().cancel_study(request).await?;
        Ok(())
    }

    /// Downloads a model to a file, which exists only once its digest is checked.
    ///
    /// # Errors
    /// Refuses other bytes than the digest's; passes on what the disk says.
    pub async fn fetch_model(&self, model: &Digest, file: &Path) -> Result<(), ClientError> {
        let mut name = file.as_os_str().to_owned();
        name.push(".part");
        let part = PathBuf::from(name);
        let renamed = match self.download(model, &part).await {
            Ok(()) => std::fs::rename(&part, file),
            Err(error) => {
                // What is left of it is of no use, and that it is left is no second error.
                let _ = std::fs::remove_file(&part);
                return Err(error);
            }
        };
        renamed.map_err(|source| ClientError::Storage { file: file.to_owned(), source })
    }

    async fn download(&self, model: &Digest, part: &Path) -> Result<(), ClientError> {
        let storage = |source| ClientError::Storage { file: part.to_owned(), source };
        let request = wire::ModelRequest { model: model.0.to_vec().into() };
        let mut chunks = self.research().fetch_model(request).await?.into_inner();
        let (mut out, mut digest) = (File::create(part).map_err(storage)?, RunningDigest::new());
        let mut length = 0;
        while let Some(chunk) = chunks.message().await? {
            length += chunk.data.len() as u64;
            if length > MODEL_BYTES_MAX {
                return Err(ClientError::TooLong(MODEL_BYTES_MAX));
            }
            digest.update(&chunk.data);
            out.write_all(&chunk.data).map_err(storage)?;
        }
        if digest.finish() != *model {
            return Err(ClientError::OtherModel(*model));
        }
        out.sync_all().map_err(storage)
    }

    /// Lists the sites whose ledgers the coordinator mirrors.
    ///
    /// # Errors
    /// Returns the coordinator's reason.
    pub async fn ledgers(&self) -> Result<Vec<SiteName>, ClientError> {
        let list = self.audit().list_ledgers(wire::ListLedgersRequest {}).await?.into_inner();
        let site = |name: String| {
            name.parse().map_err(|error| Malformed { field: "sites", expected: format!("{error}") })
        };
        Ok(list.sites.into_iter().map(site).collect::<Result<_, _>>()?)
    }

    /// Downloads the mirror of a site's ledger.
    ///
    /// # Errors
    /// Returns the coordinator's reason.
    pub async fn fetch_ledger(&self, site: &SiteName) -> Result<Vec<u8>, ClientError> {
        let request = wire::LedgerRequest { site: site.to_string() };
        let mut chunks = self.audit().fetch_ledger(request).await?.into_inner();
        let mut ledger = Vec::new();
        while let Some(chunk) = chunks.message().await? {
            ledger.extend_from_slice(&chunk.data);
            if ledger.len() as u64 > LEDGER_BYTES_MAX {
                return Err(ClientError::TooLong(LEDGER_BYTES_MAX));
            }
        }
        Ok(ledger)
    }

    /// Returns the last checkpoint of a site's ledger, with the cosignatures of those who saw it.
    ///
    /// # Errors
    /// Returns the coordinator's reason.
    pub async fn fetch_checkpoint(&self, site: &SiteName) -> Result<String, ClientError> {
        let request = wire::LedgerRequest { site: site.to_string() };
        Ok(self.audit().fetch_checkpoint(request).await?.into_inner().note)
    }

    fn research(&self) -> ResearchClient<Channel> {
        ResearchClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    fn audit(&self) -> AuditClient<Channel> {
        AuditClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }
}

/// A study's events as they come.
#[derive(Debug)]
pub struct Events(Streaming<wire::StudyEvent>);

impl Events {
    /// Waits for the next event; returns nothing when the coordinator has no more.
    ///
    /// # Errors
    /// Says why the stream broke.
    pub async fn next(&mut self) -> Result<Option<StudyEvent>, ClientError> {
        Ok(self.0.message().await?.map(StudyEvent::try_from).transpose()?)
    }
}

/// Four seconds in all: longer than a coordinator takes to start, shorter than a person waits in doubt.
const CONNECT_RETRIES: u32 = 16;
const CONNECT_PAUSE: Duration = Duration::from_millis(250);

/// A billion weights of 4 bytes and a header: no model of a plan is larger.
const MODEL_BYTES_MAX: u64 = 5_000_000_000;

/// Half a million entries, more than a site writes in its life.
const LEDGER_BYTES_MAX: u64 = 256 << 20;
