//! A budget that fits a simulation's plans, with a little left.

use fedtwin_plan::Plan;
use fedtwin_privacy::accountant::rdp::to_epsilon;
use fedtwin_privacy::accountant::{Order, rdp_cost};

use crate::calibration;

/// A budget as a person states it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// The largest epsilon of all studies together.
    pub epsilon: f64,
    /// The delta at which it is stated.
    pub delta: f64,
    /// The Rényi order at which costs add up.
    pub order: f64,
}

impl Budget {
    /// Finds the order at which the plans together cost the least, and adds a tenth.
    ///
    /// Plans without noise need no budget, but a cohort has one all the same.
    #[must_use]
    pub fn for_plans(plans: &[&Plan]) -> Self {
        let deltas = plans.iter().filter_map(|plan| plan.privacy.delta());
        let delta = deltas.fold(f64::INFINITY, f64::min);
        if delta.is_infinite() {
            return Self { epsilon: 1.0, delta: 1e-3, order: 16.0 };
        }
        let events: Vec<_> = plans
            .iter()
            .filter(|plan| plan.privacy.delta().is_some())
            .filter_map(|plan| calibration::event(plan, 1).ok())
            .collect();
        let cost = |order: Order| events.iter().map(|event| rdp_cost(event, order)).sum::<f64>();
        let best = Order::grid()
            .map(|order| (to_epsilon(cost(order), order, delta), order))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .expect("the grid has orders");
        let epsilon = (best.0 * 110.0).ceil() / 100.0;
        Self { epsilon, delta, order: best.1.value() }
    }
}
