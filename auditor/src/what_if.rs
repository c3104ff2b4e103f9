//! Whether more rounds fit into what is left, and how many do.

use fedtwin_plan::numbers::Positive;
use fedtwin_plan::{CohortName, Ratio, SiteName, StudyId};
use fedtwin_privacy::accountant::calibrate::c_int_for;
use fedtwin_privacy::accountant::{GaussianEvent, IntegerClip, NoiseBits, NoiseShares};
use fedtwin_privacy::ledger::{Amount, BudgetKind, Claim, CohortReport, Cost, Delta, Purpose, Spend};
use serde::Serialize;

use crate::accounts::Accounts;
use crate::ledger::CheckedLedger;

/// What might be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The rounds, repeated ones included.
    pub rounds: u32,
    /// What one round does.
    pub mechanism: RoundMechanism,
    /// The parts in which a budget is charged; parts that never start are given back.
    pub blocks: u32,
    /// Only budgets of this cohort.
    pub cohort: Option<CohortName>,
    /// The purpose whose budget pays.
    pub purpose: Purpose,
    /// Without a ledger: the delta at which epsilon is stated, and the epsilon that may be spent.
    pub alone: Option<(Delta, Option<Positive>)>,
}

/// What one round does.
#[derive(Debug, Clone, PartialEq)]
pub enum RoundMechanism {
    /// What this study in the ledgers does.
    Like(StudyId),
    /// Sums of samples with a site's own noise.
    Own {
        /// The noise's standard deviation over the clip.
        noise_multiplier: Positive,
        /// The probability with which each patient is in a step.
        sampling: Ratio,
        /// Noisy sums in each round.
        local_steps: u32,
    },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// No ledger has the study.
    #[error("no ledger has a study {0} whose cost is bounded")]
    NoSuchStudy(StudyId),
    /// No ledger has such a budget.
    #[error("no ledger has a {0} budget{of}", of = .1.as_ref().map(|cohort| format!(" of a cohort {cohort}")).unwrap_or_default())]
    NoBudget(Purpose, Option<CohortName>),
    /// Integers cannot express the noise.
    #[error("a noise multiplier of {0} is out of range")]
    Multiplier(f64),
}

/// What would be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outlook {
    /// How many rounds more are asked about.
    pub rounds: u32,
    /// One round.
    pub event: GaussianEvent,
    /// Without a ledger: the rounds alone.
    pub alone: Option<Alone>,
    /// The budgets that would pay.
    pub budgets: Vec<BudgetOutlook>,
}

/// Rounds that no budget pays for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Alone {
    /// The delta at which epsilons are stated.
    pub delta: Delta,
    /// By each accountant.
    pub epsilons: Accounts,
    /// The most rounds within the epsilon that was asked for; absent where none was.
    pub rounds_max: Option<u32>,
}

/// A budget that would pay.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetOutlook {
    /// The site, by the name in its certificates.
    pub site: SiteName,
    /// Whether the signatures of the ledger's entries were verified.
    pub verified: bool,
    /// The cohort, by the name that plans and the site's configuration give it.
    pub cohort: CohortName,
    /// Which budget pays: training's or the metrics'.
    pub purpose: Purpose,
    /// What the budget adds up.
    pub kind: BudgetKind,
    /// The delta at which epsilons are stated.
    pub delta: Delta,
    /// Whether the rounds fit.
    pub fits: bool,
    /// What they cost, and the epsilon of that alone.
    pub cost: Amount,
    /// The rounds alone, by each accountant.
    pub epsilons: Accounts,
    /// What is left now.
    pub left: Amount,
    /// What would be left; absent where they do not fit.
    pub left_after: Option<Amount>,
    /// The epsilon of everything spent and reserved for all purposes with them; absent where they do not fit.
    pub cohort_after: Option<f64>,
    /// The most rounds that fit.
    pub rounds_max: u32,
    /// Why the numbers say less than they seem to: the cohort is unbounded, or not private.
    pub caution: Option<String>,
}

/// Answers for all ledgers, or for none.
///
/// # Errors
/// Refuses a study or a budget that no ledger has.
pub fn outlook(ledgers: &[CheckedLedger], asked: &Question) -> Result<Outlook, NoAnswer> {
    let event = asked.event(ledgers)?;
    let alone = asked.alone.map(|(delta, epsilon)| asked.alone(&event, delta, epsilon));
    let mut budgets = Vec::new();
    for ledger in ledgers {
        let reports = ledger.state.report();
        let wanted = |report: &&CohortReport| asked.cohort.as_ref().is_none_or(|name| *name == report.cohort);
        budgets
            .extend(reports.iter().filter(wanted).filter_map(|report| asked.budget(ledger, report, &event)));
    }
    if budgets.is_empty() && !ledgers.is_empty() {
        return Err(NoAnswer::NoBudget(asked.purpose, asked.cohort.clone()));
    }
    Ok(Outlook { rounds: asked.rounds, event, alone, budgets })
}

