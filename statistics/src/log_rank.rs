//! The log-rank test from counts at public times.

use crate::event_counts::EventCounts;
use crate::linear::{Cholesky, at, packed_len};
use crate::normal::chi_square_tail;

/// What the test needs of one stratum; strata add.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRankSums {
    /// Each group's events, `[groups]`.
    pub observed: Vec<f64>,
    /// The events that each would have had at the common hazard, `[groups]`.
    pub expected: Vec<f64>,
    /// The covariance of observed less expected, of chance and noise together: packed lower rows,
    /// `[groups (groups + 1) / 2]`.
    pub variance: Vec<f64>,
}

/// Whether groups have the same hazard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogRank {
    /// The statistic, at least 0.
    pub chi_square: f64,
    /// Its degrees of freedom: one less than the groups.
    pub freedom: u32,
    /// The chance of as large a statistic if the hazards are the same, in [0, 1].
    pub p_value: f64,
}

impl LogRankSums {
    /// Returns the sums of one stratum's groups, on one grid; `None` where they are on several.
    ///
    /// Mantel 1966; Peto and Peto 1972: at each time, of d events among n at risk a group with m of them expects d m / n,
    /// with the hypergeometric covariance `d (n - d) / (n - 1) (m / n) (1 - m / n)`. Independent noise of standard
    /// deviation `noise_sd` in each count adds, to first order, the covariance of the difference as a function of the
    /// counts. Times at which noise left nobody at risk are passed over; counts below 0 are taken for 0.
    #[must_use]
    pub fn of(groups: &[EventCounts], noise_sd: f64) -> Option<Self> {
        let steps = groups.first().map_or(0, |group| group.events.len());
        if groups.iter().any(|group| group.events.len() != steps || group.at_risk.len() != steps) {
            return None;
        }
        let mut sums = Self {
            observed: vec![0.0; groups.len()],
            expected: vec![0.0; groups.len()],
            variance: vec![0.0; packed_len(groups.len())],
        };
        for step in 0..steps {
            let counts: Vec<_> =
                groups.iter().map(|g| (g.events[step].max(0.0), g.at_risk[step].max(0.0))).collect();
            sums.add(&counts, noise_sd);
        }
        Some(sums)
    }

