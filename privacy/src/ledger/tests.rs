//! The ledger under crashes, refusals and generated operations.

use std::fs;
use std::path::{Path, PathBuf};

use fedtwin_plan::Ratio;
use proptest::prelude::*;
use ring::signature::Ed25519KeyPair;

use super::*;
use crate::accountant::epsilon;
use crate::noise::OpendpNoise;
use crate::patient_sum::IntegerSum;
use crate::release::{Noise, NoisySteps, Release, ReleaseError};
use crate::wire_integers::WireBits;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn owner(site: &str) -> Opened {
    Opened { federation: "north".parse().unwrap(), site: site.parse().unwrap() }
}

fn open(path: &Path) -> Result<Ledger, LedgerError> {
    let signer = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
    Ledger::open(path, &owner("va"), Box::new(signer), NOW)
}

fn order() -> Order {
    Order::try_from(8000).unwrap()
}

fn budget(cohort: &str, epsilon: f64) -> BudgetRequest {
    let delta = Delta::try_from(1e-3).unwrap();
    BudgetRequest { cohort: cohort.parse().unwrap(), patients: 100, epsilon, delta, order: order() }
}

/// One step at a noise multiplier of about 10: 0.04 at order 8.
fn event() -> GaussianEvent {
    GaussianEvent::local(Ratio::ONE, 10, 102, 1).unwrap()
}

fn request(study: &str, cohort: &str, attempts_max: u32, blocks: u32) -> StudyRequest {
    StudyRequest {
        study: study.parse().unwrap(),
        plan: Digest::of(study.as_bytes()),
        cohort: cohort.parse().unwrap(),
        attempts_max,
        blocks,
        attempt: AttemptCost::Noised(event()),
    }
}

fn unbounded(study: &str, cohort: &str) -> StudyRequest {
    StudyRequest { attempt: AttemptCost::Unbounded("none".to_owned()), ..request(study, cohort, 4, 2) }
}

fn key(round: u32, attempt: u32) -> (Round, Attempt) {
    (Round(round), Attempt(attempt))
}

struct Site {
    _folder: tempfile::TempDir,
    path: PathBuf,
    ledger: Ledger,
}

fn site(epsilon: f64) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let mut ledger = open(&path).unwrap();
    ledger.open_budget(&budget("heart", epsilon), NOW).unwrap();
    Site { _folder: folder, path, ledger }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, LedgerError>) -> Violation {
    match result.unwrap_err() {
        LedgerError::Refused(violation) => violation,
        other => panic!("{other}"),
    }
}

#[test]
fn a_study_runs_from_reservation_to_refund() {
    let Site { mut ledger, _folder, .. } = site(2.0);
    let before = ledger.state().report().remove(0);
    let reservation = ledger.reserve(&request("a", "heart", 5, 3), NOW).unwrap();
    let total = reservation.terms().spend.cost_nano();
    let grant = ledger.open_block(&reservation, BlockId(0), NOW).unwrap();
    assert_eq!(grant.attempts_left(), 2);
    let digest = Digest::of(b"bytes");
    let receipt = ledger.record(&grant, key(0, 0), digest, NOW).unwrap();
    assert_eq!((receipt.key(), receipt.digest()), (key(0, 0), digest));
    let report = ledger.state().report().remove(0);
    assert_eq!((report.spent.nano, report.reserved.nano), (total / 5 * 2, total / 5 * 3));
    assert_eq!(report.left.nano, before.left.nano - total);
    ledger.close(&"a".parse().unwrap(), Outcome::Aborted, NOW).unwrap();
    let after = ledger.state().report().remove(0);
    assert_eq!((after.spent.nano, after.reserved.nano), (total / 5 * 2, 0));
    assert_eq!(after.left.nano, before.left.nano - total / 5 * 2);
    let closed = ledger.record(&grant, key(1, 0), digest, NOW);
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
    assert!(fs::read_to_string(&path).unwrap().contains("study-refused"));
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
    assert!(matches!(refusal(ledger.reserve(&request("c", "lungs", 2, 1), NOW)), Violation::NoBudget(_)));
    assert!(matches!(refusal(ledger.reserve(&request("d", "heart", 2, 3), NOW)), Violation::Blocks { .. }));
}

