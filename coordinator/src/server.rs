//! The running coordinator: listener, services and driver, from start to shutdown.

use std::path::PathBuf;
use std::sync::Arc;

use fedtwin_certs::{Credentials, LogSigner, tls};
use fedtwin_daemon::{clock, transport};
use fedtwin_proto::limits::MESSAGE_BYTES_MAX;
use fedtwin_proto::wire::audit_server::AuditServer;
use fedtwin_proto::wire::research_server::ResearchServer;
use fedtwin_proto::wire::sites_server::SitesServer;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tower::layer::layer_fn;
use tower::service_fn;

use crate::capacity::Capacity;
use crate::driver::Driver;
use crate::gate::Gate;
use crate::mirror::Mirrors;
use crate::policy::Policy;
use crate::services::{AuditService, ResearchService, ServiceContext, SitesService};
use crate::store::Store;

/// Serves until the token is cancelled.
///
/// # Errors
/// Returns what keeps the coordinator from starting, such as a system that lets it open too few files, or an audit log that can no longer be written.
pub async fn serve(
    listener: TcpListener,
    credentials: Credentials,
    (state, policy): (PathBuf, Policy),
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let capacity = Capacity::of(rlimit::increase_nofile_limit(u64::MAX)?, &policy)?;
    let credentials = Arc::new(credentials);
    let store = Store::open(state)?;
    let driver = Driver::open(store.clone(), LogSigner(Arc::clone(&credentials)), policy)?;
    let config = tls::server_config(&credentials, clock::for_tls())?;
    let (commands, queue) = mpsc::channel(COMMANDS_QUEUED);
    let context = ServiceContext {
        commands,
        mirrors: Mirrors::new(store.clone(), Arc::clone(&credentials), policy),
        store,
        credentials,
        policy,
    };

    let gate = Arc::new(Gate::new(context.clone(), capacity.files));
    let gated = layer_fn(move |routes: Routes| {
        let gate = Arc::clone(&gate);
        service_fn(move |request| Arc::clone(&gate).pass(request, routes.clone()))
    });
    let incoming = transport::accept(listener, Arc::new(config), capacity.limits(&policy));
    let sites = SitesServer::new(SitesService::new(context.clone()));
    let research = ResearchServer::new(ResearchService::new(context.clone()));
    let server = transport::tune_server(Server::builder())
        .layer(gated)
        .add_service(sites.max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(research.max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(AuditServer::new(AuditService::new(context)))
        .serve_with_incoming(incoming);

    // The driver ends first: its end closes every notice stream, and open connections are cut.
    let driving = driver.run(queue, stop);
    tokio::select! {
        result = driving => Ok(result?),
        result = server => Ok(result?),
    }
}

/// Commands that may wait for the driver: a few for every connection.
const COMMANDS_QUEUED: usize = 1024;
