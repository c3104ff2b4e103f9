//! A study under generated schedules of events, crashes and restarts, in simulated time.

mod world;

use fedtwin_coordinator::record::Record;
use fedtwin_proto::domain::StudyOutcome;
use fedtwin_tests::simulation::{DEADLINE_S, JOIN_S, StudyTerms};
use proptest::prelude::*;

use self::world::{What, World};

/// Times that fall within a phase, and times that end one.
fn after_ms() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0_u64..3_000, 1 => 0_u64..2 * DEADLINE_S * 1000]
}

/// Happenings among `sites` sites and one that is not in the plan.
fn happenings(sites: usize) -> impl Strategy<Value = What> {
    prop_oneof![
        4 => (0..=sites).prop_map(What::Connect),
        2 => (0..=sites).prop_map(What::Disconnect),
        5 => (0..=sites, 1_u32..1200).prop_map(|(i, patients)| What::Accept(i, patients)),
        1 => (0..=sites).prop_map(What::Refuse),
        14 => (0..=sites, 0_u32..2, 0_u8..3).prop_map(|(i, ago, content)| What::Update(i, ago, content)),
        2 => (0..=sites, 0_u32..2).prop_map(|(i, ago)| What::Decline(i, ago)),
        2 => (0..=sites, 0_u32..2).prop_map(|(i, ago)| What::Unusable(i, ago)),
        4 => Just(What::Aggregate),
        1 => Just(What::AggregateFails),
        1 => Just(What::Cancel),
        2 => Just(What::Tick),
        1 => (0_usize..5).prop_map(What::CrashDuringTheNext),
    ]
}

fn terms() -> impl Strategy<Value = StudyTerms> {
    (1_usize..5).prop_flat_map(|sites| {
        (1..=sites, 1_u32..5, 0_u32..4).prop_map(move |(sites_min, rounds, spare)| StudyTerms {
            id: "generated",
            sites,
            sites_min,
            rounds,
            attempts_max: rounds + spare,
        })
    })
}