#[test]
fn releases_are_recorded_once_in_order_and_within_their_block() {
    let Site { mut ledger, _folder, .. } = site(3.0);
    let reservation = ledger.reserve(&request("a", "heart", 4, 2), NOW).unwrap();
    assert!(matches!(
        refusal(ledger.open_block(&reservation, BlockId(1), NOW)),
        Violation::BlockOrder { .. }
    ));
    let grant = ledger.open_block(&reservation, BlockId(0), NOW).unwrap();
    assert!(matches!(
        refusal(ledger.open_block(&reservation, BlockId(0), NOW)),
        Violation::BlockOrder { .. }
    ));
    ledger.record(&grant, key(3, 1), Digest::of(b"1"), NOW).unwrap();
    for replayed in [key(3, 1), key(3, 0), key(2, 9)] {
        assert!(matches!(
            refusal(ledger.record(&grant, replayed, Digest::of(b"1"), NOW)),
            Violation::Replayed { .. }
        ));
    }
    ledger.record(&grant, key(3, 2), Digest::of(b"2"), NOW).unwrap();
    assert!(matches!(
        refusal(ledger.record(&grant, key(4, 0), Digest::of(b"3"), NOW)),
        Violation::NotPaid(_)
    ));
    let study = "a".parse().unwrap();
    assert_eq!((ledger.grant(&study), ledger.next_block(&study)), (None, Some(BlockId(1))));
    ledger.open_block(&reservation, BlockId(1), NOW).unwrap();
    assert_eq!(ledger.next_block(&study), None);
    assert!(matches!(refusal(ledger.open_block(&reservation, BlockId(2), NOW)), Violation::NoBlockLeft(_)));
}

#[test]
fn budgets_are_fixed_for_ever() {
    let Site { mut ledger, _folder, .. } = site(2.0);
    let entries = ledger.state().entries();
    ledger.open_budget(&budget("heart", 2.0), NOW).unwrap();
    assert_eq!(ledger.state().entries(), entries, "the same budget is not opened again");
    assert!(matches!(ledger.open_budget(&budget("heart", 2.1), NOW), Err(LedgerError::BudgetDiffers(_))));
    assert!(matches!(
        ledger.open_budget(&budget("lungs", 0.1), NOW),
        Err(LedgerError::NothingToSpend { .. })
    ));
}

#[test]
fn a_budget_filled_to_the_brim_keeps_its_epsilon() {
    let Site { mut ledger, _folder, .. } = site(2.0);
    let attempts = (1..1000).rev().find(|&n| {
        let spend = Spend::priced(event(), n, order());
        spend.cost_nano() <= ledger.state().report()[0].total.nano
    });
    let attempts = attempts.unwrap();
    ledger.reserve(&request("a", "heart", attempts, 1), NOW).unwrap();
    let all = GaussianEvent { steps: attempts.into(), ..event() };
    assert!(epsilon(&[all], 1e-3).value <= 2.0);
    assert!(ledger.state().report()[0].reserved.epsilon <= 2.0);
}

