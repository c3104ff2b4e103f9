//! `fedtwin audit recompute`: the recomputation as a table, with what each number bounds.

use std::path::PathBuf;

use clap::Args;
use fedtwin_auditor::accounts::Accounts;
use fedtwin_auditor::recompute::{
    ClaimAccount, CohortAccount, Everything, LedgerAccount, Recomputed, StudyAccount, Together, Verdict,
};
use fedtwin_auditor::words::{kind_name, stage_name};
use fedtwin_daemon::table::Table;
use fedtwin_privacy::ledger::Cost;

use super::sources::Sources;

/// Which ledgers to compute anew.
#[derive(Debug, Args)]
pub struct Recompute {
    /// Which ledgers.
    #[command(flatten)]
    pub sources: Sources,
    /// A study's plan, whose noise and attempts the ledgers' claims are held against; may be given for several.
    #[arg(long, value_name = "PLAN.TOML")]
    pub plan: Vec<PathBuf>,
    /// Write JSON: {"ledgers": [{"site", "cohorts": [{"adaptive", "fixed", "studies"}], "everything"}], "findings"}.
    #[arg(long)]
    pub json: bool,
}

/// Writes the table.
#[must_use]
pub fn text(recomputed: &Recomputed) -> String {
    let heading =
        ["site", "cohort", "what", "charge is", "charged", "found", "pld", "rdp", "gdp", "whole plan"];
    let mut table = Table::new(heading);
    for ledger in &recomputed.ledgers {
        for cohort in &ledger.cohorts {
            table.row(cohort_row(ledger, cohort));
            for study in &cohort.studies {
                table.row(study_row(ledger, cohort, study));
            }
        }
        if let Some(everything) = &ledger.everything {
            table.row(site_row(ledger, everything));
        }
    }
    let mut text = table.to_string();
    text += NOTES;
    for ledger in &recomputed.ledgers {
        for cohort in &ledger.cohorts {
            if let Some(adaptive) = &cohort.adaptive {
                text += &format!(
                    "\n{} at {}: budget of {} at delta {}, cap epsilon {:.4}.",
                    cohort.cohort,
                    ledger.site,
                    kind_name(adaptive.kind),
                    adaptive.delta,
                    adaptive.epsilon_cap
                );
            }
        }
    }
    recomputed.findings.iter().for_each(|finding| text += &format!("\nTOO LOW: {finding}"));
    text
}

fn cohort_row(ledger: &LedgerAccount, cohort: &CohortAccount) -> [String; 10] {
    let state = match (cohort.not_private_since, cohort.unbounded_since) {
        (Some(entry), _) => format!("not private (since entry {entry})"),
        (None, Some(entry)) => format!("unbounded (since entry {entry})"),
        (None, None) => worst(cohort.studies.iter()),
    };
    let [charged, found] = match &cohort.adaptive {
        Some(adaptive) => [adaptive.epsilon_charged, adaptive.epsilon_found].map(number),
        None => [DASH, DASH].map(str::to_owned),
    };
    let [pld, rdp, gdp] = columns(cohort.fixed.as_ref());
    let (site, name) = (ledger.site.to_string(), cohort.cohort.to_string());
    [site, name, "everything".to_owned(), state, charged, found, pld, rdp, gdp, String::new()]
}

fn study_row(ledger: &LedgerAccount, cohort: &CohortAccount, study: &StudyAccount) -> [String; 10] {
    let epsilon = |of: fn(&ClaimAccount) -> Option<Cost>| {
        let cost = study.claims.iter().map(of).collect::<Option<Vec<_>>>();
        let adaptive = cohort.adaptive.as_ref();
        cost.zip(adaptive).map_or(DASH.to_owned(), |(cost, adaptive)| {
            number(adaptive.kind.epsilon(cost.into_iter().sum(), adaptive.delta))
        })
    };
    let [pld, rdp, gdp] = columns(study.spent.as_ref());
    let whole = study.planned.and_then(|accounts| accounts.best());
    [
        ledger.site.to_string(),
        cohort.cohort.to_string(),
        format!("study {} ({})", study.study, stage_name(study.stage)),
        worst(std::iter::once(study)),
        epsilon(|claim| claim.charged),
        epsilon(|claim| claim.found),
        pld,
        rdp,
        gdp,
        whole.map_or(DASH.to_owned(), number),
    ]
}

fn site_row(ledger: &LedgerAccount, everything: &Everything) -> [String; 10] {
    let Everything { epsilon, delta, by } = everything;
    let by = match by {
        Together::Amounts => "amounts",
        Together::Epsilons => "epsilons",
    };
    let [site, all, what, blank] =
        [ledger.site.as_str(), "all", "a patient in all cohorts", ""].map(str::to_owned);
    let state = format!("sum of {by}, delta {delta}");
    [
        site,
        all,
        what,
        state,
        blank.clone(),
        number(*epsilon),
        blank.clone(),
        blank.clone(),
        blank.clone(),
        blank,
    ]
}

fn worst<'a>(studies: impl Iterator<Item = &'a StudyAccount>) -> String {
    let verdicts = studies.flat_map(|study| study.claims.iter().map(|claim| claim.verdict));
    match verdicts.max() {
        None | Some(Verdict::Right) => "right",
        Some(Verdict::Above) => "above",
        Some(Verdict::Unbounded) => "unbounded",
        Some(Verdict::Below) => "TOO LOW",
    }
    .to_owned()
}

fn columns(accounts: Option<&Accounts>) -> [String; 3] {
    let values = accounts.map_or([None; 3], |accounts| [accounts.pld, accounts.rdp, accounts.gdp]);
    values.map(|value| value.map_or(DASH.to_owned(), number))
}

fn number(epsilon: f64) -> String {
    format!("{epsilon:.4}")
}

const DASH: &str = "-";

const NOTES: &str = "\
charged, found: epsilon of what the ledger charged and of what its logged events cost, by the budget's kind; they
  bound studies that were chosen after seeing earlier results.
pld, rdp, gdp: epsilon of the logged events by each accountant. They bound a study, if none of its releases decided when
  it ended; whole plan is the best bound whatever ended it. In the line of a cohort they are for comparison: over
  studies that were chosen after seeing earlier results they bound nothing.";
