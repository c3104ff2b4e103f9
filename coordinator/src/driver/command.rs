//! What services ask of the driver, and what it answers.

use std::path::PathBuf;

use fedtwin_certs::Identity;
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{Digest, Plan, SiteName, StudyId};
use fedtwin_proto::domain::{AttemptKey, Notice};
use tokio::sync::{mpsc, oneshot};

use crate::access::Call;
use crate::feed::Follower;
use crate::register::{AccessError, AdmissionError};
use crate::study::Input;
use crate::study_error::StudyError;

/// Where an answer goes.
pub type Reply<T> = oneshot::Sender<Result<T, CommandError>>;

/// What a service asks of the driver.
#[derive(Debug)]
pub enum Command {
    /// A site is connected; its notices go to the channel until the channel closes.
    Subscribe(SiteName, Subscription, Reply<()>),
    /// The numbered subscription is over.
    Unsubscribe(SiteName, u64),
    /// A researcher opens a study.
    Open(Box<NewStudy>, Reply<()>),
    /// Somebody ends a study.
    Cancel(Identity, StudyId, Reply<()>),
    /// Somebody watches a study.
    Watch(Identity, StudyId, Reply<Follower>),
    /// Somebody fetches a model: which file is it?
    Model(Identity, Call, Digest, Reply<PathBuf>),
    /// A site is about to send an update: how many bytes must it have?
    Expect(Identity, AttemptKey, Reply<u64>),
    /// A site says something about a study.
    Tell(Identity, Call, StudyId, Box<Input>, Reply<()>),
    /// A site's update was unusable.
    Unusable(SiteName, AttemptKey, String),
    /// A service refused somebody.
    Refused(Identity, String),
}

/// A researcher's wish to open a study, with a verified plan.
#[derive(Debug)]
pub struct NewStudy {
    /// The plan, checked.
    pub plan: Plan,
    /// As it came.
    pub signed: SignedPlan,
    /// Who calls.
    pub caller: Identity,
}

/// A site's stream of notices.
#[derive(Debug)]
pub struct Subscription {
    /// Counts the subscriptions of all sites.
    pub number: u64,
    /// What the agent calls itself: another agent with the same certificate has another number.
    pub agent: Vec<u8>,
    /// Studies that the site believes are running.
    pub running: Vec<StudyId>,
    /// Where its notices go.
    pub notices: mpsc::Sender<Notice>,
}

/// Why something was not done, in words for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The caller may not, or there is no such thing for it.
    #[error(transparent)]
    Denied(#[from] AccessError),
    /// There is no room for it.
    #[error(transparent)]
    NotAdmitted(#[from] AdmissionError),
    /// Another agent has the site's certificate, and is connected.
    #[error(
        "another agent of site {0} is connected with the same certificate: stop one of the two; each site needs \
         credentials of its own"
    )]
    OtherAgent(SiteName),
    /// The study does not take it as things are.
    #[error(transparent)]
    Study(#[from] StudyError),
}
