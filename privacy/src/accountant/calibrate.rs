//! Calibration: from a target epsilon to the integers of a plan.

use fedtwin_plan::Ratio;

use crate::accountant::event::{GaussianEvent, IntegerClip, NoiseBits, NoiseShares};
use crate::accountant::{Segment, epsilon, epsilon_of, gdp};

/// What a study may cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpsilonTarget {
    /// The largest epsilon, above 0.
    pub epsilon: f64,
    /// The delta at which it holds, in (0, 1).
    pub delta: f64,
}

/// What calibration has to leave as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calibration {
    /// The probability with which each patient is in a step.
    pub sampling: Ratio,
    /// The number of noisy sums, all attempts included.
    pub steps: u64,
    /// The noise of one site has a standard deviation of 2^m grid units.
    pub m: NoiseBits,
    /// The sites whose noise surely counts.
    pub noise_shares: NoiseShares,
}

/// A target that cannot be met.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum CalibrationError {
    /// Epsilon or delta is out of range.
    #[error("the target is epsilon {} at delta {}, expected epsilon above 0 and delta between 0 and 1", .0.epsilon, .0.delta)]
    Target(EpsilonTarget),
    /// No grid of this noise is fine enough.
    #[error(
        "noise of 2^{m} grid units leaves no grid unit for the clip at a noise multiplier of {multiplier}: choose a larger m"
    )]
    TooMuchNoise {
        /// The noise's exponent.
        m: u32,
        /// The multiplier that the target needs.
        multiplier: f64,
    },
}

/// Returns the least noise multiplier, within 2e-5 and rounded up, with which `steps` steps at rate `sampling` meet
/// the target; exact without sampling.
///
/// # Errors
/// Refuses an epsilon or a delta out of range, and a target that no noise meets.
pub fn noise_multiplier(sampling: Ratio, steps: u64, target: EpsilonTarget) -> Result<f64, CalibrationError> {
    target.check()?;
    let multiplier = if sampling.is_one() {
        // T steps are one with mu = sqrt(T) / z.
        (steps as f64).sqrt() / gdp::mu(target.epsilon, target.delta) * (1.0 + 1e-11)
    } else {
        let cost = |multiplier| cost(Segment { rate: sampling.to_f64(), multiplier, steps }, target.delta);
        least(cost, target.epsilon)
    };
    if multiplier >= MULTIPLIER_MAX { Err(CalibrationError::Target(target)) } else { Ok(multiplier) }
}

/// Returns the largest number of steps at rate `sampling` with this noise that meets the target, perhaps 0.
///
/// # Errors
/// Refuses an epsilon or a delta out of range.
pub fn steps_max(sampling: Ratio, multiplier: f64, target: EpsilonTarget) -> Result<u64, CalibrationError> {
    target.check()?;
    let meets = |steps: u64| {
        cost(Segment { rate: sampling.to_f64(), multiplier, steps }, target.delta) <= target.epsilon
    };
    let mut high = 1;
    while meets(high) {
        high *= 2;
        if high >= STEPS_MAX {
            return Ok(STEPS_MAX);
        }
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = u64::midpoint(low, high);
        if meets(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// Returns the event that meets the target with the least noise relative to the clip.
///
/// # Errors
/// Refuses a target out of range, and one for which `m` is too small.
pub fn calibrate(fixed: &Calibration, target: EpsilonTarget) -> Result<GaussianEvent, CalibrationError> {
    let Calibration { sampling, steps, m, noise_shares } = *fixed;
    let multiplier = noise_multiplier(sampling, steps, target)?;
    let mut c_int = c_int_for(m, noise_shares, multiplier);
    let too_much = CalibrationError::TooMuchNoise { m: m.get(), multiplier };
    loop {
        let clip = IntegerClip::try_from(c_int).map_err(|_below_one| too_much)?;
        let event = GaussianEvent { sampling, m, c_int: clip, noise_shares, steps };
        if epsilon(&[event], target.delta).value <= target.epsilon {
            return Ok(event);
        }
        c_int -= 1;
    }
}

impl EpsilonTarget {
    fn check(self) -> Result<(), CalibrationError> {
        let Self { epsilon, delta } = self;
        let sensible = epsilon.is_finite() && epsilon > 0.0 && delta > 0.0 && delta < 1.0;
        if sensible { Ok(()) } else { Err(CalibrationError::Target(self)) }
    }
}

/// Returns floor(2^m sqrt(k) / z), or the largest possible norm: the quantised norm of a contribution
/// for which noise of 2^m at each of k sites has the multiplier z.
#[must_use]
pub fn c_int_for(m: NoiseBits, noise_shares: NoiseShares, multiplier: f64) -> i64 {
    let norm = f64::from(m.get()).exp2() * f64::from(noise_shares.get()).sqrt() / multiplier;
    #[expect(clippy::cast_possible_truncation, reason = "floor is the point, and the cast saturates")]
    let norm = norm as i64;
    norm.min(C_INT_MAX)
}

/// Returns the epsilon of one kind of steps.
fn cost(segment: Segment, delta: f64) -> f64 {
    epsilon_of(&[segment], delta).value
}

/// Returns a multiplier whose cost is at most `target`, and at least that less [`COST_WIDTH`] of it.
///
/// The cost falls with the multiplier, by a power of it that hardly changes: straight lines between logarithms
/// find the place quickly, and an end that stays is halved towards (the Illinois rule).
fn least(cost: impl Fn(f64) -> f64, target: f64) -> f64 {
    let (mut low, mut high) = bracket(&cost, target);
    // From the middle of what is accepted upwards.
    let goal = (target * (1.0 - COST_WIDTH / 2.0)).ln();
    let (mut above, mut below) = (low.1.ln() - goal, high.1.ln() - goal);
    while high.1 < target * (1.0 - COST_WIDTH) && high.0 > low.0 * (1.0 + MULTIPLIER_WIDTH) {
        let share = if above.is_finite() && below.is_finite() { above / (above - below) } else { 0.5 };
        let middle = low.0 * (high.0 / low.0).powf(share.clamp(0.01, 0.99));
        let found = cost(middle);
        if found <= target {
            (high, below) = ((middle, found), found.ln() - goal);
            above /= 2.0;
        } else {
            (low, above) = ((middle, found), found.ln() - goal);
            below /= 2.0;
        }
    }
    high.0
}

/// Returns two multipliers with their costs, the first above the target and the second not, at most a factor apart.
fn bracket(cost: &impl Fn(f64) -> f64, target: f64) -> ((f64, f64), (f64, f64)) {
    let here = (1.0, cost(1.0));
    let factor = if here.1 > target { BRACKET } else { 1.0 / BRACKET };
    let (mut before, mut next) = (here, (factor, cost(factor)));
    while (next.1 > target) == (here.1 > target) && (MULTIPLIER_MIN..MULTIPLIER_MAX).contains(&next.0) {
        before = next;
        next = (before.0 * factor, cost(before.0 * factor));
    }
    if here.1 > target { (before, next) } else { (next, before) }
}

const C_INT_MAX: i64 = 0x7fff_ffff;

/// Noise that no target reaches.
const MULTIPLIER_MAX: f64 = 1e9;
const MULTIPLIER_MIN: f64 = 1e-6;

/// Four times the relative error of the accountant.
const COST_WIDTH: f64 = 4e-5;
const MULTIPLIER_WIDTH: f64 = 1e-7;
const BRACKET: f64 = 3.0;

/// More steps than anyone does.
const STEPS_MAX: u64 = 1 << 40;