fn schedules() -> impl Strategy<Value = (StudyTerms, Vec<(u64, What)>)> {
    terms().prop_flat_map(|terms| {
        let happening = (after_ms(), happenings(terms.sites));
        (Just(terms), proptest::collection::vec(happening, 0..120))
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(proptest::test_runner::FileFailurePersistence::Direct(
            "tests/study_simulation.regressions",
        ))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_schedule_keeps_the_invariants_and_ends((terms, schedule) in schedules()) {
        let mut world = World::open(terms);
        for (after_ms, what) in schedule {
            world.happen(after_ms, &what);
        }
        world.let_time_pass_until_the_end();
    }

    #[test]
    fn rejected_messages_change_nothing((terms, schedule) in schedules()) {
        let without_crashes = schedule.into_iter().filter(|(_, what)| !matches!(what, What::CrashDuringTheNext(_)));
        invariant_rejects_never_fail_an_attempt(&terms, &without_crashes.collect::<Vec<_>>());
    }
}

/// The same study without its rejected messages, at which only time passes, has the same records.
fn invariant_rejects_never_fail_an_attempt(terms: &StudyTerms, schedule: &[(u64, What)]) {
    let run = |schedule: &[(u64, What)]| {
        let mut world = World::open(terms.clone());
        let rejected = schedule.iter().map(|(after_ms, what)| {
            world.happen(*after_ms, what);
            world.last_rejection().is_some()
        });
        let rejected: Vec<_> = rejected.collect();
        world.let_time_pass_until_the_end();
        (rejected, world.records().to_vec())
    };
    let (rejected, records) = run(schedule);
    let without = schedule
        .iter()
        .zip(rejected)
        .map(|((after_ms, what), rejected)| (*after_ms, if rejected { What::Tick } else { what.clone() }));
    let (_, records_without) = run(&without.collect::<Vec<_>>());
    assert_eq!(records, records_without);
}

fn three_sites(rounds: u32, attempts_max: u32) -> World {
    let terms = StudyTerms { id: "three", sites: 3, sites_min: 2, rounds, attempts_max };
    let mut world = World::open(terms);
    for i in 0..3 {
        world.happen(10, &What::Connect(i));
        world.happen(10, &What::Accept(i, 100));
    }
    world
}

fn updates_of(world: &mut World, sites: &[usize]) {
    for &i in sites {
        world.happen(10, &What::Update(i, 0, 1));
    }
}

#[test]
fn study_with_willing_sites_finishes_without_waiting() {
    let mut world = three_sites(3, 3);
    for _round in 0..3 {
        updates_of(&mut world, &[0, 1, 2]);
        world.happen(10, &What::Aggregate);
    }
    assert!(matches!(world.outcome(), Some(StudyOutcome::Finished { .. })));
    assert!(world.elapsed_ms() < 1_000);
}

#[test]
fn site_killed_in_the_middle_of_an_attempt_leaves_the_others_a_result() {
    let mut world = three_sites(1, 1);
    updates_of(&mut world, &[0, 2]);
    world.happen(10, &What::Disconnect(1));
    world.happen(DEADLINE_S * 1000, &What::Tick);
    world.happen(10, &What::Aggregate);
    assert_eq!(world.included_in_the_last_round(), ["site-0", "site-2"]);
    assert!(matches!(world.outcome(), Some(StudyOutcome::Finished { .. })));
}

#[test]
fn site_that_never_answers_delays_to_the_deadline_only() {
    let terms = StudyTerms { id: "silent", sites: 3, sites_min: 2, rounds: 1, attempts_max: 1 };
    let mut world = World::open(terms);
    for i in 0..2 {
        world.happen(0, &What::Connect(i));
        world.happen(0, &What::Accept(i, 50));
    }
    assert_eq!(world.attempts(), 0);
    world.happen(JOIN_S * 1000, &What::Tick);
    assert_eq!(world.attempts(), 1);
    updates_of(&mut world, &[0, 1]);
    world.happen(0, &What::Aggregate);
    assert!(matches!(world.outcome(), Some(StudyOutcome::Finished { .. })));
}

#[test]
fn update_of_an_earlier_attempt_is_rejected() {
    let mut world = three_sites(1, 2);
    updates_of(&mut world, &[0]);
    world.happen(DEADLINE_S * 1000, &What::Tick);
    assert_eq!(world.attempts(), 2, "one update of two needed");
    world.happen(10, &What::Update(1, 1, 7));
    assert_eq!(
        world.last_rejection(),
        Some("attempt 1 of three is not open; the next invitation names the one that is")
    );
    updates_of(&mut world, &[0, 1]);
    assert_eq!(world.last_rejection(), None);
}

#[test]
fn too_few_sites_repeat_the_round_until_attempts_run_out() {
    let mut world = three_sites(1, 3);
    for attempt in 1..=3 {
        assert_eq!(world.attempts(), attempt);
        updates_of(&mut world, &[2]);
        world.happen(DEADLINE_S * 1000, &What::Tick);
    }
    let Some(StudyOutcome::Failed { reason }) = world.outcome() else { panic!("the study is over") };
    assert_eq!(reason, "all 3 attempts are used, 0 rounds are done");
}

#[test]
fn two_studies_with_the_same_sites_end_each_on_its_own() {
    let mut studies = [three_sites(1, 1), three_sites(2, 2)];
    for i in [0, 1, 2] {
        for world in &mut studies {
            updates_of(world, &[i]);
        }
    }
    studies[0].happen(10, &What::AggregateFails);
    for _round in 0..2 {
        studies[1].happen(10, &What::Aggregate);
        updates_of(&mut studies[1], &[0, 1, 2]);
    }
    assert!(matches!(studies[0].outcome(), Some(StudyOutcome::Failed { .. })));
    assert!(matches!(studies[1].outcome(), Some(StudyOutcome::Finished { .. })));
}

#[test]
fn answer_given_during_an_attempt_does_not_move_its_weights() {
    let mut world = three_sites(1, 1);
    updates_of(&mut world, &[0]);
    world.happen(10, &What::Refuse(0));
    world.happen(10, &What::Accept(1, 1));
    updates_of(&mut world, &[1, 2]);
    assert_eq!(world.aggregating_patients(), Some(300));
}

#[test]
fn site_that_refuses_later_is_no_member_of_the_next_attempt() {
    let mut world = three_sites(2, 2);
    world.happen(10, &What::Refuse(0));
    updates_of(&mut world, &[0, 1, 2]);
    world.happen(10, &What::Aggregate);
    updates_of(&mut world, &[0, 1, 2]);
    assert_eq!(world.aggregating_patients(), Some(200));
}

#[test]
fn answer_to_a_closed_study_is_rejected_and_not_recorded() {
    let mut world = three_sites(1, 1);
    updates_of(&mut world, &[0, 1, 2]);
    world.happen(10, &What::Aggregate);
    world.happen(10, &What::Accept(0, 5));
    assert_eq!(world.last_rejection(), Some("the study three is over"));
    assert!(matches!(world.records().last(), Some(Record::StudyClosed { .. })));
}

#[test]
fn crash_while_aggregating_repeats_the_round_with_a_new_attempt() {
    let mut world = three_sites(1, 2);
    updates_of(&mut world, &[0, 1, 2]);
    world.happen(10, &What::CrashDuringTheNext(0));
    world.happen(10, &What::Aggregate);
    assert_eq!(world.attempts(), 2);
    for i in 0..3 {
        world.happen(10, &What::Connect(i));
    }
    updates_of(&mut world, &[0, 1, 2]);
    world.happen(10, &What::Aggregate);
    assert!(matches!(world.outcome(), Some(StudyOutcome::Finished { .. })));
}

#[test]
fn cancelled_study_is_over_wherever_it_stands_and_keeps_no_update() {
    for steps in 0..4 {
        let mut world = three_sites(1, 1);
        updates_of(&mut world, &[0, 1, 2][..steps.min(3)]);
        world.happen(10, &What::Cancel);
        let Some(StudyOutcome::Failed { reason }) = world.outcome() else { panic!("the study is over") };
        assert_eq!(reason, "cancelled by the researcher ada");
        // What was being aggregated is done after the end, and changes nothing.
        world.happen(10, &What::Aggregate);
        world.happen(10, &What::Cancel);
        assert_eq!(world.last_rejection(), Some("the study three is over"));
    }
}

#[test]
fn cancelling_at_a_rounds_deadline_leaves_nothing_to_sum() {
    let mut world = three_sites(1, 1);
    updates_of(&mut world, &[0, 2]);
    world.happen(DEADLINE_S * 1_000, &What::Cancel);
    assert!(matches!(world.outcome(), Some(StudyOutcome::Failed { .. })));
    assert_eq!(world.aggregating_patients(), None);
}

#[test]
fn site_that_changes_its_answer_without_end_fills_no_log() {
    let mut world =
        World::open(StudyTerms { id: "fickle", sites: 3, sites_min: 2, rounds: 1, attempts_max: 1 });
    for _change in 0..100 {
        world.happen(0, &What::Accept(0, 50));
        world.happen(0, &What::Refuse(0));
    }
    world.happen(0, &What::Accept(0, 50));
    assert_eq!(
        world.last_rejection(),
        Some("site misbehaved: site site-0 has changed its answer 16 times; its last one counts")
    );
    assert_eq!(world.records().len(), 1 + 16);
}

#[test]
fn site_that_errs_without_end_pushes_nothing_out_of_the_history() {
    let mut world = three_sites(1, 1);
    world.happen(0, &What::Update(0, 0, 1));
    for _again in 0..100 {
        // The same once more, another one, and a site that is awaited, declines and comes back.
        world.happen(0, &What::Update(0, 0, 1));
        world.happen(0, &What::Update(0, 0, 2));
        world.happen(0, &What::Decline(1, 0));
        world.happen(0, &What::Connect(1));
        world.happen(0, &What::Unusable(2, 0));
        world.happen(0, &What::Unusable(3, 0));
    }
    assert_eq!([0, 1, 2, 3].map(|i| world.told_of(i)), [(4, 1), (4, 0), (4, 0), (0, 0)]);
}
