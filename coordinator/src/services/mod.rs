//! gRPC services: they check who calls, take messages off the wire, and hand them to the driver.

mod audit;
mod files;
mod research;
mod sites;

pub use audit::AuditService;
pub use research::ResearchService;
pub use sites::SitesService;

use std::sync::Arc;

use fedtwin_certs::{Credentials, Identity};
use fedtwin_daemon::clock;
use fedtwin_daemon::transport::Peer;
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Status};

use crate::access::Call;
use crate::driver::{Command, Refused};
use crate::mirror::Mirrors;
use crate::policy::Policy;
use crate::register::Denied;
use crate::store::Store;

/// What every service needs.
#[derive(Clone)]
pub struct Context {
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

impl Context {
    /// Sends a command to the driver and waits for its answer.
    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, Refused>>) -> Command,
    ) -> Result<T, Status> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_driver_ended| shutting_down())?.map_err(Status::from)
    }

    async fn tell(&self, command: Command) -> Result<(), Status> {
        self.commands.send(command).await.map_err(|_driver_ended| shutting_down())
    }

    /// Returns who calls, if the certificate's role may call this and has not expired meanwhile.
    fn caller<T>(&self, request: &Request<T>, call: Call) -> Result<Identity, Status> {
        let peer: &Peer =
            request.extensions().get().ok_or_else(|| Status::unauthenticated("no client certificate"))?;
        if clock::now() >= peer.expires {
            return Err(Status::unauthenticated(
                "the client's certificate has expired: renew it and connect again",
            ));
        }
        let identity = &peer.identity;
        let roles = call.roles();
        if roles.contains(&identity.role) {
            return Ok(identity.clone());
        }
        let roles = roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        tracing::warn!(%identity, expected = %roles, "a call was refused for its role");
        let reason = format!("{identity} may not call this: it takes a {roles}");
        self.note(identity, &reason);
        Err(Status::permission_denied(reason))
    }

    /// Has a refusal counted; a driver that is busy has more important things to do.
    fn note(&self, caller: &Identity, reason: &str) {
        let _busy = self.commands.try_send(Command::Refused(caller.clone(), reason.to_owned()));
    }
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let text = refused.to_string();
        match refused {
            Refused::Denied(Denied::NoStudy { .. } | Denied::NoModel { .. }) => Self::not_found(text),
            Refused::Denied(Denied::NotYours(_)) => Self::permission_denied(text),
            Refused::OtherAgent(_) => Self::already_exists(text),
            Refused::NotAdmitted(_) | Refused::Not(_) => Self::failed_precondition(text),
        }
    }
}

fn shutting_down() -> Status {
    Status::unavailable("the coordinator is shutting down")
}
