//! Whether two attempts at the same round share their noise or their sample.
//!
//! The difference of two releases with the same noise bares the exact difference of their sums: a retry
//! must draw everything anew. A canary does not see it, since each attempt by itself is as noisy as claimed.

use std::f64::consts::PI;

use fedtwin_plan::Ratio;
use fedtwin_privacy::accountant::NoiseBits;
use serde::{Deserialize, Serialize};

use crate::binomial::Binomial;
use crate::spy::{Nobody, Spy};
use crate::step::{AttackError, Chance, Step};

/// What two attempts over a cohort without contributions have in common.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedDraws {
    /// The values of one release.
    pub values: u32,
    /// Values that are equal in both.
    pub equal: u32,
    /// The probability that as many are equal by chance.
    pub by_chance: f64,
    /// Whether both sampled the same patients, where that cannot be by chance.
    pub same_sample: bool,
}

impl SharedDraws {
    /// Says whether the attempts drew anew: fails by chance once in 10^9 runs.
    #[must_use]
    pub fn are_none(&self) -> bool {
        self.by_chance > 1e-9 && !self.same_sample
    }
}

/// Makes two attempts and compares them value by value.
///
/// # Errors
/// Fails where the step does.
pub fn compare_attempts(
    step: &mut dyn Step,
    (rate, patients): (Ratio, u32),
    m: NoiseBits,
    chance: &mut Chance<'_>,
) -> Result<SharedDraws, AttackError> {
    let mut nobody = Nobody { values: VALUES };
    let mut spy = Spy::on(&mut nobody);
    let weights = vec![0.0; VALUES];
    let first = step.release(&mut spy, &weights, chance)?;
    let second = step.release(&mut spy, &weights, chance)?;
    let equal = first.iter().zip(&second).filter(|(a, b)| a == b).count();
    let count = |number: usize| u32::try_from(number).expect("no more than the values");
    let (values, equal) = (count(VALUES), count(equal));
    // The difference of two draws is discrete Gaussian with sigma sqrt 2, whose mode has this probability.
    let mode = 1.0 / (2.0 * f64::from(m.get()).exp2() * PI.sqrt());
    let by_chance = Binomial { trials: values, probability: mode }.at_least(equal);
    // Two independent samples are equal with probability (q^2 + (1-q)^2)^N.
    let q = rate.to_f64();
    let can_differ = (q * q + (1.0 - q) * (1.0 - q)).powf(f64::from(patients)) < 1e-9;
    let same_sample = can_differ && spy.samples().first() == spy.samples().last();
    Ok(SharedDraws { values, equal, by_chance, same_sample })
}

/// Enough that a shared draw cannot be missed, and that a mode of 2^-12 is hit about once.
const VALUES: usize = 4096;
