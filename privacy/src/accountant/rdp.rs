//! Renyi differential privacy of the Poisson-subsampled Gaussian mechanism, at any real order.
//!
//! With sensitivity 1, noise multiplier z and sampling rate q, one step is bounded by D_alpha(P || Q) for
//! Q = N(0, z^2) and P = (1-q) N(0, z^2) + q N(1, z^2): the patient zeroed out against the patient
//! present (Mironov, Talwar and Zhang, "Renyi Differential Privacy of the Sampled Gaussian Mechanism",
//! 2019, arXiv 1908.10530, theorem 4; their theorem 5 shows that for this pair the other direction,
//! D_alpha(Q || P), is never larger, so the one number covers both neighbours).

use crate::accountant::upward;

/// An order of Renyi divergence above 1, in thousandths, as the ledger keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(into = "u32", try_from = "u32")]
pub struct Order(u32);

/// A number that is no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("order {0}/1000, expected above 1 and at most {ORDER_MILLI_MAX}/1000")]
pub struct NotAnOrder(u32);

impl Order {
    /// Order 2.
    pub const TWO: Self = Self(2000);

    /// Returns the order times 1000.
    #[must_use]
    pub fn milli(self) -> u32 {
        self.0
    }

    /// Returns the order.
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from(self.0) / 1000.0
    }

    /// Returns a grid from 1.01 to 4096 whose neighbours differ by 6 % of order - 1.
    pub fn grid() -> impl Iterator<Item = Self> {
        let mut milli = 1010;
        std::iter::from_fn(move || {
            let order = (milli <= ORDER_MILLI_MAX).then_some(Self(milli))?;
            milli += ((milli - 1000) / 16).max(2);
            Some(order)
        })
    }
}

impl TryFrom<u32> for Order {
    type Error = NotAnOrder;

    fn try_from(milli: u32) -> Result<Self, NotAnOrder> {
        if (1001..=ORDER_MILLI_MAX).contains(&milli) { Ok(Self(milli)) } else { Err(NotAnOrder(milli)) }
    }
}

impl From<Order> for u32 {
    fn from(order: Order) -> Self {
        order.0
    }
}

impl std::fmt::Display for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.value())
    }
}

/// Returns D_alpha(P || Q) of one step, accurate to 1e-11 relative.
///
/// The moment A = `E_Q[(1 + u)^alpha]` with u = q (exp((2x - 1) / (2 z^2)) - 1) is integrated by the
/// trapezoid rule, which converges exponentially for analytic integrands: with the step below, the
/// nearest singularity (where 1 + u = 0, at a distance of pi z^2 from the real line) and the Gaussian's
/// growth off the line leave less than 1e-25 (Trefethen and Weideman, SIAM Review 56(3), 2014, theorem
/// 5.1). Since `E_Q[u]` = 0, small moments are integrated as A - 1 = `E_Q[(1 + u)^alpha - 1 - alpha u]`,
/// whose integrand is never negative: nothing cancels.
///
/// Below a multiplier of 0.1 the bound without subsampling, which is larger, is returned.
#[must_use]
pub fn one_step(rate: f64, multiplier: f64, order: f64) -> f64 {
    let unsampled = order / (2.0 * multiplier * multiplier);
    if rate >= 1.0 || multiplier < MULTIPLIER_MIN {
        return unsampled;
    }
    let step = Step { rate, order, variance: multiplier * multiplier };
    let log_moment = step.log_moment(&Trapezoid::new(multiplier, order));
    // The divergence is convex in P (data processing), hence at most the one without subsampling.
    (log_moment / (order - 1.0)).min(unsampled)
}

/// Returns the epsilon that `cost` at `order` implies at `delta`, rounded up (Canonne, Kamath and
/// Steinke, 2020, arXiv 2004.00010, proposition 12).
#[must_use]
pub fn to_epsilon(cost: f64, order: Order, delta: f64) -> f64 {
    upward(cost + conversion(order.value(), delta)).max(0.0)
}

/// Returns the largest cost at `order` that implies at most `epsilon` at `delta`, rounded down; zero
/// where there is none.
#[must_use]
pub fn from_epsilon(epsilon: f64, order: Order, delta: f64) -> f64 {
    let conversion = conversion(order.value(), delta);
    let slack = 1e-12 * (epsilon + conversion.abs());
    (epsilon - conversion - slack).max(0.0)
}

