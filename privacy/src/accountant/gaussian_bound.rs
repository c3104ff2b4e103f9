//! Gaussian bounds: the mu of a Gaussian mechanism that costs at least as much as a whole job.
//!
//! Privacy-loss distributions of jobs that were chosen after seeing earlier results do not add up; Gaussian
//! mechanisms do, by the squares of their mu (Smith and Thakurta, 2022, arXiv 2210.17520). A Gaussian bound
//! (mu, delta0) states delta(epsilon) <= delta0 + (1 - delta0) delta of mu-GDP at every epsilon >= 0, for zeroing
//! out one patient and for the way back: the job is then nowhere less private than a mechanism that with probability
//! delta0 tells everything and else is mu-GDP. Deltas of several Gaussian bounds add up, mu as said.

use std::collections::VecDeque;
use std::f64::consts::{FRAC_1_SQRT_2, PI};
use std::sync::{Mutex, PoisonError};

use libm::{erfc, exp, expm1, sqrt};

use crate::accountant::gdp::{bisect, delta_below};
use crate::accountant::pld::curve::Curve;
use crate::accountant::pld::job::Job;
use crate::accountant::{Adjacency, Event, GaussianEvent, NUMERICAL_ERROR, Segment, mu, segments_of};

/// Returns a mu for which all events together, with one fixed order and plan, have the Gaussian bound
/// (mu, `delta0`); rounded up.
///
/// `delta0` is in [0, 1); a larger one allows a smaller mu: at rates from 0.05 and multipliers from 2, epsilon at delta is
/// within 0.2 % of what the losses themselves bound for `delta0` = delta / 100, within 1.6 % for delta / 100 000. The result is sqrt(T) / z exactly, but for rounding, for
/// steps with all patients, and never more than that for others. It is the same bits on each machine: functions of
/// `libm`, one thread, no operation whose order depends on the processor.
#[must_use]
pub fn gaussian_bound(events: &[GaussianEvent], delta0: f64) -> f64 {
    // A ledger prices the blocks of a study one after the other, and again at each replay.
    static RECENT: Mutex<VecDeque<Certified>> = Mutex::new(VecDeque::new());
    let recent = || RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    let known = |certified: &Certified| certified.events == events && certified.delta0 == delta0.to_bits();
    if let Some(certified) = recent().iter().find(|certified| known(certified)) {
        return certified.mu;
    }
    let all: Vec<_> = events.iter().map(Event::from).collect();
    let mu = gaussian_bound_of(&all, delta0);
    let mut recent = recent();
    recent.truncate(RECENT_MAX - 1);
    recent.push_front(Certified { events: events.to_vec(), delta0: delta0.to_bits(), mu });
    mu
}

/// A Gaussian bound that was computed lately.
struct Certified {
    events: Vec<GaussianEvent>,
    delta0: u64,
    mu: f64,
}

/// Does what [`gaussian_bound`] does for any mechanisms; infinite where nothing bounds them.
#[must_use]
pub fn gaussian_bound_of(events: &[Event], delta0: f64) -> f64 {
    assert!((0.0..1.0).contains(&delta0), "delta0 is a probability below 1");
    // Steps on a sample are mixtures of steps that tell nothing and of steps with the patient: the price without
    // sampling holds. (Dong, Roth and Su, 2019, arXiv 1905.02383, joint convexity of trade-off functions.)
    let unsampled = segments_of(events, Adjacency::ZeroOut).map_or(f64::INFINITY, |segments| mu(&segments));
    let sampled = events.iter().filter_map(Event::segment).any(|segment| !Segment::is_unsampled(&segment));
    if unsampled.is_finite() && !sampled {
        return unsampled;
    }
    let Some(job) = Job::new(events, Adjacency::ZeroOut) else { return unsampled };
    if job.is_free() || delta0 < DELTA0_MIN {
        return if job.is_free() { 0.0 } else { unsampled };
    }
    let mus = job.profiles(delta0).iter().map(|curve| least_mu(curve, delta0)).fold(0.0, f64::max);
    (mus * (1.0 + NUMERICAL_ERROR)).min(unsampled)
}

