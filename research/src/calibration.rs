//! From a draft to the integers of a plan: noise, clip, modulus, steps, and what they cost.
//!
//! Pure: the same draft gives the same integers everywhere.

use std::fmt::Write;

use fedtwin_plan::numbers::{OutOfRange, Positive};
use fedtwin_plan::plan::{
    Calibrated, Draft, LocalNoise, Metrics, MetricsNoise, Plan, Privacy, SharedNoise, Target,
};
use fedtwin_plan::text_file::Problem;
use fedtwin_plan::{Ratio, WireBits};
use fedtwin_privacy::accountant::calibrate::c_int_for;
use fedtwin_privacy::accountant::{
    self, Calibration, CalibrationError, GaussianEvent, NoiseBits, NoiseShares, Segment,
};
use fedtwin_privacy::patient_sum::C_INT_MAX;

/// Why a draft has no calibration.
#[derive(Debug, thiserror::Error)]
pub enum CannotCalibrate {
    /// The target is out of reach.
    #[error("the target in [privacy] cannot be met")]
    Target(#[from] CalibrationError),
    /// The target of the metrics is out of reach.
    #[error("the epsilon in [metrics] cannot be met")]
    Metrics(#[source] CalibrationError),
    /// The noise is so small that nothing bounds the cost.
    #[error("a noise multiplier of {0} costs more than any epsilon; choose more noise")]
    Unbounded(f64),
    /// No grid is fine enough and fits.
    #[error(
        "no update of 32, 40 or 64 bits holds the sums of {sites} sites with {patients} patients finely enough \
         for {values} trained weights; lower cohort.patients_max, or train fewer"
    )]
    NoGrid {
        /// The sites of the plan.
        sites: usize,
        /// The largest cohort.
        patients: u32,
        /// The weights that are trained.
        values: usize,
    },
    /// The model does not fit the data.
    #[error("{} {}", .0.key, .0.message)]
    Model(Problem),
}

impl From<Problem> for CannotCalibrate {
    fn from(problem: Problem) -> Self {
        Self::Model(problem)
    }
}

/// Chooses the integers of a draft.
///
/// # Errors
/// Refuses a target that no noise meets, and sums that no update holds.
pub fn calibrate(draft: &Draft) -> Result<Calibrated, CannotCalibrate> {
    let calibrated = match &draft.privacy {
        Privacy::Local(LocalNoise { delta, target, .. })
        | Privacy::Shared(SharedNoise { delta, target, .. }) => noised(draft, delta.get(), *target),
        Privacy::None(_) => none(draft),
    }?;
    let metrics = draft.metrics.as_ref().map(|metrics| of_metrics(metrics, draft.metrics_releases()));
    Ok(Calibrated { metrics: metrics.transpose()?, ..calibrated })
}

/// Returns the lines that calibration appends to a draft.
#[must_use]
pub fn section(calibrated: &Calibrated) -> String {
    let Calibrated { m, c_int, modulus_bits, steps, epsilon, metrics } = calibrated;
    let mut section = format!(
        "[calibrated]\nm = {}\nc_int = {c_int}\nmodulus_bits = {}\nsteps = {steps}\n",
        m.get(),
        modulus_bits.bits()
    );
    if let Some(epsilon) = epsilon {
        writeln!(section, "epsilon = {:?}", epsilon.get()).expect("writing to a String does not fail");
    }
    if let Some(MetricsNoise { m, c_int, releases, epsilon }) = metrics {
        let (m, c_int, epsilon) = (m.get(), c_int.get(), epsilon.get());
        write!(
            section,
            "\n[calibrated.metrics]\nm = {m}\nc_int = {c_int}\nreleases = {releases}\nepsilon = {epsilon:?}\n"
        )
        .expect("writing to a String does not fail");
    }
    section
}

/// Returns all noisy sums of a plan as one event, with the noise of `sites` sites in each sum.
///
/// # Errors
/// Refuses integers that no mechanism has.
pub fn event(plan: &Plan, sites: u32) -> Result<GaussianEvent, OutOfRange> {
    GaussianEvent::of_updates(plan, sites, plan.calibrated.steps)
}

/// Returns the noisy sums of one attempt at a plan's round, with the noise that its site charges for.
///
/// # Errors
/// Refuses integers that no mechanism has.
pub fn attempt(plan: &Plan) -> Result<GaussianEvent, OutOfRange> {
    GaussianEvent::of_updates(plan, plan.noise_shares(), plan.local_steps().into())
}

