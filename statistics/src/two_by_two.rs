//! Two groups and an outcome: four counts.

use crate::interval::{Estimate, Level};

/// How many patients of two groups had an outcome and how many had not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TwoByTwo {
    /// Patients with the outcome, in the first group and in the one it is compared with.
    pub with: [f64; 2],
    /// Patients without it.
    pub without: [f64; 2],
    /// The standard deviation of the noise in each of the four counts; 0 where they are exact.
    pub noise_sd: f64,
}

/// A group's share with the outcome.
struct Share {
    value: f64,
    patients: f64,
    /// What the noise adds to the variance, to first order.
    noise: f64,
}

impl TwoByTwo {
    /// Returns the table of both sites' patients; the variances of the noise add.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let add = |a: [f64; 2], b: [f64; 2]| [a[0] + b[0], a[1] + b[1]];
        Self {
            with: add(self.with, other.with),
            without: add(self.without, other.without),
            noise_sd: self.noise_sd.hypot(other.noise_sd),
        }
    }

    /// Returns the difference of the first group's share with the outcome from the other's, with Wald's interval.
    ///
    /// The variance `p (1 - p) / n` of each, and of the noise `sd^2 (with^2 + without^2) / n^4` (the delta method).
    /// `None` where a group has nobody, or a count is below 0.
    #[must_use]
    pub fn risk_difference(&self, level: Level) -> Option<Estimate> {
        let [first, other] = self.shares()?;
        let variance = |s: &Share| s.value * (1.0 - s.value) / s.patients + s.noise;
        Estimate::wald(first.value - other.value, variance(&first) + variance(&other), level)
    }

    /// Returns the same difference with Newcombe's interval of two score intervals (Newcombe 1998, method 10), which keeps
    /// its level with few patients and near 0 and 1.
    ///
    /// The noise's variance is added to the squares of the distances that the method adds up. `None` as there.
    #[must_use]
    pub fn risk_difference_newcombe(&self, level: Level) -> Option<Estimate> {
        let [first, other] = self.shares()?;
        let wald = self.risk_difference(level)?;
        let (of_first, of_other) = (wilson(&first, level), wilson(&other, level));
        let noise = level.z().powi(2) * (first.noise + other.noise);
        let reach = |a: f64, b: f64| (a * a + b * b + noise).sqrt();
        Some(Estimate {
            low: wald.value - reach(first.value - of_first.0, of_other.1 - other.value),
            high: wald.value + reach(of_first.1 - first.value, other.value - of_other.0),
            ..wald
        })
    }

    /// Returns the ratio of the shares with the outcome, with Katz's interval on its logarithm (Katz et al. 1978).
    ///
    /// The variance `1 / with - 1 / n` of each, and of the noise `sd^2 ((without / (with n))^2 + 1 / n^2)`. The standard
    /// error is the logarithm's. `None` where a group has nobody with the outcome, or a count is below 0.
    #[must_use]
    pub fn risk_ratio(&self, level: Level) -> Option<Estimate> {
        let [first, other] = self.shares()?;
        let variance = |group: usize| {
            let (with, without) = (self.with[group], self.without[group]);
            let n = with + without;
            let noise = (without / (with * n)).powi(2) + n.powi(-2);
            1.0 / with - 1.0 / n + self.noise_sd.powi(2) * noise
        };
        let logarithm = (first.value / other.value).ln();
        Estimate::wald(logarithm, variance(0) + variance(1), level).map(Estimate::exponentiated)
    }

    /// Returns the odds ratio, with Woolf's interval on its logarithm (Woolf 1955).
    ///
    /// The variance is the sum of the counts' inverses, and of the noise `sd^2` times that of the inverses' squares. The
    /// standard error is the logarithm's. `None` where a count is not above 0: nothing is added to make one of it.
    #[must_use]
    pub fn odds_ratio(&self, level: Level) -> Option<Estimate> {
        self.shares()?;
        let counts = [self.with[0], self.without[0], self.with[1], self.without[1]];
        let variance: f64 = counts.iter().map(|n| 1.0 / n + (self.noise_sd / n).powi(2)).sum();
        let logarithm = (self.with[0] * self.without[1]).ln() - (self.without[0] * self.with[1]).ln();
        Estimate::wald(logarithm, variance, level).map(Estimate::exponentiated)
    }

    fn shares(&self) -> Option<[Share; 2]> {
        let share = |group: usize| {
            let (with, without) = (self.with[group], self.without[group]);
            let patients = with + without;
            let noise = self.noise_sd.powi(2) * (with.powi(2) + without.powi(2)) / patients.powi(4);
            let is_group = with >= 0.0 && without >= 0.0 && patients > 0.0 && patients.is_finite();
            is_group.then_some(Share { value: with / patients, patients, noise })
        };
        Some([share(0)?, share(1)?])
    }
}

