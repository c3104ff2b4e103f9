//! Ledgers that a site wrote, as an auditor finds them: whole, altered, or of another.

mod costs;
mod pages;
mod views;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use fedtwin_audit_log::PublicKey;
use fedtwin_auditor::verify::Verified;
use fedtwin_certs::{LogSigner, folder};
use fedtwin_daemon::program;
use fedtwin_plan::{Digest, Ratio};
use fedtwin_privacy::accountant::{GaussianEvent, Order};
use fedtwin_privacy::ledger::{
    Approval, Attempt, AttemptCost, BudgetKind, BudgetRequest, ClaimRequest, Delta, Ledger as SiteLedger,
    Owner, Purpose, Round, StudyRequest,
};

use super::trust::Trust;
use super::*;
use crate::testing::{NOW, federation};

/// A federation and the ledger of its site `va`: one study reserved, a block of it spent.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    /// All patients in every step, and a budget of Renyi divergence.
    fn new() -> Self {
        Self::with(BudgetKind::Rdp { order_milli: Order::try_from(8000).unwrap() }, Ratio::ONE)
    }

    fn with(kind: BudgetKind, sampling: Ratio) -> Self {
        let folder = tempfile::tempdir().unwrap();
        federation(folder.path());
        let bench = Self { folder };
        let mut ledger = SiteLedger::open(&bench.ledger(), &owner(), Box::new(bench.signer()), NOW).unwrap();
        ledger.set_budget(&budget(kind, Purpose::Training), NOW).unwrap();
        let request = StudyRequest {
            study: "risk".parse().unwrap(),
            plan: Digest::of(b"plan"),
            cohort: "heart".parse().unwrap(),
            claims: [(
                Purpose::Training,
                ClaimRequest {
                    attempts_max: 4,
                    blocks: 2,
                    attempt: AttemptCost::Noised(GaussianEvent::local(sampling, 10, 102, 1).unwrap()),
                },
            )]
            .into(),
        };
        ledger.reserve(&request, NOW).unwrap();
        ledger.begin(&request.study, Purpose::Training, (Round(1), Attempt(1)), NOW).unwrap();
        drop(ledger);
        bench
    }

    fn signer(&self) -> LogSigner {
        LogSigner(Arc::new(folder::load_credentials(&self.folder.path().join("holders/va")).unwrap()))
    }

    /// Answers a question about the ledger, verified.
    async fn ask(&self, command: &str, words: &[&str]) -> Result<String, AuditError> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let (ledger, ca, identity) = (path("ledger"), path("ca/ca.pem"), path("holders/va/identity.pem"));
        answer(&[&[command, &ledger, "--ca", &ca, "--identity", &identity], words].concat()).await
    }

    async fn json(&self, command: &str, words: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.ask(command, words).await.unwrap()).unwrap()
    }

    fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    fn trust(&self, holder: &str) -> Trust {
        let holder = self.folder.path().join("holders").join(holder);
        Trust {
            ca: Some(holder.join("ca.pem")),
            identity: vec![holder.join("identity.pem")],
            ..Trust::default()
        }
    }

    fn verified(&self, trust: &Trust) -> Result<Verified, NotVerified> {
        let bytes = std::fs::read(self.ledger()).unwrap();
        fedtwin_auditor::verify::verify("ledger", &bytes, &trust.load().unwrap())
    }

    fn refusal(&self, trust: &Trust) -> String {
        program::describe(&self.verified(trust).unwrap_err())
    }
}

fn change(file: &Path, line: usize, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines: Vec<_> = text.split('\n').map(str::to_owned).collect();
    assert!(lines[line - 1].contains(from), "{}", lines[line - 1]);
    lines[line - 1] = lines[line - 1].replacen(from, to, 1);
    std::fs::write(file, lines.join("\n")).unwrap();
}

#[test]
fn a_ledger_is_verified_with_its_sites_certificate_or_key() {
    let bench = Bench::new();
    let text = bench.verified(&bench.trust("va")).unwrap().to_string();
    assert!(text.starts_with("ledger of site va in demo: verified\nentries  5\n"), "{text}");
    let credentials = folder::load_credentials(&bench.folder.path().join("holders/va")).unwrap();
    let key = Some(PublicKey(*credentials.identity_key().public().as_bytes()));
    assert_eq!(bench.verified(&Trust { key, ..Trust::default() }).unwrap().to_string(), text);
}

