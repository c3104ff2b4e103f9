//! Whose objects are whose: every role, every call, own and foreign studies, over real connections.

use std::collections::BTreeSet;

use fedtwin_certs::Role;
use fedtwin_coordinator::access::Call;
use fedtwin_plan::Digest;
use fedtwin_proto::wire;
use fedtwin_proto::wire::audit_client::AuditClient;
use fedtwin_proto::wire::research_client::ResearchClient;
use fedtwin_proto::wire::sites_client::SitesClient;
use fedtwin_simulation::federation::RESEARCHER;
use fedtwin_tests::testbed::{Testbed, in_time};
use fedtwin_tests::vector_study::VectorStudy;
use tonic::Status;
use tonic::transport::Channel;

/// Somebody who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Caller {
    /// The researcher who opened the study.
    Opener,
    /// A researcher whom the plan names.
    Reader,
    /// Another researcher.
    OtherResearcher,
    /// A site of the audience.
    SiteInAudience,
    /// Another site.
    OtherSite,
    Auditor,
    Operator,
}

use Caller::{Auditor, Opener, Operator, OtherResearcher, OtherSite, Reader, SiteInAudience};

const CALLERS: [(Caller, Role, &str); 7] = [
    (Opener, Role::Researcher, RESEARCHER),
    (Reader, Role::Researcher, "reader"),
    (OtherResearcher, Role::Researcher, "stranger"),
    (SiteInAudience, Role::Site, "site-0"),
    (OtherSite, Role::Site, "site-1"),
    (Auditor, Role::Auditor, "auditor"),
    (Operator, Role::Operator, "operator"),
];

/// Who may make a call about the study, written down by hand.
fn may(call: Call) -> BTreeSet<Caller> {
    let callers: &[Caller] = match call {
        Call::Subscribe | Call::MirrorLedger | Call::Witness => &[SiteInAudience, OtherSite],
        Call::AnswerPlan
        | Call::FetchStudyModel
        | Call::SendUpdate
        | Call::SendMetrics
        | Call::SendSecure
        | Call::DeclineRound => &[SiteInAudience],
        Call::GiveModel | Call::OpenStudy => &[Opener, Reader, OtherResearcher],
        Call::WatchStudy => &[Opener, Reader, Operator],
        Call::CancelStudy => &[Opener, Operator],
        Call::DownloadModel => &[Opener, Reader],
        Call::ListLedgers | Call::FetchLedger | Call::FetchCheckpoint => &[Auditor, Operator],
    };
    callers.iter().copied().collect()
}

/// A study that waits for an answer, and somebody's connection.
struct Bench {
    channel: Channel,
    identity: Vec<u8>,
    study: String,
    model: Digest,
}

