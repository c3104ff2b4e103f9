//! The ledger under refusals, crashes and generated operations.

mod budgets;
mod crashes;
mod keys;
mod operations;
mod power;
mod rollback;
mod studies;

use std::fs;
use std::path::{Path, PathBuf};

use fedtwin_plan::Ratio;
use ring::signature::Ed25519KeyPair;

use super::*;
use crate::accountant::{GaussianEvent, NoiseShares, Order};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn owner(site: &str) -> Owner {
    Owner { federation: "north".parse().unwrap(), site: site.parse().unwrap() }
}

fn open(path: &Path) -> Result<Ledger, LedgerError> {
    let signer = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
    Ledger::open(path, &owner("va"), Box::new(signer), NOW)
}

const ORDER_8: u32 = 8000;

fn rdp() -> BudgetKind {
    BudgetKind::Rdp { order_milli: Order::try_from(ORDER_8).unwrap() }
}

fn approval() -> Approval {
    let remark = |text: &str| text.parse().unwrap();
    Approval { proposed_by: remark("Ada"), confirmed_by: remark("Bob"), why: remark("a test") }
}

fn budget(cohort: &str, epsilon: f64) -> BudgetRequest {
    BudgetRequest {
        cohort: cohort.parse().unwrap(),
        purpose: Purpose::Training,
        patients: 100,
        kind: rdp(),
        epsilon,
        delta: Delta::try_from(1e-3).unwrap(),
        approval: approval(),
    }
}

/// One step at a noise multiplier of about 10: 0.04 at order 8.
fn event() -> GaussianEvent {
    GaussianEvent::local(Ratio::ONE, 10, 102, 1).unwrap()
}

/// The same with one patient in two.
fn sampled() -> GaussianEvent {
    GaussianEvent { sampling: "1/2".parse().unwrap(), ..event() }
}

fn claim(attempt: AttemptCost, attempts_max: u32, blocks: u32) -> ClaimRequest {
    ClaimRequest { attempts_max, blocks, attempt }
}

fn training(study: &str, cohort: &str, claim: ClaimRequest) -> StudyRequest {
    StudyRequest {
        study: study.parse().unwrap(),
        plan: Digest::of(study.as_bytes()),
        cohort: cohort.parse().unwrap(),
        claims: [(Purpose::Training, claim)].into(),
    }
}

fn request(study: &str, cohort: &str, attempts_max: u32, blocks: u32) -> StudyRequest {
    training(study, cohort, claim(AttemptCost::Noised(event()), attempts_max, blocks))
}

fn unbounded(study: &str, cohort: &str) -> StudyRequest {
    training(study, cohort, claim(AttemptCost::Unbounded("none".to_owned()), 4, 2))
}

/// Adds a claim on the metrics budget.
fn with_metrics(request: StudyRequest, attempts_max: u32) -> StudyRequest {
    let mut request = request;
    request.claims.insert(Purpose::Metrics, claim(AttemptCost::Noised(event()), attempts_max, 1));
    request
}

fn key(round: u32, attempt: u32) -> (Round, Attempt) {
    (Round(round), Attempt(attempt))
}

struct Site {
    _folder: tempfile::TempDir,
    path: PathBuf,
    ledger: Ledger,
}

/// A site with a training budget for its cohort `heart`.
fn site(epsilon: f64) -> Site {
    site_with(&[budget("heart", epsilon)])
}

fn site_with(budgets: &[BudgetRequest]) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let mut ledger = open(&path).unwrap();
    for budget in budgets {
        ledger.set_budget(budget, NOW).unwrap();
    }
    Site { _folder: folder, path, ledger }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, LedgerError>) -> Violation {
    match result.unwrap_err() {
        LedgerError::Refused(violation) => violation,
        other => panic!("{other}"),
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
