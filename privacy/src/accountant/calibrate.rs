//! Calibration: from a target epsilon to the integers of a plan.

use fedtwin_plan::Ratio;

use crate::accountant::event::{GaussianEvent, IntegerClip, NoiseBits, NoiseShares};
use crate::accountant::gdp::bisect;
use crate::accountant::{Segment, epsilon, epsilon_of};

/// What a study may cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
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
    Target(Target),
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

/// Returns the least noise multiplier, rounded up, with which `steps` steps at rate `sampling` meet the target.
///
/// # Errors
/// Refuses an epsilon or a delta out of range.
pub fn noise_multiplier(sampling: Ratio, steps: u64, target: Target) -> Result<f64, CalibrationError> {
    let Target { epsilon, delta } = target;
    if !(epsilon.is_finite() && epsilon > 0.0 && delta > 0.0 && delta < 1.0) {
        return Err(CalibrationError::Target(target));
    }
    let meets = |multiplier: f64| {
        let segment = Segment { rate: sampling.to_f64(), multiplier, steps };
        epsilon_of(&[segment], delta).value <= epsilon
    };
    let mut high = 1.0;
    while !meets(high) && high < MULTIPLIER_MAX {
        high *= 2.0;
    }
    while high > MULTIPLIER_MIN && meets(high / 2.0) {
        high /= 2.0;
    }
    if high >= MULTIPLIER_MAX {
        return Err(CalibrationError::Target(target));
    }
    // Halving stops at a relative width that is far below what c_int can express.
    let (low, width) = (high / 2.0, high * 1e-6);
    let steps_of_width = bisect(0.0, (high - low) / width, |i| meets(low + i.ceil() * width)).ceil();
    Ok(low + steps_of_width * width)
}

/// Returns the event that meets the target with the least noise relative to the clip.
///
/// # Errors
/// Refuses a target out of range, and one for which `m` is too small.
pub fn calibrate(fixed: &Calibration, target: Target) -> Result<GaussianEvent, CalibrationError> {
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

/// Returns floor(2^m sqrt(k) / z), or the largest possible norm: the quantised norm of a contribution
/// for which noise of 2^m at each of k sites has the multiplier z.
#[must_use]
pub fn c_int_for(m: NoiseBits, noise_shares: NoiseShares, multiplier: f64) -> i64 {
    let norm = f64::from(m.get()).exp2() * f64::from(noise_shares.get()).sqrt() / multiplier;
    #[expect(clippy::cast_possible_truncation, reason = "floor is the point, and the cast saturates")]
    let norm = norm as i64;
    norm.min(C_INT_MAX)
}

const C_INT_MAX: i64 = 0x7fff_ffff;

/// Noise that no target reaches.
const MULTIPLIER_MAX: f64 = 1e9;
const MULTIPLIER_MIN: f64 = 1e-6;