/// Returns the mu of anything that is private with `epsilon` and a delta of zero: 2 `Phi^-1(e^epsilon / (1 + e^epsilon))`,
/// rounded up.
///
/// Randomised response dominates it, whose trade-off function lies above that of mu-GDP as soon as it does at its one
/// corner (Dong, Roth and Su, 2019, arXiv 1905.02383, section 2.1: trade-off functions are convex).
#[must_use]
pub fn pure_mu(epsilon: f64) -> f64 {
    // Phi(-mu / 2) = 1 / (1 + e^epsilon), whose right side keeps its digits.
    let wanted = exp(-epsilon) / (1.0 + exp(-epsilon));
    let holds = |half: f64| erfc(half * FRAC_1_SQRT_2) / 2.0 <= wanted * (1.0 - 8.0 * f64::EPSILON);
    if epsilon <= 0.0 { 0.0 } else { 2.0 * bisect(0.0, HALF_MU_MAX, holds) }
}

/// Returns the least mu for which a curve of upper bounds is below delta0 + (1 - delta0) delta of mu-GDP from epsilon = 0
/// on, rounded up.
///
/// Let x = e^epsilon. Between two epsilons of the curve, h apart, the truth is below the chord of its bounds. The
/// curve of mu-GDP is convex in x with slope -Phi(-epsilon/mu - mu/2), so that it is above its own chord less a quarter
/// of what the slope changes times the width: both curves' tangents at the ends meet no further below. The slope
/// changes by at most h phi(epsilon/mu + mu/2) / mu, phi falling from epsilon = 0 on. Hence it is enough that
/// at each epsilon of the curve the bound is at most delta0 + (1 - delta0) (delta of mu-GDP - that gap). From the first
/// epsilon on whose bound is below delta0, the bounds of all larger ones are; this one is the end of the last interval
/// with a chord above delta0, and is asked like the others: at its other end alone the argument holds for nothing between.
fn least_mu(curve: &Curve, delta0: f64) -> f64 {
    let holds = |mu: f64, (epsilon, delta): (f64, f64)| {
        let density = |z: f64| exp(-z * z / 2.0) / sqrt(2.0 * PI);
        // Of both intervals the density is largest at the lower end of the one before; e^l phi(l/mu + mu/2) =
        // phi(l/mu - mu/2).
        let lower = epsilon - curve.spacing;
        let steepest = if lower > 0.0 {
            exp(epsilon - lower) * density(lower / mu - mu / 2.0)
        } else {
            exp(epsilon) * density((lower / mu + mu / 2.0).max(0.0))
        };
        let gap = expm1(curve.spacing) * curve.spacing / (4.0 * mu) * steepest;
        delta * (1.0 + NUMERICAL_ERROR) <= delta0 + (1.0 - delta0) * (delta_below(epsilon, mu) - gap)
    };
    let start = curve.start();
    let points = || (start..curve.deltas.len()).map(|place| (curve.place(place), curve.deltas[place]));
    let Some(below) = points().position(|(_, delta)| delta <= delta0) else { return f64::INFINITY };
    // Before its first epsilon a curve bounds nothing; beyond the first below delta0 there is nothing to hold.
    if curve.place(start) > 0.0 {
        return f64::INFINITY;
    }
    let asked = if below == 0 { 0 } else { below + 1 };
    let raise = |mu: f64, point: (f64, f64)| {
        let mut high = mu;
        while !holds(high, point) {
            high *= 2.0;
            if high > MU_MAX {
                return f64::INFINITY;
            }
        }
        // A little more than needed, so that neighbours do not ask again.
        if high > mu { bisect(mu, high, |mu| holds(mu, point)) * MARGIN } else { mu }
    };
    // From few epsilons to all: then nearly all are asked once. A mu that was raised for one of them has to hold
    // at those before too.
    let mut mu = MU_MIN;
    let mut stride = asked.next_power_of_two();
    loop {
        let raised = points().take(asked).step_by(stride).fold(mu, raise);
        if stride == 1 && raised <= mu || raised.is_infinite() {
            return raised;
        }
        mu = raised;
        stride = (stride / 4).max(1);
    }
}

/// Different blocks of the studies that run at one time.
const RECENT_MAX: usize = 64;

const MU_MIN: f64 = 1e-9;
const MU_MAX: f64 = 1e4;
const HALF_MU_MAX: f64 = 40.0;
const MARGIN: f64 = 1.0 + 1e-7;

/// Below, curves are no longer sharp down to it.
const DELTA0_MIN: f64 = 1e-100;

#[cfg(test)]
mod tests {
    use fedtwin_plan::Ratio;
    use proptest::prelude::*;

    use super::*;
    use crate::accountant::{Mechanism, best_epsilon, gdp, pld};