/// Takes the narrowest modulus whose grid is fine enough, and the largest m for which its sums fit.
///
/// A larger m costs nothing but bits, and makes the grid of contributions finer: C_int is 2^m over the
/// noise multiplier, times the root of the sites whose noise the target counts.
fn noised(draft: &Draft, delta: f64, target: Target) -> Result<Calibrated, CannotCalibrate> {
    let shares = i64::from(draft.noise_shares());
    let shares = NoiseShares::try_from(shares).expect("a checked draft has 1 to 10,000 shares");
    let (sampling, steps) = (draft.training.sampling, draft.steps());
    let multiplier = match target {
        Target::Epsilon(epsilon) => {
            let target = accountant::EpsilonTarget { epsilon: epsilon.get(), delta };
            accountant::noise_multiplier(sampling, steps, target)?
        }
        Target::NoiseMultiplier(multiplier) => multiplier.get(),
    };
    let segment = Segment { rate: sampling.to_f64(), multiplier, steps };
    if !accountant::epsilon_of(&[segment], delta).value.is_finite() {
        return Err(CannotCalibrate::Unbounded(multiplier));
    }
    let c_int = |m: NoiseBits| u64::try_from(c_int_for(m, shares, multiplier)).unwrap_or(0);
    let grid = Grid::of(draft)?;
    // A norm at the largest possible one was cut, and its noise multiplier is another.
    let suits = |bits: WireBits, m: NoiseBits| {
        let c_int = c_int(m);
        c_int < C_INT_MAX && grid.fits(bits, m, c_int) && grid.resolves(c_int, UNITS_LOCAL)
    };
    let mut candidates =
        MODULI.into_iter().flat_map(|bits| M_RANGE.rev().map(move |m| (bits, noise_bits(m))));
    let (bits, m) = candidates.find(|&(bits, m)| suits(bits, m)).ok_or_else(|| grid.none())?;

    let event = match target {
        Target::Epsilon(epsilon) => {
            let fixed = Calibration { sampling, steps, m, noise_shares: shares };
            accountant::calibrate(&fixed, accountant::EpsilonTarget { epsilon: epsilon.get(), delta })?
        }
        Target::NoiseMultiplier(_) => {
            let event = GaussianEvent::local(sampling, m.get(), c_int(m), steps);
            GaussianEvent { noise_shares: shares, ..event.expect("the chosen integers are within range") }
        }
    };
    let epsilon = accountant::epsilon(&[event], delta).value;
    let claim = Positive::try_from(round_up(epsilon).max(CLAIM_MIN));
    Ok(Calibrated {
        m: event.m,
        c_int: event.c_int.get().into(),
        modulus_bits: bits,
        steps,
        epsilon: Some(claim.map_err(|_infinite| CannotCalibrate::Unbounded(multiplier))?),
        metrics: None,
    })
}

/// Takes the narrowest modulus whose grid is fine enough, and the largest power of two as the clip's norm.
fn none(draft: &Draft) -> Result<Calibrated, CannotCalibrate> {
    let grid = Grid::of(draft)?;
    // No noise is drawn; the smallest m leaves the sums the most room.
    let m = noise_bits(M_RANGE.start);
    let powers = || (0..C_INT_MAX.ilog2() + 1).rev().map(|exponent| 1_u64 << exponent);
    let (bits, c_int) = MODULI
        .into_iter()
        .flat_map(|bits| powers().map(move |c_int| (bits, c_int)))
        .find(|&(bits, c_int)| grid.fits(bits, m, c_int) && grid.resolves(c_int, UNITS_NONE))
        .ok_or_else(|| grid.none())?;
    Ok(Calibrated { m, c_int, modulus_bits: bits, steps: draft.steps(), epsilon: None, metrics: None })
}

