//! One attempt at a round under generated schedules of events, in simulated time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fedtwin_coordinator::attempt::{Attempt, AttemptOutcome, AttemptTerms, Effect, Input};
use fedtwin_plan::{Digest, SiteName, Timestamp};
use fedtwin_tests::simulation::{Updates, site};
use proptest::prelude::*;

/// Something that happens, some time after what happened before.
#[derive(Debug, Clone)]
struct Happening {
    after_ms: u64,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Present(usize),
    Absent(usize),
    Updated(usize, u8),
    Declined(usize),
    Tick,
}

const JOIN_MS: u64 = 1_000;
const COLLECT_MS: u64 = 3_000;

/// One attempt, and what an observer of its effects knows about it.
struct World {
    terms: AttemptTerms,
    updates: Updates,
    attempt: Option<Attempt>,
    began: Timestamp,
    /// When the first site was asked for its update.
    asked: Option<Timestamp>,
    now: Timestamp,
    invited: BTreeSet<SiteName>,
    accepted: BTreeMap<SiteName, Digest>,
    closed_at: Option<Timestamp>,
}

impl World {
    fn begin(members: usize, sites_min: usize, present: &BTreeSet<usize>) -> Self {
        let terms = AttemptTerms {
            members: (0..members).map(site).collect(),
            sites_min,
            join: Duration::from_millis(JOIN_MS),
            collect: Duration::from_millis(COLLECT_MS),
            secure: None,
        };
        let began = Timestamp(1_000_000);
        let present = present.iter().copied().map(site).collect();
        let (attempt, effects) = Attempt::begin(terms.clone(), &present, began);
        let mut world = Self {
            terms,
            updates: Updates::default(),
            attempt: Some(attempt),
            began,
            asked: None,
            now: began,
            invited: BTreeSet::new(),
            accepted: BTreeMap::new(),
            closed_at: None,
        };
        world.observe(None, effects);
        world.check();
        world
    }

    fn attempt(&self) -> &Attempt {
        self.attempt.as_ref().expect("an attempt is in its place between two inputs")
    }

    fn outcome(&self) -> Option<&AttemptOutcome> {
        match self.attempt() {
            Attempt::Closed(outcome) => Some(outcome),
            Attempt::Invite(_) | Attempt::Collect(_) | Attempt::Secure(_) => None,
        }
    }

    /// Steps the attempt, checks every invariant, and says whether the input was rejected.
    fn happen(&mut self, happening: &Happening) -> bool {
        self.now = self.now + Duration::from_millis(happening.after_ms);
        let mut sent = None;
        let input = match happening.what {
            What::Present(i) => Input::Present(site(i)),
            What::Absent(i) => Input::Absent(site(i)),
            What::Declined(i) => Input::Declined(site(i), "no cohort".to_owned()),
            What::Tick => Input::Tick,
            What::Updated(i, content) => {
                let update = self.updates.make(content);
                sent = Some((site(i), update.digest));
                Input::Updated(site(i), update)
            }
        };
        let before = self.outcome().map(included);
        let (attempt, effects) =
            self.attempt.take().expect("an attempt is in its place").step(input, self.now);
        self.attempt = Some(attempt);
        let rejected = self.observe(sent, effects);
        self.check();
        if before.is_some() {
            assert_eq!(self.outcome().map(included), before, "invariant_closed_is_final");
        }
        rejected
    }

    fn observe(&mut self, sent: Option<(SiteName, Digest)>, effects: Vec<Effect>) -> bool {
        let mut rejected = false;
        for effect in effects {
            match effect {
                Effect::Invite(site, closes_in, _others) => {
                    assert!(!closes_in.is_zero(), "{site} was invited to an attempt that is over");
                    assert!(self.terms.members.contains(&site), "{site} is not a member");
                    self.invited.insert(site);
                    self.asked.get_or_insert(self.now);
                }
                Effect::Accept(site, _bytes) => {
                    let (sender, digest) = sent.clone().expect("only an update is accepted");
                    assert_eq!(site, sender);
                    let first = *self.accepted.entry(site).or_insert(digest);
                    assert_eq!(first, digest, "invariant_one_update_per_site");
                }
                Effect::Reject(site, _reason) => {
                    assert_eq!(Some(site), sent.clone().map(|(site, _)| site));
                    rejected = true;
                }
                Effect::Decline(site, _reason) => {
                    assert!(self.invited.contains(&site), "{site} declined uninvited");
                }
                Effect::Tell(..) | Effect::Open(_) | Effect::Fail(_) => {
                    unreachable!("the attempt is without secure aggregation")
                }
            }
        }
        rejected
    }

