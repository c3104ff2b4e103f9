//! What auditors call.

use fedtwin_plan::SiteName;
use fedtwin_proto::domain::Malformed;
use fedtwin_proto::wire;
use fedtwin_proto::wire::audit_server::Audit;
use tonic::{Request, Response, Status};

use super::ServiceContext;
use super::files::{self, FileStream};
use crate::access::Call;

/// Serves auditors.
pub struct AuditService(ServiceContext);

impl AuditService {
    /// Makes the service.
    #[must_use]
    pub fn new(context: ServiceContext) -> Self {
        Self(context)
    }
}

#[tonic::async_trait]
impl Audit for AuditService {
    type FetchLedgerStream = FileStream;

    async fn list_ledgers(
        &self,
        request: Request<wire::ListLedgersRequest>,
    ) -> Result<Response<wire::LedgerList>, Status> {
        self.0.caller(&request, Call::ListLedgers)?;
        let sites =
            self.0.mirrors.sites().map_err(|_unreadable| Status::internal("the mirrors cannot be listed"))?;
        Ok(Response::new(wire::LedgerList { sites: sites.into_iter().map(String::from).collect() }))
    }

    async fn fetch_ledger(
        &self,
        request: Request<wire::LedgerRequest>,
    ) -> Result<Response<Self::FetchLedgerStream>, Status> {
        self.0.caller(&request, Call::FetchLedger)?;
        let site = &request.get_ref().site;
        let path = if site.is_empty() {
            self.0.store.audit_log()
        } else {
            let site: SiteName = site.parse().map_err(named)?;
            self.0.store.ledger(&site)
        };
        Ok(Response::new(files::stream(&path, "ledger of this site")?))
    }

    async fn fetch_checkpoint(
        &self,
        request: Request<wire::LedgerRequest>,
    ) -> Result<Response<wire::Checkpoint>, Status> {
        self.0.caller(&request, Call::FetchCheckpoint)?;
        let site: SiteName = request.get_ref().site.parse().map_err(named)?;
        let note = self.0.mirrors.checkpoint(&site);
        let note = note.ok_or_else(|| Status::not_found("there is no checkpoint of this site's ledger"))?;
        Ok(Response::new(wire::Checkpoint { note }))
    }
}

fn named(error: impl ToString) -> Malformed {
    Malformed { field: "site", expected: error.to_string() }
}
