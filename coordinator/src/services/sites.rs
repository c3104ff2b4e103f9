//! What site agents call.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use fedtwin_certs::Identity;
use fedtwin_daemon::{clock, program};
use fedtwin_plan::{SiteName, StudyId};
use fedtwin_proto::domain::{
    AttemptDeclined, Counts, Growth, LedgerEntries, Malformed, Notice, PlanAnswer, SecureMessage, SecureStep,
    Sighting, UpdateHeader, digest,
};
use fedtwin_proto::limits::RUNNING_MAX;
use fedtwin_proto::wire;
use fedtwin_proto::wire::sites_server::Sites;
use fedtwin_secagg::coordinator::FromSite;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::ServiceContext;
use super::files::{self, FileStream};
use crate::access::Call;
use crate::driver::{Command, Subscription};
use crate::gate::Room;
use crate::mirror::MirrorError;
use crate::spool::{Spool, SpoolError, Update};
use crate::study::Input;
use crate::words;

/// Serves site agents.
pub struct SitesService {
    context: ServiceContext,
    subscriptions: AtomicU64,
}

impl SitesService {
    /// Makes the service.
    #[must_use]
    pub fn new(context: ServiceContext) -> Self {
        Self { context, subscriptions: AtomicU64::new(0) }
    }

    /// Returns who calls, which site that is, and takes the request apart.
    fn site<T>(&self, request: &Request<T>, call: Call) -> Result<(Identity, SiteName), Status> {
        let caller = self.context.caller(request, call)?;
        let site = caller.site().expect("the caller's role was checked");
        Ok((caller, site))
    }

    /// Passes on what a site says about a study.
    async fn say(
        &self,
        caller: Identity,
        call: Call,
        study: StudyId,
        input: Input,
    ) -> Result<Response<wire::Acknowledged>, Status> {
        let input = Box::new(input);
        self.context.ask(|reply| Command::Tell(caller, call, study, input, reply)).await?;
        Ok(Response::new(wire::Acknowledged {}))
    }