/// Takes what one patient adds to a count from the noise that all releases together need.
fn of_metrics(metrics: &Metrics, releases: u32) -> Result<MetricsNoise, CannotCalibrate> {
    let delta = metrics.delta.get();
    let fixed = Calibration {
        sampling: Ratio::ONE,
        steps: releases.into(),
        m: noise_bits(METRICS_M),
        noise_shares: NoiseShares::try_from(1).expect("1 is within range"),
    };
    let target = accountant::EpsilonTarget { epsilon: metrics.epsilon.get(), delta };
    let event = accountant::calibrate(&fixed, target).map_err(CannotCalibrate::Metrics)?;
    let cost = round_up(accountant::epsilon(&[event], delta).value).max(CLAIM_MIN);
    let epsilon = Positive::try_from(cost).map_err(|_infinite| CannotCalibrate::Unbounded(cost))?;
    Ok(MetricsNoise { m: event.m, c_int: event.c_int, releases, epsilon })
}

/// What the grid has to carry.
struct Grid {
    sites: usize,
    patients: u32,
    values: usize,
}

impl Grid {
    fn of(draft: &Draft) -> Result<Self, Problem> {
        Ok(Self {
            sites: draft.study.sites.len(),
            patients: draft.cohort.patients_max.get(),
            values: draft.update_values(),
        })
    }

    /// Says whether the sums of all sites, with noise of 8 standard deviations, are below half the modulus:
    /// the condition that each receiver of the plan checks too.
    fn fits(&self, bits: WireBits, m: NoiseBits, c_int: u64) -> bool {
        let sites = self.sites as u128;
        let contributions = u128::from(self.patients) * u128::from(c_int) * sites;
        let noise = 8 * (1_u128 << m.get()) * sites;
        contributions + noise < 1_u128 << (bits.bits() - 1)
    }

    /// Says whether a contribution at the clip has `units` grid units in each coordinate, in the mean square.
    ///
    /// A contribution of norm C_int has C_int / sqrt(d) in a coordinate. Rounding towards zero takes half a
    /// unit off each, a shrinkage of about sqrt(d) / (2 C_int): below 1 % from 64 units on.
    fn resolves(&self, c_int: u64, units: f64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a bound whose last digits do not matter")]
        let (c_int, values) = (c_int as f64, self.values as f64);
        c_int / values.sqrt() >= units
    }

    fn none(&self) -> CannotCalibrate {
        let &Self { sites, patients, values } = self;
        CannotCalibrate::NoGrid { sites, patients, values }
    }
}

fn noise_bits(m: u32) -> NoiseBits {
    NoiseBits::try_from(i64::from(m)).expect("the range of m is within that of its type")
}

/// Rounds a cost up to six decimals, the precision in which plans claim it.
pub(crate) fn round_up(epsilon: f64) -> f64 {
    let rounded = (epsilon * 1e6).ceil() / 1e6;
    if rounded < epsilon { epsilon } else { rounded }
}

/// A grid of a millionth of the noise: counts need no finer one.
const METRICS_M: u32 = 20;

/// What a plan claims where the cost vanishes within the precision of claims.
const CLAIM_MIN: f64 = 1e-6;

/// The widths of an update.
const MODULI: [WireBits; 3] = [WireBits::B32, WireBits::B40, WireBits::B64];

/// From the least m that the accountant prices to one at which sampling noise is still quick and the
/// rounding of contributions no longer matters.
const M_RANGE: std::ops::Range<u32> = 10..25;

/// With noise: a shrinkage below 1 %, far below the noise itself.
const UNITS_LOCAL: f64 = 64.0;

/// Without noise: a shrinkage below 0.05 %, which is all that the integers change.
const UNITS_NONE: f64 = 1024.0;

#[cfg(test)]
mod tests {
    use fedtwin_plan::text_file::parse;

    use super::*;
    use crate::study::testing::{HEART, draft_with};

    fn calibrated(changes: &[(&str, &str)]) -> Result<Calibrated, CannotCalibrate> {
        let draft: Draft = parse("draft.toml", &draft_with(HEART, changes)).unwrap();
        calibrate(&draft)
    }

    #[test]
    fn the_claim_is_at_most_the_target_and_close_to_it() {
        for (sampling, target) in [("1", "epsilon = 1.0"), ("1/20", "epsilon = 8.0")] {
            let sampling = format!("sampling = \"{sampling}\"");
            let found = calibrated(&[
                ("sampling = \"1\"", &sampling),
                ("slot_s = 0", "slot_s = 1"),
                ("target.epsilon = 1.0", &format!("target.{target}")),
            ])
            .unwrap();
            let target: f64 = target.strip_prefix("epsilon = ").unwrap().parse().unwrap();
            let epsilon = found.epsilon.unwrap().get();
            assert!(epsilon <= target && epsilon > 0.999 * target, "{epsilon}");
        }
    }

