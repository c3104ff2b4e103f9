//! The one task that owns all studies: it feeds them inputs and performs their effects, in order.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use fedtwin_audit_log::{LogError, LogFile};
use fedtwin_certs::LogSigner;
use fedtwin_daemon::{clock, program};
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{Digest, Plan, SiteName, StudyId};
use fedtwin_proto::domain::{Counts, Event, Notice, PlanAnswer, RoundDeclined, RoundKey, StudyEvent};
use fedtwin_secagg::coordinator::FromSite;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::aggregate::{Aggregation, aggregate};
use crate::initial::{self, InitialError};
use crate::record::{Record, replay};
use crate::spool::Update;
use crate::store::Store;
use crate::study::{Effect, Input, Job, Models, Study};

/// What a service asks of the driver.
#[derive(Debug)]
pub enum Command {
    /// A site is connected; its notices go to the channel until the channel closes.
    Subscribe(SiteName, u64, mpsc::Sender<Notice>),
    /// The numbered subscription is over.
    Unsubscribe(SiteName, u64),
    /// A researcher opens a study.
    Open(Box<Plan>, SignedPlan, oneshot::Sender<Result<(), String>>),
    /// A site answers a plan.
    Answer(SiteName, PlanAnswer, oneshot::Sender<Result<(), String>>),
    /// A site is about to send an update: how many bytes must it have?
    Expect(RoundKey, oneshot::Sender<Result<u64, String>>),
    /// A site's update is complete and verified.
    Update(SiteName, RoundKey, Update, oneshot::Sender<Result<(), String>>),
    /// A site's noised counts of a model's scores.
    Metrics(SiteName, Counts, oneshot::Sender<Result<(), String>>),
    /// A site's update was unusable.
    Unusable(SiteName, RoundKey, String),
    /// A site's message under secure aggregation.
    Secure(SiteName, RoundKey, FromSite, oneshot::Sender<Result<(), String>>),
    /// A site sends no update.
    Decline(SiteName, RoundDeclined),
    /// Somebody watches a study.
    Watch(StudyId, oneshot::Sender<Option<Watch>>),
}

/// A study's events: those that were, and those to come.
#[derive(Debug)]
pub struct Watch {
    /// From the beginning, or since the coordinator started.
    pub past: Vec<StudyEvent>,
    /// From now on; closed after the study's end.
    pub future: Option<broadcast::Receiver<StudyEvent>>,
}

/// The driver's state.
pub struct Driver {
    store: Store,
    log: LogFile<Record>,
    studies: BTreeMap<StudyId, Running>,
    /// Identifiers of studies that were closed before this run.
    closed_before: Vec<StudyId>,
    sites: HashMap<SiteName, Subscription>,
    aggregations: JoinSet<(StudyId, Result<Models, String>)>,
}

struct Running {
    study: Option<Study>,
    past: Vec<StudyEvent>,
    future: Option<broadcast::Sender<StudyEvent>>,
    /// The models of the last two rounds: sites may still be fetching the older one.
    models: Vec<Digest>,
}

struct Subscription {
    number: u64,
    notices: mpsc::Sender<Notice>,
}