    fn sampled(rate: f64, multiplier: f64, count: u64) -> Event {
        Event { mechanism: Mechanism::PoissonGaussian { rate, multiplier }, count }
    }

    #[test]
    fn all_patients_in_every_step_have_the_exact_mu() {
        let event = GaussianEvent::local(Ratio::ONE, 20, 1 << 20, 100).unwrap();
        let found = gaussian_bound(&[event], 1e-9);
        let exact = 10.0 / event.noise_multiplier();
        assert!(found >= exact && found < exact * (1.0 + 1e-11), "{found} {exact}");
    }

    #[test]
    fn gaussian_bounds_cost_little_where_losses_are_nearly_gaussian() {
        // Epsilon at delta of the Gaussian bound against that of the losses themselves.
        for (rate, multiplier, steps, delta) in
            [(0.05, 2.0, 1000, 1e-5), (0.2, 4.0, 500, 1e-5), (0.5, 3.0, 200, 1e-3), (0.1, 5.0, 2000, 1e-6)]
        {
            let event = [sampled(rate, multiplier, steps)];
            let delta0 = delta / 100.0;
            let mu = gaussian_bound_of(&event, delta0);
            let certified = gdp::epsilon(mu, (delta - delta0) / (1.0 - delta0));
            let sharp = best_epsilon(&event, delta, Adjacency::ZeroOut).value;
            let price = certified / sharp - 1.0;
            assert!((0.0..0.002).contains(&price), "{rate} {multiplier} {steps}: {price}");
        }
    }

    #[test]
    fn ten_jobs_are_near_the_sum_that_adaptive_choices_do_not_allow() {
        let job =
            |i: u32| sampled(0.05 + 0.03 * f64::from(i), 2.5 + 0.4 * f64::from(i), 100 + 20 * u64::from(i));
        let jobs: Vec<_> = (0..10).map(job).collect();
        let delta0 = 5e-8;
        let squares: f64 = jobs.iter().map(|&job| gaussian_bound_of(&[job], delta0).powi(2)).sum();
        let all = gdp::epsilon(squares.sqrt(), 1e-5 - 10.0 * delta0);
        let sum = best_epsilon(&jobs, 1e-5, Adjacency::ZeroOut).value;
        let by_orders =
            crate::accountant::rdp_epsilon(&segments_of(&jobs, Adjacency::ZeroOut).unwrap(), 1e-5).value;
        assert!(all >= sum && all < sum * 1.026, "{all} {sum}");
        assert!(by_orders > sum * 1.05, "{by_orders} {sum}");
    }

    #[test]
    fn a_larger_delta0_never_costs_more() {
        let event = [sampled(0.02, 1.2, 400)];
        let mus: Vec<_> = [1e-12, 1e-9, 1e-6].map(|delta0| gaussian_bound_of(&event, delta0)).to_vec();
        assert!(mus.windows(2).all(|pair| pair[1] <= pair[0] * (1.0 + 1e-6)), "{mus:?}");
        assert!(gaussian_bound_of(&event, 0.0) >= mus[0]);
    }

    #[test]
    fn pure_releases_have_the_mu_of_randomised_response() {
        // At epsilon = 0 the curve's value is (e^epsilon - 1) / (e^epsilon + 1) for both.
        for epsilon in [1e-3, 0.1, 1.0, 5.0] {
            let mu = pure_mu(epsilon);
            let corner = f64::tanh(epsilon / 2.0);
            assert!((gdp::delta(0.0, mu) / corner - 1.0).abs() < 1e-8, "{epsilon} {mu}");
            for share in [0.3, 0.9] {
                // 1 / (1 + e^-eps) - e^(share eps) / (1 + e^eps): randomised response.
                let (p, q) = (1.0 / (1.0 + (-epsilon).exp()), 1.0 / (1.0 + epsilon.exp()));
                let exact = p - (share * epsilon).exp() * q;
                assert!(gdp::delta(share * epsilon, mu) >= exact, "{epsilon} {share}");
            }
        }
        assert!(pure_mu(0.0) <= 0.0);
    }

