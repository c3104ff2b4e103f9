//! Metrics between the rounds of a study: who is asked, what counts, and what comes after.

use std::collections::BTreeMap;

use fedtwin_coordinator::record::{Record, Standing, replay};
use fedtwin_coordinator::study::{Effect, Input, Study};
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{Digest, Plan, SiteName, Timestamp, text_file};
use fedtwin_proto::domain::{Answer, AttemptKey, Event, MetricsReleased, Notice};
use fedtwin_tests::simulation::{DEADLINE_S, StudyTerms, Updates, plan, site};

/// A study of four rounds with metrics after the second and the last, while it is fed by hand.
struct Bench {
    study: Option<Study>,
    now: Timestamp,
    updates: Updates,
    records: Vec<Record>,
    asked: Vec<(SiteName, AttemptKey)>,
    invited: Vec<AttemptKey>,
    released: Vec<MetricsReleased>,
    rejection: Option<String>,
    closed: bool,
}

fn measured_plan() -> (Plan, SignedPlan) {
    let terms = StudyTerms { id: "measured", sites: 3, sites_min: 2, rounds: 4, attempts_max: 6 };
    let (_, signed) = plan(&terms);
    let text = String::from_utf8(signed.text).expect("a plan is text");
    let text = text.replace("family.vector.parameters = 1", "family = \"linear-risk\"").replace(
        "[privacy.none]",
        "[metrics]\nepsilon = 1.0\ndelta = 1e-5\nevery_rounds = 2\n[privacy.none]",
    ) + "metrics = { m = 20, c_int = 262144, releases = 2, epsilon = 1.0 }\n";
    let plan = text_file::parse("measured", &text).unwrap_or_else(|error| panic!("{error}"));
    (plan, SignedPlan { text: text.into_bytes(), signature: Vec::new(), certificate: Vec::new() })
}

impl Bench {
    fn start() -> Self {
        let (plan, signed) = measured_plan();
        let now = Timestamp(1_000_000);
        let (study, effects) =
            Study::offer(plan, signed, "ada".parse().expect("a name"), Digest::of(b"initial"), now);
        let mut bench = Self {
            study: Some(study),
            now,
            updates: Updates::default(),
            records: Vec::new(),
            asked: Vec::new(),
            invited: Vec::new(),
            released: Vec::new(),
            rejection: None,
            closed: false,
        };
        bench.perform(effects);
        for i in 0..3 {
            bench.feed(Input::Present(site(i)));
            bench.feed(Input::Answered(site(i), Answer::Accepted { patients: 100 }));
        }
        bench
    }

    fn feed(&mut self, input: Input) {
        self.rejection = None;
        let (study, effects) = self.study.take().expect(BETWEEN).step(input, self.now);
        self.study = Some(study);
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Persist(record) => self.records.push(record),
                Effect::Notify(site, Notice::Measurement(invitation)) => {
                    assert_eq!(invitation.model, self.model(), "the model of the round that closed");
                    assert!(!invitation.closes_in.is_zero());
                    self.asked.push((site, invitation.key));
                }
                Effect::Notify(_, Notice::Invitation(invitation)) => self.invited.push(invitation.key),
                Effect::Notify(_, Notice::Closed(_)) => self.closed = true,
                Effect::Publish(Event::MetricsReleased(released)) => {
                    let last = self.records.last();
                    assert!(
                        matches!(last, Some(Record::MetricsReleased { .. })),
                        "persisted, then published"
                    );
                    self.released.push(released);
                }
                Effect::Reject(error) => self.rejection = Some(error.to_string()),
                Effect::Notify(_, Notice::Offer(_) | Notice::Secure(_))
                | Effect::Publish(_)
                | Effect::Accept
                | Effect::Open(..)
                | Effect::Aggregate(_) => {}
            }
        }
    }

    /// The model of the last round that closed well.
    fn model(&self) -> Digest {
        let models = self.records.iter().rev().find_map(|record| match record {
            Record::AttemptClosed { model, .. } => *model,
            Record::StudyOpened { .. }
            | Record::SiteAnswered { .. }
            | Record::AttemptStarted { .. }
            | Record::MetricsReleased { .. }
            | Record::StudyClosed { .. }
            | Record::Refused { .. } => None,
        });
        models.expect("a round has closed")
    }

    /// Runs the open attempt to its model.
    fn round(&mut self) -> AttemptKey {
        let key = self.study.as_ref().expect(BETWEEN).open_attempt().expect("an attempt is open").clone();
        for i in 0..3_u8 {
            let update = self.updates.make(i);
            self.feed(Input::Updated(site(i.into()), key.attempt, update));
        }
        self.feed(Input::Aggregated(Ok(Digest::of(format!("{key}").as_bytes()).into())));
        key
    }

    fn send(&mut self, i: usize, key: &AttemptKey, value: i64) {
        self.feed(Input::Measured(site(i), key.clone(), vec![value; 40]));
    }

    fn is_measuring(&self) -> bool {
        let study = self.study.as_ref().expect(BETWEEN);
        study.open_attempt().is_none() && study.deadline().is_some() && study.outcome().is_none()
    }
}