#[test]
fn the_first_bad_entry_is_named() {
    let bench = Bench::new();
    change(&bench.ledger(), 3, "\"attempts_max\":4", "\"attempts_max\":9");
    let refusal = bench.refusal(&bench.trust("va"));
    assert!(refusal.contains("line 3 (expected entry 2) is bad"), "{refusal}");
    assert!(refusal.contains("the signature does not fit"), "{refusal}");
    // Without a key the rules still hold it to its own numbers.
    let bytes = std::fs::read(bench.ledger()).unwrap();
    let unverified = CheckedLedger::parse("ledger", &bytes, &Trust::default().load().unwrap());
    let refusal = program::describe(&unverified.unwrap_err());
    assert!(refusal.contains("line 3 (entry 2) breaks a rule"), "{refusal}");
}

#[test]
fn other_writers_keys_verify_nothing() {
    let bench = Bench::new();
    let refusal = bench.refusal(&bench.trust("eve"));
    assert!(refusal.contains("give --ca and --identity of its writer (site va)"), "{refusal}");
    let eve = folder::load_credentials(&bench.folder.path().join("holders/eve")).unwrap();
    let key = Some(PublicKey(*eve.identity_key().public().as_bytes()));
    let refusal = bench.refusal(&Trust { key, ..Trust::default() });
    assert!(refusal.contains("line 1 (expected entry 0) is bad"), "{refusal}");
    std::fs::write(bench.ledger(), "hello\n").unwrap();
    let refusal = bench.refusal(&bench.trust("va"));
    assert!(refusal.contains("line 1 (expected entry 0) is bad"), "{refusal}");
}

fn owner() -> Owner {
    Owner { federation: "demo".parse().unwrap(), site: "va".parse().unwrap() }
}

fn budget(kind: BudgetKind, purpose: Purpose) -> BudgetRequest {
    BudgetRequest {
        cohort: "heart".parse().unwrap(),
        patients: 100,
        epsilon: 4.0,
        delta: Delta::try_from(1e-3).unwrap(),
        purpose,
        kind,
        approval: Approval {
            proposed_by: "Ada".parse().unwrap(),
            confirmed_by: "Bob".parse().unwrap(),
            why: "a test".parse().unwrap(),
        },
    }
}

/// The arguments after `fedtwin audit`.
#[derive(Debug, clap::Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

/// What is said, and how it ends.
async fn outcome(words: &[&str]) -> (String, Result<(), AuditError>) {
    let line = Line::try_parse_from(std::iter::once("audit").chain(words.iter().copied())).unwrap();
    let mut out = Vec::new();
    let result = run(line.command, &mut out).await;
    (String::from_utf8(out).unwrap(), result)
}

async fn answer(words: &[&str]) -> Result<String, AuditError> {
    let (out, result) = outcome(words).await;
    result.map(|()| out)
}

#[tokio::test]
async fn budgets_say_what_is_spent_reserved_and_left() {
    let bench = Bench::new();
    let text = bench.ask("budgets", &[]).await.unwrap();
    let study = text.lines().find(|line| line.contains("study risk")).unwrap();
    assert!(study.contains("running") && !text.contains("not verified"), "{text}");
    assert!(text.contains("heart at va: rdp of order 8 at delta 0.001"), "{text}");
    let path = bench.ledger().display().to_string();
    assert!(answer(&["budgets", &path]).await.unwrap().contains("signatures of va are not verified"));
    let json = answer(&["budgets", &path, "--json"]).await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let ledger = &json["ledgers"][0];
    assert_eq!((ledger["site"].as_str(), ledger["verified"].as_bool()), (Some("va"), Some(false)));
    let cohort = &ledger["cohorts"][0];
    let nano = |amount: &str| cohort[amount]["nano"].as_u64().unwrap();
    assert!(nano("spent") > 0 && nano("spent") == nano("reserved"));
    assert_eq!(nano("total"), nano("spent") + nano("reserved") + nano("left"));
}

#[tokio::test]
async fn budgets_of_nothing_say_what_to_name() {
    let refused = answer(&["budgets"]).await.unwrap_err().to_string();
    assert!(refused.starts_with("name ledger files, or --coordinator"), "{refused}");
}
