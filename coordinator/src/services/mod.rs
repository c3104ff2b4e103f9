//! gRPC services: they take messages off the wire and hand them to the driver.
//!
//! Whoever gets here has passed the [gate](crate::gate), which knows the roles.

mod audit;
mod files;
mod research;
mod sites;

pub use audit::AuditService;
pub use research::ResearchService;
pub use sites::SitesService;

use std::sync::Arc;

use fedtwin_certs::{Credentials, Identity};
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Status};

use crate::access::Call;
use crate::driver::{Command, CommandError};
use crate::gate::Admitted;
use crate::mirror::Mirrors;
use crate::policy::Policy;
use crate::register::AccessError;
use crate::store::Store;

/// What every service needs.
#[derive(Clone)]
pub struct ServiceContext {
    /// The driver's queue.
    pub commands: mpsc::Sender<Command>,
    /// The mirrors of the sites' ledgers.
    pub mirrors: Mirrors,
    /// The coordinator's folder.
    pub store: Store,
    /// The coordinator's own credentials.
    pub credentials: Arc<Credentials>,
    /// What its operator allows.
    pub policy: Policy,
}

impl ServiceContext {
    /// Sends a command to the driver and waits for its answer.
    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, CommandError>>) -> Command,
    ) -> Result<T, Status> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_driver_ended| shutting_down())?.map_err(Status::from)
    }

    async fn tell(&self, command: Command) -> Result<(), Status> {
        self.commands.send(command).await.map_err(|_driver_ended| shutting_down())
    }

    /// Returns who calls. A call that has not passed the gate as this very call is nobody's.
    fn caller<T>(&self, request: &Request<T>, call: Call) -> Result<Identity, Status> {
        let admitted = request.extensions().get::<Admitted>().filter(|admitted| admitted.call == call);
        let admitted = admitted.ok_or_else(|| Status::unauthenticated("this call was not admitted"))?;
        Ok(admitted.caller.clone())
    }

    /// Has a refusal counted; a driver that is busy has more important things to do.
    pub(crate) fn note(&self, caller: &Identity, reason: &str) {
        let _busy = self.commands.try_send(Command::Refused(caller.clone(), reason.to_owned()));
    }
}

impl From<CommandError> for Status {
    fn from(refused: CommandError) -> Self {
        let text = refused.to_string();
        match refused {
            CommandError::Denied(AccessError::NoStudy { .. } | AccessError::NoModel { .. }) => {
                Self::not_found(text)
            }
            CommandError::Denied(AccessError::NotYours(_)) => Self::permission_denied(text),
            CommandError::OtherAgent(_) => Self::already_exists(text),
            CommandError::NotAdmitted(_) | CommandError::Study(_) => Self::failed_precondition(text),
        }
    }
}

fn shutting_down() -> Status {
    Status::unavailable("the coordinator is shutting down")
}
