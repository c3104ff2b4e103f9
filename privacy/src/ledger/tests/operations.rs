//! Generated operations, allowed or not, and restarts in between.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Operation {
    Reserve { study: u8, attempts_max: u32, blocks: u32, unbounded: bool },
    Begin { study: u8, round: u32, attempt: u32 },
    Record { study: u8 },
    Close { study: u8 },
    Reopen,
}

fn operation() -> impl Strategy<Value = Operation> {
    let study = || 0..5_u8;
    prop_oneof![
        3 => (study(), 0..9_u32, 0..4_u32, prop::bool::weighted(0.1))
            .prop_map(|(study, attempts_max, blocks, unbounded)| Operation::Reserve { study, attempts_max, blocks, unbounded }),
        8 => (study(), 0..6_u32, 0..2_u32).prop_map(|(study, round, attempt)| Operation::Begin { study, round, attempt }),
        8 => study().prop_map(|study| Operation::Record { study }),
        1 => study().prop_map(|study| Operation::Close { study }),
        1 => Just(Operation::Reopen),
    ]
}

/// What a process holds of each study: the attempt that it began last, and counts of what it did with a price.
#[derive(Default)]
struct Held {
    grants: [Option<BlockGrant>; 5],
    begun: u64,
    failed: [u32; 5],
}

/// Does an operation, whether or not it is allowed, and counts the attempts that began.
fn perform(ledger: &mut Ledger, operation: &Operation, held: &mut Held) {
    let name = |study: u8| -> StudyId { format!("s{study}").parse().unwrap() };
    match *operation {
        Operation::Reserve { study, attempts_max, blocks, unbounded: true } => {
            let claim = claim(AttemptCost::Unbounded("none".to_owned()), attempts_max, blocks);
            drop(ledger.reserve(&training(name(study).as_str(), "heart", claim), NOW));
        }
        Operation::Reserve { study, attempts_max, blocks, unbounded: false } => {
            drop(ledger.reserve(&request(name(study).as_str(), "heart", attempts_max, blocks), NOW));
        }
        Operation::Begin { study, round, attempt } => {
            let Ok(grant) = ledger.begin(&name(study), Purpose::Training, key(round, attempt), NOW) else {
                return;
            };
            let (place, priced) = (usize::from(study), matches!(grant.spend(), Spend::Priced { .. }));
            held.begun += u64::from(priced);
            held.failed[place] += 1;
            held.grants[place] = Some(grant);
        }
        Operation::Record { study } => {
            let Some(grant) = &held.grants[usize::from(study)] else { return };
            let recorded = ledger.record(grant, Digest::of(b"r"), NOW).is_ok();
            held.failed[usize::from(study)] -= u32::from(recorded);
        }
        Operation::Close { study } => {
            drop(ledger.close(&name(study), StudyEnd::Committed, ClosedBy::Coordinator, NOW))
        }
        Operation::Reopen => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_sequence_of_operations_overspends(operations in prop::collection::vec(operation(), 1..60)) {
        let Site { mut ledger, path, _folder } = site(1.2);
        let mut held = Held::default();
        let mut spent_before = 0;
        let attempt_nano = rdp().price(&event(), 1, Delta::try_from(1e-3).unwrap()).nano;
        for operation in &operations {
            if matches!(operation, Operation::Reopen) {
                let before = ledger.state().clone();
                drop(ledger);
                ledger = open(&path).unwrap();
                prop_assert_eq!(ledger.state(), &before);
                held.grants = Default::default();
            }
            perform(&mut ledger, operation, &mut held);
            let report = ledger.state().report().remove(0);
            prop_assert!(report.spent.nano + report.reserved.nano <= report.total.nano);
            // A block is rounded up as a whole: less than its attempts would be one by one.
            prop_assert!(report.spent.nano >= held.begun * (attempt_nano - 1));
            prop_assert!(held.failed.iter().all(|&failed| failed <= FAILURES_MAX));
            prop_assert!(report.spent.nano >= spent_before, "what is spent stays spent");
            spent_before = report.spent.nano;
        }
    }
}
