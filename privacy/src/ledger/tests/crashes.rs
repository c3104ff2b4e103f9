//! Crashes: whatever a dying process leaves on the disk, nothing is spent less than was released.

use super::*;

/// What a process does with a study, one step after another.
type Operation = fn(&mut Ledger, &mut Option<BlockGrant>);

/// The operations of a study, each of which writes one entry: the first attempt of a block writes the block's first.
fn operations() -> Vec<Operation> {
    vec![
        |ledger, _| drop(ledger.reserve(&request("a", "heart", 4, 2), NOW).unwrap()),
        |ledger, _| ledger.open_block(&study(), Purpose::Training, NOW).unwrap(),
        |ledger, grant| *grant = Some(ledger.begin(&study(), Purpose::Training, key(0, 0), NOW).unwrap()),
        |ledger, grant| drop(ledger.record(grant.as_ref().unwrap(), Digest::of(b"0"), NOW).unwrap()),
        |ledger, grant| *grant = Some(ledger.begin(&study(), Purpose::Training, key(1, 1), NOW).unwrap()),
        |ledger, _| ledger.close(&study(), StudyEnd::Aborted, ClosedBy::Coordinator, NOW).unwrap(),
    ]
}

fn study() -> StudyId {
    "a".parse().unwrap()
}

/// An attempt began, and the process died: it may not begin again, whatever it would release.
#[test]
fn an_attempt_that_began_before_a_crash_is_used_up() {
    let Site { mut ledger, path, _folder } = site(2.0);
    ledger.reserve(&request("a", "heart", 4, 2), NOW).unwrap();
    let grant = ledger.begin(&study(), Purpose::Training, key(1, 1), NOW).unwrap();
    drop(ledger);
    let mut ledger = open(&path).unwrap();
    assert_eq!((ledger.failed(&study()), ledger.receipt(&study(), Purpose::Training, key(1, 1))), (1, None));
    let again = refusal(ledger.begin(&study(), Purpose::Training, key(1, 1), NOW));
    assert_eq!(again, Violation::Replayed { round: 1, attempt: 1 });
    let next = ledger.begin(&study(), Purpose::Training, key(1, 2), NOW).unwrap();
    assert_eq!((next.block(), next.attempts_left()), (BlockId(0), 0));
    let late = refusal(ledger.record(&grant, Digest::of(b"late"), NOW));
    assert_eq!(late, Violation::NotBegun { round: 1, attempt: 1 });
}

/// A crash leaves the file of before, any number of bytes of the new entry, and the head of before. The log's
/// own tests cut at every byte; here every seventh is enough.
#[test]
fn a_crash_at_any_write_leaves_the_state_of_before_or_after() {
    let Site { mut ledger, path, _folder } = site(2.0);
    let head = path.with_extension("head");
    let mut grant = None;
    for operation in operations() {
        let (before, head_before) = (fs::read(&path).unwrap(), fs::read(&head).unwrap());
        let state_before = ledger.state().clone();
        operation(&mut ledger, &mut grant);
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
                    operation(&mut reopened, &mut grant);
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
