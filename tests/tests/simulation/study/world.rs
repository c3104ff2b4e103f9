//! One study, the driver that performs its effects, and what an observer of both knows.

use std::collections::BTreeMap;
use std::time::Duration;

use fedtwin_coordinator::record::{Record, Standing, replay};
use fedtwin_coordinator::study::{Effect, Input, Job, Models, Study};
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{Digest, Plan, SiteName, Timestamp};
use fedtwin_proto::domain::{Answer, AttemptKey, Event, Notice, StudyEvent, StudyOutcome};
use fedtwin_proto::wire;
use fedtwin_tests::simulation::{DEADLINE_S, JOIN_S, PATIENTS_MAX, StudyTerms, Updates, plan, site};

/// Something that happens. Attempts are named by how many attempts ago they began.
#[derive(Debug, Clone)]
pub(super) enum What {
    Connect(usize),
    Disconnect(usize),
    Accept(usize, u32),
    Refuse(usize),
    Update(usize, u32, u8),
    Decline(usize, u32),
    Unusable(usize, u32),
    Aggregate,
    AggregateFails,
    Cancel,
    Tick,
    /// The coordinator stops after performing so many effects of the next input, and starts again.
    CrashDuringTheNext(usize),
}

pub(super) struct World {
    terms: StudyTerms,
    plan: (Plan, SignedPlan),
    updates: Updates,
    study: Option<Study>,
    began: Timestamp,
    now: Timestamp,
    crash_after: Option<usize>,
    seen: Seen,
}

/// What the effects that were performed have said.
#[derive(Default)]
struct Seen {
    records: Vec<Record>,
    /// The latest answer of each site that counts.
    answers: BTreeMap<SiteName, Option<u32>>,
    /// The model of the last finished round, or the initial one.
    model: Option<Digest>,
    rounds: u32,
    attempts: u32,
    /// The attempt whose start is on disk and whose end is not.
    open: Option<u32>,
    /// Who was a member when it began.
    members: BTreeMap<SiteName, u32>,
    accepted: BTreeMap<SiteName, Digest>,
    /// How many events of each site's failures and updates the open attempt has.
    told: BTreeMap<SiteName, (u32, u32)>,
    job: Option<Job>,
    rejection: Option<String>,
    closed: bool,
}

impl World {
    pub(super) fn open(terms: StudyTerms) -> Self {
        let (parsed, signed) = plan(&terms);
        let began = Timestamp(1_000_000);
        let (opener, initial) = ("ada".parse().expect("a name"), Digest::of(b"initial"));
        let (study, effects) = Study::offer(parsed.clone(), signed.clone(), opener, initial, began);
        let mut world = Self {
            terms,
            plan: (parsed, signed),
            updates: Updates::default(),
            study: Some(study),
            began,
            now: began,
            crash_after: None,
            seen: Seen { model: Some(Digest::of(b"initial")), ..Seen::default() },
        };
        world.perform(None, effects);
        world.check();
        world
    }

    pub(super) fn outcome(&self) -> Option<&StudyOutcome> {
        self.study().outcome()
    }

    pub(super) fn attempts(&self) -> u32 {
        self.seen.attempts
    }

    pub(super) fn records(&self) -> &[Record] {
        &self.seen.records
    }

    pub(super) fn last_rejection(&self) -> Option<&str> {
        self.seen.rejection.as_deref()
    }

    /// Returns how often a site's failures and its updates were told in the open attempt.
    pub(super) fn told_of(&self, i: usize) -> (u32, u32) {
        self.seen.told.get(&site(i)).copied().unwrap_or_default()
    }

    pub(super) fn aggregating_patients(&self) -> Option<u64> {
        self.seen.job.as_ref().map(|job| job.patients)
    }

    pub(super) fn elapsed_ms(&self) -> u128 {
        self.now.since(self.began).as_millis()
    }

