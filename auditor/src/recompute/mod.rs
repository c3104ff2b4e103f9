//! What the logged integers cost, without believing any amount in the ledger.
//!
//! Two kinds of numbers, which bound different things:
//!
//! - By the budget's kind (Gaussian or Renyi of one order), studies add up even if they were chosen after
//!   seeing earlier results. The ledger charges so; its charges are computed anew, claim by claim, and one that
//!   is too low is a finding.
//! - By each accountant, events that were fixed in advance. That bounds a study; over studies it is for
//!   comparison only, since sums of privacy-loss distributions or of Renyi divergences of the best order
//!   bound nothing once a study was chosen after seeing another one's result.

mod plan;

use fedtwin_plan::{CohortName, Digest, FederationName, SiteName, StudyId};
use fedtwin_privacy::accountant::GaussianEvent;
use fedtwin_privacy::ledger::report::ClaimReport;
use fedtwin_privacy::ledger::{
    BudgetKind, Claim, CohortReport, Cost, Delta, Purpose, Spend, Stage, StudyReport,
};
use serde::Serialize;

use crate::accounts::{Accounts, of_study, planned, spent};
use crate::ledger::CheckedLedger;
use crate::plans::{NoPlan, Plans};

/// What was found in all ledgers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recomputed {
    /// One for each ledger.
    pub ledgers: Vec<LedgerAccount>,
    /// Charges and caps that are wrong to the disadvantage of patients, and claims that are not their plan's, one line
    /// each.
    pub findings: Vec<String>,
}

/// One site's ledger.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LedgerAccount {
    /// The federation, by the name in its authority's certificate.
    pub federation: FederationName,
    /// The site, by the name in its certificates.
    pub site: SiteName,
    /// Whether its signatures were verified.
    pub verified: bool,
    /// Its cohorts, by name.
    pub cohorts: Vec<CohortAccount>,
    /// For a patient who is in every cohort; absent where nothing bounds one of them.
    pub everything: Option<Everything>,
}

/// What holds for a patient who is in all cohorts of a site, whatever was chosen after what.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Everything {
    /// What a patient loses at most, at `delta`; rounded up.
    pub epsilon: f64,
    /// The delta at which it holds.
    pub delta: f64,
    /// How the cohorts were put together.
    pub by: Together,
}

/// How costs of several cohorts are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Together {
    /// All budgets are of one kind at one delta: their amounts add up.
    Amounts,
    /// They differ: epsilons and deltas add up (basic composition).
    Epsilons,
}

/// One cohort, over all purposes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CohortAccount {
    /// The cohort, by the name that plans and the site's configuration give it.
    pub cohort: CohortName,
    /// By the budget's kind; absent without a budget, or where nothing bounds a study.
    pub adaptive: Option<Adaptive>,
    /// By each accountant: a bound only if all studies were fixed before the first release.
    pub fixed: Option<Accounts>,
    /// The entry from which on no bound holds.
    pub unbounded_since: Option<u64>,
    /// The first entry that a build for tests wrote.
    pub not_private_since: Option<u64>,
    /// The studies, by name.
    pub studies: Vec<StudyAccount>,
}

/// What bounds studies that were chosen after seeing earlier results.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Adaptive {
    /// What the budget adds up.
    pub kind: BudgetKind,
    /// The delta at which epsilons are stated.
    pub delta: Delta,
    /// What the ledger charged.
    pub charged: Cost,
    /// What the logged events cost.
    pub found: Cost,
    /// The epsilon of what was charged.
    pub epsilon_charged: f64,
    /// The epsilon of what the events cost.
    pub epsilon_found: f64,
    /// The epsilon of the caps of all purposes together: what no study can exceed.
    pub epsilon_cap: f64,
}

/// One study.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StudyAccount {
    /// The study, by its plan's `study.id`.
    pub study: StudyId,
    /// The digest of its plan.
    pub plan: Digest,
    /// How far it is.
    pub stage: Stage,
    /// Its claims, by purpose.
    pub claims: Vec<ClaimAccount>,
    /// The blocks that were opened, all purposes together: a bound if no release decided when it ended.
    pub spent: Option<Accounts>,
    /// The whole plan: a bound whatever ended the study.
    pub planned: Option<Accounts>,
}

