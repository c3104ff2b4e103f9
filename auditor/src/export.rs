//! A ledger's events and what they cost, for a recomputation by somebody else's program.

use fedtwin_plan::{CohortName, FederationName, Ratio, SiteName, StudyId};
use fedtwin_privacy::accountant::GaussianEvent;
use fedtwin_privacy::ledger::{CohortReport, Delta, Purpose, StudyReport};
use serde::Serialize;

use crate::accounts::{Accounts, spent};
use crate::ledger::CheckedLedger;

/// Events and their price, in the form that `examples/dp_accounting_check.py` reads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exported {
    /// The federation, by the name in its authority's certificate.
    pub federation: FederationName,
    /// The site, by the name in its certificates.
    pub site: SiteName,
    /// Whether the signatures of the ledger's entries were verified.
    pub verified: bool,
    /// The cohort, by the name that plans and the site's configuration give it.
    pub cohort: CohortName,
    /// The study; absent for all of the cohort.
    pub study: Option<StudyId>,
    /// The relation: zeroing out one patient.
    pub relation: &'static str,
    /// What the opened blocks pay for.
    pub events: Vec<ExportedEvent>,
    /// The delta at which epsilon is stated.
    pub delta: f64,
    /// The smallest of our accountants' epsilons.
    pub epsilon: f64,
    /// All of them.
    pub accounts: Accounts,
}

/// Steps of the Poisson-subsampled Gaussian mechanism with sensitivity 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ExportedEvent {
    /// The probability with which each patient is in a step.
    pub sampling: Ratio,
    /// The noise's standard deviation: that of the discrete noise less the price of the lemma.
    pub noise_multiplier: f64,
    /// The number of steps.
    pub steps: u64,
    /// What they were for.
    pub purpose: Purpose,
    /// The integers that the ledger has.
    pub logged: GaussianEvent,
}

/// Why there is nothing to export.
#[derive(Debug, thiserror::Error)]
pub enum NothingToExport {
    /// No cohort fits the arguments.
    #[error("no ledger has a cohort with a budget that fits --cohort and --study")]
    None,
    /// Several do.
    #[error("several cohorts fit, {0} among them: name one ledger, and one by --cohort")]
    Several(String),
    /// Nothing bounds it.
    #[error("no finite epsilon bounds {0}: it has releases without noise")]
    Unbounded(String),
}

/// Returns the events of the one cohort that has such a name and such a study, or of that study alone.
///
/// # Errors
/// Refuses names that mean none or several, and releases without bound.
pub fn export(
    ledgers: &[CheckedLedger],
    cohort: Option<&CohortName>,
    study: Option<&StudyId>,
) -> Result<Exported, NothingToExport> {
    let mut found = Vec::new();
    for ledger in ledgers {
        for report in ledger.state.report() {
            let named = cohort.is_none_or(|name| *name == report.cohort);
            let has = study.is_none_or(|study| report.studies.iter().any(|s| s.study == *study));
            if let Some((_, delta)) = report.terms().filter(|_| named && has) {
                found.push((ledger, report, delta));
            }
        }
    }
    match found.as_slice() {
        [] => Err(NothingToExport::None),
        [(ledger, report, delta)] => of_cohort(ledger, report, *delta, study),
        [(ledger, report, _), ..] => {
            Err(NothingToExport::Several(format!("{} at {}", report.cohort, ledger.owner.site)))
        }
    }
}

fn of_cohort(
    ledger: &CheckedLedger,
    report: &CohortReport,
    delta: Delta,
    study: Option<&StudyId>,
) -> Result<Exported, NothingToExport> {
    let wanted = |report: &&StudyReport| study.is_none_or(|study| report.study == *study);
    let claims = report.studies.iter().filter(wanted).flat_map(|study| &study.claims);
    let event = |claim| Some(exported(spent(claim)?, claim.purpose));
    let events: Option<Vec<_>> = claims.map(event).collect();
    let what = || study.map_or(format!("cohort {}", report.cohort), |study| format!("study {study}"));
    let events = events.ok_or_else(|| NothingToExport::Unbounded(what()))?;
    let events: Vec<_> = events.into_iter().filter(|event| event.steps > 0).collect();
    let logged: Vec<_> = events.iter().map(|event| event.logged).collect();
    let accounts = Accounts::of(&logged, delta.value());
    Ok(Exported {
        federation: ledger.owner.federation.clone(),
        site: ledger.owner.site.clone(),
        verified: ledger.verified.is_some(),
        cohort: report.cohort.clone(),
        study: study.cloned(),
        relation: "zero-out",
        events,
        delta: delta.value(),
        epsilon: accounts.best().ok_or_else(|| NothingToExport::Unbounded(what()))?,
        accounts,
    })
}

fn exported(event: GaussianEvent, purpose: Purpose) -> ExportedEvent {
    ExportedEvent {
        sampling: event.sampling,
        noise_multiplier: event.noise_multiplier(),
        steps: event.steps,
        purpose,
        logged: event,
    }
}