    pub(super) fn included_in_the_last_round(&self) -> Vec<&str> {
        let included = self.seen.records.iter().rev().find_map(|record| match record {
            Record::AttemptClosed { updates, .. } => Some(updates.keys().map(SiteName::as_str).collect()),
            Record::StudyOpened { .. }
            | Record::SiteAnswered { .. }
            | Record::AttemptStarted { .. }
            | Record::MetricsReleased { .. }
            | Record::StudyClosed { .. }
            | Record::Refused { .. } => None,
        });
        included.unwrap_or_default()
    }

    /// Lets something happen and checks every invariant.
    pub(super) fn happen(&mut self, after_ms: u64, what: &What) {
        self.now = self.now + Duration::from_millis(after_ms);
        self.seen.rejection = None;
        let attempt = |ago: u32| self.seen.attempts.saturating_sub(ago);
        let mut sent = None;
        let input = match *what {
            What::Connect(i) => Input::Present(site(i)),
            What::Disconnect(i) => Input::Absent(site(i)),
            What::Accept(i, patients) => Input::Answered(site(i), Answer::Accepted { patients }),
            What::Refuse(i) => Input::Answered(site(i), Answer::Refused { reason: "budget".to_owned() }),
            What::Update(i, ago, content) => {
                let update = self.updates.make(content);
                sent = Some((site(i), update.digest));
                Input::Updated(site(i), attempt(ago), update)
            }
            What::Decline(i, ago) => Input::Declined(site(i), attempt(ago), "no cohort".to_owned()),
            What::Unusable(i, ago) => {
                let (study, round) = (self.plan.0.study.id.clone(), self.seen.rounds + 1);
                let key = AttemptKey { study, round, attempt: attempt(ago) };
                Input::Unusable(site(i), key, "cut off".to_owned())
            }
            What::Tick => Input::Tick,
            What::Cancel => {
                // Whatever was being aggregated comes to nothing, when it is done.
                Input::Cancelled("cancelled by the researcher ada".to_owned())
            }
            What::Aggregate | What::AggregateFails => {
                let Some(job) = self.seen.job.take() else { return };
                let model = Digest::of(format!("{} after {:?}", job.key, job.model).as_bytes());
                let failure = "cannot write the new model\n  because: no space is left";
                let result =
                    if matches!(what, What::Aggregate) { Ok(model) } else { Err(failure.to_owned()) };
                Input::Aggregated(result.map(Models::from))
            }
            What::CrashDuringTheNext(effects) => {
                self.crash_after = Some(effects);
                return;
            }
        };
        self.step(sent, input);
    }

    /// Nothing more is heard of any site; the study has to end by itself, and in time.
    pub(super) fn let_time_pass_until_the_end(&mut self) {
        let from = self.now;
        while self.outcome().is_none() {
            if self.seen.job.is_some() {
                self.happen(0, &What::Aggregate);
            } else {
                let deadline = self.study().deadline().expect("an open study waits for something");
                let wait = u64::try_from(deadline.since(self.now).as_millis()).expect("a short time");
                self.happen(wait, &What::Tick);
            }
        }
        let attempts = u64::from(self.terms.attempts_max);
        let longest = Duration::from_secs(JOIN_S + attempts * (JOIN_S + DEADLINE_S));
        assert!(self.now.since(from) <= longest, "{:?}", self.now.since(from));
    }

    fn study(&self) -> &Study {
        self.study.as_ref().expect("a study is in its place between two inputs")
    }

    fn step(&mut self, sent: Option<(SiteName, Digest)>, input: Input) {
        let (study, effects) = self.study.take().expect("a study is in its place").step(input, self.now);
        self.study = Some(study);
        match self.crash_after.take() {
            Some(performed) => {
                self.perform(sent, effects.into_iter().take(performed).collect());
                self.restart();
            }
            None => self.perform(sent, effects),
        }
        self.check();
    }

