//! A ledger that goes on under another identity key.

use fedtwin_audit_log::key_change::Old;
use fedtwin_audit_log::{Checkpoint, LogError};

use super::*;
use crate::ledger::body::KeyChanged;
use crate::ledger::rekey::Rekey;
use crate::ledger::witness::{compare, origin};

fn signer(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn rekey(path: &Path, old: Old<'_>, to: u8) -> Result<Ledger, LedgerError> {
    let statement = KeyChanged { who: "Ada".parse().unwrap(), why: "a new machine".parse().unwrap() };
    Ledger::rekey(path, &owner("va"), Box::new(signer(to)), Rekey { old, statement }, NOW)
}

fn checkpoint(ledger: &Ledger, seed: u8) -> Checkpoint {
    let key = Signer::public_key(&signer(seed));
    Checkpoint::open(&ledger.checkpoint().unwrap(), &origin(&owner("va")), &key).unwrap()
}

#[test]
fn a_new_key_keeps_the_history_and_what_was_spent() {
    let Site { mut ledger, path, _folder } = site(3.0);
    ledger.reserve(&request("a", "heart", 2, 1), NOW).unwrap();
    ledger.begin(&"a".parse().unwrap(), Purpose::Training, key(0, 0), NOW).unwrap();
    let (spent, before) = (ledger.state().report(), checkpoint(&ledger, 5));
    drop(ledger);
    let by_itself = Ledger::open(&path, &owner("va"), Box::new(signer(6)), NOW).err().unwrap();
    assert!(by_itself.to_string().contains("`fedtwin-site ledger rekey`"), "{by_itself}");

    let mut ledger = rekey(&path, Old::Signs(&signer(5)), 6).unwrap();
    assert_eq!(ledger.state().report(), spent);
    ledger.close(&"a".parse().unwrap(), StudyEnd::Committed, ClosedBy::Coordinator, NOW).unwrap();
    let after = checkpoint(&ledger, 6);
    assert_eq!((compare(ledger.leaves(), &before), compare(ledger.leaves(), &after)), (Ok(()), Ok(())));
    assert_eq!(ledger.keys(), [Signer::public_key(&signer(5)), Signer::public_key(&signer(6))]);
    drop(ledger);
    assert!(text(&path).contains("\"entry\":\"key-changed\",\"who\":\"Ada\",\"why\":\"a new machine\""));
    assert!(matches!(open(&path).err().unwrap(), LedgerError::AnotherKey(LogError::OtherKey { .. })));
    drop(Ledger::open(&path, &owner("va"), Box::new(signer(6)), NOW).unwrap());
}

#[test]
fn a_new_key_is_entered_once_and_by_the_ledgers_own_site() {
    let Site { ledger, path, _folder } = site(3.0);
    drop(ledger);
    let before = text(&path);
    let strangers = rekey(&path, Old::Signs(&signer(7)), 6).err().unwrap();
    assert!(matches!(strangers, LedgerError::AnotherKey(_)), "{strangers}");
    assert!(matches!(rekey(&path, Old::Signs(&signer(5)), 5).err().unwrap(), LedgerError::SameKey));
    let statement = KeyChanged { who: "Ada".parse().unwrap(), why: "why".parse().unwrap() };
    let other = Rekey { old: Old::Signs(&signer(5)), statement };
    let other = Ledger::rekey(&path, &owner("vb"), Box::new(signer(6)), other, NOW).err().unwrap();
    assert!(matches!(other, LedgerError::Foreign(_)), "{other}");
    let empty = rekey(&path.with_extension("new"), Old::Signs(&signer(5)), 6).err().unwrap();
    assert!(matches!(empty, LedgerError::Empty), "{empty}");
    assert_eq!(text(&path), before);
    drop(rekey(&path, Old::Lost(Signer::public_key(&signer(5))), 6).unwrap());
    assert!(!text(&path).contains("endorsement"), "a break has one signature");
}
