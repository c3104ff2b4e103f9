//! Quantiles from counts over a public grid.

use crate::interval::Level;

/// A quantile and where it may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    /// The quantile, as if patients were spread evenly over their bin.
    pub value: f64,
    /// The lower edge of the lowest bin that may hold it.
    pub low: f64,
    /// The upper edge of the highest bin that may hold it.
    pub high: f64,
}

/// Returns the quantile at `share`, in [0, 1], of values that were counted in bins.
///
/// `edges`: increasing, one more than `counts`; a bin holds its lower edge. Without noise, low and high are the edges of
/// the bin that has the quantile, which is exact: nothing is said of where in it. With each count's noise of standard
/// deviation `noise_sd` they are the edges between which, at the level, the sum of the first counts minus `share` of all
/// passes 0: it has the variance `noise_sd^2 (k (1 - share)^2 + (bins - k) share^2)` after k bins. `None` where the
/// numbers are not as said, or the counts' sum is not above 0.
#[must_use]
pub fn quantile(edges: &[f64], counts: &[f64], share: f64, noise_sd: f64, level: Level) -> Option<Quantile> {
    let is_grid = edges.len() == counts.len() + 1 && edges.is_sorted_by(|a, b| a < b);
    let total: f64 = counts.iter().sum();
    if !is_grid || !(0.0..=1.0).contains(&share) || !total.is_finite() || total <= 0.0 {
        return None;
    }
    // The sum of the counts up to each bin less the share of all, and the standard deviation of its noise.
    let mut sum = 0.0;
    let passed = counts.iter().enumerate().map(|(bin, count)| {
        sum += count;
        #[expect(clippy::cast_precision_loss, reason = "a grid is far below 2^52")]
        let (before, after) = ((bin + 1) as f64, (counts.len() - bin - 1) as f64);
        let variance = before * (1.0 - share).powi(2) + after * share.powi(2);
        (sum - share * total, noise_sd * variance.sqrt())
    });
    let passed: Vec<_> = passed.collect();
    // Without noise an empty bin holds no quantile.
    let first = |z: f64| {
        let mut bins = passed.iter().zip(counts);
        bins.position(|(&(excess, sd), &count)| excess >= z * sd && (sd > 0.0 || count > 0.0))
    };
    let bin = passed.iter().zip(counts).position(|(&(excess, _), &count)| excess >= 0.0 && count > 0.0)?;
    let before = passed[bin].0 - counts[bin];
    let part = (-before / counts[bin]).clamp(0.0, 1.0);
    let (low, high) = (first(-level.z()).unwrap_or(0), first(level.z()).unwrap_or(counts.len() - 1));
    Some(Quantile {
        value: edges[bin] + part * (edges[bin + 1] - edges[bin]),
        low: edges[low.min(bin)],
        high: edges[high.max(bin) + 1],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGES: [f64; 5] = [0.0, 10.0, 20.0, 30.0, 50.0];

    fn find(counts: &[f64], share: f64, noise_sd: f64) -> Option<(f64, f64, f64)> {
        let found = quantile(&EDGES, counts, share, noise_sd, Level::default())?;
        Some((found.value, found.low, found.high))
    }

    #[test]
    fn exact_counts_give_the_bin_and_an_even_spread() {
        let counts = [2.0, 4.0, 0.0, 4.0];
        assert_eq!(find(&counts, 0.5, 0.0), Some((17.5, 10.0, 20.0)));
        assert_eq!(find(&counts, 0.2, 0.0), Some((10.0, 0.0, 10.0)));
        assert_eq!(find(&counts, 0.8, 0.0), Some((40.0, 30.0, 50.0)));
        assert_eq!(find(&counts, 0.0, 0.0), Some((0.0, 0.0, 10.0)));
        assert_eq!(find(&counts, 1.0, 0.0), Some((50.0, 30.0, 50.0)));
        assert_eq!(find(&[0.0, 4.0, 4.0, 0.0], 0.0, 0.0), Some((10.0, 10.0, 20.0)));
    }

    #[test]
    fn noise_adds_the_bins_that_it_may_have_moved_the_quantile_to() {
        let counts = [200.0, 210.0, 200.0, 190.0];
        // The sums less half of all are -200, 10, 210, 400; their noise has the standard deviation 1 at noise 1.
        assert_eq!(find(&counts, 0.5, 1.0).map(|f| (f.1, f.2)), Some((10.0, 20.0)));
        assert_eq!(find(&counts, 0.5, 10.0).map(|f| (f.1, f.2)), Some((10.0, 30.0)));
        // Up to the second bin the sum less nine tenths of all is -310; its noise has the standard deviation 1.28 at 1.
        assert_eq!(find(&counts, 0.9, 115.0).map(|f| f.1), Some(20.0));
        assert_eq!(find(&counts, 0.9, 130.0).map(|f| f.1), Some(10.0));
        assert_eq!(find(&counts, 0.5, 1e6).map(|f| (f.1, f.2)), Some((0.0, 50.0)));
        let negative = find(&[-3.0, 10.0, -2.0, 10.0], 0.05, 2.0).unwrap();
        assert!(negative.1 <= negative.0 && negative.0 <= negative.2, "{negative:?}");
    }

    #[test]
    fn what_is_no_histogram_has_no_quantile() {
        let counts = [1.0, 1.0, 1.0, 1.0];
        for share in [-0.1, 1.1, f64::NAN] {
            assert_eq!(find(&counts, share, 0.0), None);
        }
        for counts in [&[][..], &counts[..3], &[0.0; 4], &[-1.0; 4], &[f64::NAN; 4]] {
            assert_eq!(find(counts, 0.5, 0.0), None);
        }
        assert_eq!(quantile(&[2.0, 1.0], &[1.0], 0.5, 0.0, Level::default()), None);
        assert_eq!(quantile(&[0.0], &[], 0.5, 0.0, Level::default()), None);
    }
}
