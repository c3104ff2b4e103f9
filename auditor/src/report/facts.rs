//! What a report states: its JSON, of which the page is a rendering.
//!
//! The order is that of the pyramid of NIST SP 800-226: what is promised and to whom, how it is kept, and
//! what that rests on.

use fedtwin_attack::report::AttackReport;
use fedtwin_plan::{CohortName, Digest, FederationName, Ratio, SiteName, StudyId};
use fedtwin_privacy::accountant::GaussianEvent;
use fedtwin_privacy::ledger::budget::{Relation, Unit};
use fedtwin_privacy::ledger::{BudgetKind, BudgetReport, CohortReport, Delta, Purpose, Stage};
use serde::Serialize;

/// One study at one site. Epsilons are of one patient at that site; absent where nothing bounds them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StudyFacts {
    /// The form of this report: 1.
    pub version: u32,
    /// The federation, by the name in its authority's certificate.
    pub federation: FederationName,
    /// The site, by the name in its certificates.
    pub site: SiteName,
    /// The cohort, by the name that plans and the site's configuration give it.
    pub cohort: CohortName,
    /// The study, by its plan's `study.id`.
    pub study: StudyId,
    /// The digest of its plan.
    pub plan: Digest,
    /// How far it is.
    pub stage: Stage,
    /// What is promised.
    pub promise: Promise,
    /// What is released and how that is kept, by purpose.
    pub mechanisms: Vec<PurposeFacts>,
    /// Against whom.
    pub trust: ObserverFacts,
    /// Points of the curve of delta over epsilon of the whole plan, by growing epsilon.
    pub curve: Vec<CurvePoint>,
    /// What the whole plan leaves to a test for one patient.
    pub trade_off: Option<TradeOff>,
    /// Everything on the cohort, over all studies and purposes.
    pub total: Total,
    /// What was done to choose the study's settings, as whoever made the report states it.
    pub tuning: Option<String>,
    /// What the code does.
    pub code: Code,
    /// What attacks found, as the site reports it.
    pub attacks: Option<AttackReport>,
    /// Whether nothing here is of patients without noise, as what attacks found on a site's own cohort is.
    pub publishable: bool,
    /// What all of this is taken from.
    pub ledger: LedgerFacts,
}

/// What is promised to a patient.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Promise {
    /// Whom.
    pub unit: Unit,
    /// What a neighbouring cohort is.
    pub relation: Relation,
    /// The cohort's declared size, which is public; absent without a budget.
    pub patients: Option<u32>,
    /// The delta; absent without a budget.
    pub delta: Option<Delta>,
    /// Of everything that the study may do: holds whatever ended it.
    pub epsilon_planned: Option<f64>,
    /// Of the blocks that were opened.
    pub epsilon_spent: Option<f64>,
    /// The entry from which on nothing bounds the cohort.
    pub unbounded_since: Option<u64>,
    /// The first entry that a build for tests wrote.
    pub not_private_since: Option<u64>,
}

/// What is released for one purpose.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PurposeFacts {
    /// Which budget pays: training's or the metrics'.
    pub purpose: Purpose,
    /// Why nothing bounds it, as the site's policy calls that; or what an attempt does.
    #[serde(flatten)]
    pub what: What,
    /// Attempts that the plan pays for.
    pub attempts_planned: u32,
    /// Attempts that opened blocks pay for.
    pub attempts_spent: u32,
    /// Attempts that read data and released nothing: each tells that it failed, which no epsilon covers.
    pub attempts_failed: u32,
    /// Releases made.
    pub releases: u32,
}

/// What one attempt does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Sums with discrete Gaussian noise.
    Noised(NoisedFacts),
    /// Something that no epsilon describes.
    Unbounded(String),
}

