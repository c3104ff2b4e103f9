//! Ledgers that verify by themselves and are not those that others saw; and proofs of single entries.

use fedtwin_audit_log::checkpoint::Checkpoint;
use fedtwin_audit_log::cosignature::cosign;
use fedtwin_audit_log::key_change::Old;
use fedtwin_privacy::ledger::body::KeyChanged;
use fedtwin_privacy::ledger::rekey::Rekey;
use fedtwin_privacy::ledger::witness::origin;
use serde_json::Value;

use super::*;
use crate::ca;

impl Bench {
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Signs the ledger as it is into a file, and lets the auditor's key cosign it.
    fn keep_head(&self, name: &str) {
        let ledger = SiteLedger::open(&self.ledger(), &owner(), Box::new(self.signer()), NOW).unwrap();
        let note = ledger.checkpoint().unwrap();
        let key = fedtwin_audit_log::Signer::public_key(&self.signer());
        let checkpoint = Checkpoint::open(&note, &origin(&owner()), &key).unwrap();
        let witness =
            LogSigner(Arc::new(folder::load_credentials(&self.folder.path().join("holders/eve")).unwrap()));
        let note = note + &cosign(&checkpoint, "demo/auditor/eve", &witness, 1_800_000_000);
        std::fs::write(self.path(name), note).unwrap();
    }

    /// Adds an entry.
    fn go_on(&self, reason: &str) {
        let mut ledger = SiteLedger::open(&self.ledger(), &owner(), Box::new(self.signer()), NOW).unwrap();
        ledger.refuse(&"later".parse().unwrap(), Digest::of(b"later"), reason, NOW).unwrap();
    }

    /// Verifies the ledger with the certificates of its site and of the witness.
    async fn verify(&self, words: &[&str]) -> Result<String, AuditError> {
        self.ask("verify", &[&["--identity", &self.path("holders/eve/identity.pem")], words].concat()).await
    }
}

fn copy(bench: &Bench, from: &str, to: &str) {
    for end in ["", ".head"] {
        std::fs::copy(bench.path(&format!("{from}{end}")), bench.path(&format!("{to}{end}"))).unwrap();
    }
}

#[tokio::test]
async fn a_ledger_that_went_on_continues_the_heads_that_others_kept() {
    let bench = Bench::new();
    ["one", "two", "three"].iter().for_each(|reason| bench.go_on(reason));
    bench.keep_head("note");
    bench.go_on("too much");
    let text = bench.verify(&["--checkpoint", &bench.path("note")]).await.unwrap();
    assert!(text.contains("entries  9") && text.contains("continues the signed head of 8 entries"), "{text}");
    assert!(text.contains("cosigned by demo/auditor/eve"), "{text}");
    let json = bench.verify(&["--checkpoint", &bench.path("note"), "--json"]).await.unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    let head = &json["logs"][0]["continues"][0];
    assert_eq!((&head["entries"], &head["cosigned"][0]["time_s"]), (&8.into(), &1_800_000_000.into()));
    // From 8 entries to 9 the proof is the new one's leaf.
    assert_eq!(head["consistency"].as_array().unwrap(), &[json["logs"][0]["head"].clone()]);
    let out = bench.path("reports");
    bench.ask("report", &["--out", &out, "--checkpoint", &bench.path("note")]).await.unwrap();
    let page = std::fs::read_to_string(bench.folder.path().join("reports/va.risk.html")).unwrap();
    assert!(page.contains("continues the checkpoint of 8 entries, cosigned by nobody"), "{page}");
}

