//! The site's own intercept: an offset to the global model's output that never leaves the site.
//!
//! It is fitted after the last round, with the released weights fixed, so no contribution ever
//! depends on it.

use super::Link;

/// Returns the offset `b` with the highest posterior density given the training patients.
///
/// The mode of `Σ log p(yᵢ | outputᵢ + b) - b² / (2 s²)`, with the weakly informative prior N(0, s²),
/// `s` = 2.5 on the logit scale (Gelman et al. 2008, section 2, with a normal in place of the Cauchy).
/// The prior keeps it finite where all outcomes are alike and gives 0 without patients. The
/// derivative is strictly decreasing, so bisection finds its only root.
///
/// # Panics
/// If there are not as many outcomes as outputs.
#[must_use]
pub fn fit(outputs: &[f64], outcomes: &[f64], link: Link) -> f64 {
    assert_eq!(outputs.len(), outcomes.len(), "one outcome per patient");
    let slope = |b: f64| {
        let residuals = outputs.iter().zip(outcomes).map(|(&output, y)| y - link.expected(output + b));
        residuals.sum::<f64>() - b / PRIOR_VARIANCE
    };
    // Beyond it the prior outweighs all residuals, so the slope changes its sign within.
    let bound = PRIOR_VARIANCE * (link.residuals_max(outputs, outcomes) + 1.0);
    let (mut low, mut high) = (-bound, bound);
    for _ in 0..BISECTIONS {
        let middle = low.midpoint(high);
        if slope(middle) > 0.0 { low = middle } else { high = middle }
    }
    low.midpoint(high)
}

const PRIOR_VARIANCE: f64 = 2.5 * 2.5;
/// From at most 10^8 wide to below 1e-10, and from 10^14, of counts, to below 1e-4.
const BISECTIONS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_makes_the_mean_probability_match_the_outcomes() {
        let logits: Vec<f64> = (0..1000).map(|i| f64::from(i) / 250.0 - 3.0).collect();
        let outcomes: Vec<f64> = (0..1000).map(|i| f64::from(u8::from(i % 5 == 0))).collect();
        let b = fit(&logits, &outcomes, Link::Logit);
        let mean = logits.iter().map(|logit| Link::Logit.expected(logit + b)).sum::<f64>() / 1000.0;
        // What is left is the prior's pull, b / s² over 1000 patients.
        assert!((mean - 0.2 + b / PRIOR_VARIANCE / 1000.0).abs() < 1e-9);
    }

    #[test]
    fn the_fit_makes_the_expected_counts_match_the_counts() {
        let outputs: Vec<f64> = (0..1000).map(|i| f64::from(i) / 500.0 - 2.0).collect();
        let counts: Vec<f64> = (0..1000).map(|i| f64::from(i % 4)).collect();
        let b = fit(&outputs, &counts, Link::Log);
        let expected = outputs.iter().map(|output| (output + b).exp()).sum::<f64>();
        assert!((expected - 1500.0 + b / PRIOR_VARIANCE).abs() < 1e-6, "{expected}");
        assert!(fit(&[1e300, -1e300], &[0.0, 1e6], Link::Log).is_finite());
    }

    #[test]
    fn one_class_gives_a_finite_offset_that_grows_with_the_evidence() {
        let of =
            |patients: usize, outcome: f64| fit(&vec![0.0; patients], &vec![outcome; patients], Link::Logit);
        assert!(of(30, 1.0) > of(5, 1.0) && of(5, 1.0) > 0.5 && of(30, 1.0) < 10.0);
        assert!((of(30, 1.0) + of(30, 0.0)).abs() < 1e-9);
    }

    #[test]
    fn no_patients_and_extreme_logits_are_harmless() {
        assert!(fit(&[], &[], Link::Logit).abs() < 1e-9);
        assert!(fit(&[800.0, -800.0], &[1.0, 0.0], Link::Logit).abs() < 1e-9);
        assert!(fit(&[1e300], &[0.0], Link::Logit).is_finite());
    }
}