    /// Takes an update's chunks to its spool.
    async fn receive(
        &self,
        caller: Identity,
        header: UpdateHeader,
        messages: &mut Streaming<wire::UpdateMessage>,
    ) -> Result<Result<Update, SpoolError>, Status> {
        let expected = self.context.ask(|reply| Command::Expect(caller, header.key.clone(), reply)).await?;
        let mut spool = match Spool::create(self.context.store.spools(), header, expected) {
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

/// Tells a site why its ledger is not mirrored; the coordinator's operator looks at it, too. What is not the site's doing
/// passes: it tries again, and its update is not lost.
fn refused(error: MirrorError) -> Status {
    tracing::warn!(reason = %program::describe(&error), "a ledger was not mirrored");
    let reason = words::for_others(&error);
    match error {
        MirrorError::NotSubscribed(_) | MirrorError::Storage { .. } => Status::unavailable(reason),
        MirrorError::NotContinued(_)
        | MirrorError::Checkpoint(_)
        | MirrorError::OtherCheckpoint(_)
        | MirrorError::Full { .. } => Status::failed_precondition(reason),
    }
}

#[tonic::async_trait]
impl Sites for SitesService {
    type SubscribeStream = Notices;
    type FetchModelStream = FileStream;

    async fn subscribe(
        &self,
        request: Request<wire::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let (_, site) = self.site(&request, Call::Subscribe)?;
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
            tracing::error!(%site, "a mirror cannot be used");
            return Err(refused(error));
        }
        let agent = agent(&request.get_ref().agent)?;
        let number = self.subscriptions.fetch_add(1, Ordering::Relaxed);
        let (notices, queue) = mpsc::channel(NOTICES_QUEUED);
        let running = running(&request.get_ref().running)?;
        let subscription = Subscription { number, agent, running, notices };
        self.context.ask(|reply| Command::Subscribe(site.clone(), subscription, reply)).await?;
        Ok(Response::new(Notices { queue, site, number, commands: self.context.commands.clone() }))
    }

    async fn answer_plan(
        &self,
        request: Request<wire::PlanAnswer>,
    ) -> Result<Response<wire::Acknowledged>, Status> {
        let (caller, site) = self.site(&request, Call::AnswerPlan)?;
        let PlanAnswer { study, answer } = PlanAnswer::try_from(request.into_inner())?;
        self.say(caller, Call::AnswerPlan, study, Input::Answered(site, answer)).await
    }

    async fn fetch_model(
        &self,
        request: Request<wire::ModelRequest>,
    ) -> Result<Response<Self::FetchModelStream>, Status> {
        let (caller, _) = self.site(&request, Call::FetchStudyModel)?;
        let model = digest("model", &request.get_ref().model)?;
        let file =
            self.context.ask(|reply| Command::Model(caller, Call::FetchStudyModel, model, reply)).await?;
        Ok(Response::new(files::stream(&file, "model with this digest")?))
    }

    async fn send_update(
        &self,
        request: Request<Streaming<wire::UpdateMessage>>,
    ) -> Result<Response<wire::Acknowledged>, Status> {
        let (caller, site) = self.site(&request, Call::SendUpdate)?;
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
        match self.receive(caller.clone(), header, &mut messages).await? {
            Ok(update) => {
                let input = Input::Updated(site, key.attempt, update);
                self.say(caller, Call::SendUpdate, key.study, input).await
            }
            Err(error) => {
                let described = program::describe(&error);
                let reason = words::for_others(&error);
                match error {
                    // The site sends it again until it is stored; that is not its failure.
                    SpoolError::Storage { .. } => {
                        tracing::error!(%site, %key, error = %described, "an update cannot be stored");
                        Err(Status::internal(reason))
                    }
                    SpoolError::WrongLength { .. }
                    | SpoolError::WrongChunk { .. }
                    | SpoolError::ChunkSize(_)
                    | SpoolError::CutOff { .. }
                    | SpoolError::WrongDigest => {
                        tracing::warn!(%site, %key, error = %described, "an update was refused");
                        self.context.tell(Command::Unusable(site, key, reason.clone())).await?;
                        Err(Status::invalid_argument(reason))
                    }
                }
            }
        }
    }

    async fn send_metrics(
        &self,
        request: Request<wire::MetricsMessage>,
    ) -> Result<Response<wire::Acknowledged>, Status> {
        let (caller, site) = self.site(&request, Call::SendMetrics)?;
        let Counts { key, values } = Counts::try_from(request.into_inner())?;
        let study = key.study.clone();
        self.say(caller, Call::SendMetrics, study, Input::Measured(site, key, values)).await
    }

    async fn send_secure(
        &self,
        request: Request<wire::SecureMessage>,
    ) -> Result<Response<wire::Acknowledged>, Status> {
        let (caller, site) = self.site(&request, Call::SendSecure)?;
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
        let study = key.study.clone();
        self.say(caller, Call::SendSecure, study, Input::Secure(site, key, message)).await
    }

    async fn decline_round(
        &self,
        request: Request<wire::AttemptDeclined>,
    ) -> Result<Response<wire::Acknowledged>, Status> {
        let (caller, site) = self.site(&request, Call::DeclineRound)?;
        let AttemptDeclined { study, attempt, reason } = AttemptDeclined::try_from(request.into_inner())?;
        self.say(caller, Call::DeclineRound, study, Input::Declined(site, attempt, reason)).await
    }

    async fn mirror_ledger(
        &self,
        request: Request<wire::LedgerEntries>,
    ) -> Result<Response<wire::MirrorState>, Status> {
        let (_, site) = self.site(&request, Call::MirrorLedger)?;
        let room = request.extensions().get().cloned();
        let sent = LedgerEntries::try_from(request.into_inner())?;
        let mirrors = self.context.mirrors.clone();
        let state = on_a_thread(room, move || mirrors.append(&site, &sent, clock::now())).await;
        Ok(Response::new(state.map_err(refused)?.into()))
    }

    async fn witness(&self, request: Request<wire::Sightings>) -> Result<Response<wire::Growths>, Status> {
        let (_, site) = self.site(&request, Call::Witness)?;
        let room = request.extensions().get().cloned();
        let sightings = Sighting::read(request.into_inner())?;
        let mirrors = self.context.mirrors.clone();
        let growths = on_a_thread(room, move || mirrors.witness(&site, sightings)).await;
        Ok(Response::new(Growth::write(growths.map_err(refused)?)))
    }
}

/// Does what waits for the disk. The site may give up meanwhile; what is done for it has its room all the same.
async fn on_a_thread<T: Send + 'static>(room: Option<Room>, work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(move || {
        let _room = room;
        work()
    });
    done.await.expect("work on mirrors does not panic")
}

/// Reads what an agent calls itself.
fn agent(number: &[u8]) -> Result<Vec<u8>, Malformed> {
    if number.len() <= AGENT_BYTES_MAX {
        return Ok(number.to_vec());
    }
    Err(Malformed { field: "agent", expected: format!("has more than {AGENT_BYTES_MAX} bytes") })
}

/// Reads which studies a site believes to be running.
fn running(studies: &[String]) -> Result<Vec<StudyId>, Malformed> {
    let malformed = |expected: String| Malformed { field: "running", expected };
    if studies.len() > RUNNING_MAX {
        return Err(malformed(format!("has more than {RUNNING_MAX} studies")));
    }
    let study = |id: &String| id.parse().map_err(|error| malformed(format!("is no study: {error}")));
    studies.iter().map(study).collect()
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

/// Enough to draw a number that nobody else has.
const AGENT_BYTES_MAX: usize = 32;
/// Notices of all studies that may wait for one site.
const NOTICES_QUEUED: usize = 256;
/// A peer that sends nothing for this long is gone.
const SILENCE: Duration = Duration::from_secs(60);
