//! What site agents call.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use fedtwin_certs::Role;
use fedtwin_daemon::{clock, program};
use fedtwin_plan::SiteName;
use fedtwin_proto::domain::{
    Counts, Growth, LedgerEntries, Malformed, Notice, PlanAnswer, RoundDeclined, SecureMessage, SecureStep,
    Sighting, UpdateHeader, as_reason, digest,
};
use fedtwin_proto::wire;
use fedtwin_proto::wire::sites_server::Sites;
use fedtwin_secagg::coordinator::FromSite;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::files::{self, FileStream};
use super::{Context, caller};
use crate::driver::Command;
use crate::mirror::MirrorError;
use crate::spool::{Spool, SpoolError, Update};

/// Serves site agents.
pub struct SitesService {
    context: Context,
    subscriptions: AtomicU64,
    spools: AtomicU64,
    uploads: Mutex<HashMap<SiteName, Arc<Semaphore>>>,
}

impl SitesService {
    /// Makes the service.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self {
            context,
            subscriptions: AtomicU64::new(0),
            spools: AtomicU64::new(0),
            uploads: Mutex::new(HashMap::new()),
        }
    }

    /// Bounds what one site can make the coordinator spool at once.
    fn upload_place(&self, site: &SiteName) -> Result<OwnedSemaphorePermit, Status> {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        let places = uploads.entry(site.clone()).or_insert_with(|| Arc::new(Semaphore::new(UPLOADS_MAX)));
        Arc::clone(places).try_acquire_owned().map_err(|_none_left| {
            Status::resource_exhausted(format!("{UPLOADS_MAX} uploads of {site} are open"))
        })
    }

    /// Takes an update's chunks to its spool.
    async fn receive(
        &self,
        header: UpdateHeader,
        messages: &mut Streaming<wire::UpdateMessage>,
    ) -> Result<Result<Update, SpoolError>, Status> {
        let expected = self.context.ask(|reply| Command::Expect(header.key.clone(), reply)).await?;
        let expected = expected.map_err(Status::failed_precondition)?;
        let path = self.context.store.spool(self.spools.fetch_add(1, Ordering::Relaxed));
        let mut spool = match Spool::create(path, header, expected) {
            Ok(spool) => spool,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            let message = timeout(SILENCE, messages.message()).await;
            let message = message.map_err(|_elapsed| Status::deadline_exceeded("the update stalled"))??;
            let Some(message) = message else { return Ok(spool.finish()) };
            let Some(wire::update_message::Part::Chunk(chunk)) = message.part else {
                return Err(Malformed { field: "part", expected: "is not a chunk".to_owned() }.into());
            };
            // Hashing 64 KiB and copying them to the page cache take 50 µs, less than a hop to a thread for
            // it; a thread for every stream also costs memory with every site.
            if let Err(error) = spool.append(chunk.index, &chunk.data) {
                return Ok(Err(error));
            }
        }
    }
}

/// Tells a site why its ledger is not mirrored; the coordinator's operator looks at it, too.
fn refused(error: MirrorError) -> Status {
    let reason = program::describe(&error);
    tracing::warn!(%reason, "a ledger was not mirrored");
    Status::failed_precondition(reason)
}

fn site<T>(request: &Request<T>) -> Result<SiteName, Status> {
    let identity = caller(request, &[Role::Site])?;
    Ok(identity.site().expect("the caller's role was checked"))
}

#[tonic::async_trait]
impl Sites for SitesService {
    type SubscribeStream = Notices;
    type FetchModelStream = FileStream;

    async fn subscribe(
        &self,
        request: Request<wire::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let site = site(&request)?;
        let der = &request.get_ref().identity_certificate;
        let authority = self.context.credentials.authority();
        let (identity, key) = authority.verify_identity(der, clock::now()).map_err(|error| {
            Status::unauthenticated(format!("identity certificate: {}", program::describe(&error)))
        })?;
        if identity.site().as_ref() != Some(&site) {
            return Err(Status::unauthenticated("the identity certificate is another holder's"));
        }
        let (mirrors, certificate) = (&self.context.mirrors, der.clone());
        let opened = tokio::task::block_in_place(|| mirrors.open(&site, key, certificate));
        if let Err(error) = opened {
            tracing::error!(%site, error = %program::describe(&error), "a mirror cannot be used");
            return Err(Status::failed_precondition(program::describe(&error)));
        }
        let number = self.subscriptions.fetch_add(1, Ordering::Relaxed);
        let (notices, queue) = mpsc::channel(NOTICES_QUEUED);
        tracing::info!(%site, "subscribed");
        self.context.tell(Command::Subscribe(site.clone(), number, notices)).await?;
        Ok(Response::new(Notices { queue, site, number, commands: self.context.commands.clone() }))
    }

    async fn answer_plan(
        &self,
        request: Request<wire::PlanAnswer>,
    ) -> Result<Response<wire::Acknowledged>, Status> {
        let site = site(&request)?;
        let answer = PlanAnswer::try_from(request.into_inner())?;
        let taken = self.context.ask(|reply| Command::Answer(site, answer, reply)).await?;
        taken.map_err(Status::failed_precondition)?;
        Ok(Response::new(wire::Acknowledged {}))
    }

    async fn fetch_model(
        &self,
        request: Request<wire::ModelRequest>,
    ) -> Result<Response<Self::FetchModelStream>, Status> {
        site(&request)?;
        let model = digest("model", &request.get_ref().model)?;
        Ok(Response::new(files::stream(&self.context.store.model(&model), "model with this digest")?))
    }

