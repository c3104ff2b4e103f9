//! The running agent: one connection, which this site dials, and one task per study.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fedtwin_certs::{Credentials, tls, verify_plan};
use fedtwin_daemon::backoff::Backoff;
use fedtwin_daemon::{clock, program, transport};
use fedtwin_plan::StudyId;
use fedtwin_privacy::ledger::Purpose;
use fedtwin_privacy::random::{RandomSource, SecureRandom};
use fedtwin_proto::domain::{Notice, StudyOutcome};
use fedtwin_trainer::NewTrainer;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::client::{CallError, Client, Notices};
use crate::config::SiteConfig;
use crate::scoring::ScoringRoom;
use crate::session::Session;
use crate::study::Input;
use crate::study_task::StudyTask;
use crate::witnessing::{self, WitnessError};

/// What the tasks of all studies share.
pub struct Shared {
    /// The configuration.
    pub config: SiteConfig,
    /// This site's credentials.
    pub credentials: Arc<Credentials>,
    /// Decisions and ledger; locked for one decision at a time, never across an await.
    pub session: Mutex<Session>,
    /// Makes a study's trainer.
    pub new_trainer: NewTrainer,
    /// Where models are scored for this site's own eyes.
    pub scoring: Arc<ScoringRoom>,
    /// Held while the others' ledgers are looked at: what is remembered must not change under a proof.
    pub witnessing: tokio::sync::Mutex<()>,
}

impl Shared {
    /// Locks the session.
    pub fn session(&self) -> MutexGuard<'_, Session> {
        // A panic in the middle of a decision left the ledger's file as the truth, and its state behind it.
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs until the token is cancelled; a lost connection is dialled again.
///
/// # Errors
/// Returns what keeps the agent from starting.
pub async fn run(
    config: SiteConfig,
    base: &Path,
    credentials: Arc<Credentials>,
    new_trainer: NewTrainer,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let session = Session::open(&config, base, &credentials, clock::now())?;
    let shared = Arc::new(Shared {
        session: Mutex::new(session),
        scoring: Arc::new(ScoringRoom::new(config.trainer.scorers_max.size())),
        config,
        credentials,
        new_trainer,
        witnessing: tokio::sync::Mutex::new(()),
    });
    let mut number = [0; 8];
    SecureRandom::new().fill(&mut number)?;
    let mut agent = Agent { shared, number, studies: HashMap::new(), tasks: JoinSet::new() };
    let serving = agent.serve();
    tokio::select! {
        result = serving => result?,
        () = stop.cancelled() => {}
    }
    // Dropping the tasks ends their trainers; what was being computed is charged and not sent.
    agent.tasks.shutdown().await;
    Ok(())
}

struct Agent {
    shared: Arc<Shared>,
    /// Tells this agent from another one that has the same certificate.
    number: [u8; 8],
    studies: HashMap<StudyId, mpsc::Sender<Input>>,
    tasks: JoinSet<()>,
}

impl Agent {
    async fn serve(&mut self) -> anyhow::Result<()> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
        let mut random = SecureRandom::new();
        loop {
            if let Err(error) = self.connect_and_listen(&mut backoff).await {
                tracing::warn!(error = %program::describe(error.as_ref()), "the coordinator is away; dialling again");
            }
            let wait = backoff.wait(random.below(u32::MAX)?);
            tokio::time::sleep(wait).await;
        }
    }

    async fn connect_and_listen(&mut self, backoff: &mut Backoff) -> anyhow::Result<()> {
        let shared = Arc::clone(&self.shared);
        let config = tls::client_config(&shared.credentials, clock::for_tls())?;
        let (address, name) = (&shared.config.coordinator, &shared.config.server_name);
        let mut client = Client::new(transport::connect(address, name, Arc::new(config)).await?);
        let running = self.running();
        let mut notices = client.subscribe(shared.credentials.identity_der(), self.number, &running).await?;
        tracing::info!(coordinator = %address, "subscribed");
        let subscribed = Instant::now();
        let listened = self.listen(&mut client, &mut notices).await;
        backoff.held(subscribed.elapsed());
        listened
    }

    /// Returns the studies of which the coordinator is asked whether they are over: those that have something set aside, and
    /// those with a task.
    fn running(&mut self) -> Vec<StudyId> {
        self.studies.retain(|_, sender| !sender.is_closed());
        let reserved = self.shared.session().running();
        let others = self.studies.keys().filter(|study| !reserved.contains(study));
        reserved.iter().chain(others).cloned().collect()
    }

