//! `fedtwin audit budgets`: what is spent, reserved and left, by cohort and study.

use fedtwin_privacy::ledger::{Amount, CohortReport, Outcome, Spend, StudyReport};
use serde_json::json;

use super::ledger::Ledger;
use crate::table::Table;

/// Writes ledgers' budgets as JSON.
#[must_use]
pub fn json(ledgers: &[Ledger]) -> String {
    let ledger = |ledger: &Ledger| {
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
pub fn text(ledgers: &[Ledger]) -> String {
    let mut table = Table::new(["site", "cohort", "study", "state", "spent", "reserved", "left"]);
    for ledger in ledgers {
        let site = ledger.owner.site.as_str();
        for cohort in ledger.state.report() {
            table.row(cohort_row(site, &cohort));
            for study in &cohort.studies {
                table.row(study_row(site, &cohort, study));
            }
        }
    }
    let mut text = table.to_string();
    text += "Epsilons of each line alone, at the cohort's order and delta; they do not add up, the amounts \
             behind them do.";
    for ledger in ledgers.iter().filter(|ledger| ledger.verified.is_none()) {
        text += &format!(
            "\nThe signatures of {} are not verified: that takes --ca and --identity, or --key.",
            ledger.owner.site
        );
    }
    text
}

fn cohort_row(site: &str, cohort: &CohortReport) -> [String; 7] {
    let spent = match cohort.unbounded_since {
        Some(entry) => format!("unbounded (since entry {entry})"),
        None => epsilon(cohort.spent),
    };
    let (reserved, left) = match cohort.budget {
        Some(_) => {
            (epsilon(cohort.reserved), format!("{} of {}", epsilon(cohort.left), epsilon(cohort.total)))
        }
        None => ("-".to_owned(), "no budget".to_owned()),
    };
    [site.to_owned(), cohort.cohort.to_string(), "all".to_owned(), String::new(), spent, reserved, left]
}

fn study_row(site: &str, cohort: &CohortReport, study: &StudyReport) -> [String; 7] {
    let state = match study.outcome {
        None => "running",
        Some(Outcome::Committed) => "committed",
        Some(Outcome::Aborted) => "aborted",
    };
    let (spent, reserved) = match study.spend {
        Spend::Unbounded { .. } => ("unbounded".to_owned(), "-".to_owned()),
        Spend::Priced { .. } => (epsilon(study.spent), epsilon(study.reserved)),
    };
    let (cohort, study) = (cohort.cohort.to_string(), study.study.to_string());
    [site.to_owned(), cohort, study, state.to_owned(), spent, reserved, String::new()]
}

fn epsilon(amount: Amount) -> String {
    format!("{:.4}", amount.epsilon)
}
