//! Old copies of a ledger against the checkpoints that it signed.

use fedtwin_audit_log::Checkpoint;

use super::*;
use crate::ledger::witness::{compare, origin};

fn signed(ledger: &Ledger) -> Checkpoint {
    let signer = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
    let key = Signer::public_key(&signer);
    Checkpoint::open(&ledger.checkpoint().unwrap(), &origin(&owner("va")), &key).unwrap()
}

#[test]
fn an_old_copy_is_noticed_by_a_checkpoint_and_a_fork_too() {
    let Site { mut ledger, path, _folder } = site(3.0);
    let copy = (fs::read(&path).unwrap(), fs::read(path.with_extension("head")).unwrap());
    let before = signed(&ledger);
    ledger.reserve(&request("a", "heart", 2, 1), NOW).unwrap();
    let after = signed(&ledger);
    assert_eq!((compare(ledger.leaves(), &before), compare(ledger.leaves(), &after)), (Ok(()), Ok(())));
    drop(ledger);

    fs::write(&path, copy.0).unwrap();
    fs::write(path.with_extension("head"), copy.1).unwrap();
    let mut restored = open(&path).unwrap();
    assert_eq!(compare(restored.leaves(), &before), Ok(()));
    let shorter = RolledBack::Shorter { found: 2, signed: 3 };
    assert_eq!(compare(restored.leaves(), &after), Err(shorter));
    assert!(shorter.to_string().contains("restore the newest backup"), "{shorter}");

    restored.reserve(&request("b", "heart", 2, 1), NOW).unwrap();
    assert_eq!(compare(restored.leaves(), &after), Err(RolledBack::Forked { signed: 3 }));
}