impl Question {
    /// Returns what one round does.
    fn event(&self, ledgers: &[CheckedLedger]) -> Result<GaussianEvent, NoAnswer> {
        let study = match &self.mechanism {
            RoundMechanism::Like(study) => study,
            &RoundMechanism::Own { noise_multiplier, sampling, local_steps } => {
                let multiplier = noise_multiplier.get();
                let event = integers(sampling, multiplier, local_steps.into());
                return event.ok_or(NoAnswer::Multiplier(multiplier));
            }
        };
        let reports: Vec<_> = ledgers.iter().flat_map(|ledger| ledger.state.report()).collect();
        let studies = reports.iter().flat_map(|cohort| &cohort.studies);
        let mut claims = studies.filter(|report| report.study == *study).flat_map(|report| &report.claims);
        let claim = claims.find(|claim| claim.purpose == self.purpose).map(|claim| &claim.claim.spend);
        match claim {
            Some(Spend::Priced { event, .. }) => Ok(*event),
            Some(Spend::Unbounded { .. }) | None => Err(NoAnswer::NoSuchStudy(study.clone())),
        }
    }

    fn alone(&self, event: &GaussianEvent, delta: Delta, epsilon: Option<Positive>) -> Alone {
        let epsilons = |rounds: u32| Accounts::of(&[repeated(event, rounds)], delta.value());
        let fits =
            |rounds, epsilon: Positive| epsilons(rounds).best().is_some_and(|found| found <= epsilon.get());
        let rounds_max = epsilon.map(|epsilon| largest(|rounds| fits(rounds, epsilon)));
        Alone { delta, epsilons: epsilons(self.rounds), rounds_max }
    }

    fn budget(
        &self,
        ledger: &CheckedLedger,
        report: &CohortReport,
        event: &GaussianEvent,
    ) -> Option<BudgetOutlook> {
        let budget = report.budgets.iter().find(|budget| budget.purpose == self.purpose)?;
        let (kind, delta) = (budget.opened.kind, budget.opened.delta);
        let cost =
            |rounds: u32| Claim::priced(*event, rounds, self.blocks.min(rounds), (kind, delta)).total();
        let left = Cost { nano: budget.left.nano, delta_ppm: budget.left.delta_ppm };
        let fits = |cost: Cost| cost.nano <= left.nano && cost.delta_ppm <= left.delta_ppm;
        let amount = |cost: Cost| Amount {
            nano: cost.nano,
            delta_ppm: cost.delta_ppm,
            epsilon: kind.epsilon(cost, delta),
        };
        let asked = cost(self.rounds);
        let after = fits(asked)
            .then(|| Cost { nano: left.nano - asked.nano, delta_ppm: left.delta_ppm - asked.delta_ppm });
        let used =
            [report.spent, report.reserved].map(|part| Cost { nano: part.nano, delta_ppm: part.delta_ppm });
        let with_all = used.into_iter().sum::<Cost>().plus(asked);
        Some(BudgetOutlook {
            site: ledger.owner.site.clone(),
            verified: ledger.verified.is_some(),
            cohort: report.cohort.clone(),
            purpose: self.purpose,
            kind,
            delta,
            fits: after.is_some(),
            cost: amount(asked),
            epsilons: Accounts::of(&[repeated(event, self.rounds)], delta.value()),
            left: budget.left,
            left_after: after.map(amount),
            cohort_after: after.map(|_| kind.epsilon(with_all, delta)),
            rounds_max: largest(|rounds| fits(cost(rounds))),
            caution: match (report.not_private_since, report.unbounded_since) {
                (None, None) => None,
                (Some(_), _) | (None, Some(_)) => Some(report.headline()),
            },
        })
    }
}

/// Returns the integers of a site's own noise with this multiplier, on a grid as fine as plans have.
fn integers(sampling: Ratio, multiplier: f64, steps: u64) -> Option<GaussianEvent> {
    let [m, one_site] = [GRID_BITS, 1];
    let (m, noise_shares) = (NoiseBits::try_from(m).ok()?, NoiseShares::try_from(one_site).ok()?);
    let c_int = IntegerClip::try_from(c_int_for(m, noise_shares, multiplier)).ok()?;
    Some(GaussianEvent { sampling, m, c_int, noise_shares, steps })
}

fn repeated(event: &GaussianEvent, rounds: u32) -> GaussianEvent {
    GaussianEvent { steps: event.steps.saturating_mul(rounds.into()), ..*event }
}

/// Returns the largest number of rounds up to [`ROUNDS_MAX`] that fits; 0 where not even one does.
///
/// A cost grows with the rounds, so halving finds it; a last block that is smaller than the others may
/// make it one or two too small, never too large.
fn largest(fits: impl Fn(u32) -> bool) -> u32 {
    let mut beyond = 1;
    while beyond <= ROUNDS_MAX && fits(beyond) {
        beyond *= 2;
    }
    let (mut most, mut beyond) = (beyond / 2, beyond.min(ROUNDS_MAX + 1));
    while most + 1 < beyond {
        let middle = most.midpoint(beyond);
        if fits(middle) {
            most = middle;
        } else {
            beyond = middle;
        }
    }
    most
}

/// As fine as the largest plans: the noise multiplier is expressed to a millionth.
const GRID_BITS: i64 = 24;

/// More than any plan has.
pub const ROUNDS_MAX: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_number_is_found_between_its_neighbours() {
        for limit in [0, 1, 2, 3, 7, 8, 9, 1000, ROUNDS_MAX - 1, ROUNDS_MAX] {
            assert_eq!(largest(|rounds| rounds <= limit), limit);
        }
        assert_eq!(largest(|_| true), ROUNDS_MAX);
    }
}
