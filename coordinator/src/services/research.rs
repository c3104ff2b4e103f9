//! What researchers call.

use std::pin::Pin;
use std::time::Duration;

use fedtwin_certs::{Identity, verify_plan};
use fedtwin_daemon::{clock, program};
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{Plan, StudyId};
use fedtwin_proto::domain::{Malformed, StudyEvent, digest};
use fedtwin_proto::wire;
use fedtwin_proto::wire::research_server::Research;
use futures_util::stream::unfold;
use tokio::time::timeout;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::ServiceContext;
use super::files::{self, FileStream};
use crate::access::Call;
use crate::driver::{Command, NewStudy};
use crate::initial::{IncomingModel, InitialError};
use crate::words;

/// Serves researchers.
pub struct ResearchService {
    context: ServiceContext,
}

impl ResearchService {
    /// Makes the service.
    #[must_use]
    pub fn new(context: ServiceContext) -> Self {
        Self { context }
    }

    /// Verifies the signature and returns the plan.
    fn verified(&self, researcher: &Identity, signed: &SignedPlan) -> Result<Plan, Status> {
        let authority = self.context.credentials.authority();
        let (plan, signer) = verify_plan(signed, authority, clock::now()).map_err(|error| {
            tracing::warn!(%researcher, error = %program::describe(&error), "a plan was refused");
            let reason = words::for_others(&error);
            self.context.note(researcher, &reason);
            Status::invalid_argument(reason)
        })?;
        tracing::info!(%researcher, signer = %signer.identity, study = %plan.study.id, "a plan was verified");
        Ok(plan)
    }

    /// Takes the file of a plan's initial model, after its size is found to be allowed.
    async fn receive(
        &self,
        plan: &Plan,
        researcher: &Identity,
        messages: &mut Streaming<wire::ModelMessage>,
    ) -> Result<(), Status> {
        let ServiceContext { store, policy, .. } = &self.context;
        policy.allows(plan).map_err(|too_much| Status::failed_precondition(too_much.to_string()))?;
        let by = researcher.researcher().expect("the caller's role was checked");
        let Some(mut incoming) = IncomingModel::start(store, plan, &by).map_err(refused)? else {
            return Ok(());
        };
        while let Some(message) = next(messages).await? {
            let Some(wire::model_message::Part::Chunk(chunk)) = message.part else {
                return Err(Malformed { field: "part", expected: "is not a chunk".to_owned() }.into());
            };
            incoming.append(&chunk.data).map_err(refused)?;
        }
        // Putting a large file in its place waits for the disk.
        tokio::task::block_in_place(|| incoming.finish()).map_err(refused)?;
        store.keep_given(&by, policy.given_models_max as usize);
        Ok(())
    }
}

async fn next(messages: &mut Streaming<wire::ModelMessage>) -> Result<Option<wire::ModelMessage>, Status> {
    let message = timeout(SILENCE, messages.message()).await;
    message.map_err(|_elapsed| Status::deadline_exceeded("the model stalled"))?
}

fn refused(error: InitialError) -> Status {
    let text = words::for_others(&error);
    match error {
        InitialError::Storage(_) => {
            tracing::error!(error = %program::describe(&error), "an initial model cannot be stored");
            Status::internal(text)
        }
        InitialError::NotGiven(_)
        | InitialError::NotNamed
        | InitialError::Model(_)
        | InitialError::OtherModel { .. } => Status::invalid_argument(text),
    }
}

#[tonic::async_trait]
impl Research for ResearchService {
    type WatchStudyStream = Pin<Box<dyn Stream<Item = Result<wire::StudyEvent, Status>> + Send>>;
    type FetchModelStream = FileStream;

    async fn give_model(
        &self,
        request: Request<Streaming<wire::ModelMessage>>,
    ) -> Result<Response<wire::Acknowledged>, Status> {
        let researcher = self.context.caller(&request, Call::GiveModel)?;
        let mut messages = request.into_inner();
        let first = next(&mut messages).await?.and_then(|message| message.part);
        let Some(wire::model_message::Part::Plan(signed)) = first else {
            let expected = "is not a plan, which comes first".to_owned();
            return Err(Malformed { field: "part", expected }.into());
        };
        let plan = self.verified(&researcher, &SignedPlan::try_from(signed)?)?;
        let received = self.receive(&plan, &researcher, &mut messages).await;
        received.inspect_err(|refused| self.context.note(&researcher, refused.message()))?;
        Ok(Response::new(wire::Acknowledged {}))
    }

    async fn open_study(
        &self,
        request: Request<wire::SignedPlan>,
    ) -> Result<Response<wire::StudyOpened>, Status> {
        let researcher = self.context.caller(&request, Call::OpenStudy)?;
        let signed = SignedPlan::try_from(request.into_inner())?;
        let plan = self.verified(&researcher, &signed)?;
        let digest = signed.digest();
        let opening = Box::new(NewStudy { plan, signed, caller: researcher });
        self.context.ask(|reply| Command::Open(opening, reply)).await?;
        Ok(Response::new(wire::StudyOpened { plan: bytes::Bytes::copy_from_slice(&digest.0) }))
    }

    async fn watch_study(
        &self,
        request: Request<wire::StudyRequest>,
    ) -> Result<Response<Self::WatchStudyStream>, Status> {
        let caller = self.context.caller(&request, Call::WatchStudy)?;
        let study = study(request.get_ref())?;
        let follower = self.context.ask(|reply| Command::Watch(caller, study, reply)).await?;
        let events = unfold(follower, |mut follower| async {
            let event = follower.next().await?;
            Some((Ok(StudyEvent::clone(&event).into()), follower))
        });
        Ok(Response::new(Box::pin(events)))
    }

    async fn cancel_study(
        &self,
        request: Request<wire::StudyRequest>,
    ) -> Result<Response<wire::Acknowledged>, Status> {
        let caller = self.context.caller(&request, Call::CancelStudy)?;
        let study = study(request.get_ref())?;
        self.context.ask(|reply| Command::Cancel(caller, study, reply)).await?;
        Ok(Response::new(wire::Acknowledged {}))
    }

    async fn fetch_model(
        &self,
        request: Request<wire::ModelRequest>,
    ) -> Result<Response<Self::FetchModelStream>, Status> {
        let caller = self.context.caller(&request, Call::DownloadModel)?;
        let model = digest("model", &request.get_ref().model)?;
        let file =
            self.context.ask(|reply| Command::Model(caller, Call::DownloadModel, model, reply)).await?;
        Ok(Response::new(files::stream(&file, "model with this digest")?))
    }
}

fn study(request: &wire::StudyRequest) -> Result<StudyId, Malformed> {
    request.study.parse().map_err(|error| Malformed { field: "study", expected: format!("{error}") })
}

/// A peer that sends nothing for this long is gone.
const SILENCE: Duration = Duration::from_secs(60);