/// Sums with discrete Gaussian noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NoisedFacts {
    /// The probability with which each patient is in a sum.
    pub sampling: Ratio,
    /// The largest L2 norm of a patient's contribution, before it is quantised; absent without the plan.
    pub clip: Option<f64>,
    /// The same in grid units.
    pub c_int: u32,
    /// The noise of one site has a standard deviation of 2^m grid units.
    pub m: u32,
    /// The sites whose noise is in every sum that anyone sees.
    pub noise_shares: u32,
    /// The noise over the clip, less what it costs that it is discrete.
    pub noise_multiplier: f64,
    /// Sums in an attempt.
    pub sums: u64,
}

/// The same releases against three observers, for the whole plan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ObserverFacts {
    /// Everybody else colludes against the patient's site.
    pub alone: Option<f64>,
    /// The coordinator, which keeps to the protocol; this one is charged.
    pub coordinator: Option<f64>,
    /// Those who see the published models and took no part; absent without the plan too.
    pub model_users: Option<f64>,
}

/// A point of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CurvePoint {
    /// The epsilon at which the delta is asked for.
    pub epsilon: f64,
    /// The delta, rounded up.
    pub delta: f64,
}

/// What a test for one patient can do at best.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TradeOff {
    /// Outside of an event of probability `delta0`, the plan is mu-GDP.
    pub mu: f64,
    /// That probability; 0 where mu is exact.
    pub delta0: f64,
    /// How many of the patients who were in are found at most, by how many of the others are taken for one.
    pub true_positives: Vec<Rates>,
}

/// Error rates of a test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rates {
    /// The part of those who took no part that a test accuses, in [0, 1].
    pub false_positives: f64,
    /// True positives at most, rounded up.
    pub true_positives_max: f64,
}

/// Everything on a cohort.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Total {
    /// What the budgets add up; absent without any.
    pub kind: Option<BudgetKind>,
    /// The epsilon of all opened blocks together; absent where nothing bounds it.
    pub spent: Option<f64>,
    /// The epsilon of what running studies have set aside.
    pub reserved: f64,
    /// The epsilon of all budgets together.
    pub cap: f64,
    /// By purpose.
    pub budgets: Vec<BudgetReport>,
    /// How many studies were reserved.
    pub studies: usize,
}

/// What the code does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Code {
    /// The version of the program that made this report.
    pub report_by: String,
    /// Where samples and noise come from, in code of that version.
    pub randomness: &'static str,
}

/// A ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LedgerFacts {
    /// Whether every entry's signature was verified with the site's key.
    pub verified: bool,
    /// The number of entries.
    pub entries: u64,
    /// The leaf hash of the last one.
    pub head: String,
    /// The Merkle root over all.
    pub root: String,
    /// When the site's trainer could run without the kernel's protection, in words.
    pub unprotected: Vec<String>,
    /// Signed heads that the ledger continues.
    pub checkpoints: Vec<Witnessed>,
}

/// A signed head of the ledger, and who cosigned it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Witnessed {
    /// The number of entries.
    pub entries: u64,
    /// The names of verified cosigners.
    pub witnesses: Vec<String>,
}

impl NoisedFacts {
    /// States an event's integers.
    #[must_use]
    pub fn of(event: &GaussianEvent, clip: Option<f64>) -> Self {
        Self {
            sampling: event.sampling,
            clip,
            c_int: event.c_int.get(),
            m: event.m.get(),
            noise_shares: event.noise_shares.get(),
            noise_multiplier: event.noise_multiplier(),
            sums: event.steps,
        }
    }
}

impl Promise {
    /// Says why nothing is promised, where nothing is.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        match (self.not_private_since, self.unbounded_since) {
            (Some(entry), _) => Some(format!("not private (since entry {entry})")),
            (None, Some(entry)) => Some(format!("unbounded (since entry {entry})")),
            (None, None) => None,
        }
    }
}

impl Total {
    /// States a cohort's total.
    #[must_use]
    pub fn of(report: &CohortReport) -> Self {
        Self {
            kind: report.terms().map(|(kind, _)| kind),
            spent: report.unbounded_since.is_none().then_some(report.spent.epsilon),
            reserved: report.reserved.epsilon,
            cap: report.total.epsilon,
            budgets: report.budgets.clone(),
            studies: report.studies.len(),
        }
    }
}
