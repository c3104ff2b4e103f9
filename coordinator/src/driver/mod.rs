//! The one task that owns all studies: it feeds them inputs and performs their effects, in order.
//!
//! Nothing in it takes long: first models and aggregations are made on threads of their own, and come back as inputs.

mod command;
mod effects;
mod ended;
mod jobs;
mod opening;
mod restore;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use fedtwin_audit_log::{LogError, LogFile};
use fedtwin_certs::{Identity, LogSigner};
use fedtwin_daemon::clock;
use fedtwin_plan::{SiteName, StudyId, Timestamp};
use fedtwin_proto::domain::AttemptKey;
use fedtwin_secagg::coordinator::{Unmasking, UnmaskingError};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::command::{Command, CommandError, NewStudy, Reply, Subscription};
use self::ended::EndedStudies;
use self::opening::{Prepared, Preparing};
use crate::access::Call;
use crate::feed::{Feed, Follower};
use crate::policy::Policy;
use crate::record::{Record, replay};
use crate::refusals::Refusals;
use crate::register::Register;
use crate::store::Store;
use crate::study::{Input, Models, Study};
use crate::study_error::{MovedOn, StudyError};

/// The driver's state.
pub struct Driver {
    store: Store,
    log: LogFile<Record>,
    register: Register,
    preparing: BTreeMap<StudyId, Preparing>,
    studies: BTreeMap<StudyId, Running>,
    ended: EndedStudies,
    refusals: Refusals,
    sites: HashMap<SiteName, Subscription>,
    /// Sites that were cut off, of which the studies are not told yet.
    lost: Vec<SiteName>,
    jobs: JoinSet<Done>,
    /// Places for first models in the making.
    workshop: Arc<Semaphore>,
    /// When to look next at what grows old.
    housekeeping: Timestamp,
}

struct Running {
    study: Study,
    feed: Feed,
}

/// What was done on a thread of its own.
enum Done {
    Prepared(Box<Prepared>),
    Aggregated(StudyId, Result<Models, String>),
    /// Secrets were found, or not, in the attempt with that number.
    Opened(StudyId, u32, Result<Unmasking, UnmaskingError>),
    /// Files were removed.
    Swept,
}

impl Driver {
    /// Opens the audit log, and continues the studies that were open.
    ///
    /// # Errors
    /// Returns a log that does not verify, or an open study whose plan cannot be read.
    pub fn open(store: Store, signer: LogSigner, policy: Policy) -> anyhow::Result<Self> {
        let (log, entries) = LogFile::open(&store.audit_log(), Box::new(signer))?;
        let mut driver = Self {
            store,
            log,
            register: Register::new(policy),
            preparing: BTreeMap::new(),
            studies: BTreeMap::new(),
            ended: EndedStudies::default(),
            refusals: Refusals::new(clock::now()),
            sites: HashMap::new(),
            lost: Vec::new(),
            jobs: JoinSet::new(),
            workshop: Arc::new(Semaphore::new(PREPARED_AT_ONCE)),
            housekeeping: Timestamp(0),
        };
        let logged = replay(entries.into_iter().map(|entry| (Timestamp(entry.time_ms), entry.body)));
        driver.restore(logged)?;
        for id in driver.store.studies() {
            // Preparations that a crash cut off, and ended studies of which nothing is kept.
            if driver.register.models(&id).is_empty() && !driver.ended.holds(&id) {
                driver.store.remove_study(&id);
            }
        }
        Ok(driver)
    }

