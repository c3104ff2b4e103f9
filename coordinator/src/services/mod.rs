//! gRPC services: they check who calls, take messages off the wire, and hand them to the driver.

mod audit;
mod files;
mod research;
mod sites;

pub use audit::AuditService;
pub use research::ResearchService;
pub use sites::SitesService;

use std::sync::Arc;

use fedtwin_certs::{Credentials, Identity, Role};
use fedtwin_daemon::clock;
use fedtwin_daemon::transport::Peer;
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Status};

use crate::driver::Command;
use crate::mirror::Mirrors;
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
}

impl Context {
    /// Sends a command to the driver and waits for its answer.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Status> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_driver_ended| shutting_down())
    }

    async fn tell(&self, command: Command) -> Result<(), Status> {
        self.commands.send(command).await.map_err(|_driver_ended| shutting_down())
    }
}

fn shutting_down() -> Status {
    Status::unavailable("the coordinator is shutting down")
}

/// Returns who calls, if the certificate's role is one of `roles` and has not expired meanwhile.
fn caller<T>(request: &Request<T>, roles: &[Role]) -> Result<Identity, Status> {
    let peer: &Peer =
        request.extensions().get().ok_or_else(|| Status::unauthenticated("no client certificate"))?;
    if clock::now() >= peer.expires {
        return Err(Status::unauthenticated(
            "the client's certificate has expired: renew it and connect again",
        ));
    }
    let identity = &peer.identity;
    if roles.contains(&identity.role) {
        return Ok(identity.clone());
    }
    let roles = roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    tracing::warn!(%identity, expected = %roles, "a call was refused for its role");
    Err(Status::permission_denied(format!("{identity} may not call this: it takes a {roles}")))
}
