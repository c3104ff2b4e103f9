//! What researchers call.

use std::pin::Pin;
use std::time::Duration;

use fedtwin_certs::{Identity, Role, verify_plan};
use fedtwin_daemon::{clock, program};
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{Plan, StudyId};
use fedtwin_proto::domain::{Malformed, StudyEvent, digest};
use fedtwin_proto::wire;
use fedtwin_proto::wire::research_server::Research;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::{Stream, StreamExt, iter};
use tonic::{Request, Response, Status, Streaming};

use super::files::{self, FileStream};
use super::{Context, caller};
use crate::driver::{Command, Watch};
use crate::initial::{Incoming, InitialError};

/// Serves researchers.
pub struct ResearchService {
    context: Context,
    /// Places for models on their way in.
    uploads: Semaphore,
}

impl ResearchService {
    /// Makes the service.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self { context, uploads: Semaphore::new(UPLOADS_MAX) }
    }

    /// Verifies the signature and returns the plan.
    fn verified(&self, researcher: &Identity, signed: &SignedPlan) -> Result<Plan, Status> {
        let authority = self.context.credentials.authority();
        let (plan, signer) = verify_plan(signed, authority, clock::now()).map_err(|error| {
            tracing::warn!(%researcher, error = %program::describe(&error), "a plan was refused");
            Status::invalid_argument(program::describe(&error))
        })?;
        tracing::info!(%researcher, %signer, study = %plan.study.id, "a plan was verified");
        Ok(plan)
    }

    /// Takes the file of a plan's initial model.
    async fn receive(&self, plan: &Plan, messages: &mut Streaming<wire::ModelMessage>) -> Result<(), Status> {
        let Some(mut incoming) = Incoming::start(&self.context.store, plan).map_err(refused)? else {
            return Ok(());
        };
        while let Some(message) = next(messages).await? {
            let Some(wire::model_message::Part::Chunk(chunk)) = message.part else {
                return Err(Malformed { field: "part", expected: "is not a chunk".to_owned() }.into());
            };
            incoming.append(&chunk.data).map_err(refused)?;
        }
        // Putting a large file in its place waits for the disk.
        tokio::task::block_in_place(|| incoming.finish()).map_err(refused)
    }
}

async fn next(messages: &mut Streaming<wire::ModelMessage>) -> Result<Option<wire::ModelMessage>, Status> {
    let message = timeout(SILENCE, messages.message()).await;
    message.map_err(|_elapsed| Status::deadline_exceeded("the model stalled"))?
}

fn refused(error: InitialError) -> Status {
    let text = program::describe(&error);
    match error {
        InitialError::Storage(_) => {
            tracing::error!(error = %text, "an initial model cannot be stored");
            Status::internal("the coordinator cannot store the model")
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
        let researcher = caller(&request, &[Role::Researcher])?;
        let _place = self.uploads.try_acquire().map_err(|_none_left| {
            Status::resource_exhausted(format!("{UPLOADS_MAX} models are on their way in; try again"))
        })?;
        let mut messages = request.into_inner();
        let first = next(&mut messages).await?.and_then(|message| message.part);
        let Some(wire::model_message::Part::Plan(signed)) = first else {
            let expected = "is not a plan, which comes first".to_owned();
            return Err(Malformed { field: "part", expected }.into());
        };
        let plan = self.verified(&researcher, &SignedPlan::try_from(signed)?)?;
        self.receive(&plan, &mut messages).await?;
        Ok(Response::new(wire::Acknowledged {}))
    }

    async fn open_study(
        &self,
        request: Request<wire::SignedPlan>,
    ) -> Result<Response<wire::StudyOpened>, Status> {
        let researcher = caller(&request, &[Role::Researcher])?;
        let signed = SignedPlan::try_from(request.into_inner())?;
        let plan = self.verified(&researcher, &signed)?;
        tracing::info!(%researcher, study = %plan.study.id, "a study is opened");
        let digest = signed.digest();
        let opened = self.context.ask(|reply| Command::Open(Box::new(plan), signed, reply)).await?;
        opened.map_err(Status::failed_precondition)?;
        Ok(Response::new(wire::StudyOpened { plan: bytes::Bytes::copy_from_slice(&digest.0) }))
    }

    async fn watch_study(
        &self,
        request: Request<wire::StudyRequest>,
    ) -> Result<Response<Self::WatchStudyStream>, Status> {
        caller(&request, &[Role::Researcher, Role::Operator])?;
        let study: StudyId = request
            .get_ref()
            .study
            .parse()
            .map_err(|error| Malformed { field: "study", expected: format!("{error}") })?;
        let watch = self.context.ask(|reply| Command::Watch(study.clone(), reply)).await?;
        let Watch { past, future } =
            watch.ok_or_else(|| Status::not_found(format!("there is no study {study}")))?;
        let past = iter(past.into_iter().map(|event| Ok(wire::StudyEvent::from(event))));
        let Some(future) = future else {
            return Ok(Response::new(Box::pin(past)));
        };
        let future = BroadcastStream::new(future).map(|event| match event {
            Ok(event) => Ok(StudyEvent::into(event)),
            Err(_lagged) => Err(Status::aborted("the watcher fell behind; watch again to see all events")),
        });
        Ok(Response::new(Box::pin(past.chain(future))))
    }

    async fn fetch_model(
        &self,
        request: Request<wire::ModelRequest>,
    ) -> Result<Response<Self::FetchModelStream>, Status> {
        caller(&request, &[Role::Researcher])?;
        let model = digest("model", &request.get_ref().model)?;
        Ok(Response::new(files::stream(&self.context.store.model(&model), "model with this digest")?))
    }
}

/// A model on its way in is one chunk in memory and at most one model on disk.
const UPLOADS_MAX: usize = 4;
/// A peer that sends nothing for this long is gone.
const SILENCE: Duration = Duration::from_secs(60);