    fn check(&mut self) {
        if self.outcome().is_some() {
            self.closed_at.get_or_insert(self.now);
        }
        self.invariant_attempt_closes_at_its_deadline_at_the_latest();
        self.invariant_included_sites_sent_an_accepted_update();
        self.invariant_every_member_is_included_or_missing();
        self.invariant_fewer_than_sites_min_never_aggregates();
        self.invariant_spools_are_those_of_accepted_updates();
    }

    fn invariant_attempt_closes_at_its_deadline_at_the_latest(&self) {
        let deadline = match self.asked {
            None => self.began + self.terms.join,
            Some(asked) => asked + self.terms.collect,
        };
        match self.attempt().deadline() {
            // Had the deadline passed, this very input would have closed the attempt.
            Some(told) => assert!(told == deadline && self.now < deadline),
            None => assert!(self.outcome().is_some()),
        }
    }

    fn invariant_included_sites_sent_an_accepted_update(&self) {
        assert!(self.accepted.keys().all(|site| self.invited.contains(site)));
        if let Some(outcome) = self.outcome() {
            assert_eq!(included(outcome), self.accepted);
        }
    }

    fn invariant_every_member_is_included_or_missing(&self) {
        if let Some(outcome) = self.outcome() {
            let included: BTreeSet<_> = outcome.updates.keys().cloned().collect();
            assert!(included.is_disjoint(&outcome.missing));
            assert_eq!(&included | &outcome.missing, self.terms.members);
        }
    }

    fn invariant_fewer_than_sites_min_never_aggregates(&self) {
        if let Some(outcome) = self.outcome() {
            assert_eq!(outcome.enough, outcome.updates.len() >= self.terms.sites_min);
        }
    }

    fn invariant_spools_are_those_of_accepted_updates(&self) {
        assert_eq!(self.updates.spooled(), self.accepted.len());
    }
}

/// The same attempt without its rejected messages, at which only time passes, ends in the same way.
fn invariant_rejects_never_fail_an_attempt(schedule: &Schedule) {
    let run = |happenings: &[Happening]| {
        let mut world = World::begin(schedule.members, schedule.sites_min, &schedule.present);
        let rejected: Vec<bool> = happenings.iter().map(|happening| world.happen(happening)).collect();
        (rejected, world.closed_at, world.outcome().map(included))
    };
    let (rejected, closed_at, outcome) = run(&schedule.happenings);
    let without = schedule.happenings.iter().zip(rejected).map(|(happening, rejected)| {
        let what = if rejected { What::Tick } else { happening.what.clone() };
        Happening { after_ms: happening.after_ms, what }
    });
    let (_, closed_at_without, outcome_without) = run(&without.collect::<Vec<_>>());
    assert_eq!((closed_at, outcome), (closed_at_without, outcome_without));
}

fn included(outcome: &AttemptOutcome) -> BTreeMap<SiteName, Digest> {
    outcome.updates.iter().map(|(site, update)| (site.clone(), update.digest)).collect()
}

#[derive(Debug, Clone)]
struct Schedule {
    members: usize,
    sites_min: usize,
    present: BTreeSet<usize>,
    happenings: Vec<Happening>,
}

