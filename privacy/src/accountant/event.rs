//! Events as integers: exactly what was done, from which anyone can compute what it cost.

use fedtwin_plan::numbers::{Count, OutOfRange};
use fedtwin_plan::plan::SiteTraining;
use fedtwin_plan::{Plan, Ratio};
use serde::{Deserialize, Serialize};

/// The m of noise with standard deviation 2^m grid units; below 10 the lemma of
/// [`GaussianEvent::noise_multiplier`] costs too much to be worth stating.
pub type NoiseBits = Count<10, 30>;

/// The largest L2 norm of a patient's quantised contribution, in grid units.
pub type IntegerClip = Count<1, 0x7fff_ffff>;

/// The sites whose noise surely counts in a sum.
pub type NoiseShares = Count<1, 10_000>;

/// Some steps of one Poisson-subsampled discrete Gaussian mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianEvent {
    /// The probability with which each patient is in a step.
    pub sampling: Ratio,
    /// The noise of one site has a standard deviation of 2^m grid units.
    pub m: NoiseBits,
    /// The sensitivity of a sum to zeroing out one patient, in grid units.
    pub c_int: IntegerClip,
    /// The sites whose noise is in every sum that anyone sees.
    pub noise_shares: NoiseShares,
    /// The number of noisy sums.
    pub steps: u64,
}

impl GaussianEvent {
    /// Makes an event of one site's own noise from a plan's integers.
    ///
    /// # Errors
    /// Refuses an `m` below 10 or above 30 and a `c_int` out of range.
    pub fn local(sampling: Ratio, m: u32, c_int: u64, steps: u64) -> Result<Self, OutOfRange> {
        Ok(Self {
            sampling,
            m: NoiseBits::try_from(i64::from(m))?,
            c_int: IntegerClip::try_from(i64::try_from(c_int).unwrap_or(i64::MAX))?,
            noise_shares: NoiseShares::try_from(1)?,
            steps,
        })
    }

    /// Makes `steps` noisy sums of a plan's updates, in each of which the noise of `noise_shares` sites counts.
    ///
    /// # Errors
    /// Refuses integers that no mechanism has.
    pub fn of_updates(plan: &Plan, noise_shares: u32, steps: u64) -> Result<Self, OutOfRange> {
        let (m, c_int) = (plan.calibrated.m.get(), plan.calibrated.c_int);
        let noise_shares = NoiseShares::try_from(i64::from(noise_shares))?;
        let event = Self::local(plan.training.sampling, m, c_int, steps)?;
        Ok(Self { noise_shares, ..event })
    }

    /// Returns the noise multiplier of the continuous Gaussian mechanism that costs at least as much:
    /// z = sqrt(k) sqrt(4^m - 36) / c_int, rounded down.
    ///
    /// Lemma: with s = 6, a discrete Gaussian of standard deviation 2^m at an integer shift equals, up
    /// to a factor of exp(+-4 exp(-2 pi^2 s^2)) < 1 + 1e-307 in each probability, a data-independent
    /// randomised rounding of N(shift, 4^m - s^2): the sum of a continuous and a discrete Gaussian over
    /// the same lattice is nearly a discrete one as soon as s is above the lattice's smoothing
    /// parameter (Micciancio and Regev, SIAM J. Comput. 37(1), 2007; Canonne, Kamath and Steinke, arXiv
    /// 2004.00010, fact 18, bounds the normaliser). Rounding is post-processing, so the continuous
    /// mechanism's price holds, for sums over sites too. The price of the lemma at m = 10 is 1.7e-5.
    #[must_use]
    pub fn noise_multiplier(&self) -> f64 {
        // 4^m is at most 2^60; the difference rounds to within an ulp, the root and the products add
        // less than three more.
        let variance = f64::from(2 * self.m.get()).exp2() - 36.0;
        let multiplier = (f64::from(self.noise_shares.get()) * variance).sqrt() / f64::from(self.c_int.get());
        multiplier * (1.0 - 4.0 * f64::EPSILON)
    }
}

/// Returns the sites whose noise is in every published sum.
///
/// A model is published only once `sites_min` updates are in it. One-step gradients are summed, and with
/// them their noise; several local steps are not linear in theirs, so only the site's own counts.
#[must_use]
pub fn published_noise(plan: &Plan) -> u32 {
    match &plan.training.site {
        SiteTraining::Gradient => plan.rounds.sites_min.get(),
        SiteTraining::Sgd(_) | SiteTraining::Adam(_) => 1,
    }
}