/// ln((alpha - 1) / alpha) - (ln delta + ln alpha) / (alpha - 1).
fn conversion(order: f64, delta: f64) -> f64 {
    (-1.0 / order).ln_1p() - (delta.ln() + order.ln()) / (order - 1.0)
}

/// The mechanism of one step, at one order.
struct Step {
    rate: f64,
    order: f64,
    variance: f64,
}

impl Step {
    /// Returns u(x), above -1.
    fn excess(&self, x: f64) -> f64 {
        self.rate * ((2.0 * x - 1.0) / (2.0 * self.variance)).exp_m1()
    }

    /// Returns ln(1 + u(x)); `excess` overflows where its logarithm does not.
    fn log_ratio(&self, x: f64) -> f64 {
        let exponent = (2.0 * x - 1.0) / (2.0 * self.variance);
        if exponent > 700.0 { self.rate.ln() + exponent } else { self.excess(x).ln_1p() }
    }

    fn log_density(&self, x: f64) -> f64 {
        -x * x / (2.0 * self.variance)
    }

    fn log_moment(&self, grid: &Trapezoid) -> f64 {
        let normaliser = (grid.step / (2.0 * std::f64::consts::PI * self.variance).sqrt()).ln();
        let log_integrand = |x| self.order * self.log_ratio(x) + self.log_density(x);
        let largest = grid.points().map(log_integrand).fold(f64::NEG_INFINITY, f64::max);
        let scaled: f64 = grid.points().map(|x| (log_integrand(x) - largest).exp()).sum();
        let direct = largest + scaled.ln() + normaliser;
        if direct > DIRECT_MIN {
            return direct;
        }
        let excess_moment: f64 =
            grid.points().map(|x| self.remainder(self.excess(x)) * self.log_density(x).exp()).sum();
        (excess_moment * normaliser.exp()).ln_1p()
    }

    /// Returns (1 + u)^alpha - 1 - alpha u, which is at least 0.
    fn remainder(&self, excess: f64) -> f64 {
        if (self.order * excess).abs() > SERIES_MAX {
            return (self.order * excess.ln_1p()).exp_m1() - self.order * excess;
        }
        // The binomial series from its second-order term on: each term is below SERIES_MAX of the one before.
        let (mut sum, mut term) = (0.0, self.order * excess);
        for k in 2..12 {
            let k = f64::from(k);
            term *= (self.order - (k - 1.0)) / k * excess;
            sum += term;
        }
        sum
    }
}

/// The points of a trapezoid rule over the real line, cut where 12 standard deviations leave nothing.
struct Trapezoid {
    start: f64,
    step: f64,
    points: u32,
}

impl Trapezoid {
    fn new(multiplier: f64, order: f64) -> Self {
        let step = (multiplier / 8.0).min(multiplier * multiplier / 4.0);
        // (1 + u)^alpha times the density is largest at most at alpha, and its quadratic part at 2.
        let (start, end) = (-TAIL * multiplier, order.max(2.0) + TAIL * multiplier);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "below 2^22 at every multiplier and order"
        )]
        let points = ((end - start) / step).ceil() as u32;
        Self { start, step, points }
    }

    fn points(&self) -> impl Iterator<Item = f64> {
        (0..=self.points).map(|i| self.start + f64::from(i) * self.step)
    }
}

/// The largest order times 1000.
const ORDER_MILLI_MAX: u32 = 4_096_000;

/// Keeps the number of points bounded; such noise hides nobody anyway.
const MULTIPLIER_MIN: f64 = 0.1;

/// Log moments above this lose no digits when they are computed directly.
const DIRECT_MIN: f64 = 0.1;

/// Where the closed form and the series are both accurate to 1e-13.
const SERIES_MAX: f64 = 1e-2;