const BETWEEN: &str = "a study is in its place between two inputs";

#[test]
fn metrics_come_after_the_rounds_that_the_plan_names_and_the_study_goes_on() {
    let mut bench = Bench::start();
    bench.round();
    assert!(!bench.is_measuring() && bench.asked.is_empty(), "no metrics after the first round");
    let second = bench.round();
    assert!(bench.is_measuring());
    let everybody: Vec<_> = (0..3).map(|i| (site(i), second.clone())).collect();
    assert_eq!(bench.asked, everybody);
    for (i, value) in [(0, 5), (1, -7), (2, 100)] {
        bench.send(i, &second, value);
        assert_eq!(bench.rejection, None);
    }
    assert!(!bench.is_measuring(), "the third round is open");
    let released = &bench.released[0];
    assert_eq!((released.round, &released.counts, released.sites.len()), (2, &vec![98; 40], 3));
    assert!((released.site_noise() - 4.0).abs() < 1e-12);
    bench.round();
    let last = bench.round();
    assert!(bench.is_measuring() && !bench.closed, "the study is not closed before its metrics");
    for i in 0..3 {
        bench.send(i, &last, 1);
    }
    assert!(bench.closed && bench.released.len() == 2);
}

#[test]
fn who_is_silent_or_declines_is_not_in_the_sums() {
    let mut bench = Bench::start();
    bench.round();
    let key = bench.round();
    bench.send(0, &key, 5);
    bench.feed(Input::Declined(site(1), key.attempt, "no test patients".to_owned()));
    assert!(bench.is_measuring());
    bench.now = Timestamp(bench.now.0 + DEADLINE_S * 1000);
    bench.feed(Input::Tick);
    assert_eq!((&bench.released[0].counts, &bench.released[0].sites), (&vec![5; 40], &vec![site(0)]));
    bench.send(2, &key, 9);
    assert!(bench.rejection.is_some(), "too late");
    // Nobody answers after the last round: the study ends without these metrics.
    bench.round();
    let last = bench.round();
    for i in 0..3 {
        bench.feed(Input::Declined(site(i), last.attempt, "no".to_owned()));
    }
    assert!(bench.closed && bench.released.len() == 1);
}

#[test]
fn counts_that_nobody_asked_for_are_rejected() {
    let mut bench = Bench::start();
    let first = bench.round();
    bench.send(0, &first, 1);
    assert!(bench.rejection.as_ref().unwrap().contains("not wanted now"), "{:?}", bench.rejection);
    let key = bench.round();
    bench.send(3, &key, 1);
    assert!(bench.rejection.as_ref().unwrap().contains("was not asked"), "a stranger");
    bench.send(0, &AttemptKey { attempt: key.attempt + 1, ..key.clone() }, 1);
    assert!(bench.rejection.is_some(), "another attempt");
    bench.feed(Input::Measured(site(0), key.clone(), vec![1; 39]));
    assert!(bench.rejection.as_ref().unwrap().contains("39 counts, expected 40"));
    bench.send(0, &key, 1);
    bench.send(0, &key, 2);
    assert!(bench.rejection.is_some(), "other counts of the same site");
    bench.send(0, &key, 1);
    assert_eq!(bench.rejection, None, "the same counts again");
}

#[test]
fn a_site_that_comes_back_is_asked_again_and_a_restart_measures_what_was_not_released() {
    let mut bench = Bench::start();
    bench.round();
    let key = bench.round();
    bench.send(0, &key, 5);
    bench.asked.clear();
    bench.feed(Input::Absent(site(1)));
    bench.feed(Input::Present(site(1)));
    bench.feed(Input::Present(site(0)));
    assert_eq!(bench.asked, [(site(1), key.clone())], "and who answered is not");

    let progress = |bench: &Bench| {
        let records = bench.records.iter().cloned().map(|record| (bench.now, record));
        let mut studies: BTreeMap<_, _> = replay(records);
        let logged = studies.remove(&"measured".parse().unwrap()).unwrap();
        let Standing::Open(progress) = logged.standing else { panic!("the study goes on") };
        progress
    };
    let resume = |bench: &mut Bench| {
        let (plan, signed) = measured_plan();
        let progress = progress(bench);
        let (study, effects) = Study::resume(plan, signed, progress, bench.now);
        bench.study = Some(study);
        bench.perform(effects);
    };
    resume(&mut bench);
    assert!(bench.is_measuring());
    for i in 0..3 {
        bench.feed(Input::Present(site(i)));
        bench.send(i, &key, 5);
    }
    assert_eq!((bench.released.len(), bench.released[0].sites.len()), (1, 3));
    // What is in the log is not measured again.
    resume(&mut bench);
    assert!(!bench.is_measuring() && bench.released.len() == 1);
}
