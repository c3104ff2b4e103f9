//! Split-conformal intervals: how far a new value may be from its forecast, from how far others were.

/// The share of new values that an interval is to hold, exactly: 9 of 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    held: u32,
    of: u32,
}

impl Coverage {
    /// Returns the share `held` of `of`; `None` unless it is between 0 and 1, both excluded.
    #[must_use]
    pub fn new(held: u32, of: u32) -> Option<Self> {
        (0 < held && held < of).then_some(Self { held, of })
    }

    /// Returns which of `scores` scores in increasing order, counted from 1, bounds a new one with this chance at least.
    ///
    /// `ceil((n + 1)(1 - alpha))` for 1 - alpha the coverage (Vovk et al. 2005; Lei et al. 2018, section 2.2), in
    /// integers: in floating point the product may come out above or below a whole number. `None` where that is beyond
    /// the last, so that no finite bound holds: nine scores are enough for 9 of 10, eight are not.
    #[must_use]
    pub fn rank(self, scores: usize) -> Option<usize> {
        let rank = ((scores as u128 + 1) * u128::from(self.held)).div_ceil(u128::from(self.of));
        usize::try_from(rank).ok().filter(|&rank| rank <= scores)
    }

    /// Returns the bound that a new score stays within with this chance at least, if it is exchangeable with `scores`;
    /// infinite where they are too few.
    ///
    /// A score that is not a number counts as infinite.
    #[must_use]
    pub fn bound(self, scores: &[f64]) -> f64 {
        let Some(rank) = self.rank(scores.len()) else { return f64::INFINITY };
        let finite = |score: &f64| if score.is_nan() { f64::INFINITY } else { *score };
        let mut ordered: Vec<_> = scores.iter().map(finite).collect();
        ordered.sort_by(f64::total_cmp);
        ordered[rank - 1]
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn rank(held: u32, of: u32, scores: usize) -> Option<usize> {
        Coverage::new(held, of).unwrap().rank(scores)
    }

    #[test]
    fn ranks_are_exact() {
        assert_eq!((rank(9, 10, 9), rank(9, 10, 8), rank(9, 10, 0)), (Some(9), None, None));
        assert_eq!((rank(19, 20, 19), rank(19, 20, 18)), (Some(19), None));
        assert_eq!((rank(1, 2, 1), rank(1, 2, 2), rank(9, 10, 100)), (Some(1), Some(2), Some(91)));
        // 300 times 0.07 is 21.000000000000004 in floating point, whose ceiling is one more.
        assert_eq!(rank(7, 100, 299), Some(21));
        // 2^64 - 2^64 / (2^32 - 1), rounded up.
        assert_eq!(rank(u32::MAX - 1, u32::MAX, usize::MAX), Some(usize::MAX - (1 << 32)));
    }

    #[test]
    fn too_few_scores_have_an_infinite_bound() {
        let coverage = Coverage::new(9, 10).unwrap();
        let scores: Vec<_> = (1..=9_u8).rev().map(f64::from).collect();
        assert!((coverage.bound(&scores) - 9.0).abs() < 1e-12);
        assert!(coverage.bound(&scores[1..]).is_infinite());
        assert!(coverage.bound(&[f64::NAN; 20]).is_infinite());
        for (held, of) in [(0, 10), (10, 10), (11, 10), (0, 0)] {
            assert_eq!(Coverage::new(held, of), None);
        }
    }

    #[test]
    fn new_scores_are_held_as_often_as_said() {
        // 30 scores and 4 of 5: the rank is 25, so the chance is 25/31 exactly, for a continuous score.
        let (coverage, trials) = (Coverage::new(4, 5).unwrap(), 20_000);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut held = 0;
        for _ in 0..trials {
            let scores: Vec<f64> = (0..30).map(|_| rng.random()).collect();
            held += u32::from(rng.random::<f64>() <= coverage.bound(&scores));
        }
        let (share, expected) = (f64::from(held) / f64::from(trials), 25.0_f64 / 31.0);
        let sd = (expected * (1.0 - expected) / f64::from(trials)).sqrt();
        // Four standard deviations: a false alarm in 16,000 seeds.
        assert!((share - expected).abs() < 4.0 * sd, "{share}");
    }
}