#[tokio::test]
async fn a_rolled_back_ledger_is_named_by_a_head_that_somebody_kept() {
    let bench = Bench::new();
    copy(&bench, "ledger", "backup");
    bench.go_on("too much");
    bench.go_on("far too much");
    bench.keep_head("note");
    copy(&bench, "backup", "ledger");
    assert!(bench.verify(&[]).await.is_ok(), "by itself it verifies");
    let refused = bench.verify(&["--checkpoint", &bench.path("note")]).await.unwrap_err().to_string();
    assert!(
        refused.contains("was rolled back: it has 5 entries, and its site signed 7 of them"),
        "{refused}"
    );
    assert!(
        refused.contains("cosigned by demo/auditor/eve") && refused.ends_with("entries 5 to 6 are missing"),
        "{refused}"
    );
    // Restored and continued as if nothing had been, it is another ledger.
    bench.go_on("nothing happened");
    bench.go_on("nothing at all");
    let refused = bench.verify(&["--checkpoint", &bench.path("note")]).await.unwrap_err().to_string();
    assert!(refused.contains("is a split view: its first 7 entries are not those"), "{refused}");
}

#[tokio::test]
async fn two_copies_that_differ_are_named_with_the_entry() {
    let bench = Bench::new();
    copy(&bench, "ledger", "mirror");
    bench.go_on("shown to one");
    let mirror = bench.path("mirror");
    assert!(bench.verify(&[&mirror]).await.unwrap().contains("entries  6"), "a shorter copy is none");
    copy(&bench, "ledger", "ledger.one");
    copy(&bench, "mirror", "ledger");
    bench.go_on("shown to another");
    let one = bench.path("ledger.one");
    let refused = bench.verify(&[&one]).await.unwrap_err().to_string();
    assert!(refused.contains("are a split view: the site signed two different entries 5"), "{refused}");
}

#[tokio::test]
async fn heads_of_others_and_altered_heads_show_nothing() {
    let bench = Bench::new();
    bench.keep_head("note");
    let note = std::fs::read_to_string(bench.path("note")).unwrap();
    std::fs::write(bench.path("other"), note.replace("demo/va/", "demo/vb/")).unwrap();
    let refused = bench.verify(&["--checkpoint", &bench.path("other")]).await.unwrap_err().to_string();
    assert!(
        refused.contains("is a checkpoint of \"demo/vb/ledger\", and no such ledger was given"),
        "{refused}"
    );
    std::fs::write(bench.path("altered"), note.replacen("\n5\n", "\n3\n", 1)).unwrap();
    let refused = bench.verify(&["--checkpoint", &bench.path("altered")]).await.unwrap_err().to_string();
    assert!(refused.contains("is not a checkpoint that the site signed"), "{refused}");
}

#[tokio::test]
async fn one_entry_is_proven_to_somebody_who_sees_no_other() {
    let bench = Bench::new();
    bench.keep_head("note");
    bench.go_on("too much");
    let (proof, entry) = (bench.path("proof"), bench.path("entry"));
    let words = ["--entry", "2", "--checkpoint", &bench.path("note"), "--proof-out", &proof];
    assert!(bench.verify(&words).await.unwrap().contains("entry 2 ("));
    let ledger = std::fs::read_to_string(bench.ledger()).unwrap();
    let line = ledger.lines().nth(2).unwrap();
    std::fs::write(&entry, line).unwrap();
    let (ca, identity) = (bench.path("ca/ca.pem"), bench.path("holders/va/identity.pem"));
    let words = ["verify", &entry, "--proof", &proof, "--ca", &ca, "--identity", &identity];
    let text = answer(&words).await.unwrap();
    assert_eq!(text, "proven: this is entry 2 of demo/va/ledger, whose site signed 5 entries\n");
    std::fs::write(&entry, line.replacen("\"attempts_max\":4", "\"attempts_max\":3", 1)).unwrap();
    let refused = answer(&words).await.unwrap_err().to_string();
    assert!(refused.contains("does not prove that this entry is in demo/va/ledger"), "{refused}");
    let refused = bench.verify(&["--entry", "6"]).await.unwrap_err().to_string();
    assert!(refused.contains("has 6 entries, counted from 0, and no entry 6"), "{refused}");
    let words = ["--entry", "5", "--checkpoint", &bench.path("note"), "--proof-out", &proof];
    let refused = bench.verify(&words).await.unwrap_err().to_string();
    assert!(refused.contains("needs a --checkpoint of more than 5 entries"), "{refused}");
}