/// exp(-12^2 / 2) = 5e-32.
const TAIL: f64 = 12.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of `rdp.csv`: exact sums at integer orders, 30-digit quadrature at others.
    const REFERENCE: [(f64, f64, f64, f64); 7] = [
        (1.0, 2.0, 1.1, 0.1375),
        (0.01, 1.0, 1.5, 0.000_127_253_743_327_45),
        (0.01, 1.0, 2.5, 0.000_217_575_332_281_88),
        (0.01, 1.0, 16.0, 3.087_850_783_696_24),
        (0.000_1, 0.8, 3.0, 5.660_912_911_851_79e-8),
        (0.000_1, 0.8, 8.0, 1.516_113_603_425_13e-7),
        (0.000_1, 0.8, 256.0, 190.753_540_646_173),
    ];

    fn check(rate: f64, multiplier: f64, order: f64, expected: f64) {
        let found = one_step(rate, multiplier, order);
        assert!((found / expected - 1.0).abs() < 1e-9, "{rate} {multiplier} {order}: {found} {expected}");
    }

    #[test]
    fn divergences_match_reference_rows() {
        for (rate, multiplier, order, expected) in REFERENCE {
            check(rate, multiplier, order, expected);
        }
    }

    #[test]
    fn divergences_match_the_reference_file() {
        let rows = crate::accountant::reference::rows("rdp.csv");
        for row in rows.into_iter().flatten() {
            let number = |i: usize| row[i].parse::<f64>().unwrap();
            check(number(0), number(1), number(2), number(3));
        }
    }

    /// Mironov, Talwar and Zhang, section 3.3: at integer orders the moment is a finite sum.
    #[test]
    fn divergences_match_the_binomial_sum_at_integer_orders() {
        for (rate, multiplier) in [(0.3_f64, 0.7), (0.02, 1.3), (0.9, 3.0), (0.5, 20.0), (0.003, 5.0)] {
            for order in [2_i32, 3, 7, 20, 60] {
                let mut binomial = 1.0_f64;
                let mut moment = 0.0_f64;
                for k in 0..=order {
                    let power = binomial * rate.powi(k) * (1.0 - rate).powi(order - k);
                    moment += power * (f64::from(k * (k - 1)) / (2.0 * multiplier * multiplier)).exp_m1();
                    binomial *= f64::from(order - k) / f64::from(k + 1);
                }
                if moment.is_finite() {
                    check(rate, multiplier, f64::from(order), moment.ln_1p() / f64::from(order - 1));
                }
            }
        }
    }

    #[test]
    fn the_other_direction_is_never_larger() {
        for (rate, multiplier) in [(0.3, 0.7), (0.02, 1.3), (0.9, 3.0), (0.5, 1.0)] {
            for order in [1.1, 2.0, 3.5, 12.0] {
                // D_alpha(Q || P) = ln E_Q[(1 + u)^(1 - alpha)] / (alpha - 1).
                let variance = multiplier * multiplier;
                let step = Step { rate, order: 1.0 - order, variance };
                let other = step.log_moment(&Trapezoid::new(multiplier, order)) / (order - 1.0);
                assert!(
                    other <= one_step(rate, multiplier, order) * (1.0 + 1e-9),
                    "{rate} {multiplier} {order}"
                );
            }
        }
    }

    #[test]
    fn divergences_grow_with_rate_and_order_and_shrink_with_noise() {
        let rates = [1e-4, 1e-3, 0.01, 0.1, 0.5, 0.999, 1.0];
        let multipliers = [1e-3, 0.09, 0.11, 0.3, 1.0, 4.0, 100.0];
        let orders = [1.001, 1.05, 1.5, 2.0, 2.5, 8.0, 64.0, 1024.0];
        let slack = 1.0 + 1e-9;
        for rates in rates.windows(2) {
            for multipliers in multipliers.windows(2) {
                for orders in orders.windows(2) {
                    let here = one_step(rates[0], multipliers[1], orders[0]);
                    assert!(here > 0.0 && here <= orders[0] / (2.0 * multipliers[1].powi(2)));
                    assert!(here <= one_step(rates[1], multipliers[1], orders[0]) * slack);
                    assert!(here <= one_step(rates[0], multipliers[0], orders[0]) * slack);
                    assert!(here <= one_step(rates[0], multipliers[1], orders[1]) * slack);
                }
            }
        }
    }

    #[test]
    fn conversions_are_inverse_and_directed() {
        for order in Order::grid().step_by(10) {
            for (epsilon, delta) in [(0.1, 1e-3), (1.0, 1e-5), (8.0, 1e-9)] {
                let cost = from_epsilon(epsilon, order, delta);
                assert!(
                    cost <= 0.0 || to_epsilon(cost, order, delta) <= epsilon,
                    "{order} {epsilon} {delta}"
                );
            }
        }
    }

    #[test]
    fn orders_are_dense_and_increasing() {
        let grid: Vec<_> = Order::grid().collect();
        assert!(grid.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(grid.len() < 250 && grid.first().unwrap().milli() == 1010);
        assert!(grid.last().unwrap().value() > 3800.0);
    }
}