#[test]
fn an_unbounded_study_marks_its_cohort_for_ever() {
    let Site { mut ledger, path, _folder } = site(2.0);
    ledger.reserve(&unbounded("a", "lungs"), NOW).unwrap();
    let since = ledger.state().entries() - 1;
    ledger.close(&"a".parse().unwrap(), Outcome::Committed, NOW).unwrap();
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
    let noisy =
        ledger.reserve(&StudyRequest { attempt: two_steps, ..request("a", "heart", 2, 1) }, NOW).unwrap();
    let grant = ledger.open_block(&noisy, BlockId(0), NOW).unwrap();
    let empty_batch = IntegerSum(vec![0; 300]);
    let mut steps = NoisySteps::new(event().m);
    let mut noised = || steps.add(Noise::draw(&OpendpNoise, event().m, 300).unwrap(), &empty_batch);
    assert!(noised().iter().any(|&v| v != 0), "an empty batch gets noise");
    let values = noised();
    assert_eq!(Release::plain(&grant, &values, WireBits::B32), Err(ReleaseError::NoisePromised));
    let unpaid = Release::noised(&grant, &NoisySteps::new(event().m), &values, WireBits::B32);
    assert!(matches!(unpaid, Err(ReleaseError::OtherNoise { found_steps: 0, steps: 2, .. })));
    let release = Release::noised(&grant, &steps, &values, WireBits::B32).unwrap();
    let bytes = release.bytes().to_vec();
    assert_eq!(bytes.len(), 1200);
    let receipt = ledger.record(&grant, key(0, 0), release.digest(), NOW).unwrap();
    assert_eq!(release.send(receipt).unwrap(), bytes);

    let study = "a".parse().unwrap();
    let again = || ledger.receipt(&study, key(0, 0)).unwrap();
    assert_eq!(Release::stored(&again(), bytes.clone()).unwrap().send(again()).unwrap(), bytes);
    assert_eq!(Release::stored(&again(), vec![0; 1200]), Err(ReleaseError::OtherBytes));
    assert_eq!(ledger.receipt(&study, key(0, 1)), None);

    let plain = ledger.reserve(&unbounded("b", "heart"), NOW).unwrap();
    let grant = ledger.open_block(&plain, BlockId(0), NOW).unwrap();
    assert_eq!(Release::noised(&grant, &steps, &values, WireBits::B32), Err(ReleaseError::NoNoisePromised));
    let other = Release::plain(&grant, &values[1..], WireBits::B64).unwrap();
    let receipt = ledger.record(&grant, key(0, 0), Digest::of(b"other"), NOW).unwrap();
    assert_eq!(other.send(receipt), Err(ReleaseError::OtherBytes));
}

#[test]
fn another_sites_ledger_is_refused() {
    let Site { ledger, path, _folder } = site(2.0);
    drop(ledger);
    let signer = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
    let foreign = Ledger::open(&path, &owner("vb"), Box::new(signer), NOW);
    assert!(matches!(foreign, Err(LedgerError::Foreign(_))));
}

/// The operations of a study, each of which writes one entry.
fn operations() -> Vec<fn(&mut Ledger)> {
    vec![
        |ledger| drop(ledger.reserve(&request("a", "heart", 4, 2), NOW).unwrap()),
        |ledger| {
            drop(
                ledger
                    .open_block(&ledger.reservation(&"a".parse().unwrap()).unwrap(), BlockId(0), NOW)
                    .unwrap(),
            )
        },
        |ledger| {
            drop(
                ledger
                    .record(&ledger.grant(&"a".parse().unwrap()).unwrap(), key(0, 0), Digest::of(b"0"), NOW)
                    .unwrap(),
            )
        },
        |ledger| ledger.close(&"a".parse().unwrap(), Outcome::Aborted, NOW).unwrap(),
    ]
}

/// A crash leaves the file of before, any number of bytes of the new entry, and the head of before. The log's
/// own tests cut at every byte; here every seventh is enough.
#[test]
fn a_crash_at_any_write_leaves_the_state_of_before_or_after() {
    let Site { mut ledger, path, _folder } = site(2.0);
    let head = path.with_extension("head");
    for operation in operations() {
        let (before, head_before) = (fs::read(&path).unwrap(), fs::read(&head).unwrap());
        let state_before = ledger.state().clone();
        operation(&mut ledger);
        let (after, head_after) = (fs::read(&path).unwrap(), fs::read(&head).unwrap());
        let state_after = ledger.state().clone();
        drop(ledger);
        for length in (before.len()..after.len()).step_by(7).chain([after.len() - 1, after.len()]) {
            fs::write(&path, &after[..length]).unwrap();
            fs::write(&head, &head_before).unwrap();
            let mut reopened = open(&path).unwrap();
            if length == after.len() {
                assert_eq!(reopened.state(), &state_after);
            } else {
                assert_eq!(reopened.state(), &state_before, "{length}");
                if length % 10 == 0 {
                    operation(&mut reopened);
                    assert_eq!(reopened.state(), &state_after, "the operation can be done again");
                }
            }
            drop(reopened);
            fs::write(&path, &after[..length]).unwrap();
            fs::write(&head, &head_after).unwrap();
            assert_eq!(open(&path).is_ok(), length == after.len(), "an acknowledged entry is never given up");
        }
        ledger = open(&path).unwrap();
    }
}

