//! The counts that metrics consist of: each test patient is in exactly one cell, or in none.
//!
//! A count is all that leaves of a patient's score, noised. So one patient changes one number by one,
//! whatever the score is.

use serde::{Deserialize, Serialize};

use crate::report::{Report, RiskReport, RiskRow, SegmentationReport};

/// What the cells are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Histogram {
    /// Twenty equal bins of the global model's probability: first of the patients without the outcome,
    /// then of those with it.
    Risk,
    /// Twenty equal bins of each patient's Dice overlap.
    Segmentation,
}

impl Histogram {
    /// Returns the number of cells.
    #[must_use]
    pub fn cells(self) -> usize {
        match self {
            Self::Risk => 2 * BINS,
            Self::Segmentation => BINS,
        }
    }

    /// Counts a report's test patients by cell; a score that is no number in [0, 1] counts nowhere, and neither does
    /// anybody in another kind of report.
    #[must_use]
    pub fn counts(self, report: &Report) -> Vec<u64> {
        let mut counts = vec![0; self.cells()];
        match (self, report) {
            (Self::Risk, Report::Risk(RiskReport { rows, .. })) => {
                let cell = |row: &RiskRow| Some(bin(row.global?)? + if row.outcome { BINS } else { 0 });
                rows.iter().filter_map(cell).for_each(|cell| counts[cell] += 1);
            }
            (Self::Segmentation, Report::Segmentation(SegmentationReport { rows })) => {
                rows.iter().filter_map(|row| bin(row.dice?)).for_each(|cell| counts[cell] += 1);
            }
            (Self::Risk, Report::Segmentation(_)) | (Self::Segmentation, Report::Risk(_)) => {}
        }
        counts
    }
}

/// A bin holds its lower edge; the last also holds 1.
fn bin(score: f64) -> Option<usize> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the bin is where it truncates to, twenty is exact, and scores are not negative here"
    )]
    let bin = || ((score * BINS as f64) as usize).min(BINS - 1);
    (0.0..=1.0).contains(&score).then(bin)
}

/// Twenty: enough for a calibration curve, and one edge is at one half.
pub const BINS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::SegmentationRow;

    #[test]
    fn each_score_is_in_the_bin_that_holds_it() {
        for (score, expected) in [
            (0.0, Some(0)),
            (0.049_999, Some(0)),
            (0.05, Some(1)),
            (0.5, Some(10)),
            (0.999, Some(19)),
            (1.0, Some(19)),
            (-1e-300, None),
            (1.000_001, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(bin(score), expected, "{score}");
        }
    }

    #[test]
    fn reports_become_counts_and_local_scores_have_none() {
        let counted = |histogram: Histogram, report: &Report| -> Vec<(usize, u64)> {
            let counts = histogram.counts(report);
            assert_eq!(counts.len(), histogram.cells());
            counts.into_iter().enumerate().filter(|&(_, count)| count > 0).collect()
        };
        let row = |outcome, global| RiskRow { outcome, global: Some(global), local: Some(0.99) };
        let rows = vec![row(false, 0.3), row(true, 0.3), row(true, f64::NAN), row(true, 0.31)];
        let risk = Report::Risk(RiskReport { intercept: 2.0, rows });
        assert_eq!(counted(Histogram::Risk, &risk), [(6, 1), (26, 2)]);
        let rows = vec![SegmentationRow { dice: Some(0.87), hd95_mm: Some(3.0), volume_error: None }];
        let segmentation = Report::Segmentation(SegmentationReport { rows });
        assert_eq!(counted(Histogram::Segmentation, &segmentation), [(17, 1)]);
        assert_eq!(counted(Histogram::Risk, &segmentation), []);
        assert_eq!((Histogram::Risk.cells(), Histogram::Segmentation.cells()), (40, 20));
    }
}