#[tokio::test]
async fn every_flipped_bit_of_a_ledger_is_refused_with_its_line() {
    let bench = Bench::new();
    let keys = bench.trust("va").load().unwrap();
    let whole = std::fs::read(bench.ledger()).unwrap();
    let line_of = |at: usize| whole[..at].iter().filter(|&&byte| byte == b'\n').count() + 1;
    // One bit of every ninth byte, each bit in turn: all lines, all fields.
    for (turn, at) in (0..whole.len()).step_by(9).enumerate() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (turn % 8);
        match CheckedLedger::parse("ledger", &bytes, &keys) {
            Err(error) => {
                let refused = program::describe(&error);
                let named = refused.contains(&format!("line {} ", line_of(at)));
                assert!(named || line_of(at) == 1, "byte {at}: {refused}");
            }
            // Another owner's name in the first entry: there is no key for it.
            Ok(ledger) => assert!(ledger.verified.is_none() && line_of(at) == 1, "byte {at}"),
        }
    }
    assert!(CheckedLedger::parse("ledger", &whole, &keys).is_ok());
}

/// Gives site `va` a new identity key; the ledger goes on under it.
fn rekey(bench: &Bench, lost: bool) {
    let order =
        |holder: &str| ca::Order { holders: vec![holder.parse().unwrap()], days: 30, hosts: Vec::new() };
    ca::issue(&bench.folder.path().join("ca"), &bench.folder.path().join("new"), &order("site/va"), NOW)
        .unwrap();
    let old = bench.signer();
    let new = folder::load_credentials(&bench.folder.path().join("new/va")).unwrap();
    let statement = KeyChanged { who: "Ada".parse().unwrap(), why: "a new machine".parse().unwrap() };
    let key = fedtwin_audit_log::Signer::public_key(&old);
    let old = if lost { Old::Lost(key) } else { Old::Signs(&old) };
    let rekey = Rekey { old, statement };
    SiteLedger::rekey(&bench.ledger(), &owner(), Box::new(LogSigner(Arc::new(new))), rekey, NOW).unwrap();
}

#[tokio::test]
async fn a_ledger_is_verified_across_a_change_of_key_with_heads_from_before() {
    let bench = Bench::new();
    bench.keep_head("note");
    rekey(&bench, false);
    let path = |name: &str| bench.path(name);
    let (ledger, ca, new, old) =
        (path("ledger"), path("ca/ca.pem"), path("new/va/identity.pem"), path("holders/va/identity.pem"));
    let verify = async |identities: &[&str]| {
        let words = ["verify", &ledger, "--ca", &ca, "--checkpoint", &path("note")];
        let identities: Vec<_> = identities.iter().flat_map(|file| ["--identity", file]).collect();
        answer(&[&words[..], &identities].concat()).await
    };
    for identities in [&[new.as_str()][..], &[&old, &new], &[&new, &old]] {
        let text = verify(identities).await.unwrap();
        assert!(
            text.contains("the key changed at entry 5 from") && text.contains("signed by both"),
            "{text}"
        );
        assert!(text.contains("continues the signed head of 5 entries"), "{text}");
    }
    let refused = program::describe(&verify(&[&old]).await.unwrap_err());
    assert!(refused.contains("from this entry on the log is signed by the key"), "{refused}");
}

#[tokio::test]
async fn a_lost_key_is_a_break_that_an_auditor_has_to_accept() {
    let bench = Bench::new();
    rekey(&bench, true);
    let (ledger, ca, new) =
        (bench.path("ledger"), bench.path("ca/ca.pem"), bench.path("new/va/identity.pem"));
    let words = ["verify", &ledger, "--ca", &ca, "--identity", &new];
    let refused = answer(&words).await.unwrap_err().to_string();
    assert!(refused.contains("has a break at entry 5"), "{refused}");
    let text = answer(&[&words[..], &["--accept-break"]].concat()).await.unwrap();
    assert!(text.contains("a BREAK: the old key is said to be lost"), "{text}");
}
