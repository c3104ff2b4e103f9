//! A budget that fits a simulation's plans, with a little left.

use fedtwin_plan::Plan;
use fedtwin_privacy::accountant::Order;
use fedtwin_privacy::histogram::release_event;
use fedtwin_privacy::ledger::{BudgetKind, Claim, Cost, Delta, Purpose};

use fedtwin_research::calibration;

/// A budget as a person states it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// What it is for.
    pub purpose: Purpose,
    /// What it adds up.
    pub kind: BudgetKind,
    /// The largest epsilon of all studies together.
    pub epsilon: f64,
    /// The delta at which it is stated.
    pub delta: Delta,
}

impl Budget {
    /// Returns the budget for training, and one for metrics where a plan has them: a cohort's budgets are
    /// all of one kind, at one delta, the smallest of the plans'.
    ///
    /// They add up mu squared, so that the spend of one study reads as its epsilon; the Renyi divergence only where
    /// plans sample in more blocks than a budget of that kind has certificates for. Plans without noise
    /// need no budget, but a cohort has one all the same.
    #[must_use]
    pub fn for_plans(plans: &[&Plan]) -> Vec<Self> {
        let deltas = plans.iter().filter_map(|plan| plan.privacy.delta());
        let delta =
            deltas.fold(None, |least: Option<f64>, delta| Some(least.map_or(delta, |d| d.min(delta))));
        let delta =
            Delta::try_from(delta.unwrap_or(DELTA_WITHOUT_NOISE)).expect("a plan's delta is in (0, 1)");
        let costs = Costs::of(plans, (BudgetKind::Gdp, delta));
        if costs.training.plus(costs.metrics).delta_ppm <= BudgetKind::Gdp.slack_ppm_max() {
            return costs.budgets((BudgetKind::Gdp, delta));
        }
        let kinds = Order::grid().map(|order_milli| BudgetKind::Rdp { order_milli });
        let kind = kinds
            .map(|kind| (kind, kind.epsilon(Costs::of(plans, (kind, delta)).training, delta)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(kind, _)| kind)
            .expect("the grid has orders");
        Costs::of(plans, (kind, delta)).budgets((kind, delta))
    }
}

/// What all plans together cost, by purpose.
struct Costs {
    training: Cost,
    metrics: Cost,
}

impl Costs {
    fn of(plans: &[&Plan], terms: (BudgetKind, Delta)) -> Self {
        let training = |plan: &&Plan| {
            plan.privacy.delta()?;
            let event = calibration::attempt(plan).ok()?;
            Some(
                Claim::priced(event, plan.rounds.attempts_max.get(), plan.rounds.blocks.get(), terms).total(),
            )
        };
        let metrics = |plan: &&Plan| {
            let noise = plan.calibrated.metrics.as_ref()?;
            Some(Claim::priced(release_event(noise), noise.releases, noise.releases, terms).total())
        };
        Self {
            training: plans.iter().filter_map(training).sum(),
            metrics: plans.iter().filter_map(metrics).sum(),
        }
    }

    fn budgets(self, terms: (BudgetKind, Delta)) -> Vec<Budget> {
        let Self { training, metrics } = self;
        let mut budgets = vec![budget(Purpose::Training, training, terms)];
        if metrics != Cost::NONE {
            budgets.push(budget(Purpose::Metrics, metrics, terms));
        }
        budgets
    }
}

/// Adds a tenth to what a cost implies.
fn budget(purpose: Purpose, cost: Cost, (kind, delta): (BudgetKind, Delta)) -> Budget {
    // A cap is computed for what certificates may leave of delta.
    let all = Cost { delta_ppm: kind.slack_ppm_max(), ..cost };
    let epsilon = if cost == Cost::NONE { EPSILON_WITHOUT_NOISE } else { kind.epsilon(all, delta) };
    Budget { purpose, kind, epsilon: (epsilon * 110.0).ceil() / 100.0, delta }
}

const DELTA_WITHOUT_NOISE: f64 = 1e-3;
const EPSILON_WITHOUT_NOISE: f64 = 0.9;

#[cfg(test)]
mod tests {
    use fedtwin_plan::text_file::parse;

    use super::*;

    fn plan(changes: &[(&str, &str)]) -> Plan {
        let draft = include_str!("../../examples/plans/heart.toml").to_owned();
        let text = changes.iter().fold(draft, |text, (from, to)| {
            assert!(text.contains(from), "the draft has {from:?}");
            text.replace(from, to)
        });
        let calibrated = calibration::calibrate(&parse("draft", &text).unwrap()).unwrap();
        parse("plan", &format!("{text}\n{}", calibration::section(&calibrated))).unwrap()
    }

    #[test]
    fn one_studys_spend_reads_as_its_epsilon() {
        // A certificate of few sampled steps is a Gaussian curve above one that is none.
        for (sampling, blocks, within) in [("1", 1, 0.01), ("1", 6, 0.01), ("1/2", 1, 0.08)] {
            let plan = plan(&[
                ("sampling = \"1\"", &format!("sampling = \"{sampling}\"")),
                ("blocks = 6", &format!("blocks = {blocks}")),
                ("slot_s = 0", "slot_s = 1"),
            ]);
            let [Budget { kind, epsilon, delta, .. }] = Budget::for_plans(&[&plan])[..] else {
                panic!("a plan without metrics has one budget");
            };
            let spent = Costs::of(&[&plan], (kind, delta)).training;
            let read = kind.epsilon(spent, delta);
            assert!((read - 1.0).abs() < within, "{sampling} in {blocks} blocks reads {read}");
            assert!(kind.amount(epsilon, delta) >= spent.nano, "the cap holds the study");
        }
    }

    #[test]
    fn many_sampled_blocks_fall_back_to_a_renyi_order() {
        let plan = plan(&[
            ("sampling = \"1\"", "sampling = \"1/2\""),
            ("count = 5", "count = 1001"),
            ("attempts_max = 6", "attempts_max = 1001"),
            ("blocks = 6", "blocks = 1000"),
            ("slot_s = 0", "slot_s = 1"),
        ]);
        let twice = Budget::for_plans(&[&plan, &plan]);
        assert!(matches!(twice[0].kind, BudgetKind::Rdp { .. }), "{twice:?}");
    }
}
