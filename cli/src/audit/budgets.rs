//! `fedtwin audit budgets`: what is spent, reserved and left, by cohort and study.

use fedtwin_privacy::ledger::{Amount, CohortReport, Stage, StudyReport};
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
    text += "Epsilons of each line alone, at the cohort's delta; they do not add up, the amounts \
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
    let spent = match (cohort.not_private_since, cohort.unbounded_since) {
        (None, None) => epsilon(cohort.spent),
        (Some(_), _) | (None, Some(_)) => cohort.headline(),
    };
    let (reserved, left) = if cohort.budgets.is_empty() {
        ("-".to_owned(), "no budget".to_owned())
    } else {
        (epsilon(cohort.reserved), format!("{} of {}", epsilon(cohort.left), epsilon(cohort.total)))
    };
    [site.to_owned(), cohort.cohort.to_string(), "all".to_owned(), String::new(), spent, reserved, left]
}

fn study_row(site: &str, cohort: &CohortReport, study: &StudyReport) -> [String; 7] {
    let state = match study.stage {
        Stage::Reserved => "reserved",
        Stage::Running => "running",
        Stage::Committed => "committed",
        Stage::Aborted => "aborted",
    };
    let (spent, reserved) = if study.is_unbounded() {
        ("unbounded".to_owned(), "-".to_owned())
    } else {
        (epsilon(study.spent), epsilon(study.reserved))
    };
    let (cohort, study) = (cohort.cohort.to_string(), study.study.to_string());
    [site.to_owned(), cohort, study, state.to_owned(), spent, reserved, String::new()]
}

fn epsilon(amount: Amount) -> String {
    format!("{:.4}", amount.epsilon)
}
