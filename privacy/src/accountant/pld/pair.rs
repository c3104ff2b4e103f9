//! Pairs of distributions on the line, P against Q, whose privacy loss ln(P/Q) grows with x.
//!
//! A mechanism is priced by a pair that dominates it: no two neighbouring cohorts are further apart than P
//! and Q in any hockey-stick divergence (Zhu, Dong and Wang, 2022, arXiv 2106.08567, definition 7). Numbers
//! are in units of the sensitivity to zeroing out one patient.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use libm::{asinh, erfc, exp, expm1, log, log1p, sinh, sqrt};

/// P against Q.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pair {
    /// N(1, z^2) against N(0, z^2): all patients in a step; `multiplier` is z. Balle and Wang, 2018,
    /// arXiv 1805.06530, theorem 8.
    Gaussian { multiplier: f64 },
    /// (1 - q) N(0, z^2) + q N(1, z^2) against N(0, z^2): a Poisson sample at rate q, with one patient's
    /// contribution and without. Zhu, Dong and Wang, 2022, arXiv 2106.08567, theorem 11; for both directions.
    Sampled { rate: f64, multiplier: f64 },
    /// (1 - q) N(0, z^2) + q N(1, z^2) against (1 - q) N(0, z^2) + q N(-1, z^2): a Poisson sample at rate q,
    /// with one patient's contribution replaced by an opposite one.
    Replaced { rate: f64, multiplier: f64 },
    /// The part of the Laplace mechanism at which the loss is within its bounds, -r and r: x is the loss
    /// itself and has the density exp((x - r) / 2) / 4.
    Laplace { ratio: f64 },
}

/// Probabilities outside of a span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tails {
    /// That of P below the span.
    pub(crate) p_below: f64,
    /// That of Q below the span.
    pub(crate) q_below: f64,
    /// That of P above the span.
    pub(crate) p_above: f64,
}

impl Pair {
    /// Returns the density of P at `x`.
    pub(crate) fn density(self, x: f64) -> f64 {
        match self {
            Self::Gaussian { multiplier } => normal_density(x - 1.0, multiplier),
            Self::Sampled { rate, multiplier } | Self::Replaced { rate, multiplier } => {
                (1.0 - rate) * normal_density(x, multiplier) + rate * normal_density(x - 1.0, multiplier)
            }
            Self::Laplace { ratio } => exp((x - ratio) / 2.0) / 4.0,
        }
    }

    /// Returns the privacy loss at `x`, ln of the density of P over that of Q.
    pub(crate) fn loss(self, x: f64) -> f64 {
        match self {
            Self::Gaussian { multiplier } => (x - 0.5) / (multiplier * multiplier),
            Self::Sampled { rate, multiplier } => log_mixture(rate, (x - 0.5) / (multiplier * multiplier)),
            Self::Replaced { rate, multiplier } => {
                let variance = multiplier * multiplier;
                log_mixture(rate, (x - 0.5) / variance) - log_mixture(rate, (-x - 0.5) / variance)
            }
            Self::Laplace { .. } => x,
        }
    }

    /// Returns where the loss is `loss`; minus infinity where it is larger everywhere.
    pub(crate) fn place(self, loss: f64) -> f64 {
        match self {
            Self::Gaussian { multiplier } => 0.5 + multiplier * multiplier * loss,
            Self::Sampled { rate, multiplier } => {
                let excess = expm1(loss) / rate;
                if excess > -1.0 { 0.5 + multiplier * multiplier * log1p(excess) } else { f64::NEG_INFINITY }
            }
            // With y = exp(x / z^2) and c = exp(-1 / 2 z^2), P = e^loss Q is q c y^2 + (1 - q)(1 - e^loss) y
            // = e^loss q c; for w = y exp(-loss / 2) that is w - 1/w = 2 (1 - q) sinh(loss / 2) / (q c).
            Self::Replaced { rate, multiplier } => {
                let variance = multiplier * multiplier;
                let sine = (1.0 - rate) / rate * exp(0.5 / variance) * sinh(loss / 2.0);
                variance * (loss / 2.0 + asinh(sine))
            }
            Self::Laplace { .. } => loss,
        }
    }

    /// Returns the places between which all but `deviations` standard deviations of each component are.
    pub(crate) fn span(self, deviations: f64) -> (f64, f64) {
        match self {
            Self::Gaussian { multiplier } | Self::Sampled { multiplier, .. } => {
                (-deviations * multiplier, 1.0 + deviations * multiplier)
            }
            Self::Replaced { multiplier, .. } => {
                (-1.0 - deviations * multiplier, 1.0 + deviations * multiplier)
            }
            Self::Laplace { ratio } => (-ratio, ratio),
        }
    }