/// What a study did for one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ClaimAccount {
    /// Which budget pays: training's or the metrics'.
    pub purpose: Purpose,
    /// What the ledger charged for opened blocks; absent for an unbounded claim.
    pub charged: Option<Cost>,
    /// What they cost.
    pub found: Option<Cost>,
    /// How the two compare.
    pub verdict: Verdict,
}

/// How a charge compares with what the events cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// To the last unit.
    Right,
    /// More was charged, as an older and looser accountant does.
    Above,
    /// Nothing bounds the claim, and the ledger says so.
    Unbounded,
    /// Less was charged than the events cost.
    Below,
}

/// Computes all ledgers anew, and holds the claims of the plans' studies against their plans.
///
/// # Errors
/// Refuses a plan that no study ran.
pub fn recompute(ledgers: &[CheckedLedger], plans: &Plans) -> Result<Recomputed, NoPlan> {
    let mut findings = Vec::new();
    let ledgers: Vec<_> = ledgers.iter().map(|ledger| account(ledger, plans, &mut findings)).collect();
    let cohorts = || ledgers.iter().flat_map(|ledger| &ledger.cohorts);
    let ran = |digest| cohorts().flat_map(|cohort| &cohort.studies).any(|study| study.plan == digest);
    if let Some((file, digest)) = plans.digests().find(|(_, digest)| !ran(*digest)) {
        return Err(NoPlan::Unknown { file: file.to_owned(), digest });
    }
    Ok(Recomputed { ledgers, findings })
}

fn account(ledger: &CheckedLedger, plans: &Plans, findings: &mut Vec<String>) -> LedgerAccount {
    let site = &ledger.owner.site;
    let reports = ledger.state.report();
    let cohorts: Vec<_> = reports.iter().map(cohort_account).collect();
    for (report, cohort) in reports.iter().zip(&cohorts) {
        findings.extend(cohort.findings().map(|finding| format!("{site}: {finding}")));
        findings.extend(caps(report).map(|finding| format!("{site}: {finding}")));
        for (study, plan) in report.studies.iter().filter_map(|study| Some((study, plans.get(study.plan)?))) {
            let differ = plan::differences(study, plan).into_iter();
            findings.extend(differ.map(|line| format!("{site}: study {}: {line}", study.study)));
        }
    }
    LedgerAccount {
        federation: ledger.owner.federation.clone(),
        site: site.clone(),
        verified: ledger.verified.is_some(),
        everything: everything(&cohorts),
        cohorts,
    }
}

fn cohort_account(report: &CohortReport) -> CohortAccount {
    let terms = report.terms();
    let studies: Vec<_> = report.studies.iter().map(|study| study_account(study, terms)).collect();
    let bounded = report.unbounded_since.is_none();
    let adaptive = terms.filter(|_| bounded).map(|(kind, delta)| {
        let claims = || studies.iter().flat_map(|study| &study.claims);
        let charged = claims().filter_map(|claim| claim.charged).sum();
        let found = claims().filter_map(|claim| claim.found).sum();
        Adaptive {
            kind,
            delta,
            charged,
            found,
            epsilon_charged: kind.epsilon(charged, delta),
            epsilon_found: kind.epsilon(found, delta),
            epsilon_cap: report.total.epsilon,
        }
    });
    let events: Option<Vec<_>> = report.studies.iter().map(|study| of_study(study, spent)).collect();
    let fixed = terms.zip(events).map(|((_, delta), events)| Accounts::of(&events.concat(), delta.value()));
    CohortAccount {
        cohort: report.cohort.clone(),
        adaptive,
        fixed,
        unbounded_since: report.unbounded_since,
        not_private_since: report.not_private_since,
        studies,
    }
}

fn study_account(study: &StudyReport, terms: Option<(BudgetKind, Delta)>) -> StudyAccount {
    let accounts = |of_claim| {
        let (_, delta) = terms?;
        Some(Accounts::of(&of_study(study, of_claim)?, delta.value()))
    };
    StudyAccount {
        study: study.study.clone(),
        plan: study.plan,
        stage: study.stage,
        claims: study.claims.iter().map(|claim| claim_account(claim, terms)).collect(),
        spent: accounts(spent),
        planned: accounts(planned),
    }
}