impl Bench {
    async fn call(&self, call: Call) -> Result<(), Status> {
        let study = || wire::StudyRequest { study: self.study.clone() };
        let model = || wire::ModelRequest { model: self.model.0.to_vec().into() };
        let ledger = || wire::LedgerRequest { site: "site-0".to_owned() };
        let mut sites = SitesClient::new(self.channel.clone());
        let mut research = ResearchClient::new(self.channel.clone());
        let mut audit = AuditClient::new(self.channel.clone());
        match call {
            Call::Subscribe => {
                let identity_certificate = self.identity.clone().into();
                let request = wire::SubscribeRequest { identity_certificate, ..Default::default() };
                sites.subscribe(request).await.map(drop)
            }
            Call::AnswerPlan => {
                let answer = wire::plan_answer::Answer::Refused("not now".to_owned());
                let request = wire::PlanAnswer { study: self.study.clone(), answer: Some(answer) };
                sites.answer_plan(request).await.map(drop)
            }
            Call::FetchStudyModel => sites.fetch_model(model()).await.map(drop),
            Call::SendUpdate => {
                let header = wire::UpdateHeader {
                    study: self.study.clone(),
                    round: 1,
                    attempt: 1,
                    length: 4,
                    digest: vec![0; 32].into(),
                };
                let part = Some(wire::update_message::Part::Header(header));
                sites.send_update(tokio_stream::iter([wire::UpdateMessage { part }])).await.map(drop)
            }
            Call::SendMetrics => {
                let (study, counts) = (self.study.clone(), vec![0; 8].into());
                sites
                    .send_metrics(wire::MetricsMessage { study, round: 1, attempt: 1, counts })
                    .await
                    .map(drop)
            }
            Call::SendSecure => {
                let step = wire::secure_message::Step::Opening(wire::Opening::default());
                let (study, step) = (self.study.clone(), Some(step));
                sites.send_secure(wire::SecureMessage { study, round: 1, attempt: 1, step }).await.map(drop)
            }
            Call::DeclineRound => {
                let (study, reason) = (self.study.clone(), "no".to_owned());
                sites.decline_round(wire::AttemptDeclined { study, attempt: 1, reason }).await.map(drop)
            }
            Call::MirrorLedger => sites.mirror_ledger(wire::LedgerEntries::default()).await.map(drop),
            Call::Witness => sites.witness(wire::Sightings::default()).await.map(drop),
            Call::GiveModel => {
                let plan = wire::model_message::Part::Plan(wire::SignedPlan::default());
                let message = wire::ModelMessage { part: Some(plan) };
                research.give_model(tokio_stream::iter([message])).await.map(drop)
            }
            Call::OpenStudy => research.open_study(wire::SignedPlan::default()).await.map(drop),
            Call::WatchStudy => research.watch_study(study()).await.map(drop),
            Call::CancelStudy => research.cancel_study(study()).await.map(drop),
            Call::DownloadModel => research.fetch_model(model()).await.map(drop),
            Call::ListLedgers => audit.list_ledgers(wire::ListLedgersRequest {}).await.map(drop),
            Call::FetchLedger => audit.fetch_ledger(ledger()).await.map(drop),
            Call::FetchCheckpoint => audit.fetch_checkpoint(ledger()).await.map(drop),
        }
    }
}

/// Says whether a call failed because of who made it: for the role, or because the object is not theirs to see. What
/// is wrong with these calls otherwise (no plan, no open attempt) is no such refusal.
fn is_for_who_called(refused: &Status) -> bool {
    let text = refused.message();
    text.contains("may not call this")
        || text.contains("there is no study")
        || text.contains("there is no model")
        || text.contains("is ended by the researcher who opened it")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_may_call_what_the_table_says_about_own_and_foreign_studies() {
    in_time(async {
        let testbed = Testbed::start(2)?;
        for call in Call::ALL {
            // A study for each call, of one site and with one reader; cancelling ends it.
            let id = format!("{call:?}").to_lowercase();
            let readers = ("expires =".to_owned(), "readers = [\"reader\"]\nexpires =".to_owned());
            let study = VectorStudy { changes: vec![readers], ..VectorStudy::new(&id, &testbed.sites[..1]) };
            testbed.open(&study).await?;
            let model = testbed.first_model(&id)?;
            let allowed = may(call);
            // Whoever may not goes first: what they do must not change the study for the others.
            let mut callers = CALLERS;
            callers.sort_by_key(|(caller, ..)| allowed.contains(caller));
            for (caller, role, name) in callers {
                let credentials = testbed.issue(role, name)?;
                let channel = testbed.channel(&credentials).await?;
                let identity = credentials.identity_der().to_vec();
                let result = Bench { channel, identity, study: id.clone(), model }.call(call).await;
                let refused = result.as_ref().err().is_some_and(is_for_who_called);
                assert_eq!(!refused, allowed.contains(&caller), "{caller:?} {call:?}: {result:?}");
            }
            let cancelled = testbed.connect(RESEARCHER).await?.cancel_study(&id.parse()?).await;
            assert_eq!(
                cancelled.is_err(),
                call == Call::CancelStudy || call == Call::AnswerPlan,
                "{cancelled:?}"
            );
        }
        Ok(())
    })
    .await;
}