    /// Returns the sums of both strata; `None` where they have other groups.
    #[must_use]
    pub fn and(&self, other: &Self) -> Option<Self> {
        let add = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a + b).collect() };
        (self.observed.len() == other.observed.len()).then(|| Self {
            observed: add(&self.observed, &other.observed),
            expected: add(&self.expected, &other.expected),
            variance: add(&self.variance, &other.variance),
        })
    }

    /// Returns the test; `None` below two groups, or where a group was never at risk together with the others' events.
    #[must_use]
    pub fn test(&self) -> Option<LogRank> {
        let size = self.observed.len().checked_sub(1).filter(|&size| size > 0)?;
        // The differences add up to 0: the last follows from the others, which are the packed matrix's first rows.
        let differences: Vec<_> =
            self.observed.iter().zip(&self.expected).take(size).map(|(o, e)| o - e).collect();
        let solved = Cholesky::of(&self.variance, size).ok()?.solve(&differences);
        let chi_square = differences.iter().zip(solved).map(|(d, s)| d * s).sum::<f64>().max(0.0);
        let freedom = u32::try_from(size).ok()?;
        Some(LogRank { chi_square, freedom, p_value: chi_square_tail(chi_square, freedom) })
    }

    /// Adds one time's counts, each group's events and patients at risk.
    fn add(&mut self, counts: &[(f64, f64)], noise_sd: f64) {
        let (events, at_risk) = counts.iter().fold((0.0, 0.0), |sum, c| (sum.0 + c.0, sum.1 + c.1));
        if at_risk.is_nan() || at_risk <= 0.0 {
            return;
        }
        let common = if at_risk > 1.0 { events * (at_risk - events) / (at_risk - 1.0) } else { 0.0 };
        let share = |i: usize| counts[i].1 / at_risk;
        let same = |i: usize, j: usize| f64::from(u8::from(i == j));
        for (i, (of_group, _)) in counts.iter().enumerate() {
            self.observed[i] += of_group;
            self.expected[i] += events * share(i);
            for j in 0..=i {
                // How the differences move with group h's events is `same - share`, and with those of it at risk
                // that times the hazard.
                let moved: f64 =
                    (0..counts.len()).map(|h| (same(i, h) - share(i)) * (same(j, h) - share(j))).sum();
                let of_noise = noise_sd.powi(2) * moved * (1.0 + (events / at_risk).powi(2));
                self.variance[at(i, j)] += common.max(0.0) * share(i) * (same(i, j) - share(j)) + of_noise;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn counts(events: &[f64], at_risk: &[f64]) -> EventCounts {
        EventCounts { events: events.to_vec(), at_risk: at_risk.to_vec() }
    }

    #[test]
    fn two_groups_are_as_by_hand() {
        let groups = [counts(&[1.0, 0.0], &[3.0, 2.0]), counts(&[1.0, 1.0], &[2.0, 1.0])];
        let sums = LogRankSums::of(&groups, 0.0).unwrap();
        // 2 * 3 / 5 + 1 * 2 / 3; variances 2 * 3 / 4 * 6 / 25 and 1 * 2 / 2 * 2 / 9.
        let (expected, variance) = (1.2 + 2.0 / 3.0, 0.36 + 2.0 / 9.0);
        assert!((sums.expected[0] - expected).abs() < 1e-12);
        assert!((sums.variance[0] - variance).abs() < 1e-12);
        let test = sums.test().unwrap();
        assert!((test.chi_square - (1.0 - expected).powi(2) / variance).abs() < 1e-12);
        assert_eq!(test.freedom, 1);
        let twice = sums.and(&sums).unwrap().test().unwrap();
        assert!((twice.chi_square - 2.0 * test.chi_square).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_compared_has_no_test() {
        let one = counts(&[1.0], &[3.0]);
        assert_eq!(LogRankSums::of(&[], 0.0).unwrap().test(), None);
        assert_eq!(LogRankSums::of(std::slice::from_ref(&one), 0.0).unwrap().test(), None);
        assert_eq!(LogRankSums::of(&[one.clone(), counts(&[0.0], &[0.0])], 0.0).unwrap().test(), None);
        assert_eq!(LogRankSums::of(&[one.clone(), counts(&[0.0, 1.0], &[2.0, 1.0])], 0.0), None);
        let three = LogRankSums::of(&[one.clone(), one.clone(), one.clone()], 0.0).unwrap();
        assert_eq!(three.and(&LogRankSums::of(&[one.clone(), one], 0.0).unwrap()), None);
    }

    #[test]
    fn noise_adds_the_variance_that_draws_of_it_have() {
        // Hazards that are large, so that the noise in those at risk counts.
        let groups = [counts(&[60.0, 20.0], &[100.0, 40.0]), counts(&[50.0, 25.0], &[90.0, 40.0])];
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        // A sum of twelve uniform draws less six has variance 1.
        let mut noise = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        let difference = |groups: &[EventCounts]| {
            let sums = LogRankSums::of(groups, 0.0).unwrap();
            sums.observed[0] - sums.expected[0]
        };
        let (exact, draws) = (difference(&groups), 20_000);
        let mut squares = 0.0;
        for _ in 0..draws {
            let mut noised = groups.clone();
            for group in &mut noised {
                for count in group.events.iter_mut().chain(&mut group.at_risk) {
                    *count += 0.5 * noise();
                }
            }
            squares += (difference(&noised) - exact).powi(2);
        }
        let variance = |noise_sd| LogRankSums::of(&groups, noise_sd).unwrap().variance[0];
        let claimed = variance(0.5) - variance(0.0);
        assert!((0.95..1.05).contains(&(squares / f64::from(draws) / claimed)), "{squares} {claimed}");
    }
}