/// Prices a claim anew: what its opened blocks cost, and whether every charge that it makes is enough.
fn claim_account(report: &ClaimReport, terms: Option<(BudgetKind, Delta)>) -> ClaimAccount {
    let ClaimReport { purpose, claim, blocks, .. } = report;
    let Some((event, terms)) = event_of(claim).zip(terms) else {
        return ClaimAccount { purpose: *purpose, charged: None, found: None, verdict: Verdict::Unbounded };
    };
    let priced = Claim::priced(event, claim.attempts_max, claim.blocks, terms);
    let charged: Cost = blocks.iter().map(|block| block.cost).sum();
    let found = blocks.iter().map(|block| priced.cost_in(block.block)).sum();
    // The reservation is held to its events too, opened or not.
    let verdict = verdict(claim.total(), priced.total()).max(verdict(charged, found));
    ClaimAccount { purpose: *purpose, charged: Some(charged), found: Some(found), verdict }
}

fn event_of(claim: &Claim) -> Option<GaussianEvent> {
    match claim.spend {
        Spend::Priced { event, .. } => Some(event),
        Spend::Unbounded { .. } => None,
    }
}

fn verdict(charged: Cost, found: Cost) -> Verdict {
    if charged == found {
        Verdict::Right
    } else if charged.nano < found.nano || charged.delta_ppm < found.delta_ppm {
        Verdict::Below
    } else {
        Verdict::Above
    }
}

fn everything(cohorts: &[CohortAccount]) -> Option<Everything> {
    let parts: Vec<_> = cohorts.iter().map(|cohort| cohort.adaptive).collect::<Option<_>>()?;
    let first = parts.first()?;
    if parts.iter().all(|part| (part.kind, part.delta) == (first.kind, first.delta)) {
        let found: Cost = parts.iter().map(|part| part.found).sum();
        let epsilon = first.kind.epsilon(found, first.delta);
        return Some(Everything { epsilon, delta: first.delta.value(), by: Together::Amounts });
    }
    let sum = |of: fn(&Adaptive) -> f64| parts.iter().map(of).fold(0.0, |sum: f64, x| (sum + x).next_up());
    let (epsilon, delta) = (sum(|part| part.epsilon_found), sum(|part| part.delta.value()));
    Some(Everything { epsilon, delta, by: Together::Epsilons })
}

impl CohortAccount {
    fn findings(&self) -> impl Iterator<Item = String> + '_ {
        let claims =
            self.studies.iter().flat_map(|study| study.claims.iter().map(move |claim| (study, claim)));
        let below = claims.filter(|(_, claim)| claim.verdict == Verdict::Below);
        below.map(|(study, claim)| {
            let nano = |cost: Option<Cost>| cost.unwrap_or(Cost::NONE).nano;
            format!(
                "study {} on {}: the {} events cost more than the ledger charges ({} for {} in opened blocks, in units of 1e-9)",
                study.study,
                self.cohort,
                claim.purpose,
                nano(claim.charged),
                nano(claim.found),
            )
        })
    }
}

/// Names caps that allow more than the epsilon that a person asked for, as the entry says.
fn caps(report: &CohortReport) -> impl Iterator<Item = String> + '_ {
    report.budgets.iter().filter_map(|budget| {
        let opened = &budget.opened;
        let (amount_nano, epsilon_micro) =
            budget.raises.last().map_or((opened.amount_nano, opened.epsilon_micro), |raise| {
                (raise.amount_nano, raise.epsilon_micro)
            });
        #[expect(clippy::cast_precision_loss, reason = "an epsilon of 2^53 millionths is no budget")]
        // The entry's epsilon is rounded down by less than one unit.
        let asked = (epsilon_micro as f64 + 1.0) / 1e6;
        (amount_nano > opened.kind.amount(asked, opened.delta)).then(|| {
            format!(
                "the {} budget of {} allows more than the epsilon of {} that a person asked for",
                budget.purpose,
                report.cohort,
                asked - 1e-6
            )
        })
    })
}