impl Driver {
    /// Opens the store and the audit log, and continues the studies that were open.
    ///
    /// # Errors
    /// Returns a log that does not verify, or a study whose plan is not on disk.
    pub fn open(store: Store, signer: LogSigner) -> anyhow::Result<Self> {
        let (log, entries) = LogFile::open(&store.audit_log(), Box::new(signer))?;
        let mut driver = Self {
            store,
            log,
            studies: BTreeMap::new(),
            closed_before: Vec::new(),
            sites: HashMap::new(),
            aggregations: JoinSet::new(),
        };
        for (id, progress) in replay(entries.into_iter().map(|entry| entry.body)) {
            let Some(progress) = progress else {
                driver.closed_before.push(id);
                continue;
            };
            let signed = driver.store.load_plan(&id)?;
            let plan = fedtwin_plan::text_file::parse(id.as_str(), str::from_utf8(&signed.text)?)?;
            tracing::info!(study = %id, rounds = progress.rounds, "continuing a study");
            let (study, effects) = Study::resume(plan, signed, progress, clock::now());
            driver.insert(id.clone(), study);
            driver.perform(&id, effects)?;
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
                Some(done) = self.aggregations.join_next() => {
                    let (study, result) = done.expect("aggregation does not panic and is not aborted");
                    self.feed(&study, Input::Aggregated(result))?;
                }
                () = tokio::time::sleep(wait) => self.feed_all(&|| Input::Tick)?,
            }
        }
        self.aggregations.shutdown().await;
        Ok(())
    }

    fn until_deadline(&self) -> Duration {
        let studies = self.studies.values().filter_map(|running| running.study.as_ref());
        let deadline = studies.filter_map(Study::deadline).min();
        deadline.map_or(Duration::from_secs(3600), |deadline| deadline.since(clock::now()))
    }

    fn command(&mut self, command: Command) -> Result<(), LogError> {
        match command {
            Command::Subscribe(site, number, notices) => {
                self.sites.insert(site.clone(), Subscription { number, notices });
                self.feed_all(&|| Input::Present(site.clone()))?;
            }
            Command::Unsubscribe(site, number) => {
                if self.sites.get(&site).is_some_and(|subscription| subscription.number == number) {
                    self.sites.remove(&site);
                    self.feed_all(&|| Input::Absent(site.clone()))?;
                }
            }
            Command::Open(plan, signed, reply) => {
                let refusal = self.open_study(*plan, signed)?;
                answer(reply, refusal.map_or(Ok(()), Err));
            }
            Command::Answer(site, PlanAnswer { study, answer: given }, reply) => {
                let refusal = self.feed(&study, Input::Answered(site, given))?;
                answer(reply, refusal.map_or(Ok(()), Err));
            }
            Command::Expect(key, reply) => answer(reply, self.expected_bytes(&key)),
            Command::Update(site, key, update, reply) => {
                let refusal = self.feed(&key.study, Input::Updated(site, key.attempt, update))?;
                answer(reply, refusal.map_or(Ok(()), Err));
            }
            Command::Metrics(site, Counts { key, values }, reply) => {
                let study = key.study.clone();
                let refusal = self.feed(&study, Input::Measured(site, key, values))?;
                answer(reply, refusal.map_or(Ok(()), Err));
            }
            Command::Unusable(site, key, reason) => {
                let study = self.studies.get(&key.study).and_then(|running| running.study.as_ref());
                if study.is_some_and(|study| study.open_attempt() == Some(&key) && study.has_member(&site)) {
                    self.publish(&key.study, Event::SiteFailed { site, reason });
                }
            }
            Command::Secure(site, key, message, reply) => {
                let study = key.study.clone();
                let refusal = self.feed(&study, Input::Secure(site, key, message))?;
                answer(reply, refusal.map_or(Ok(()), Err));
            }
            Command::Decline(site, RoundDeclined { study, attempt, reason }) => {
                self.feed(&study, Input::Declined(site, attempt, reason))?;
            }
            Command::Watch(study, reply) => {
                let watch = self.studies.get(&study).map(|running| Watch {
                    past: running.past.clone(),
                    future: running.future.as_ref().map(broadcast::Sender::subscribe),
                });
                answer(reply, watch);
            }
        }
        Ok(())
    }

    /// Opens a study, or returns why not.
    fn open_study(&mut self, plan: Plan, signed: SignedPlan) -> Result<Option<String>, LogError> {
        let id = plan.study.id.clone();
        if self.studies.contains_key(&id) || self.closed_before.contains(&id) {
            return Ok(Some(format!("a study {id} exists already; a changed plan needs another study.id")));
        }
        if self.studies.values().filter(|running| running.future.is_some()).count() >= STUDIES_MAX {
            return Ok(Some(format!("{STUDIES_MAX} studies are open; wait for one to end")));
        }
        let stored = tokio::task::block_in_place(|| {
            let model = initial::make(&self.store, &plan)?;
            self.store.save_plan(&id, &signed)?;
            Ok::<_, InitialError>(model)
        });
        let model = match stored {
            Ok(model) => model,
            Err(error) => return Ok(Some(program::describe(&error))),
        };
        tracing::info!(study = %id, "opened");
        let (study, effects) = Study::offer(plan, signed, model, clock::now());
        self.insert(id.clone(), study);
        self.perform(&id, effects)?;
        for site in self.sites.keys().cloned().collect::<Vec<_>>() {
            self.feed(&id, Input::Present(site))?;
        }
        Ok(None)
    }

    fn expected_bytes(&self, key: &RoundKey) -> Result<u64, String> {
        let study = self.studies.get(&key.study).and_then(|running| running.study.as_ref());
        match study {
            Some(study) if study.open_attempt() == Some(key) => {
                let trained = study.plan().trained().expect("a checked plan trains some parameters");
                Ok(study.plan().update_bytes(&trained))
            }
            Some(_) | None => Err(format!("{key} is not open")),
        }
    }

    fn insert(&mut self, id: StudyId, study: Study) {
        let (future, _nobody) = broadcast::channel(EVENTS_QUEUED);
        let running =
            Running { study: Some(study), past: Vec::new(), future: Some(future), models: Vec::new() };
        self.studies.insert(id, running);
    }

    fn feed_all(&mut self, input: &dyn Fn() -> Input) -> Result<(), LogError> {
        for id in self.studies.keys().cloned().collect::<Vec<_>>() {
            self.feed(&id, input())?;
        }
        Ok(())
    }

    /// Steps one study and performs what it asks for; returns why the input was refused, if it was.
    fn feed(&mut self, id: &StudyId, input: Input) -> Result<Option<String>, LogError> {
        let Some(running) = self.studies.get_mut(id) else {
            return Ok(Some(format!("there is no study {id}")));
        };
        let study = running.study.take().expect("a study is in its place between two inputs");
        let (study, effects) = study.step(input, clock::now());
        running.study = Some(study);
        self.perform(id, effects)
    }

    fn perform(&mut self, id: &StudyId, effects: Vec<Effect>) -> Result<Option<String>, LogError> {
        let mut refusal = None;
        for effect in effects {
            match effect {
                Effect::Persist(record) => self.persist(id, record)?,
                Effect::Notify(site, notice) => self.notify(&site, notice),
                Effect::Publish(event) => self.publish(id, event),
                Effect::Accept => {}
                Effect::Reject(reason) => refusal = Some(reason),
                Effect::Aggregate(job) => self.aggregate(id, job),
            }
        }
        Ok(refusal)
    }

    fn persist(&mut self, id: &StudyId, record: Record) -> Result<(), LogError> {
        let model = match &record {
            Record::RoundClosed { model, .. } => *model,
            Record::StudyOpened { .. }
            | Record::SiteAnswered { .. }
            | Record::RoundStarted { .. }
            | Record::MetricsReleased { .. }
            | Record::StudyClosed { .. } => None,
        };
        tokio::task::block_in_place(|| self.log.append(&record, clock::now().0))?;
        if let Some(model) = model {
            self.keep_models(id, model);
        }
        Ok(())
    }

    /// Removes the model before the last one, unless another study has the same.
    fn keep_models(&mut self, id: &StudyId, model: Digest) {
        let running = self.studies.get_mut(id).expect("only a study that is there persists");
        running.models.push(model);
        if running.models.len() <= 2 {
            return;
        }
        let old = running.models.remove(0);
        let is_needed = |running: &Running| {
            let plan = running.study.as_ref().map(Study::plan);
            running.models.contains(&old) || plan.is_some_and(|plan| plan.model.initial == Some(old))
        };
        if !self.studies.values().any(is_needed) {
            self.store.remove_model(id, &old);
        }
    }

    fn notify(&mut self, site: &SiteName, notice: Notice) {
        let Some(subscription) = self.sites.get(site) else {
            return;
        };
        if subscription.notices.try_send(notice).is_err() {
            // Closing the channel ends the site's stream; it subscribes anew and is told again.
            tracing::warn!(%site, "does not take its notices; its subscription is closed");
            self.sites.remove(site);
        }
    }

    fn publish(&mut self, id: &StudyId, event: Event) {
        let running = self.studies.get_mut(id).expect("only a study that is there publishes");
        let ended = matches!(event, Event::StudyClosed(_));
        let event = StudyEvent { time: clock::now(), event };
        if running.past.len() < EVENTS_KEPT {
            running.past.push(event.clone());
        }
        if let Some(future) = &running.future {
            // No receiver means that nobody watches.
            let _watchers = future.send(event);
        }
        if ended {
            running.future = None;
        }
    }

    fn aggregate(&mut self, id: &StudyId, job: Job) {
        let running = &self.studies[id];
        let study = running.study.as_ref();
        // `feed` puts the study back before its effects are performed.
        let plan = study.expect("a study is in its place while its effects are performed").plan();
        let job = Aggregation::new(plan, job);
        let (store, id) = (self.store.clone(), id.clone());
        self.aggregations.spawn_blocking(move || {
            let result = aggregate(&job, &store).map_err(|error| program::describe(&error));
            (id, result)
        });
    }
}

/// Answers a service, which may have given up.
fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    let _given_up = reply.send(value);
}

/// Each open study costs a plan, its events and a place in every loop.
const STUDIES_MAX: usize = 64;
/// A watcher that falls this far behind is told to start over.
const EVENTS_QUEUED: usize = 1024;
/// Enough for thousands of rounds; later events are still sent to whoever watches then. With the longest
/// reasons that sites can give, 130 MB.
const EVENTS_KEPT: usize = 1 << 16;
