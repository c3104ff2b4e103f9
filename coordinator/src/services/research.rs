//! What researchers call.

use std::pin::Pin;

use fedtwin_certs::{Role, verify_plan};
use fedtwin_daemon::{clock, program};
use fedtwin_plan::StudyId;
use fedtwin_plan::signed::SignedPlan;
use fedtwin_proto::domain::{Malformed, StudyEvent, digest};
use fedtwin_proto::wire;
use fedtwin_proto::wire::research_server::Research;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::{Stream, StreamExt, iter};
use tonic::{Request, Response, Status};

use super::files::{self, FileStream};
use super::{Context, caller};
use crate::driver::{Command, Watch};

/// Serves researchers.
pub struct ResearchService(Context);

impl ResearchService {
    /// Makes the service.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self(context)
    }
}

#[tonic::async_trait]
impl Research for ResearchService {
    type WatchStudyStream = Pin<Box<dyn Stream<Item = Result<wire::StudyEvent, Status>> + Send>>;
    type FetchModelStream = FileStream;

    async fn open_study(
        &self,
        request: Request<wire::SignedPlan>,
    ) -> Result<Response<wire::StudyOpened>, Status> {
        let researcher = caller(&request, &[Role::Researcher])?;
        let signed = SignedPlan::try_from(request.into_inner())?;
        let authority = self.0.credentials.authority();
        let (plan, signer) = verify_plan(&signed, authority, clock::now()).map_err(|error| {
            tracing::warn!(%researcher, error = %program::describe(&error), "a plan was refused");
            Status::invalid_argument(program::describe(&error))
        })?;
        tracing::info!(%researcher, %signer, study = %plan.study.id, "a study is opened");
        let digest = signed.digest();
        let opened = self.0.ask(|reply| Command::Open(Box::new(plan), signed, reply)).await?;
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
        let watch = self.0.ask(|reply| Command::Watch(study.clone(), reply)).await?;
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
        Ok(Response::new(files::stream(&self.0.store.model(&model), "model with this digest")?))
    }
}