    async fn send_update(
        &self,
        request: Request<Streaming<wire::UpdateMessage>>,
    ) -> Result<Response<wire::Acknowledged>, Status> {
        let site = site(&request)?;
        let _place = self.upload_place(&site)?;
        let mut messages = request.into_inner();
        let first = timeout(SILENCE, messages.message()).await;
        let first = first.map_err(|_elapsed| Status::deadline_exceeded("the update did not begin"))??;
        let Some(wire::update_message::Part::Header(header)) = first.and_then(|message| message.part) else {
            return Err(Malformed {
                field: "part",
                expected: "is not a header, which comes first".to_owned(),
            }
            .into());
        };
        let header = UpdateHeader::try_from(header)?;
        let key = header.key.clone();
        match self.receive(header, &mut messages).await? {
            Ok(update) => {
                let taken = self.context.ask(|reply| Command::Update(site, key, update, reply)).await?;
                taken.map_err(Status::failed_precondition)?;
                Ok(Response::new(wire::Acknowledged {}))
            }
            Err(error) => {
                let reason = as_reason(&program::describe(&error));
                tracing::warn!(%site, %key, %reason, "an update was refused");
                self.context.tell(Command::Unusable(site, key, reason.clone())).await?;
                Err(match error {
                    SpoolError::Storage { .. } => Status::internal("the coordinator cannot store the update"),
                    SpoolError::WrongLength { .. }
                    | SpoolError::WrongChunk { .. }
                    | SpoolError::ChunkSize(_)
                    | SpoolError::CutOff { .. }
                    | SpoolError::WrongDigest => Status::invalid_argument(reason),
                })
            }
        }
    }

    async fn send_metrics(
        &self,
        request: Request<wire::MetricsMessage>,
    ) -> Result<Response<wire::Acknowledged>, Status> {
        let site = site(&request)?;
        let counts = Counts::try_from(request.into_inner())?;
        let taken = self.context.ask(|reply| Command::Metrics(site, counts, reply)).await?;
        taken.map_err(Status::failed_precondition)?;
        Ok(Response::new(wire::Acknowledged {}))
    }

    async fn send_secure(
        &self,
        request: Request<wire::SecureMessage>,
    ) -> Result<Response<wire::Acknowledged>, Status> {
        let site = site(&request)?;
        let SecureMessage { key, step } = SecureMessage::try_from(request.into_inner())?;
        let message = match step {
            SecureStep::Advert(advert) => {
                let identity = self.context.mirrors.identity(&site).map_err(refused)?;
                FromSite::Advert(advert, identity)
            }
            SecureStep::Shares(shares) => FromSite::Shares(shares),
            SecureStep::Consent(consent) => FromSite::Consent(consent),
            SecureStep::Opening(opening) => FromSite::Opening(opening),
        };
        let taken = self.context.ask(|reply| Command::Secure(site, key, message, reply)).await?;
        taken.map_err(Status::failed_precondition)?;
        Ok(Response::new(wire::Acknowledged {}))
    }

    async fn decline_round(
        &self,
        request: Request<wire::RoundDeclined>,
    ) -> Result<Response<wire::Acknowledged>, Status> {
        let site = site(&request)?;
        let declined = RoundDeclined::try_from(request.into_inner())?;
        self.context.tell(Command::Decline(site, declined)).await?;
        Ok(Response::new(wire::Acknowledged {}))
    }

    async fn mirror_ledger(
        &self,
        request: Request<wire::LedgerEntries>,
    ) -> Result<Response<wire::MirrorState>, Status> {
        let site = site(&request)?;
        let sent = LedgerEntries::try_from(request.into_inner())?;
        let mirrors = self.context.mirrors.clone();
        let append = tokio::task::spawn_blocking(move || mirrors.append(&site, &sent, clock::now()));
        let state = append.await.expect("appending to a mirror does not panic");
        Ok(Response::new(state.map_err(refused)?.into()))
    }

    async fn witness(&self, request: Request<wire::Sightings>) -> Result<Response<wire::Growths>, Status> {
        let site = site(&request)?;
        let sightings = Sighting::read(request.into_inner())?;
        let mirrors = self.context.mirrors.clone();
        let witness = tokio::task::spawn_blocking(move || mirrors.witness(&site, sightings));
        let growths = witness.await.expect("looking at mirrors does not panic");
        Ok(Response::new(Growth::write(growths.map_err(refused)?)))
    }
}

/// A site's notices; the driver learns when the stream ends.
pub struct Notices {
    queue: mpsc::Receiver<Notice>,
    site: SiteName,
    number: u64,
    commands: mpsc::Sender<Command>,
}

impl Stream for Notices {
    type Item = Result<wire::Notice, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.queue.poll_recv(context).map(|notice| notice.map(|notice| Ok(notice.into())))
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        let (commands, site, number) = (self.commands.clone(), self.site.clone(), self.number);
        tokio::spawn(async move {
            // A driver that has ended knows no sites any more.
            let _ended = commands.send(Command::Unsubscribe(site, number)).await;
        });
    }
}

/// Notices of all studies that may wait for one site.
const NOTICES_QUEUED: usize = 256;
/// One update of each of a few studies at once.
const UPLOADS_MAX: usize = 8;
/// A peer that sends nothing for this long is gone.
const SILENCE: Duration = Duration::from_secs(60);
