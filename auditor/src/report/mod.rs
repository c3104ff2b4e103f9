//! Everything that an auditor of one study at one site is owed, on one page and as JSON.

mod attacked;
mod beside;
mod chart;
mod facts;
mod page;

use fedtwin_attack::normal::true_positive_rate_max;
use fedtwin_attack::report::{RecordsUsed, VERSION as ATTACK_VERSION};
use fedtwin_plan::{Digest, Plan, StudyId};
use fedtwin_privacy::accountant::{
    Adjacency, Event, GaussianEvent, NoiseShares, best_delta, gaussian_bound, gdp_cost, published_noise,
};
use fedtwin_privacy::ledger::budget::{Relation, Unit};
use fedtwin_privacy::ledger::report::ClaimReport;
use fedtwin_privacy::ledger::{CohortReport, Delta, Purpose, Spend, StudyReport};

pub use beside::Beside;
pub use facts::{
    Code, CurvePoint, LedgerFacts, NoisedFacts, ObserverFacts, Promise, PurposeFacts, Rates, StudyFacts,
    Total, TradeOff, What, Witnessed,
};
pub use page::render;

use crate::accounts::{Accounts, of_study, planned, spent};
use crate::ledger::CheckedLedger;
use crate::plans::NoPlan;
use crate::views::Continued;

