//! One run of a schedule: the study's real core and the real ledger, and everything else in simulated time.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fedtwin_plan::Digest;
use fedtwin_privacy::ledger::Purpose;
use fedtwin_privacy::release::Release;
use fedtwin_proto::domain::{AttemptKey, SecureMessage, SecureNotice, StudyOutcome};
use fedtwin_secagg::coordinator::FromSite;
use fedtwin_site_agent::attempt_error::AttemptError;
use fedtwin_site_agent::client::CallError;
use fedtwin_site_agent::computation::Computation;
use fedtwin_site_agent::session::{Session, ledger_path};
use fedtwin_site_agent::study::{Call, Desk, Effect, Input, Moment, Study};

use crate::Fault;
use crate::peers::{Others, heard};
use crate::schedule::{Invite, Notice, Schedule};
use crate::site::{self, BEGINS};
use crate::trainer::{Odd, Scripted};
use crate::world::{Chance, compute, fetching, invitation, loading, without_chance};

/// An attempt that began: its purpose and its number.
pub(crate) type Begun = (Purpose, u32, u32);

/// How an attempt left: as an update or not, and how long after it began.
pub(crate) type Left = (bool, Duration);

/// Who answers for the patients.
pub(crate) enum Cohort {
    /// A trainer with this record among its patients.
    Patients(Odd),
    /// Nobody: only how each attempt is to leave is known.
    Nobody(BTreeMap<Begun, Left>),
}

/// What was seen of a run.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// What left the site, each with its time in milliseconds.
    pub(crate) messages: Vec<(u128, String)>,
    /// The ledger, without what is random in it.
    pub(crate) ledger: Vec<String>,
    /// How attempts that began left.
    pub(crate) left: BTreeMap<Begun, Left>,
    /// How often data was read.
    pub(crate) computed: usize,
    /// What was said of attempts that had begun.
    pub(crate) said: Vec<String>,
    /// How many sums were opened that the site is in.
    pub(crate) opened: usize,
}

/// What happens at a time.
enum Happens {
    Noticed(Notice),
    Told(Box<Input>, u32),
}

struct Run<'a> {
    schedule: &'a Schedule,
    cohort: &'a Cohort,
    fault: Option<Fault>,
    folder: &'a Path,
    session: Option<Session>,
    study: Study,
    /// Counts the agent's lives: what one of them waited for, the next is not told.
    life: u32,
    now: Duration,
    queue: BTreeMap<(Duration, u64), Happens>,
    queued: u64,
    /// When the trainer has loaded the cohort, and whether it could; never, perhaps.
    loaded: Option<(Duration, bool)>,
    began: BTreeMap<Begun, Duration>,
    ready: BTreeMap<Begun, Duration>,
    failed: BTreeMap<Begun, String>,
    others: Others,
    backup: Vec<Vec<u8>>,
    seen: Seen,
}

/// Runs a schedule in a new folder.
pub(crate) fn run(schedule: &Schedule, cohort: &Cohort, fault: Option<Fault>) -> Seen {
    let shared = Path::new("/dev/shm");
    let folder = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() }.unwrap();
    site::furnish(folder.path());
    let mut run = Run {
        schedule,
        cohort,
        fault,
        folder: folder.path(),
        session: Some(site::open(folder.path(), BEGINS)),
        study: new_study(),
        life: 0,
        now: Duration::ZERO,
        queue: BTreeMap::new(),
        queued: 0,
        loaded: None,
        began: BTreeMap::new(),
        ready: BTreeMap::new(),
        failed: BTreeMap::new(),
        others: Others::default(),
        backup: Vec::new(),
        seen: Seen::default(),
    };
    run.feed(offer(schedule));
    let mut at = Duration::ZERO;
    for (gap_ms, notice) in &schedule.notices {
        at += Duration::from_millis(*gap_ms);
        run.happens(at, Happens::Noticed(*notice));
    }
    run.all();
    run.seen.opened = run.others.opened();
    run.seen.ledger = without_chance(&fs::read_to_string(run.ledger()).unwrap());
    run.seen
}

fn new_study() -> Study {
    Study::new("s".parse().unwrap(), 1)
}

fn offer(schedule: &Schedule) -> Input {
    let (plan, signer, signed) = schedule.plan();
    Input::Offered(Box::new(plan), signer, signed)
}