    /// Forgets everything but the records on disk, and continues from them.
    fn restart(&mut self) {
        self.study = None;
        self.seen.job = None;
        self.seen.open = None;
        self.seen.accepted.clear();
        assert_eq!(self.updates.spooled(), 0, "a restart leaves no spool");
        let (parsed, signed) = self.plan.clone();
        let records = self.seen.records.iter().cloned().map(|record| (self.now, record));
        let logged = replay(records).remove(&parsed.study.id).expect("the study's opening is on disk");
        assert_eq!(logged.opener.as_str(), "ada");
        assert_eq!(
            matches!(logged.standing, Standing::Ended(_)),
            self.seen.closed,
            "only a closed study is over"
        );
        let Standing::Open(progress) = logged.standing else {
            // A closed study is not continued: the next one takes its place in the simulation.
            *self = Self::open(self.terms.clone());
            return;
        };
        assert_eq!(Some(progress.models.global), self.seen.model, "the study continues with the same model");
        assert_eq!((progress.rounds, progress.attempts), (self.seen.rounds, self.seen.attempts));
        let (study, effects) = Study::resume(parsed, signed, progress, self.now);
        self.study = Some(study);
        self.perform(None, effects);
    }

    fn perform(&mut self, sent: Option<(SiteName, Digest)>, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Persist(record) => self.persist(record),
                Effect::Notify(site, notice) => self.notified(&site, &notice),
                Effect::Publish(event) => self.published(event),
                Effect::Accept => {
                    let (site, digest) = sent.clone().expect("only an update is accepted");
                    let first = *self.seen.accepted.entry(site).or_insert(digest);
                    assert_eq!(first, digest, "invariant_one_update_per_site");
                }
                Effect::Reject(error) => self.seen.rejection = Some(error.to_string()),
                Effect::Open(..) => unreachable!("the studies are without secure aggregation"),
                Effect::Aggregate(job) => self.aggregate(job),
            }
        }
    }

    /// Whatever is published, the other end takes it, and no site fills a study's history.
    fn published(&mut self, event: Event) {
        match &event {
            Event::AttemptStarted { .. } => self.seen.told.clear(),
            Event::SiteFailed { site, .. } => self.seen.told.entry(site.clone()).or_default().0 += 1,
            Event::UpdateReceived { site, .. } => self.seen.told.entry(site.clone()).or_default().1 += 1,
            Event::SiteAnswered { .. }
            | Event::AttemptFailed { .. }
            | Event::MetricsReleased(_)
            | Event::AttemptClosed { .. }
            | Event::StudyClosed(_) => {}
        }
        for (site, (failures, updates)) in &self.seen.told {
            assert!(*failures <= 4 && *updates <= 1, "{site}: {failures} failures, {updates} updates");
        }
        let event = wire::StudyEvent::from(StudyEvent { number: 0, time: self.now, event });
        StudyEvent::try_from(event).expect("invariant_nothing_that_is_sent_is_malformed");
    }

    fn persist(&mut self, record: Record) {
        assert!(!self.seen.closed, "invariant_closed_is_final: {record:?}");
        match &record {
            Record::StudyOpened { .. } => assert!(self.seen.records.is_empty()),
            Record::SiteAnswered { site, patients, .. } => {
                assert!(patients.is_none_or(|patients| patients <= PATIENTS_MAX));
                self.seen.answers.insert(site.clone(), *patients);
            }
            Record::AttemptStarted { round, attempt, .. } => self.attempt_started(*round, *attempt),
            Record::AttemptClosed { round, attempt, updates, model, .. } => {
                assert_eq!(
                    self.seen.open.take(),
                    Some(*attempt),
                    "invariant_persist_comes_before_what_depends"
                );
                assert_eq!(
                    *updates,
                    std::mem::take(&mut self.seen.accepted),
                    "invariant_included_sites_sent"
                );
                if model.is_some() {
                    self.invariant_fewer_than_sites_min_never_aggregates(updates.len());
                    self.seen.rounds = *round;
                    self.seen.model = *model;
                }
            }
            Record::MetricsReleased { .. } => unreachable!("the simulated plan has no metrics"),
            Record::Refused { .. } => unreachable!("a study's own core refuses nobody"),
            Record::StudyClosed { failure, .. } => {
                assert!(failure.is_some() || self.seen.rounds == self.terms.rounds);
                self.seen.closed = true;
            }
        }
        self.seen.records.push(record);
    }

    fn attempt_started(&mut self, round: u32, attempt: u32) {
        assert_eq!(self.seen.open, None, "invariant_persist_comes_before_what_depends: an attempt is open");
        assert_eq!(round, self.seen.rounds + 1);
        assert_eq!(attempt, self.seen.attempts + 1, "an attempt's number is never used again");
        self.seen.attempts = attempt;
        self.seen.open = Some(attempt);
        let answers = self.seen.answers.iter();
        self.seen.members =
            answers.filter_map(|(site, patients)| Some((site.clone(), (*patients)?))).collect();
        self.invariant_attempts_never_exceed_the_plan();
    }

    fn notified(&self, site: &SiteName, notice: &Notice) {
        assert!(self.plan.0.study.sites.contains(site), "{site} is not in the plan's audience");
        let sent = Notice::try_from(wire::Notice::from(notice.clone()));
        sent.expect("invariant_nothing_that_is_sent_is_malformed");
        match notice {
            Notice::Offer(_) => assert!(!self.seen.closed),
            Notice::Invitation(invitation) => {
                self.invariant_persist_comes_before_what_depends_on_it(invitation.key.attempt);
                assert!(self.seen.members.contains_key(site), "{site} did not accept the plan");
                assert_eq!(Some(invitation.model), self.seen.model);
                assert!(!invitation.closes_in.is_zero());
            }
            Notice::Measurement(_) => unreachable!("the simulated plan has no metrics"),
            Notice::Secure(_) => unreachable!("the simulated plan is without secure aggregation"),
            Notice::Closed(_) => assert!(self.seen.closed, "told before it was on disk"),
        }
    }

    fn aggregate(&mut self, job: Job) {
        assert_eq!(Some(job.key.attempt), self.seen.open);
        assert_eq!(Some(job.model), self.seen.model);
        self.invariant_fewer_than_sites_min_never_aggregates(job.spools.len());
        assert_eq!(job.spools.len(), self.seen.accepted.len(), "invariant_one_update_per_site");
        assert!(job.spools.iter().all(|spool| spool.exists()));
        let patients = self.seen.accepted.keys().map(|site| u64::from(self.seen.members[site])).sum::<u64>();
        assert_eq!(job.patients, patients);
        self.seen.job = Some(job);
    }

    fn check(&self) {
        self.invariant_attempt_closes_at_its_deadline_at_the_latest();
        self.invariant_spools_are_those_of_accepted_updates();
        assert_eq!(self.outcome().is_some(), self.seen.closed, "invariant_closed_is_final");
    }

    fn invariant_attempt_closes_at_its_deadline_at_the_latest(&self) {
        if self.study().open_attempt().is_some() {
            // Announced in seconds of simulated time; an input after it would have closed the attempt.
            let latest = self.now + Duration::from_secs(JOIN_S.max(DEADLINE_S));
            assert!(self.study().deadline().is_some_and(|deadline| deadline <= latest));
        }
    }

    fn invariant_spools_are_those_of_accepted_updates(&self) {
        let kept = if self.seen.closed { 0 } else { self.seen.accepted.len() };
        assert_eq!(self.updates.spooled(), kept);
    }

    fn invariant_attempts_never_exceed_the_plan(&self) {
        assert!(self.seen.attempts <= self.terms.attempts_max);
    }

    fn invariant_persist_comes_before_what_depends_on_it(&self, attempt: u32) {
        assert_eq!(self.seen.open, Some(attempt), "an invitation to an attempt that is not on disk");
    }

    fn invariant_fewer_than_sites_min_never_aggregates(&self, updates: usize) {
        assert!(updates >= self.terms.sites_min, "{updates} updates of {}", self.terms.sites_min);
    }
}
