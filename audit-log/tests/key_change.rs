//! Logs whose writer got another key.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Cursor;
use std::path::Path;

use fedtwin_audit_log::disk::Files;
use fedtwin_audit_log::entry::Reason;
use fedtwin_audit_log::key_change::Old;
use fedtwin_audit_log::{
    Copied, LogError, LogFile, PublicKey, Signer, Succession, entries, succeeds, verify,
};
use ring::signature::Ed25519KeyPair;

fn signer(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn key(seed: u8) -> PublicKey {
    Signer::public_key(&signer(seed))
}

fn open(path: &Path, seed: u8) -> Result<LogFile<u32>, LogError> {
    LogFile::open(path, Box::new(signer(seed))).map(|(log, _)| log)
}

/// Goes on under the key `to` after `from`, which signs that or was lost.
fn change(path: &Path, from: u8, to: u8, lost: bool) -> Result<LogFile<u32>, LogError> {
    let disk = Box::new(Files::open(path).unwrap());
    let (mut log, _) = LogFile::open_under(disk, path, Box::new(signer(to)), key(from))?;
    let old = signer(from);
    let old = if lost { Old::Lost(key(from)) } else { Old::Signs(&old) };
    log.change_key(old, &1000, 5)?;
    Ok(log)
}

/// A log of two entries under key 1, two under key 2 and two under key 3; each change is an entry.
fn changed_twice(path: &Path) -> Vec<u8> {
    let mut log = open(path, 1).unwrap();
    for body in 0..2 {
        log.append(&body, 1).unwrap();
    }
    drop(log);
    let mut log = change(path, 1, 2, false).unwrap();
    log.append(&2, 1).unwrap();
    drop(log);
    let mut log = change(path, 2, 3, false).unwrap();
    log.append(&3, 1).unwrap();
    drop(log);
    fs::read(path).unwrap()
}

#[test]
fn the_newest_key_vouches_for_the_whole_log_and_no_other_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let bytes = changed_twice(&path);
    let summary = verify(Cursor::new(&bytes), &key(3)).unwrap();
    let keys: Vec<_> = summary.keys.iter().map(|s| (s.sequence, s.change.from, s.change.to)).collect();
    assert_eq!((summary.entries, keys), (6, vec![(2, key(1), key(2)), (4, key(2), key(3))]));
    assert!(summary.keys.iter().all(|succession| !succession.change.is_break()));
    assert_eq!(entries::<u32>(Cursor::new(&bytes), &key(3)).unwrap().0.len(), 6);
    for old in [1, 2] {
        let refused = verify(Cursor::new(&bytes), &key(old)).unwrap_err();
        assert!(matches!(refused.reason, Reason::OtherKey(found) if found == key(3)), "{refused:?}");
        assert!(
            matches!(open(&path, old), Err(LogError::OtherKey { .. })),
            "a writer's old key is of no use"
        );
    }
    drop(open(&path, 3).unwrap());
    assert!(matches!(open(&path, 4), Err(LogError::OtherKey { .. })));
}

#[test]
fn every_flipped_bit_of_a_log_with_changes_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = changed_twice(&folder.path().join("ledger"));
    for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut altered = bytes.clone();
        altered[at] ^= 1 << bit;
        assert!(verify(Cursor::new(&altered), &key(3)).is_err(), "byte {at}, bit {bit}");
    }
}

#[test]
fn a_change_that_the_old_key_did_not_sign_is_a_break_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let mut log = open(&path, 1).unwrap();
    log.append(&0, 1).unwrap();
    drop(log);
    assert!(matches!(open(&path, 2), Err(LogError::Altered { .. })), "a new key without a change of key");
    assert!(change(&path, 4, 2, false).is_err(), "somebody else's old key");
    drop(change(&path, 1, 2, true).unwrap());
    let bytes = fs::read(&path).unwrap();
    let summary = verify(Cursor::new(&bytes), &key(2)).unwrap();
    assert!(summary.keys[0].change.is_break(), "everybody who verifies is told");
    assert!(!succeeds(&key(1), &key(2), &summary.keys), "who sees heads alone does not believe it");
    // The control: a signature taken away from a change makes no break of it, since the new key signed the entry.
    let good = folder.path().join("good");
    let text = String::from_utf8(changed_twice(&good)).unwrap();
    let start = text.find(",\"endorsement\"").unwrap();
    let end = start + text[start..].find('}').unwrap();
    let altered = [&text[..start], &text[end..]].concat();
    assert!(matches!(
        verify(Cursor::new(altered.as_bytes()), &key(3)).unwrap_err().reason,
        Reason::Signature
    ));
}

#[test]
fn successions_are_believed_from_key_to_key_and_not_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = changed_twice(&folder.path().join("ledger"));
    let keys = verify(Cursor::new(&bytes), &key(3)).unwrap().keys;
    for (from, to, holds) in
        [(1, 3, true), (2, 3, true), (1, 2, false), (3, 3, true), (1, 1, false), (4, 3, false), (3, 1, false)]
    {
        assert_eq!(succeeds(&key(from), &key(to), &keys), holds, "{from} to {to}");
    }
    assert!(succeeds(&key(1), &key(2), &keys[..1]) && !succeeds(&key(1), &key(3), &keys[1..]));
    // Another place in the log is another statement.
    let moved = Succession { sequence: 3, ..keys[0].clone() };
    assert!(!succeeds(&key(1), &key(2), &[moved]));
}

#[test]
fn copies_follow_a_change_of_key_entry_by_entry() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = changed_twice(&folder.path().join("ledger"));
    let mut copy = Copied::new(key(1));
    for (sequence, line) in (0..).zip(bytes.split_inclusive(|&byte| byte == b'\n')) {
        copy.extend(sequence, line).unwrap();
    }
    assert_eq!((copy.key(), copy.keys().len(), copy.leaves().len()), (key(3), 2, 6));
    assert!(Copied::new(key(2)).extend(0, &bytes).is_err());
}