/// Returns Wilson's score interval of a share (Wilson 1927).
fn wilson(share: &Share, level: Level) -> (f64, f64) {
    let (p, n, z) = (share.value, share.patients, level.z());
    let middle = p + z * z / (2.0 * n);
    let reach = z * (p * (1.0 - p) / n + (z / (2.0 * n)).powi(2)).sqrt();
    let whole = 1.0 + z * z / n;
    ((middle - reach) / whole, (middle + reach) / whole)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Post-ERCP pancreatitis with indomethacin and with placebo (Elmunzer et al. 2012): 27 of 295 and 52 of 307.
    const TRIAL: TwoByTwo = TwoByTwo { with: [27.0, 52.0], without: [268.0, 255.0], noise_sd: 0.0 };

    fn check(found: Option<Estimate>, expected: [f64; 3]) {
        let found = found.unwrap();
        for (found, expected) in [found.value, found.low, found.high].into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
        }
    }

    // Expected values: statsmodels 0.15.0, confint_proportions_2indep and Table2x2.
    #[test]
    fn intervals_of_a_trial_are_statsmodels() {
        let level = Level::default();
        check(
            TRIAL.risk_difference(level),
            [-0.077_855_683_763_043_11, -0.131_177_394_473_850_38, -0.024_533_973_052_235_834],
        );
        check(
            TRIAL.risk_difference_newcombe(level),
            [-0.077_855_683_763_043_11, -0.131_621_006_445_759_58, -0.023_990_950_793_684_518],
        );
        check(
            TRIAL.risk_ratio(level),
            [0.540_352_020_860_495_5, 0.349_193_172_226_005_65, 0.836_156_974_624_478_4],
        );
        check(
            TRIAL.odds_ratio(level),
            [0.494_044_202_066_590_1, 0.300_995_759_278_265_3, 0.810_907_350_259_264],
        );
    }

    #[test]
    fn two_sites_together_are_one_table() {
        let sites = [
            TwoByTwo { with: [7.0, 2.0], without: [68.0, 200.0], noise_sd: 3.0 },
            TwoByTwo { with: [20.0, 50.0], without: [200.0, 55.0], noise_sd: 4.0 },
        ];
        assert_eq!(sites[0].and(sites[1]), TwoByTwo { noise_sd: 5.0, ..TRIAL });
    }

    #[test]
    fn groups_without_patients_or_outcomes_have_no_ratio() {
        let level = Level::default();
        let nobody = TwoByTwo { with: [0.0, 1.0], without: [0.0, 1.0], noise_sd: 0.0 };
        let never = TwoByTwo { with: [0.0, 1.0], without: [5.0, 4.0], noise_sd: 0.0 };
        let below = TwoByTwo { with: [-1.0, 1.0], without: [5.0, 4.0], noise_sd: 1.0 };
        for table in [nobody, below] {
            assert_eq!((table.risk_difference(level), table.risk_difference_newcombe(level)), (None, None));
            assert_eq!((table.risk_ratio(level), table.odds_ratio(level)), (None, None));
        }
        assert_eq!((never.risk_ratio(level), never.odds_ratio(level)), (None, None));
        assert!(never.risk_difference_newcombe(level).is_some());
    }

    #[test]
    fn noise_adds_the_variance_that_draws_of_it_have() {
        let (draws, noise_sd) = (20_000, 4.0);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        // A sum of twelve uniform draws less six has variance 1.
        let mut noise = || noise_sd * ((0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0);
        let level = Level::default();
        let of = |table: &TwoByTwo| {
            let logarithm = |e: Option<Estimate>| e.unwrap().value.ln();
            let difference = table.risk_difference(level).unwrap().value;
            [difference, logarithm(table.risk_ratio(level)), logarithm(table.odds_ratio(level))]
        };
        let (mut sums, mut squares) = ([0.0; 3], [0.0; 3]);
        for _ in 0..draws {
            let mut noised = TRIAL;
            for count in noised.with.iter_mut().chain(&mut noised.without) {
                *count += noise();
            }
            for (i, (value, exact)) in of(&noised).into_iter().zip(of(&TRIAL)).enumerate() {
                sums[i] += value - exact;
                squares[i] += (value - exact).powi(2);
            }
        }
        let noised = TwoByTwo { noise_sd, ..TRIAL };
        let errors = |t: &TwoByTwo| {
            [t.risk_difference(level), t.risk_ratio(level), t.odds_ratio(level)]
                .map(|e| e.unwrap().standard_error)
        };
        for (i, (with, without)) in errors(&noised).into_iter().zip(errors(&TRIAL)).enumerate() {
            let drawn = squares[i] / f64::from(draws) - (sums[i] / f64::from(draws)).powi(2);
            let claimed = with.powi(2) - without.powi(2);
            // To first order: a logarithm of a count of 27 with noise of 4 varies a little more.
            assert!((0.9..1.15).contains(&(drawn / claimed)), "{i}: {drawn} and {claimed}");
        }
        let newcombe = |t: &TwoByTwo| t.risk_difference_newcombe(level).unwrap();
        assert!(
            newcombe(&noised).low < newcombe(&TRIAL).low && newcombe(&noised).high > newcombe(&TRIAL).high
        );
    }
}
