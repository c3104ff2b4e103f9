//! `fedtwin audit budgets`: what is spent, reserved and left, by cohort, purpose and study.

use clap::Args;
use fedtwin_auditor::ledger::CheckedLedger;
use fedtwin_auditor::words::{kind_name, stage_name};
use fedtwin_daemon::table::Table;
use fedtwin_privacy::ledger::{Amount, BudgetReport, CAP_AND_SPEND, CohortReport, StudyReport};
use serde_json::json;

use super::sources::Sources;

/// Which ledgers to show.
#[derive(Debug, Args)]
pub struct Budgets {
    /// Which ledgers.
    #[command(flatten)]
    pub sources: Sources,
    /// Write JSON: {"ledgers": [{"federation", "site", "verified", "cohorts"}]}, amounts in units of 1e-9.
    #[arg(long)]
    pub json: bool,
}

/// Writes ledgers' budgets as JSON.
#[must_use]
pub fn json(ledgers: &[CheckedLedger]) -> String {
    let ledger = |ledger: &CheckedLedger| {
        json!({
            "federation": ledger.owner.federation,
            "site": ledger.owner.site,
            "verified": ledger.verified.is_some(),
            "cohorts": ledger.state.report(),
        })
    };
    let ledgers: Vec<_> = ledgers.iter().map(ledger).collect();
    json!({ "ledgers": ledgers }).to_string()
}

/// Writes ledgers' budgets as a table.
#[must_use]
pub fn text(ledgers: &[CheckedLedger]) -> String {
    let mut table = Table::new(["site", "cohort", "what", "state", "spent", "reserved", "left"]);
    let mut notes = Vec::new();
    for ledger in ledgers {
        let site = ledger.owner.site.as_str();
        for cohort in ledger.state.report() {
            table.row(cohort_row(site, &cohort));
            for budget in &cohort.budgets {
                table.row(budget_row(site, &cohort, budget));
            }
            for study in &cohort.studies {
                table.row(study_row(site, &cohort, study));
            }
            notes.extend(terms(site, &cohort));
        }
    }
    let mut text = table.to_string();
    text += "Epsilons of each line alone, at the cohort's delta; they do not add up, the amounts behind them do.\n";
    text += CAP_AND_SPEND;
    notes.extend(ledgers.iter().filter_map(CheckedLedger::caution));
    for ledger in ledgers {
        let unprotected = ledger.state.unprotected().iter();
        notes.extend(unprotected.map(|span| format!("{}: {span}", ledger.owner.site)));
    }
    notes.iter().for_each(|note| text += &format!("\n{note}"));
    text
}

fn cohort_row(site: &str, cohort: &CohortReport) -> [String; 7] {
    let spent = match (cohort.not_private_since, cohort.unbounded_since) {
        (None, None) => epsilon(cohort.spent),
        (Some(_), _) | (None, Some(_)) => cohort.headline(),
    };
    let (reserved, left) = if cohort.budgets.is_empty() {
        ("-".to_owned(), "no budget".to_owned())
    } else {
        (epsilon(cohort.reserved), left_of(cohort.left, cohort.total))
    };
    let what = "everything".to_owned();
    [site.to_owned(), cohort.cohort.to_string(), what, String::new(), spent, reserved, left]
}

fn budget_row(site: &str, cohort: &CohortReport, budget: &BudgetReport) -> [String; 7] {
    let state = match budget.raises.len() {
        0 => "opened".to_owned(),
        1 => "raised once".to_owned(),
        times => format!("raised {times} times"),
    };
    [
        site.to_owned(),
        cohort.cohort.to_string(),
        format!("all {}", budget.purpose),
        state,
        epsilon(budget.spent),
        epsilon(budget.reserved),
        left_of(budget.left, budget.total),
    ]
}

fn study_row(site: &str, cohort: &CohortReport, study: &StudyReport) -> [String; 7] {
    let (spent, reserved) = if study.is_unbounded() {
        ("unbounded".to_owned(), "-".to_owned())
    } else {
        (epsilon(study.spent), epsilon(study.reserved))
    };
    let (cohort, what) = (cohort.cohort.to_string(), format!("study {}", study.study));
    [site.to_owned(), cohort, what, stage_name(study.stage).to_owned(), spent, reserved, String::new()]
}

/// Says in which terms a cohort's amounts are.
fn terms(site: &str, cohort: &CohortReport) -> Option<String> {
    let (kind, delta) = cohort.terms()?;
    let patients = cohort.budgets.first()?.opened.patients;
    Some(format!(
        "{} at {site}: {} at delta {delta}, for zeroing out one of {patients} patients.",
        cohort.cohort,
        kind_name(kind)
    ))
}

fn left_of(left: Amount, total: Amount) -> String {
    format!("{} of {}", epsilon(left), epsilon(total))
}

fn epsilon(amount: Amount) -> String {
    format!("{:.4}", amount.epsilon)
}