#[derive(Debug, Clone)]
enum Operation {
    Reserve { study: u8, attempts_max: u32, blocks: u32, unbounded: bool },
    Open { study: u8, block: u32 },
    Record { study: u8, round: u32, attempt: u32 },
    Close { study: u8 },
    Reopen,
}

fn operation() -> impl Strategy<Value = Operation> {
    let study = || 0..5_u8;
    prop_oneof![
        3 => (study(), 0..9_u32, 0..4_u32, prop::bool::weighted(0.1))
            .prop_map(|(study, attempts_max, blocks, unbounded)| Operation::Reserve { study, attempts_max, blocks, unbounded }),
        4 => (study(), 0..4_u32).prop_map(|(study, block)| Operation::Open { study, block }),
        8 => (study(), 0..6_u32, 0..2_u32).prop_map(|(study, round, attempt)| Operation::Record { study, round, attempt }),
        1 => study().prop_map(|study| Operation::Close { study }),
        1 => Just(Operation::Reopen),
    ]
}

/// Does an operation, whether or not it is allowed, and counts the releases that were.
fn perform(ledger: &mut Ledger, operation: &Operation, released: &mut [u64; 5]) {
    let name = |study: u8| -> StudyId { format!("s{study}").parse().unwrap() };
    match *operation {
        Operation::Reserve { study, attempts_max, blocks, unbounded: true } => {
            let request = StudyRequest { attempts_max, blocks, ..unbounded(name(study).as_str(), "heart") };
            drop(ledger.reserve(&request, NOW));
        }
        Operation::Reserve { study, attempts_max, blocks, unbounded: false } => {
            drop(ledger.reserve(&request(name(study).as_str(), "heart", attempts_max, blocks), NOW));
        }
        Operation::Open { study, block } => {
            let Some(reservation) = ledger.reservation(&name(study)) else { return };
            drop(ledger.open_block(&reservation, BlockId(block), NOW));
        }
        Operation::Record { study, round, attempt } => {
            let Some(grant) = ledger.grant(&name(study)) else { return };
            let priced = matches!(grant.spend(), Spend::Priced { .. });
            let recorded = ledger.record(&grant, key(round, attempt), Digest::of(b"r"), NOW).is_ok();
            released[usize::from(study)] += u64::from(recorded && priced);
        }
        Operation::Close { study } => drop(ledger.close(&name(study), Outcome::Committed, NOW)),
        Operation::Reopen => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_sequence_of_operations_overspends(operations in prop::collection::vec(operation(), 1..60)) {
        let Site { mut ledger, path, _folder } = site(1.2);
        let mut released = [0; 5];
        let mut spent_before = 0;
        let attempt_nano = Spend::priced(event(), 1, order()).cost_nano();
        for operation in &operations {
            if matches!(operation, Operation::Reopen) {
                let before = ledger.state().clone();
                drop(ledger);
                ledger = open(&path).unwrap();
                prop_assert_eq!(ledger.state(), &before);
            }
            perform(&mut ledger, operation, &mut released);
            let report = ledger.state().report().remove(0);
            prop_assert!(report.spent.nano + report.reserved.nano <= report.total.nano);
            prop_assert!(report.spent.nano >= released.iter().sum::<u64>() * attempt_nano);
            prop_assert!(report.spent.nano >= spent_before, "what is spent stays spent");
            spent_before = report.spent.nano;
        }
    }
}