    /// Returns what is outside of the span, rounded up.
    pub(crate) fn tails(self, deviations: f64) -> Tails {
        let tail =
            |deviations: f64| erfc(deviations * FRAC_1_SQRT_2) / 2.0 * (1.0 + 1e-12) + f64::MIN_POSITIVE;
        match self {
            Self::Gaussian { multiplier } => Tails {
                p_below: tail(deviations + 1.0 / multiplier),
                q_below: tail(deviations),
                p_above: tail(deviations),
            },
            Self::Sampled { rate, multiplier } => {
                let (near, far) = (tail(deviations), tail(deviations + 1.0 / multiplier));
                Tails { p_below: near, q_below: near, p_above: rate * near + (1.0 - rate) * far }
            }
            Self::Replaced { rate, multiplier } => {
                let far = tail(deviations + 1.0 / multiplier);
                let near = rate * tail(deviations) + (1.0 - rate) * far;
                Tails { p_below: far, q_below: near, p_above: near }
            }
            Self::Laplace { .. } => Tails { p_below: 0.0, q_below: 0.0, p_above: 0.0 },
        }
    }

    /// Bounds the change of the logarithm of each function of x that is integrated, over a step of 1 in x,
    /// `reach` away from the middle of the nearest component: the densities' own and that of the loss.
    pub(crate) fn variation(self, reach: f64) -> f64 {
        match self {
            Self::Gaussian { multiplier }
            | Self::Sampled { multiplier, .. }
            | Self::Replaced { multiplier, .. } => (reach / multiplier + 1.0 + 1.0 / multiplier) / multiplier,
            Self::Laplace { .. } => 1.0,
        }
    }

    /// Returns a distance of points at which sums over them are integrals to many digits: these are
    /// analytic functions (Trefethen and Weideman, SIAM Review 56(3), 2014, theorem 5.1).
    pub(crate) fn resolution(self) -> f64 {
        match self {
            Self::Gaussian { multiplier } => multiplier / 8.0,
            Self::Sampled { multiplier, .. } | Self::Replaced { multiplier, .. } => {
                (multiplier / 8.0).min(multiplier * multiplier / 4.0)
            }
            Self::Laplace { ratio } => ratio / 128.0,
        }
    }

    /// Says whether the loss from Q to P is distributed as that from P to Q.
    pub(crate) fn is_symmetric(self) -> bool {
        match self {
            Self::Gaussian { .. } | Self::Replaced { .. } | Self::Laplace { .. } => true,
            Self::Sampled { .. } => false,
        }
    }
}

/// Returns ln(1 - q + q e^t).
fn log_mixture(rate: f64, t: f64) -> f64 {
    if t > EXPONENT_MAX {
        log(rate) + t + log1p((1.0 - rate) / rate * exp(-t))
    } else {
        log1p(rate * expm1(t))
    }
}

fn normal_density(x: f64, deviation: f64) -> f64 {
    let u = x / deviation;
    exp(-u * u / 2.0) / (deviation * sqrt(2.0 * PI))
}

/// Far below the 709 at which exp overflows, and far above where 1 - q matters.
const EXPONENT_MAX: f64 = 300.0;

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: [Pair; 8] = [
        Pair::Gaussian { multiplier: 0.05 },
        Pair::Gaussian { multiplier: 30.0 },
        Pair::Sampled { rate: 1e-4, multiplier: 0.5 },
        Pair::Sampled { rate: 0.3, multiplier: 4.0 },
        Pair::Sampled { rate: 0.999, multiplier: 0.2 },
        Pair::Replaced { rate: 0.01, multiplier: 1.0 },
        Pair::Replaced { rate: 0.7, multiplier: 0.2 },
        Pair::Laplace { ratio: 2.5 },
    ];

    #[test]
    fn places_are_the_inverse_of_losses() {
        for pair in PAIRS {
            let (low, high) = pair.span(7.0);
            for i in 0..=100 {
                let loss = pair.loss(low + (high - low) * f64::from(i) / 100.0);
                let place = pair.place(loss);
                if place.is_finite() {
                    let back = pair.loss(place);
                    assert!((back - loss).abs() <= 1e-15 * (1.0 + loss.abs()), "{pair:?} {loss} {back}");
                }
            }
        }
    }

    #[test]
    fn losses_grow_and_are_logarithms_of_density_ratios() {
        for pair in PAIRS {
            let (low, high) = pair.span(7.0);
            let step = (high - low) / 4000.0;
            let (mut p, mut q, mut before) = (0.0, 0.0, f64::NEG_INFINITY);
            for i in 0..4000 {
                let x = low + (f64::from(i) + 0.5) * step;
                let loss = pair.loss(x);
                assert!(loss >= before, "{pair:?} {x}");
                before = loss;
                p += pair.density(x) * step;
                q += pair.density(x) * exp(-loss) * step;
            }
            // Half of what the Laplace mechanism gives has the extreme losses.
            let expected = if let Pair::Laplace { ratio } = pair { 0.5 - exp(-ratio) / 2.0 } else { 1.0 };
            let expected =
                if matches!(pair, Pair::Laplace { .. }) { (expected, expected) } else { (1.0, 1.0) };
            assert!((p - expected.0).abs() < 1e-6 && (q - expected.1).abs() < 1e-6, "{pair:?} {p} {q}");
        }
    }
}
