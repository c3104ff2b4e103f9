//! Generated operations, allowed or not, and restarts in between.

use proptest::prelude::*;

use super::*;

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
            let claim = claim(AttemptCost::Unbounded("none".to_owned()), attempts_max, blocks);
            drop(ledger.reserve(&training(name(study).as_str(), "heart", claim), NOW));
        }
        Operation::Reserve { study, attempts_max, blocks, unbounded: false } => {
            drop(ledger.reserve(&request(name(study).as_str(), "heart", attempts_max, blocks), NOW));
        }
        Operation::Open { study, block } => {
            let Some(reservation) = ledger.reservation(&name(study)) else { return };
            drop(ledger.open_block(&reservation, Purpose::Training, BlockId(block), NOW));
        }
        Operation::Record { study, round, attempt } => {
            let Some(grant) = ledger.grant(&name(study), Purpose::Training) else { return };
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
        let attempt_nano = rdp().price(&event(), 1, Delta::try_from(1e-3).unwrap()).nano;
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
            // A block is rounded up as a whole: less than its attempts would be one by one.
            let released: u64 = released.iter().sum();
            prop_assert!(report.spent.nano >= released * (attempt_nano - 1));
            prop_assert!(report.spent.nano >= spent_before, "what is spent stays spent");
            spent_before = report.spent.nano;
        }
    }
}