    /// Runs until the token is cancelled.
    ///
    /// # Errors
    /// Stops when the audit log cannot be written: nothing may happen that it does not say.
    pub async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        stop: CancellationToken,
    ) -> Result<(), LogError> {
        loop {
            let wait = self.until_deadline();
            tokio::select! {
                () = stop.cancelled() => break,
                command = commands.recv() => match command {
                    Some(command) => self.command(command)?,
                    None => break,
                },
                Some(done) = self.jobs.join_next() => {
                    self.done(done.expect("panics are caught where the work is done, and nothing is aborted"))?;
                }
                () = tokio::time::sleep(wait) => {
                    self.feed_all(&|| Input::Tick)?;
                    self.keep_house()?;
                }
            }
            self.tell_of_the_lost()?;
        }
        for record in self.refusals.take() {
            self.write(&record)?;
        }
        self.jobs.shutdown().await;
        Ok(())
    }

    fn until_deadline(&self) -> Duration {
        let studies = self.studies.values().map(|running| &running.study);
        let deadlines = studies.filter_map(Study::deadline).chain([self.housekeeping]);
        deadlines.min().map_or(HOUSEKEEPING, |deadline| deadline.since(clock::steady()))
    }

    /// Looks at what grows old with the day, once in a while.
    fn keep_house(&mut self) -> Result<(), LogError> {
        if clock::steady() < self.housekeeping {
            return Ok(());
        }
        self.housekeeping = clock::steady() + HOUSEKEEPING;
        let now = clock::now();
        for record in self.refusals.of_an_earlier_day(now) {
            self.write(&record)?;
        }
        let store = self.store.clone();
        let before = Timestamp(now.0.saturating_sub(GIVEN_KEPT_MS));
        self.sweep(move || store.expire_given(before));
        Ok(())
    }

    fn command(&mut self, command: Command) -> Result<(), LogError> {
        match command {
            Command::Subscribe(site, subscription, reply) => self.subscribe(site, subscription, reply)?,
            Command::Unsubscribe(site, number) => {
                if self.sites.get(&site).is_some_and(|subscription| subscription.number == number) {
                    self.sites.remove(&site);
                    self.feed_all(&|| Input::Absent(site.clone()))?;
                }
            }
            Command::Open(opening, reply) => self.open_study(*opening, reply),
            Command::Cancel(caller, study, reply) => {
                let cancelled = self.cancel(&caller, &study)?;
                self.answer(&caller, reply, cancelled);
            }
            Command::Watch(caller, study, reply) => {
                let watch = self.watch(&caller, &study);
                self.answer(&caller, reply, watch);
            }
            Command::Model(caller, call, model, reply) => {
                let study = self.register.study_of_model(&caller, call, model);
                let file = study.map(|study| self.store.model(&study, &model)).map_err(CommandError::from);
                self.answer(&caller, reply, file);
            }
            Command::Expect(caller, key, reply) => {
                let expected = self.expected_bytes(&caller, &key);
                self.answer_site(&caller, reply, expected);
            }
            Command::Tell(caller, call, study, input, reply) => {
                let taken = match self.register.authorize(&caller, call, &study) {
                    Ok(()) if input.may_come_late() && !self.studies.contains_key(&study) => Ok(()),
                    Ok(()) => self.feed(&study, *input)?.map_or(Ok(()), |error| Err(error.into())),
                    Err(denied) => Err(denied.into()),
                };
                self.answer_site(&caller, reply, taken);
            }
            Command::Unusable(site, key, reason) => {
                let study = key.study.clone();
                self.feed(&study, Input::Unusable(site, key, reason))?;
            }
            Command::Refused(caller, reason) => self.refusals.note(&caller.to_string(), &reason),
        }
        Ok(())
    }

    fn done(&mut self, done: Done) -> Result<(), LogError> {
        match done {
            Done::Prepared(prepared) => self.prepared(*prepared),
            Done::Aggregated(study, result) if self.studies.contains_key(&study) => {
                self.feed(&study, Input::Aggregated(result)).map(drop)
            }
            Done::Aggregated(study, _result) => {
                // It was cancelled meanwhile: nobody wants the model.
                let (store, needed) = (self.store.clone(), self.register.models(&study).to_vec());
                self.sweep(move || store.keep_models(&study, &needed));
                Ok(())
            }
            // Of a study that is over nobody wants it.
            Done::Opened(study, attempt, result) => {
                self.feed(&study, Input::Opened(attempt, result)).map(drop)
            }
            Done::Swept => Ok(()),
        }
    }

    /// Removes files on a thread of its own: gigabytes take a while.
    fn sweep(&mut self, work: impl FnOnce() + Send + 'static) {
        self.jobs.spawn_blocking(move || {
            jobs::caught("removing files", work);
            Done::Swept
        });
    }

    /// A second agent with the same certificate is told so; the same agent dials again after a lost connection.
    fn subscribe(&mut self, site: SiteName, mut new: Subscription, reply: Reply<()>) -> Result<(), LogError> {
        let current = self.sites.get(&site).filter(|current| !current.notices.is_closed());
        if current.is_some_and(|current| current.agent != new.agent) {
            tracing::warn!(%site, "another agent with the certificate of a connected one was refused");
            answer(reply, Err(CommandError::OtherAgent(site)));
            return Ok(());
        }
        tracing::info!(%site, "subscribed");
        let believed = std::mem::take(&mut new.running);
        self.sites.insert(site.clone(), new);
        answer(reply, Ok(()));
        self.feed_all(&|| Input::Present(site.clone()))?;
        self.tell_ended(&site, believed);
        Ok(())
    }

    fn watch(&self, caller: &Identity, id: &StudyId) -> Result<Follower, CommandError> {
        self.register.authorize(caller, Call::WatchStudy, id)?;
        let open = self.studies.get(id).map(|running| running.feed.follow());
        let follower = open.or_else(|| self.ended.follow(id));
        follower.ok_or_else(|| StudyError::from(MovedOn::Preparing(id.clone())).into())
    }

    /// Only a site whose update the open attempt wants may fill the disk with it.
    fn expected_bytes(&self, caller: &Identity, key: &AttemptKey) -> Result<u64, CommandError> {
        self.register.authorize(caller, Call::SendUpdate, &key.study)?;
        let study = self.studies.get(&key.study).map(|running| &running.study);
        let site = caller.site();
        match study.zip(site) {
            Some((study, site)) if study.awaits(&site, key) => Ok(study.plan().update_bytes()),
            Some(_) | None => {
                let AttemptKey { study, attempt, .. } = key.clone();
                Err(StudyError::from(MovedOn::AttemptNotOpen { study, attempt }).into())
            }
        }
    }

    /// Answers somebody, and counts a refusal.
    fn answer<T>(&mut self, caller: &Identity, reply: Reply<T>, result: Result<T, CommandError>) {
        if let Err(refused) = &result {
            self.refusals.note(&caller.to_string(), &refused.to_string());
        }
        answer(reply, result);
    }

    /// Answers a site, and counts what it may not; what its own study does not take is the study's matter.
    fn answer_site<T>(&mut self, caller: &Identity, reply: Reply<T>, result: Result<T, CommandError>) {
        if let Err(CommandError::Denied(denied)) = &result {
            self.refusals.note(&caller.to_string(), &denied.to_string());
        }
        answer(reply, result);
    }
}

/// Answers a service, which may have given up.
fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    let _given_up = reply.send(value);
}

/// First models in the making: each takes a core and the disk.
const PREPARED_AT_ONCE: usize = 1;
/// How often to look at what grows old.
const HOUSEKEEPING: Duration = Duration::from_secs(3600);
/// How long a given model waits for its study: a day.
const GIVEN_KEPT_MS: u64 = 24 * 3600 * 1000;