    async fn listen(&mut self, client: &mut Client, notices: &mut Notices) -> anyhow::Result<()> {
        self.mirror_ledger(client).await?;
        let mut witnessed = tokio::time::interval(WITNESS_EVERY);
        witnessed.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                notice = notices.next() => match notice {
                    Ok(Some(notice)) => self.dispatch(notice, client).await?,
                    Ok(None) => return Ok(()),
                    // The next notices may be good, and those of other studies: dialling again would get the same one.
                    Err(error @ CallError::Misbehaved(_)) => {
                        tracing::warn!(error = %program::describe(&error), "a notice is left out");
                    }
                    Err(error) => return Err(error.into()),
                },
                // Nobody tells a site that another's ledger has grown, and the last of a study's checkpoints comes
                // when all have already looked.
                _ = witnessed.tick() => {
                    self.close_studies();
                    witnessing::witness(&self.shared, client).await?;
                }
            }
        }
    }

    /// Enters what people want closed, also where no study asks for anything.
    fn close_studies(&self) {
        let entered = tokio::task::block_in_place(|| self.shared.session().enter_closings(clock::now()));
        if let Err(error) = entered {
            tracing::error!(error = %program::describe(&error), "studies cannot be closed");
        }
        for sender in self.studies.values() {
            // Its trainer ends with a study that a person closed; a queue that is full has other reasons to look.
            let _full = sender.try_send(Input::Tick);
        }
    }

    /// First of all: does anybody remember more of this site's ledger than is here?
    async fn mirror_ledger(&self, client: &mut Client) -> Result<(), CallError> {
        match witnessing::mirror(&self.shared, client).await {
            Ok(()) => Ok(()),
            Err(WitnessError::Call(error @ (CallError::Unreachable(_) | CallError::Misbehaved(_)))) => {
                Err(error)
            }
            // Offers are still answered, with this reason.
            Err(error) => {
                tracing::error!(error = %program::describe(&error), "nothing is released");
                Ok(())
            }
        }
    }

    async fn dispatch(&mut self, notice: Notice, client: &Client) -> Result<(), CallError> {
        let (study, notice) = match notice {
            Notice::Offer(signed) => {
                let authority = self.shared.credentials.authority();
                match verify_plan(&signed, authority, clock::now()) {
                    Ok((plan, signer)) => (
                        plan.study.id.clone(),
                        Input::Offered(Box::new(plan), signer, Arc::unwrap_or_clone(signed)),
                    ),
                    Err(error) => {
                        // No study to answer for: nothing in the bytes is to be believed.
                        tracing::warn!(error = %program::describe(&error), "an offered plan was refused");
                        return Ok(());
                    }
                }
            }
            Notice::Invitation(invitation) => {
                (invitation.key.study.clone(), Input::Invited(Purpose::Training, invitation))
            }
            Notice::Measurement(invitation) => {
                (invitation.key.study.clone(), Input::Invited(Purpose::Metrics, invitation))
            }
            Notice::Secure(notice) => (notice.key.study.clone(), Input::Secure(notice)),
            Notice::Closed(closed) => (closed.study, Input::Closed(closed.outcome)),
        };
        let running = self.studies.get(&study).filter(|sender| !sender.is_closed());
        let sender = match (running, &notice) {
            (Some(sender), _) => sender.clone(),
            (None, Input::Offered(..)) => {
                let (sender, queue) = mpsc::channel(NOTICES_QUEUED);
                let shared = Arc::clone(&self.shared);
                self.tasks.spawn(StudyTask::new(study.clone(), shared, client.clone(), queue).run());
                self.studies.insert(study, sender.clone());
                sender
            }
            // It ended while this agent was away: what it never began is given back, which harms nobody if it is a lie.
            (None, Input::Closed(outcome)) => {
                tracing::info!(%study, ?outcome, "the study ended while this agent was away");
                let finished = matches!(outcome, StudyOutcome::Finished { .. });
                let closed = tokio::task::block_in_place(|| {
                    self.shared.session().closed(&study, finished, clock::now())
                });
                if let Err(error) = closed {
                    tracing::error!(%study, error = %program::describe(&error), "the study's end is not in the ledger");
                }
                return Ok(());
            }
            // The study's task has ended: there is nothing left to do for it.
            (None, _) => return Ok(()),
        };
        while self.tasks.try_join_next().is_some() {}
        // A task that ends while it is told loses nothing by it.
        let _ended = sender.send(notice).await;
        Ok(())
    }
}

/// How long a checkpoint waits for its witnesses at most, as long as all are connected.
const WITNESS_EVERY: Duration = Duration::from_secs(15);

/// A study has at most an offer, an invitation, a message of secure aggregation and an end waiting, and repeats of
/// them after reconnecting.
const NOTICES_QUEUED: usize = 16;