impl Run<'_> {
    fn ledger(&self) -> std::path::PathBuf {
        ledger_path(&self.folder.join("state"))
    }

    fn happens(&mut self, at: Duration, what: Happens) {
        self.queued += 1;
        self.queue.insert((at, self.queued), what);
    }

    fn told(&mut self, at: Duration, input: Input) {
        let life = self.life;
        self.happens(at, Happens::Told(Box::new(input), life));
    }

    /// Lets time pass until nothing happens any more.
    fn all(&mut self) {
        loop {
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            let wake = self.study.wakes().map(|wake| wake.max(self.now));
            match (next, wake) {
                (None, None) => return,
                (Some(next), wake) if wake.is_none_or(|wake| next <= wake) => {
                    let ((at, _), what) = self.queue.pop_first().unwrap();
                    self.now = at;
                    match what {
                        Happens::Noticed(notice) => self.noticed(notice),
                        Happens::Told(input, life) if life == self.life => self.feed(*input),
                        Happens::Told(..) => {}
                    }
                }
                (_, Some(wake)) => {
                    self.now = wake;
                    self.feed(Input::Tick);
                }
                (Some(_), None) => unreachable!("what happens is taken above"),
            }
        }
    }

    fn noticed(&mut self, notice: Notice) {
        match notice {
            Notice::Invite(invite) => self.invites(invite),
            Notice::OfferAgain => self.feed(offer(self.schedule)),
            Notice::Close => self.feed(Input::Closed(StudyOutcome::Failed { reason: "over".to_owned() })),
            Notice::Restart => {
                self.life += 1;
                self.loaded = None;
                self.began.clear();
                self.reopen();
                self.feed(offer(self.schedule));
            }
            Notice::StopWaiting => {
                let said = self.others.stop_waiting();
                self.tells(said);
            }
            Notice::Lie(lie) => {
                let said = self.others.lie(lie);
                self.tells(said);
            }
        }
    }

    fn invites(&mut self, invite: Invite) {
        let purpose = if invite.metrics { Purpose::Metrics } else { Purpose::Training };
        let members = if self.schedule.terms.is_secure() { site::everybody() } else { [].into() };
        let left_out = members.last().filter(|_| invite.fewer).cloned();
        let members = members.into_iter().filter(|member| left_out.as_ref() != Some(member)).collect();
        let invitation = invitation(invite, members);
        if purpose == Purpose::Training {
            let said = self.others.join(self.schedule, &invitation);
            self.tells(said);
        }
        self.feed(Input::Invited(purpose, invitation));
    }

    /// Has the coordinator tell the site something of an attempt under secure aggregation.
    fn tells(&mut self, said: Vec<SecureNotice>) {
        let arrives = self.now + Duration::from_millis(self.schedule.delay_ms);
        said.into_iter().for_each(|notice| self.told(arrives, Input::Secure(notice)));
    }

    fn reopen(&mut self) {
        self.session = None;
        self.session = Some(site::open(self.folder, BEGINS + self.now));
        self.study = new_study();
    }

    fn feed(&mut self, input: Input) {
        if self.fault == Some(Fault::FailureCostsNothing) {
            self.keep_backup();
        }
        let session = self.session.as_mut().expect("the session is open but while it is opened anew");
        let now = Moment { time: BEGINS + self.now, passed: self.now };
        let effects = self.study.step(&mut Desk { session, random: &mut Chance(0), now }, input);
        for effect in effects {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Load(_) => self.load(),
            Effect::Unload => self.loaded = None,
            Effect::Compute(computation) => self.compute(*computation),
            // For the site's own eyes, and on a trainer of its own.
            Effect::Score(..) => {}
            Effect::Answer(answer) => {
                let said = match answer {
                    Ok(patients) => format!("{patients} patients take part"),
                    Err(reason) => format!("refused: {reason}"),
                };
                let late = self.fault == Some(Fault::AnswerAfterLoading);
                // What a coordinator sees of an agent that loads before it answers.
                let ahead = match (late, self.cohort) {
                    (true, Cohort::Patients(odd)) => loading(*odd, self.schedule.patient).0,
                    (true, Cohort::Nobody(_)) => loading(Odd::Null, 0).0,
                    (false, _) => Some(Duration::ZERO),
                };
                self.leaves(ahead.unwrap_or(Duration::MAX / 2), said);
            }
            Effect::Fetch(model) => {
                self.leaves(Duration::ZERO, format!("fetch {model}"));
                let (after_ms, found) = fetching(model);
                let weights = if found {
                    Ok(Arc::new(vec![0.5; 3]))
                } else {
                    Err(CallError::Misbehaved("no".to_owned()))
                };
                self.told(self.now + Duration::from_millis(after_ms), Input::Fetched(model, weights));
            }
            Effect::Call(key, call) => {
                let message = match call {
                    Call::Send(outgoing) => {
                        let (purpose, bytes) = (outgoing.purpose(), outgoing.bytes().len());
                        let said = format!("{bytes} bytes of {purpose} for {key}");
                        self.left((purpose, key.round, key.attempt), true, said);
                        (purpose == Purpose::Training).then_some(FromSite::Vector)
                    }
                    Call::Secure(message) => {
                        // Nothing in it depends on data or on noise, so that it is compared to the last byte.
                        let digest = Digest::of(&message.clone().encode());
                        self.leaves(Duration::ZERO, format!("{digest} for {key}"));
                        let SecureMessage { step, .. } = message;
                        Some(heard(step))
                    }
                };
                self.told(self.now, Input::Called(key.clone(), Ok(())));
                let said = message.map(|message| self.others.hear(&key, message));
                self.tells(said.unwrap_or_default());
            }
            Effect::Decline(key, reason) => {
                self.declines(&key, reason.to_string());
                let said = self.others.hear(&key, FromSite::Gone);
                self.tells(said);
            }
            Effect::Exchange => self.leaves(Duration::ZERO, "checkpoints".to_owned()),
            Effect::Over(model) => self.leaves(Duration::ZERO, format!("over, {model:?}")),
        }
    }

    fn leaves(&mut self, after: Duration, said: String) {
        self.seen.messages.push(((self.now + after).as_millis(), said));
    }

    fn declines(&mut self, key: &AttemptKey, reason: String) {
        let begun = [Purpose::Training, Purpose::Metrics].map(|purpose| (purpose, key.round, key.attempt));
        let Some(begun) = begun.into_iter().find(|begun| self.began.contains_key(begun)) else {
            return self.leaves(Duration::ZERO, format!("decline {key}: {reason}"));
        };
        let reason = match self.fault {
            Some(Fault::TellingDecline) => self.failed.remove(&begun).unwrap_or(reason),
            _ => reason,
        };
        self.seen.said.push(reason.clone());
        self.left(begun, false, format!("decline {key}: {reason}"));
        if self.fault == Some(Fault::FailureCostsNothing) {
            self.restore_backup();
        }
    }

    /// Notes how an attempt left; what is sent again did not begin.
    fn left(&mut self, begun: Begun, update: bool, said: String) {
        let began = self.began.remove(&begun);
        let mut after = Duration::ZERO;
        match (self.fault, self.ready.remove(&begun)) {
            (Some(Fault::FailureAtOnce), Some(ready)) if !update => {
                self.seen.messages.push((ready.as_millis(), said));
                self.seen.left.extend(began.map(|began| (begun, (update, ready.saturating_sub(began)))));
                return;
            }
            (Some(Fault::MovedGrid), Some(ready)) => {
                after = began.map_or(Duration::ZERO, |began| ready.saturating_sub(began));
            }
            _ => {}
        }
        self.leaves(after, said);
        self.seen.left.extend(began.map(|began| (begun, (update, self.now + after - began))));
    }

    fn load(&mut self) {
        let odd = match self.cohort {
            Cohort::Patients(odd) => *odd,
            Cohort::Nobody(_) => Odd::Null,
        };
        let (took, loads) = loading(odd, self.schedule.patient);
        self.loaded = took.map(|took| (self.now + took, loads));
    }

    fn compute(&mut self, computation: Computation) {
        let key = (computation.purpose, computation.key.clone());
        let begun = (computation.purpose, computation.key.round, computation.key.attempt);
        self.seen.computed += 1;
        self.began.insert(begun, self.now);
        let done = match self.cohort {
            Cohort::Patients(odd) => self.by_patients(computation, *odd),
            Cohort::Nobody(told) => told.get(&begun).map(|(update, after)| {
                let slots = self.schedule.terms.slot_s > 0;
                let ready = self.now + after.saturating_sub(Duration::from_millis(slots.into()));
                let result = if *update {
                    compute(computation, &mut Scripted::new(Odd::Null, 0), None)
                } else {
                    Err(AttemptError::Ended)
                };
                (ready, result)
            }),
        };
        let Some((ready, result)) = done else { return };
        self.ready.insert(begun, ready);
        if let Err(failed) = &result {
            self.failed.insert(begun, failed.to_string());
        }
        self.told(ready, Input::Computed(key, ready, result));
    }

    /// Returns when the work is done and what it comes to; nothing if it never ends.
    fn by_patients(
        &self,
        computation: Computation,
        odd: Odd,
    ) -> Option<(Duration, Result<Release, AttemptError>)> {
        let (loaded, loads) = self.loaded?;
        let begins = loaded.max(self.now);
        if !loads {
            return Some((begins, Err(AttemptError::Ended)));
        }
        let mut trainer = Scripted::new(odd, self.schedule.patient);
        let result = compute(computation, &mut trainer, self.fault);
        Some((begins + trainer.took?, result))
    }

    fn keep_backup(&mut self) {
        if self.began.is_empty() {
            let files = [self.ledger(), self.ledger().with_extension("log.head")];
            self.backup = files.iter().map(|file| fs::read(file).unwrap()).collect();
        }
    }

    /// Forgets an attempt that failed, as an agent did that charged for releases alone.
    fn restore_backup(&mut self) {
        self.session = None;
        let files = [self.ledger(), self.ledger().with_extension("log.head")];
        for (file, bytes) in files.iter().zip(&self.backup) {
            fs::write(file, bytes).unwrap();
        }
        self.life += 1;
        self.reopen();
        self.told(self.now, offer(self.schedule));
    }
}