/// What to report on.
#[derive(Debug, Default)]
pub struct Asked {
    /// Only this study; without it, every study of the ledgers.
    pub study: Option<StudyId>,
    /// What was handed in beside the ledgers.
    pub beside: Beside,
    /// How the study's settings were chosen, and on which data: it is on the page word for word.
    pub tuning: Option<String>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum NoReport {
    /// No ledger has a study to report on.
    #[error("no ledger has {}", .0.as_ref().map_or("a study".to_owned(), |study| format!("a study {study}")))]
    NoStudy(Option<StudyId>),
    /// A plan is of no use.
    #[error(transparent)]
    Plan(#[from] NoPlan),
    /// The attacks' report cannot be read.
    #[error("{file} is no report of attacks")]
    Attack {
        /// The file, as it was named when it was given.
        file: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The attacks' report has another form.
    #[error("{file} has the form {found}, expected {ATTACK_VERSION}: it is of another release")]
    AttackVersion {
        /// The file, as it was named when it was given.
        file: String,
        /// Its form.
        found: u32,
    },
    /// A file is about another study.
    #[error("{file} is about a plan {digest} that none of the reported studies ran")]
    OtherPlan {
        /// The file, as it was named when it was given.
        file: String,
        /// What it is about.
        digest: Digest,
    },
}

/// Reports on the studies that were asked for; each ledger has the heads that it continues.
///
/// # Errors
/// Refuses a study that no ledger has, and plans and attacks that belong to none.
pub fn reports(
    ledgers: &[CheckedLedger],
    heads: &[Vec<Continued>],
    asked: &Asked,
) -> Result<Vec<StudyFacts>, NoReport> {
    let mut reports = Vec::new();
    for (ledger, heads) in ledgers.iter().zip(heads) {
        for cohort in ledger.state.report() {
            let wanted = |study: &&StudyReport| asked.study.as_ref().is_none_or(|name| *name == study.study);
            for study in cohort.studies.iter().filter(wanted) {
                reports.push(report((ledger, heads), &cohort, study, asked));
            }
        }
    }
    if reports.is_empty() {
        return Err(NoReport::NoStudy(asked.study.clone()));
    }
    let known = |digest: Digest| reports.iter().any(|report| report.plan == digest);
    match asked.beside.digests().find(|(_, digest)| !known(*digest)) {
        None => Ok(reports),
        Some((file, digest)) => Err(NoReport::OtherPlan { file: file.to_owned(), digest }),
    }
}

fn report(
    (ledger, heads): (&CheckedLedger, &[Continued]),
    cohort: &CohortReport,
    study: &StudyReport,
    Asked { beside, tuning, .. }: &Asked,
) -> StudyFacts {
    let plan = beside.plan(study.plan);
    let delta = cohort.terms().map(|(_, delta)| delta);
    let whole = of_study(study, planned);
    // One that adapts is another in each round, and no reader of a ledger knows which.
    let fixed = plan.filter(|plan| plan.training.adaptive_clip.is_none());
    let clip = fixed.map(|plan| plan.clip().get());
    let best = |events: Option<Vec<GaussianEvent>>| Accounts::of(&events?, delta?.value()).best();
    let epsilon_planned = best(whole.clone());
    let bounded = whole.clone().zip(delta);
    StudyFacts {
        version: VERSION,
        federation: ledger.owner.federation.clone(),
        site: ledger.owner.site.clone(),
        cohort: cohort.cohort.clone(),
        study: study.study.clone(),
        plan: study.plan,
        stage: study.stage,
        promise: Promise {
            unit: Unit::Patient,
            relation: Relation::ZeroOut,
            patients: cohort.budgets.first().map(|budget| budget.opened.patients),
            delta,
            epsilon_planned,
            epsilon_spent: best(of_study(study, spent)),
            unbounded_since: cohort.unbounded_since,
            not_private_since: cohort.not_private_since,
        },
        mechanisms: study.claims.iter().map(|claim| mechanism(claim, clip)).collect(),
        trust: ObserverFacts {
            alone: best(whole.map(own_noise)),
            coordinator: epsilon_planned,
            model_users: plan.and_then(|plan| best(published(study, plan))),
        },
        curve: bounded.as_ref().map(|(events, delta)| curve(events, *delta)).unwrap_or_default(),
        trade_off: bounded.as_ref().and_then(|(events, delta)| trade_off(events, *delta)),
        total: Total::of(cohort),
        tuning: tuning.clone(),
        code: Code {
            report_by: concat!("fedtwin ", env!("CARGO_PKG_VERSION")).to_owned(),
            randomness: RANDOMNESS,
        },
        attacks: beside.attacks(study.plan).cloned(),
        publishable: beside
            .attacks(study.plan)
            .is_none_or(|attacks| attacks.records == RecordsUsed::Synthetic),
        ledger: source(ledger, heads),
    }
}

/// Returns what users of the models see: updates with the noise of every site that must be in a sum, and
/// all else as the coordinator does. Nothing where nothing bounds it.
fn published(study: &StudyReport, plan: &Plan) -> Option<Vec<GaussianEvent>> {
    let shares = NoiseShares::try_from(i64::from(published_noise(plan))).ok()?;
    let event = |claim: &ClaimReport| {
        let event = planned(claim)?;
        Some(match claim.purpose {
            Purpose::Training => GaussianEvent { noise_shares: shares, ..event },
            Purpose::Metrics => event,
        })
    };
    study.claims.iter().map(event).collect()
}

fn mechanism(report: &ClaimReport, clip: Option<f64>) -> PurposeFacts {
    PurposeFacts {
        purpose: report.purpose,
        what: match &report.claim.spend {
            // A plan's clip is that of its updates; other releases count patients.
            Spend::Priced { event, .. } => {
                What::Noised(NoisedFacts::of(event, clip.filter(|_| report.purpose == Purpose::Training)))
            }
            Spend::Unbounded { reason } => What::Unbounded(reason.clone()),
        },
        attempts_planned: report.claim.attempts_max,
        attempts_spent: report.blocks.iter().map(|block| block.attempts).sum(),
        attempts_failed: report.blocks.iter().map(|block| block.begun - block.releases).sum(),
        releases: report.blocks.iter().map(|block| block.releases).sum(),
    }
}

/// Returns the same events without the noise of other sites, who may know theirs.
fn own_noise(events: Vec<GaussianEvent>) -> Vec<GaussianEvent> {
    let one = NoiseShares::try_from(1).expect("1 is within range");
    events.into_iter().map(|event| GaussianEvent { noise_shares: one, ..event }).collect()
}

/// Returns what a test can do, from an exact mu or a Gaussian bound; nothing where nothing bounds the events.
fn trade_off(events: &[GaussianEvent], delta: Delta) -> Option<TradeOff> {
    let (mu, delta0) = mu_of(events, delta);
    let rates = |false_positives: f64| {
        // Under the worst mixture a test is certain with probability delta0, at no false alarm.
        let within = true_positive_rate_max(false_positives / (1.0 - delta0), mu);
        let true_positives_max = (delta0 + (1.0 - delta0) * within).next_up().min(1.0);
        Rates { false_positives, true_positives_max }
    };
    mu.is_finite().then(|| TradeOff { mu, delta0, true_positives: [0.001, 0.01].map(rates).to_vec() })
}

/// Returns mu and the probability with which it may fail.
fn mu_of(events: &[GaussianEvent], delta: Delta) -> (f64, f64) {
    let exact = events.iter().all(|event| gdp_cost(event).is_some());
    let delta0 = if exact { 0.0 } else { delta.value() * CERTIFICATE_SHARE };
    (gaussian_bound(events, delta0), delta0)
}

/// Returns the curve as far as it is of interest: to where delta is a ten-thousandth of the stated one.
fn curve(events: &[GaussianEvent], delta: Delta) -> Vec<CurvePoint> {
    let Some(end) = Accounts::of(events, delta.value() * CURVE_END).best() else { return Vec::new() };
    let events: Vec<_> = events.iter().map(Event::from).collect();
    let point = |i: u32| {
        let epsilon = end * f64::from(i) / f64::from(CURVE_POINTS);
        CurvePoint { epsilon, delta: best_delta(&events, epsilon, Adjacency::ZeroOut) }
    };
    (0..=CURVE_POINTS).map(point).collect()
}

fn source(ledger: &CheckedLedger, heads: &[Continued]) -> LedgerFacts {
    let witnessed = |head: &Continued| Witnessed {
        entries: head.entries,
        witnesses: head.cosigned.iter().map(|cosigner| cosigner.name.clone()).collect(),
    };
    LedgerFacts {
        verified: ledger.verified.is_some(),
        entries: ledger.leaves.len() as u64,
        head: ledger.leaves.last().map(ToString::to_string).unwrap_or_default(),
        root: Digest(ledger.root()).to_string(),
        unprotected: ledger.state.unprotected().iter().map(ToString::to_string).collect(),
        checkpoints: heads.iter().map(witnessed).collect(),
    }
}

/// The form of the JSON.
const VERSION: u32 = 1;

/// The part of delta that a Gaussian bound may fail with: it moves no digit that is shown.
const CERTIFICATE_SHARE: f64 = 1e-4;

/// Where the curve ends, as a share of the stated delta.
const CURVE_END: f64 = 1e-4;

/// Segments of the curve: a smooth line on half a page.
const CURVE_POINTS: u32 = 60;

/// What `privacy::random` and `privacy::noise` do.
const RANDOMNESS: &str = "samples and noise from ChaCha20 under a key that the operating system draws for each release, wiped after it; discrete Gaussian noise exactly, in integers";
