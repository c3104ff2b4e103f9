//! Crashes: whatever a dying process leaves on the disk, nothing is spent less than was released.

use super::*;

/// The operations of a study, each of which writes one entry.
fn operations() -> Vec<fn(&mut Ledger)> {
    vec![
        |ledger| drop(ledger.reserve(&request("a", "heart", 4, 2), NOW).unwrap()),
        |ledger| drop(ledger.admit(&"a".parse().unwrap(), Purpose::Training, key(0, 0), NOW).unwrap()),
        |ledger| {
            drop(
                ledger
                    .record(
                        &ledger.grant(&"a".parse().unwrap(), Purpose::Training).unwrap(),
                        key(0, 0),
                        Digest::of(b"0"),
                        NOW,
                    )
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
