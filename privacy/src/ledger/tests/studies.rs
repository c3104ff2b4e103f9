//! A study from its reservation to its end, and what is refused on the way.

use super::*;
use crate::noise::{NoiseError, OpendpNoise};
use crate::patient_sum::IntegerSum;
use crate::permit::Permit;
use crate::release::{Release, ReleaseError};
use crate::steps::{NoisySteps, PlainSteps, Steps as _};
use fedtwin_plan::WireBits;

#[test]
fn a_study_runs_from_reservation_to_refund() {
    let Site { mut ledger, _folder, .. } = site(2.0);
    let before = ledger.state().report().remove(0);
    let reservation = ledger.reserve(&request("a", "heart", 5, 3), NOW).unwrap();
    let total = reservation.terms().total().nano;
    let grant = ledger.begin(&"a".parse().unwrap(), Purpose::Training, key(0, 0), NOW).unwrap();
    assert_eq!((grant.block(), grant.attempts_left()), (BlockId(0), 1));
    let digest = Digest::of(b"bytes");
    let receipt = ledger.record(&grant, digest, NOW).unwrap();
    assert_eq!((receipt.key(), receipt.digest()), (key(0, 0), digest));
    let report = ledger.state().report().remove(0);
    assert_eq!((report.spent.nano, report.reserved.nano), (total / 5 * 2, total / 5 * 3));
    assert_eq!(report.left.nano, before.left.nano - total);
    ledger.close(&"a".parse().unwrap(), StudyEnd::Aborted, ClosedBy::Coordinator, NOW).unwrap();
    let after = ledger.state().report().remove(0);
    assert_eq!((after.spent.nano, after.reserved.nano), (total / 5 * 2, 0));
    assert_eq!(after.left.nano, before.left.nano - total / 5 * 2);
    let closed = ledger.begin(&"a".parse().unwrap(), Purpose::Training, key(1, 0), NOW);
    assert!(matches!(refusal(closed), Violation::StudyClosed(_)));
}

