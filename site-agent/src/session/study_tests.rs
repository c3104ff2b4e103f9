//! What a study asks for where the session has closed it.

use std::collections::BTreeSet;
use std::time::Duration;

use fedtwin_plan::WireBits;
use fedtwin_privacy::random::SecureRandom;
use fedtwin_proto::domain::Invitation;

use super::tests::{NOW, Site, key, noisy_sums, release_under};
use super::*;
use crate::attempt_error::AttemptError;
use crate::closings::{Closing, Closings};
use crate::computation::Computation;
use crate::study::{Desk, Effect, Input, Moment, Study};

/// A study's core, and the session that it works with.
struct Bench {
    site: Site,
    session: Session,
    study: Study,
}

impl Bench {
    /// Has a site take part in a study.
    fn new() -> Self {
        let site = Site::new();
        let session = site.open();
        let mut bench = Self { site, session, study: Study::new(id(), 0) };
        assert_eq!(bench.offer(), ["answer 80", "load", "exchange"]);
        bench
    }

    fn feed(&mut self, input: Input) -> Vec<String> {
        self.step(input).iter().map(words).collect()
    }

    fn step(&mut self, input: Input) -> Vec<Effect> {
        let now = Moment { time: NOW, passed: Duration::ZERO };
        let (session, random) = (&mut self.session, &mut SecureRandom::new());
        self.study.step(&mut Desk { session, random, now }, input)
    }

    fn offer(&mut self) -> Vec<String> {
        let (plan, signer, signed) = self.site.signed(Site::plan("s", 1024));
        self.feed(Input::Offered(Box::new(plan), signer, signed))
    }

    fn invite(&mut self) -> Vec<String> {
        let invitation = Invitation {
            key: key(1, 1),
            model: Digest::of(b"model"),
            closes_in: Duration::from_secs(9),
            clip: 1.0.try_into().unwrap(),
            members: BTreeSet::new(),
        };
        self.feed(Input::Invited(Purpose::Training, invitation))
    }

    /// Begins an attempt.
    fn begin(&mut self) -> Computation {
        assert_eq!(self.invite(), ["fetch"]);
        let mut effects = self.step(Input::Fetched(Digest::of(b"model"), Ok(Arc::new(Vec::new()))));
        let (Some(Effect::Compute(task)), []) = (effects.pop(), &effects[..]) else {
            panic!("expected nothing but work to do")
        };
        *task
    }

    /// Has a person close the study.
    fn close(&mut self) {
        let closing = Closing { study: id(), who: "Ada".parse().unwrap(), why: "forgotten".parse().unwrap() };
        Closings::of(&self.session.state).ask(&closing).unwrap();
        self.session.enter_closings(NOW).unwrap();
    }
}

fn id() -> StudyId {
    "s".parse().unwrap()
}

fn words(effect: &Effect) -> String {
    match effect {
        Effect::Answer(Ok(patients)) => format!("answer {patients}"),
        Effect::Answer(Err(_)) => "refuse".to_owned(),
        Effect::Load(_) => "load".to_owned(),
        Effect::Unload => "unload".to_owned(),
        Effect::Fetch(_) => "fetch".to_owned(),
        Effect::Compute(_) => "compute".to_owned(),
        Effect::Score(..) => "score".to_owned(),
        Effect::Call(..) => "call".to_owned(),
        Effect::Decline(..) => "decline".to_owned(),
        Effect::Exchange => "exchange".to_owned(),
        Effect::Over(_) => "over".to_owned(),
    }
}

#[test]
fn an_attempt_that_arrived_is_not_begun_again_but_sent_again_after_a_restart() {
    let mut bench = Bench::new();
    let task = bench.begin();
    let release = release_under(task.permit, &noisy_sums(13, 1, 5), WireBits::B32).unwrap();
    let computed = Input::Computed((Purpose::Training, key(1, 1)), Duration::ZERO, Ok(release));
    assert_eq!(bench.feed(computed), ["call"]);
    assert!(bench.feed(Input::Called(key(1, 1), Ok(()))).is_empty());
    assert!(bench.invite().is_empty(), "the coordinator has it");
    bench.study = Study::new(id(), 0);
    assert_eq!(bench.offer(), ["answer 80", "load", "exchange"]);
    assert_eq!(bench.invite(), ["fetch"]);
    assert_eq!(bench.feed(Input::Fetched(Digest::of(b"model"), Ok(Arc::new(Vec::new())))), ["call"]);
}

#[test]
fn a_study_that_a_person_closed_has_no_trainer_and_is_refused_when_it_is_offered_again() {
    let mut bench = Bench::new();
    assert_eq!(bench.offer(), ["answer 80", "exchange"], "it is not considered twice");
    bench.close();
    assert_eq!(bench.offer(), ["unload", "refuse", "exchange"]);
    assert_eq!(bench.offer(), ["refuse", "exchange"]);
    assert_eq!(bench.invite(), ["decline"]);
}

#[test]
fn a_study_that_a_person_closed_ends_without_a_word_from_the_coordinator() {
    let mut bench = Bench::new();
    assert!(bench.feed(Input::Tick).is_empty());
    bench.close();
    assert_eq!(bench.feed(Input::Tick), ["unload"]);
    assert!(bench.feed(Input::Tick).is_empty());
}

#[test]
fn an_attempt_under_way_in_a_study_that_a_person_closed_leaves_and_no_trainer_comes_after_it() {
    let mut bench = Bench::new();
    bench.begin();
    bench.close();
    assert_eq!(bench.offer(), ["refuse", "exchange"], "the attempt has its trainer until it leaves");
    let failed = Input::Computed((Purpose::Training, key(1, 1)), Duration::ZERO, Err(AttemptError::Ended));
    assert_eq!(bench.feed(failed), ["decline", "unload"]);
}