    /// By how much a curve's chords are above delta0 + (1 - delta0) delta of mu-GDP at worst, between all its epsilons from
    /// 0 on; asked as finely as a lattice is coarse.
    fn excess(curve: &Curve, delta0: f64, mu: f64) -> f64 {
        let ends = (0..curve.deltas.len()).map(|place| curve.place(place)).collect::<Vec<_>>();
        let inside = ends.windows(2).flat_map(|ends| {
            let (low, width) = (ends[0], ends[1] - ends[0]);
            (0..=40).map(move |part| low + width * f64::from(part) / 40.0)
        });
        let excess = |epsilon: f64| {
            let certified = delta0 + (1.0 - delta0) * gdp::delta(epsilon, mu);
            // The chord as it is, without the rounding of `Curve::delta`.
            curve.delta(epsilon) / certified - 1.0
        };
        inside.filter(|epsilon| *epsilon >= 0.0).map(excess).fold(f64::NEG_INFINITY, f64::max)
    }

    /// The last bin, in which a chord falls from above delta0 to below it, of lattices several times as coarse as mu. The
    /// control in each line is what its upper end alone asks for: a mu whose curve the chord exceeds by half and more.
    #[test]
    fn the_last_bin_is_dominated_too() {
        for (spacing, shift, delta0, deltas, upper_end_alone) in [
            (0.051, -0.53, 1e-6, [0.0042, 5e-7], 0.011_510_487_287),
            (0.061, -0.56, 1e-6, [0.0052, 5e-7], 0.013_021_051_164),
            (0.053, -0.59, 1e-7, [0.0057, 5e-8], 0.011_112_398_791),
        ] {
            let curve = Curve { first: 0, spacing, shift: shift * spacing, deltas: deltas.to_vec() };
            let mu = least_mu(&curve, delta0);
            assert!(mu.is_finite() && excess(&curve, delta0, mu) <= 1e-12, "{spacing}: {mu}");
            assert!(excess(&curve, delta0, upper_end_alone) > 0.5, "{spacing}");
        }
    }

    #[test]
    fn a_curve_that_begins_above_zero_certifies_nothing() {
        let curve = Curve { first: 1, spacing: 0.1, shift: 0.0, deltas: vec![0.5, 0.1, 0.0] };
        assert!(least_mu(&curve, 1e-6).is_infinite());
        assert!(least_mu(&Curve { first: 0, ..curve }, 1e-6).is_finite());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Any falling bounds on any lattice, however coarse: no chord is above the Gaussian bound's curve anywhere.
        #[test]
        fn gaussian_bounds_dominate_between_the_points_of_every_lattice(
            spacing in -3.0_f64..0.3,
            delta0 in -9.0_f64..-2.0,
            mu in -2.0_f64..1.0,
            shift in 0.0_f64..1.0,
            rough in proptest::collection::vec(0.9_f64..1.1, 2..7),
            below in 1_usize..7,
        ) {
            let (spacing, delta0, mu) = (10_f64.powf(spacing), 10_f64.powf(delta0), 10_f64.powf(mu));
            let place = |i: usize| (i as f64 - shift) * spacing;
            let mut deltas: Vec<f64> =
                rough.iter().enumerate().map(|(i, rough)| gdp::delta(place(i).max(0.0), mu) * rough).collect();
            deltas.iter_mut().skip(below).for_each(|delta| *delta *= delta0);
            deltas.push(0.0);
            deltas.sort_by(|a, b| b.total_cmp(a));
            let curve = Curve { first: 0, spacing, shift: -shift * spacing, deltas };
            let found = least_mu(&curve, delta0);
            if found.is_finite() {
                prop_assert!(excess(&curve, delta0, found) <= 1e-12, "{curve:?} {delta0} {found}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        /// The curve by another grid than the Gaussian bound's own: each epsilon chooses its spacing and tilt.
        #[test]
        fn gaussian_bounds_dominate_at_each_epsilon(rate in 0.005_f64..0.9, multiplier in 0.7_f64..6.0, count in 1_u64..500, delta0 in -11_i32..-5) {
            let delta0 = 10_f64.powi(delta0);
            let event = [sampled(rate, multiplier, count)];
            let mu = gaussian_bound_of(&event, delta0);
            for epsilon in [0.0, 0.013, 0.2, 0.71, 1.9, 4.0, 9.0] {
                let sharp = pld::delta(&event, epsilon, Adjacency::ZeroOut);
                let certified = delta0 + (1.0 - delta0) * gdp::delta(epsilon, mu);
                // Both are upper bounds on one truth; theirs is within a thousandth of it.
                prop_assert!(sharp <= certified * 1.001 + 1e-14, "{epsilon}: {sharp} {certified}");
            }
        }
    }
}