#[test]
fn a_study_over_budget_is_refused_with_the_numbers_and_logged() {
    let Site { mut ledger, path, _folder } = site(1.5);
    ledger.reserve(&request("a", "heart", 5, 1), NOW).unwrap();
    let entries = ledger.state().entries();
    let message = ledger.reserve(&request("b", "heart", 20, 1), NOW).unwrap_err().to_string();
    for part in [
        "study b",
        "cohort heart",
        "asks for 0.79",
        "left is 0.7453",
        "reserved 0.1984",
        "epsilon 1.5000",
        "delta 0.001",
        "order 8",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(ledger.state().entries(), entries + 1, "the refusal is logged");
    assert!(text(&path).contains("study-refused"));
    ledger.reserve(&request("c", "heart", 5, 1), NOW).unwrap();
}

#[test]
fn studies_and_plans_are_reserved_once() {
    let Site { mut ledger, _folder, .. } = site(3.0);
    ledger.reserve(&request("a", "heart", 2, 1), NOW).unwrap();
    let changed = StudyRequest { plan: Digest::of(b"changed"), ..request("a", "heart", 2, 1) };
    assert!(matches!(refusal(ledger.reserve(&changed, NOW)), Violation::StudyExists(_)));
    let renamed = StudyRequest { study: "b".parse().unwrap(), ..request("a", "heart", 2, 1) };
    assert!(matches!(refusal(ledger.reserve(&renamed, NOW)), Violation::PlanExists(_)));
    assert!(matches!(refusal(ledger.reserve(&request("c", "lungs", 2, 1), NOW)), Violation::NoBudget { .. }));
    assert!(matches!(refusal(ledger.reserve(&request("d", "heart", 2, 3), NOW)), Violation::Blocks { .. }));
}

#[test]
fn attempts_begin_once_in_order_and_release_once() {
    let Site { mut ledger, _folder, .. } = site(3.0);
    let study: StudyId = "a".parse().unwrap();
    ledger.reserve(&request("a", "heart", 4, 2), NOW).unwrap();
    let first = ledger.begin(&study, Purpose::Training, key(3, 1), NOW).unwrap();
    for replayed in [key(3, 1), key(3, 0), key(2, 9)] {
        let refused = refusal(ledger.begin(&study, Purpose::Training, replayed, NOW));
        assert!(matches!(refused, Violation::Replayed { .. }), "{refused}");
    }
    ledger.record(&first, Digest::of(b"1"), NOW).unwrap();
    assert!(matches!(refusal(ledger.record(&first, Digest::of(b"1"), NOW)), Violation::NotBegun { .. }));
    let second = ledger.begin(&study, Purpose::Training, key(3, 2), NOW).unwrap();
    ledger.record(&second, Digest::of(b"2"), NOW).unwrap();
    let third = ledger.begin(&study, Purpose::Training, key(4, 3), NOW).unwrap();
    let blocks = [first, second, third].map(|grant| (grant.block(), grant.attempts_left()));
    assert_eq!(blocks, [(BlockId(0), 1), (BlockId(0), 0), (BlockId(1), 1)]);
    ledger.begin(&study, Purpose::Training, key(4, 4), NOW).unwrap();
    let refused = refusal(ledger.begin(&study, Purpose::Training, key(5, 5), NOW));
    assert!(matches!(refused, Violation::NoBlockLeft(_)), "{refused}");
}

#[test]
fn attempts_that_release_nothing_are_used_up_shown_and_few() {
    let Site { mut ledger, path, _folder } = site_with(&[
        budget("heart", 3.0),
        BudgetRequest { purpose: Purpose::Metrics, ..budget("heart", 2.0) },
    ]);
    let study: StudyId = "a".parse().unwrap();
    ledger.reserve(&with_metrics(request("a", "heart", 9, 3), 4), NOW).unwrap();
    let released = ledger.begin(&study, Purpose::Training, key(1, 1), NOW).unwrap();
    ledger.record(&released, Digest::of(b"1"), NOW).unwrap();
    for (purpose, attempt) in [(Purpose::Training, 2), (Purpose::Metrics, 2), (Purpose::Training, 3)] {
        drop(ledger.begin(&study, purpose, key(attempt, attempt), NOW).unwrap());
    }
    for purpose in [Purpose::Training, Purpose::Metrics] {
        let refused = refusal(ledger.begin(&study, purpose, key(4, 4), NOW));
        assert_eq!(refused, Violation::TooManyFailed(study.clone()));
    }
    let state = ledger.state().clone();
    drop(ledger);
    let ledger = open(&path).unwrap();
    assert_eq!(ledger.state(), &state);
    let report = ledger.state().report().remove(0).studies.remove(0);
    assert_eq!((report.attempts, report.releases, report.failed), (4, 1, FAILURES_MAX));
    let block = report.claims[0].blocks[0];
    assert_eq!((block.attempts, block.begun, block.releases), (3, 3, 1));
}

#[test]
fn an_unbounded_study_marks_its_cohort_for_ever() {
    let Site { mut ledger, path, _folder } = site(2.0);
    ledger.reserve(&unbounded("a", "lungs"), NOW).unwrap();
    let since = ledger.state().entries() - 1;
    ledger.close(&"a".parse().unwrap(), StudyEnd::Committed, ClosedBy::Coordinator, NOW).unwrap();
    ledger.reserve(&unbounded("b", "lungs"), NOW).unwrap();
    drop(ledger);
    let report = open(&path).unwrap().state().report();
    assert_eq!(report[1].headline(), format!("unbounded (since entry {since})"));
    assert!(report[0].headline().starts_with("epsilon 0.0000 spent of 2.0000"), "{}", report[0].headline());
}

#[test]
fn bytes_leave_only_as_paid_for() {
    let Site { mut ledger, _folder, .. } = site(3.0);
    let two_steps = AttemptCost::Noised(GaussianEvent { steps: 2, ..event() });
    let study = "a".parse().unwrap();
    ledger.reserve(&training("a", "heart", claim(two_steps, 2, 1)), NOW).unwrap();
    let grant = ledger.begin(&study, Purpose::Training, key(0, 0), NOW).unwrap();
    let permit = || {
        let Ok(Permit::Noised(permit)) = Permit::of(&grant, None) else { panic!("own noise pays for it") };
        permit
    };
    let unpaid = NoisySteps::new(event().m).finish(vec![0; 300]);
    let unpaid = Release::of(permit(), &unpaid, WireBits::B32);
    assert!(matches!(unpaid, Err(ReleaseError::OtherNoise { found_steps: 0, steps: 2, .. })));
    let mut steps = permit().steps();
    let empty_batch = || Ok::<_, NoiseError>(IntegerSum(vec![0; 300]));
    let mut noised = || steps.take(&OpendpNoise, 300, empty_batch).unwrap();
    assert!(noised().iter().any(|&v| v != 0), "an empty batch gets noise");
    let values = noised();
    let release = Release::of(permit(), &steps.finish(values), WireBits::B32).unwrap();
    let bytes = release.bytes().to_vec();
    assert_eq!(bytes.len(), 1200);
    let receipt = ledger.record(&grant, release.digest(), NOW).unwrap();
    assert_eq!(release.send(receipt).unwrap(), bytes);

    let again = || ledger.receipt(&study, Purpose::Training, key(0, 0)).unwrap();
    assert_eq!(Release::stored(&again(), bytes.clone()).unwrap().send(again()).unwrap(), bytes);
    assert_eq!(Release::stored(&again(), vec![0; 1200]), Err(ReleaseError::OtherBytes));
    assert_eq!(ledger.receipt(&study, Purpose::Training, key(0, 1)), None);

    ledger.reserve(&unbounded("b", "heart"), NOW).unwrap();
    let grant = ledger.begin(&"b".parse().unwrap(), Purpose::Training, key(0, 0), NOW).unwrap();
    let Ok(Permit::Plain(permit)) = Permit::of(&grant, None) else { panic!("no cost bounds it") };
    let other = Release::of(permit, &PlainSteps.finish(vec![0; 299]), WireBits::B64).unwrap();
    let receipt = ledger.record(&grant, Digest::of(b"other"), NOW).unwrap();
    assert_eq!(other.send(receipt), Err(ReleaseError::OtherBytes));
}

#[test]
fn a_claim_on_sums_over_the_sites_lets_nothing_out_without_a_mask() {
    let shared = |shares| {
        let noise_shares = NoiseShares::try_from(shares).unwrap();
        AttemptCost::Noised(GaussianEvent { noise_shares, ..event() })
    };
    for (cost, alone) in [
        (shared(1), true),
        (shared(2), false),
        (AttemptCost::Unbounded("none".to_owned()), true),
        (AttemptCost::Unbounded("sums-only".to_owned()), false),
    ] {
        let Site { mut ledger, _folder, .. } = site(3.0);
        ledger.reserve(&training("a", "heart", claim(cost.clone(), 1, 1)), NOW).unwrap();
        let grant = ledger.begin(&"a".parse().unwrap(), Purpose::Training, key(0, 0), NOW).unwrap();
        match Permit::of(&grant, None) {
            Ok(Permit::Noised(_) | Permit::Plain(_)) => assert!(alone, "{cost:?}"),
            Ok(Permit::MaskedPlain(..) | Permit::MaskedNoised(..)) => panic!("there is no mask"),
            Err(refused) => assert!(!alone && refused == ReleaseError::NotMasked, "{cost:?}: {refused}"),
        }
    }
}

#[test]
fn another_sites_ledger_is_refused() {
    let Site { ledger, path, _folder } = site(2.0);
    drop(ledger);
    let signer = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
    let foreign = Ledger::open(&path, &owner("vb"), Box::new(signer), NOW);
    assert!(matches!(foreign, Err(LedgerError::Foreign(_))));
}

#[test]
fn updates_and_metrics_of_one_round_and_attempt_do_not_collide() {
    let metrics = BudgetRequest { purpose: Purpose::Metrics, ..budget("heart", 2.0) };
    let Site { mut ledger, _folder, .. } = site_with(&[budget("heart", 2.0), metrics]);
    let study = "a".parse().unwrap();
    ledger.reserve(&with_metrics(request("a", "heart", 2, 1), 1), NOW).unwrap();
    for (purpose, bytes) in [(Purpose::Training, b"u"), (Purpose::Metrics, b"m")] {
        let grant = ledger.begin(&study, purpose, key(1, 1), NOW).unwrap();
        assert_eq!(grant.purpose(), purpose);
        let receipt = ledger.record(&grant, Digest::of(bytes), NOW).unwrap();
        assert_eq!(receipt.purpose(), purpose);
    }
    for (purpose, bytes) in [(Purpose::Training, b"u"), (Purpose::Metrics, b"m")] {
        let receipt = ledger.receipt(&study, purpose, key(1, 1)).unwrap();
        assert_eq!(receipt.digest(), Digest::of(bytes));
    }
    let refused = refusal(ledger.begin(&study, Purpose::Metrics, key(2, 2), NOW));
    assert!(matches!(refused, Violation::NoBlockLeft(_)), "{refused}");
    ledger.begin(&study, Purpose::Training, key(2, 2), NOW).unwrap();
}

#[test]
fn a_replayed_attempt_is_refused_before_a_block_is_opened() {
    let Site { mut ledger, _folder, .. } = site(3.0);
    let study = "a".parse().unwrap();
    ledger.reserve(&request("a", "heart", 2, 2), NOW).unwrap();
    let grant = ledger.begin(&study, Purpose::Training, key(3, 1), NOW).unwrap();
    ledger.record(&grant, Digest::of(b"1"), NOW).unwrap();
    let spent = ledger.state().report()[0].spent;
    for replayed in [key(3, 1), key(3, 0), key(2, 9)] {
        let refused = refusal(ledger.begin(&study, Purpose::Training, replayed, NOW));
        assert!(matches!(refused, Violation::Replayed { .. }), "{refused}");
    }
    assert_eq!(ledger.state().report()[0].spent, spent);
}

#[test]
fn refused_attempts_are_logged_and_do_not_fill_the_disk() {
    let Site { mut ledger, path, _folder } = site(3.0);
    let study = "a".parse().unwrap();
    ledger.refuse_attempt(&study, key(1, 1), "no such study", NOW).unwrap();
    ledger.reserve(&request("a", "heart", 2, 2), NOW).unwrap();
    for attempt in 0..100 {
        ledger.refuse_attempt(&study, key(1, attempt), &"again ".repeat(1000), NOW).unwrap();
    }
    assert_eq!(text(&path).matches("attempt-refused").count(), 16);
    assert_eq!(ledger.state().report()[0].studies[0].refused, 16);
}

#[test]
fn a_study_is_reserved_then_running_then_over() {
    let Site { mut ledger, _folder, .. } = site(3.0);
    let study = "a".parse().unwrap();
    let stage = |ledger: &Ledger| ledger.state().report()[0].studies[0].stage;
    ledger.reserve(&request("a", "heart", 5, 3), NOW).unwrap();
    assert_eq!(stage(&ledger), Stage::Reserved);
    let grant = ledger.begin(&study, Purpose::Training, key(1, 1), NOW).unwrap();
    ledger.record(&grant, Digest::of(b"1"), NOW).unwrap();
    assert_eq!(stage(&ledger), Stage::Running);
    ledger.close(&study, StudyEnd::Aborted, ClosedBy::Coordinator, NOW).unwrap();
    assert_eq!(stage(&ledger), Stage::Aborted);
    let study = ledger.state().report().remove(0).studies.remove(0);
    let block = study.claims[0].blocks[0];
    assert_eq!((block.block, block.attempts, block.releases), (BlockId(0), 2, 1));
    assert_eq!(block.cost.nano, study.spent.nano);
}

#[test]
fn two_studies_share_a_budget_and_neither_takes_the_others() {
    let Site { mut ledger, _folder, .. } = site(2.0);
    let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
    for study in ["a", "b"] {
        ledger.reserve(&request(study, "heart", 6, 3), NOW).unwrap();
    }
    let set_aside = ledger.state().report()[0].reserved.nano;
    for round in 0..6 {
        for study in [&a, &b] {
            let grant = ledger.begin(study, Purpose::Training, key(round, 0), NOW).unwrap();
            ledger.record(&grant, Digest::of(b"r"), NOW).unwrap();
        }
    }
    let report = ledger.state().report().remove(0);
    assert_eq!((report.spent.nano, report.reserved.nano), (set_aside, 0));
    assert_eq!(report.studies[0].spent, report.studies[1].spent);
    for study in [&a, &b] {
        assert!(matches!(
            refusal(ledger.begin(study, Purpose::Training, key(9, 9), NOW)),
            Violation::NoBlockLeft(_)
        ));
    }
}

/// What a build for tests writes says so, and what a hospital runs does not.
#[test]
fn entries_carry_the_stamp_of_their_build() {
    let Site { ledger, path, _folder } = site(2.0);
    let stamped = text(&path).lines().filter(|line| line.contains(r#""stamp":"not private""#)).count();
    assert_eq!(stamped, if cfg!(feature = "testing") { 2 } else { 0 });
    assert_eq!(ledger.state().not_private_since(), cfg!(feature = "testing").then_some(0));
    let mut state = ledger.state().clone();
    state.apply(&state.budget_entry(&budget("lungs", 2.0)).unwrap(), Some(Stamp::NotPrivate)).unwrap();
    let since = if cfg!(feature = "testing") { 0 } else { 2 };
    assert!(
        state.report().iter().all(|cohort| cohort.headline() == format!("not private (since entry {since})"))
    );
}