/// Schedules over one site more than there are members: the last one is unknown.
fn schedules() -> impl Strategy<Value = Schedule> {
    (1_usize..6).prop_flat_map(|members| {
        let what = prop_oneof![
            2 => (0..=members).prop_map(What::Present),
            1 => (0..=members).prop_map(What::Absent),
            5 => (0..=members, 0_u8..3).prop_map(|(i, content)| What::Updated(i, content)),
            1 => (0..=members).prop_map(What::Declined),
            1 => Just(What::Tick),
        ];
        let after_ms = prop_oneof![4 => 0_u64..200, 1 => 0_u64..COLLECT_MS];
        let happening = (after_ms, what).prop_map(|(after_ms, what)| Happening { after_ms, what });
        let present = proptest::collection::btree_set(0..=members, 0..=members + 1);
        (1..=members, present, proptest::collection::vec(happening, 0..40)).prop_map(
            move |(sites_min, present, happenings)| Schedule { members, sites_min, present, happenings },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(proptest::test_runner::FileFailurePersistence::Direct(
            "tests/attempt_simulation.regressions",
        ))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_schedule_keeps_the_invariants(schedule in schedules()) {
        invariant_rejects_never_fail_an_attempt(&schedule);
    }
}

fn run(world: &mut World, happenings: &[(u64, What)]) {
    for (after_ms, what) in happenings {
        world.happen(&Happening { after_ms: *after_ms, what: what.clone() });
    }
}

#[test]
fn site_killed_in_the_middle_of_an_attempt_leaves_the_others_a_result() {
    let mut world = World::begin(3, 2, &(0..3).collect());
    run(&mut world, &[(10, What::Updated(0, 1)), (10, What::Absent(1)), (10, What::Updated(2, 2))]);
    assert!(world.outcome().is_none(), "the killed site may come back");
    run(&mut world, &[(COLLECT_MS - 30, What::Tick)]);
    let outcome = world.outcome().unwrap();
    assert!(outcome.enough);
    assert_eq!(outcome.missing, BTreeSet::from([site(1)]));
}

#[test]
fn site_that_never_answers_delays_to_the_deadline_only() {
    let mut world = World::begin(2, 1, &(0..2).collect());
    run(&mut world, &[(10, What::Updated(0, 1)), (COLLECT_MS - 11, What::Tick)]);
    assert!(world.outcome().is_none());
    run(&mut world, &[(1, What::Tick)]);
    assert_eq!(world.closed_at, Some(world.began + world.terms.collect));
    assert!(world.outcome().unwrap().enough);
}

#[test]
fn update_after_the_deadline_does_not_count_even_if_the_tick_is_late() {
    let mut world = World::begin(2, 1, &(0..2).collect());
    run(&mut world, &[(10, What::Updated(0, 1)), (COLLECT_MS, What::Updated(1, 2))]);
    assert_eq!(world.outcome().unwrap().missing, BTreeSet::from([site(1)]));
}

#[test]
fn site_that_comes_back_within_the_deadline_is_asked_again_and_counts() {
    let mut world = World::begin(2, 2, &(0..2).collect());
    run(&mut world, &[(10, What::Absent(1)), (500, What::Updated(0, 1)), (500, What::Present(1))]);
    run(&mut world, &[(10, What::Updated(1, 2))]);
    assert_eq!(world.accepted.len(), 2);
    assert!(world.outcome().unwrap().enough);
}

#[test]
fn lost_acknowledgement_is_answered_alike_and_other_bytes_are_rejected() {
    let mut world = World::begin(2, 1, &(0..2).collect());
    let mut send = |content| world.happen(&Happening { after_ms: 1, what: What::Updated(0, content) });
    assert_eq!([send(1), send(1), send(2), send(1)], [false, false, true, false]);
}

#[test]
fn too_few_connected_sites_close_the_attempt_when_the_time_to_join_is_up() {
    let mut world = World::begin(3, 2, &BTreeSet::from([0, 3]));
    run(&mut world, &[(1, What::Updated(0, 1)), (JOIN_MS - 1, What::Tick)]);
    assert!(!world.outcome().unwrap().enough);
    assert_eq!(world.outcome().unwrap().missing.len(), 3);
}