    #[test]
    fn shared_noise_meets_the_target_with_less_at_each_site() {
        let shared = |colluders: u32, dropouts: u32| {
            let lines = format!("[privacy.shared]\ncolluders = {colluders}\ndropouts = {dropouts}");
            calibrated(&[("[privacy.local]", &lines)]).unwrap()
        };
        let multiplier = |found: &Calibrated| {
            #[expect(clippy::cast_precision_loss, reason = "a test's tolerance")]
            let c_int = found.c_int as f64;
            f64::from(found.m.get()).exp2() / c_int
        };
        let local = calibrated(&[]).unwrap();
        // 4 sites: 3 or 2 of them surely add their noise.
        for (found, shares) in [(shared(0, 1), 3.0_f64), (shared(1, 1), 2.0)] {
            let sum = found.epsilon.unwrap().get();
            assert!(sum <= 1.0 && sum > 0.999, "{sum}");
            let ratio = multiplier(&local) / multiplier(&found);
            assert!((ratio / shares.sqrt() - 1.0).abs() < 1e-3, "{ratio}");
        }
    }

    #[test]
    fn a_given_noise_multiplier_is_kept() {
        let found = calibrated(&[("target.epsilon = 1.0", "target.noise-multiplier = 20.0")]).unwrap();
        #[expect(clippy::cast_precision_loss, reason = "a test's tolerance")]
        let multiplier = f64::from(found.m.get()).exp2() / found.c_int as f64;
        assert!((multiplier / 20.0 - 1.0).abs() < 1e-4, "{multiplier}");
        assert!(matches!(
            calibrated(&[("target.epsilon = 1.0", "target.noise-multiplier = 1e-7")]),
            Err(CannotCalibrate::Unbounded(_))
        ));
    }

    #[test]
    fn more_patients_take_a_wider_modulus() {
        let bits = |patients: &str| {
            let found =
                calibrated(&[("patients_max = 1000", &format!("patients_max = {patients}"))]).unwrap();
            found.modulus_bits.bits()
        };
        assert_eq!(bits("1000"), 32);
        assert_eq!(bits("10000000"), 40);
    }

    #[test]
    fn without_noise_the_clip_is_a_power_of_two_and_nothing_is_claimed() {
        let found = calibrated(&[
            ("[privacy.local]", "[privacy.none]"),
            ("delta = 1e-3\n", ""),
            ("target.epsilon = 1.0\n", ""),
        ])
        .unwrap();
        assert!(found.c_int.is_power_of_two() && found.m.get() == 10 && found.epsilon.is_none());
        // 4 sites with 1000 patients each: 2^12 - 96 contributions and noise leave 2^18 below 2^31.
        assert_eq!((found.c_int, found.modulus_bits.bits()), (1 << 19, 32));
    }

    #[test]
    fn metrics_cost_what_their_section_says_over_all_releases() {
        let metrics = |every: u32| {
            let section = format!("[metrics]\nepsilon = 0.5\ndelta = 1e-3\nevery_rounds = {every}\n");
            calibrated(&[("[privacy.local]", &format!("{section}\n[privacy.local]"))]).unwrap()
        };
        assert_eq!(calibrated(&[]).unwrap().metrics, None);
        let last_only = metrics(0).metrics.unwrap();
        assert_eq!(last_only.releases, 1);
        assert!((0.499..=0.5).contains(&last_only.epsilon.get()), "{last_only:?}");
        // After each of five rounds; five releases take sqrt(5) times the noise of one.
        let five = metrics(1).metrics.unwrap();
        assert_eq!(five.releases, 5);
        let ratio = five.patients() / last_only.patients();
        assert!((ratio / 5_f64.sqrt() - 1.0).abs() < 1e-3, "{ratio}");
        let text = format!(
            "{}\n{}",
            draft_with(
                HEART,
                &[("[privacy.local]", "[metrics]\nepsilon = 0.5\ndelta = 1e-3\n\n[privacy.local]")]
            ),
            section(&metrics(0))
        );
        let plan: Plan = parse("plan.toml", &text).unwrap();
        assert_eq!(plan.calibrated.metrics, Some(last_only));
    }
}
