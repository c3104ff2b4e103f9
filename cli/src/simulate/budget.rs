//! A budget that fits a simulation's plans, with a little left.

use fedtwin_plan::Plan;
use fedtwin_privacy::accountant::rdp::to_epsilon;
use fedtwin_privacy::accountant::{Order, rdp_cost};
use fedtwin_privacy::histogram::release_event;
use fedtwin_privacy::ledger::Purpose;

use crate::calibration;

/// A budget as a person states it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// What it is for.
    pub purpose: Purpose,
    /// The largest epsilon of all studies together.
    pub epsilon: f64,
    /// The delta at which it is stated.
    pub delta: f64,
    /// The Rényi order at which costs add up.
    pub order: f64,
}

impl Budget {
    /// Returns the budget for training, and one for metrics where a plan has them: a cohort's budgets are
    /// all of one order, at one delta.
    #[must_use]
    pub fn for_plans(plans: &[&Plan]) -> Vec<Self> {
        let (training, order) = Self::for_training(plans);
        let releases = plans.iter().filter_map(|plan| plan.calibrated.metrics.as_ref());
        let cost: f64 =
            releases.map(|noise| f64::from(noise.releases) * rdp_cost(&release_event(noise), order)).sum();
        let metrics = (cost > 0.0).then(|| {
            let epsilon = to_epsilon(cost, order, training.delta);
            Self::for_purpose(Purpose::Metrics, epsilon, training.delta, order)
        });
        std::iter::once(training).chain(metrics).collect()
    }

    /// Finds the order at which the plans together cost the least, and adds a tenth.
    ///
    /// Plans without noise need no budget, but a cohort has one all the same.
    fn for_training(plans: &[&Plan]) -> (Self, Order) {
        let deltas = plans.iter().filter_map(|plan| plan.privacy.delta());
        let delta = deltas.fold(f64::INFINITY, f64::min);
        if delta.is_infinite() {
            let order = Order::try_from(16_000).expect("16 is an order");
            return (Self::for_purpose(Purpose::Training, 0.9, 1e-3, order), order);
        }
        let events: Vec<_> = plans
            .iter()
            .filter(|plan| plan.privacy.delta().is_some())
            .filter_map(|plan| calibration::event(plan, plan.noise_shares()).ok())
            .collect();
        let cost = |order: Order| events.iter().map(|event| rdp_cost(event, order)).sum::<f64>();
        let best = Order::grid()
            .map(|order| (to_epsilon(cost(order), order, delta), order))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .expect("the grid has orders");
        (Self::for_purpose(Purpose::Training, best.0, delta, best.1), best.1)
    }

    /// Adds a tenth.
    fn for_purpose(purpose: Purpose, epsilon: f64, delta: f64, order: Order) -> Self {
        Self { purpose, epsilon: (epsilon * 110.0).ceil() / 100.0, delta, order: order.value() }
    }
}
