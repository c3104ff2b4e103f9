//! What a site finds out about a finished model on its own test patients. It stays at the site.
//!
//! A score is a finite number or absent: JSON has no others, and a report of one odd patient must be as readable as
//! any other.

use fedtwin_plan::histogram::{BINS, Histogram, bin};
use serde::{Deserialize, Serialize};

/// A site's own report of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// A risk model's predictions.
    Risk(RiskReport),
    /// A model's expected counts.
    Count(CountReport),
    /// A hazard model's survival curves.
    Survival(SurvivalReport),
    /// A segmentation model's overlap with the masks.
    Segmentation(SegmentationReport),
}

impl Report {
    /// Returns the curves of a hazard model, if it is one's.
    #[must_use]
    pub fn survival(&self) -> Option<&SurvivalReport> {
        match self {
            Self::Survival(report) => Some(report),
            Self::Risk(_) | Self::Count(_) | Self::Segmentation(_) => None,
        }
    }

    /// Counts test patients by cell; a score that is no number in [0, 1] counts nowhere, and neither does anybody in
    /// another kind of report.
    #[must_use]
    pub fn counts(&self, histogram: Histogram) -> Vec<u64> {
        let mut counts = vec![0; histogram.cells()];
        match (histogram, self) {
            (Histogram::Risk, Self::Risk(RiskReport { rows, .. })) => {
                let cell = |row: &RiskRow| Some(bin(row.global?)? + if row.outcome { BINS } else { 0 });
                rows.iter().filter_map(cell).for_each(|cell| counts[cell] += 1);
            }
            (Histogram::Segmentation, Self::Segmentation(SegmentationReport { rows })) => {
                rows.iter().filter_map(|row| bin(row.dice?)).for_each(|cell| counts[cell] += 1);
            }
            (Histogram::Risk, Self::Count(_) | Self::Survival(_) | Self::Segmentation(_))
            | (Histogram::Segmentation, Self::Count(_) | Self::Survival(_) | Self::Risk(_)) => {}
        }
        counts
    }
}

/// Scores of the model after some rounds, as a site keeps them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Rounds behind the model.
    pub rounds: u32,
    /// The scores.
    pub report: Report,
}

/// Predictions for the test patients, in their order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RiskReport {
    /// What is added to the global model's logit at this site; fitted on its training patients.
    pub intercept: f64,
    /// The predictions.
    pub rows: Vec<RiskRow>,
}

/// One test patient's prediction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RiskRow {
    /// Whether the outcome happened.
    pub outcome: bool,
    /// The global model's probability; absent where its arithmetic gives no number.
    pub global: Option<f64>,
    /// The probability with the site's own intercept; absent likewise.
    pub local: Option<f64>,
}

/// Expected counts of the test patients, in their order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CountReport {
    /// What is added to the logarithm of the global model's expected count at this site; fitted on its training patients.
    pub intercept: f64,
    /// The expectations.
    pub rows: Vec<CountRow>,
}

/// What was expected of one test patient.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CountRow {
    /// How often it happened.
    pub count: f64,
    /// How often the global model expects it; absent where its arithmetic gives no number.
    pub global: Option<f64>,
    /// The same with the site's own intercept; absent likewise.
    pub local: Option<f64>,
}

/// Survival curves of the test patients who were still followed at the plan's landmark, in their order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SurvivalReport {
    /// What is added to the global model's logit of each interval at this site; fitted on its training patients.
    pub intercept: f64,
    /// The landmark, from which curves begin at 1, in the plan's unit of time.
    pub from: f64,
    /// The ends of the plan's intervals; the last one is the horizon.
    pub until: Vec<f64>,
    /// The curves.
    pub rows: Vec<SurvivalRow>,
}

/// What was predicted for one test patient, and what happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SurvivalRow {
    /// When the patient came under observation, in the plan's unit.
    pub entry: f64,
    /// When it happened, or when the patient was last known to be without it.
    pub time: f64,
    /// Whether it happened.
    pub happened: bool,
    /// The global model's probability that it has not happened by the end of each interval, `[intervals]`; absent where
    /// its arithmetic gives no number.
    pub global: Option<Vec<f64>>,
    /// The same with the site's own intercept; absent likewise.
    pub local: Option<Vec<f64>>,
}

/// Scores of the test patients, in their order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SegmentationReport {
    /// The scores.
    pub rows: Vec<SegmentationRow>,
}

/// One test patient's scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SegmentationRow {
    /// Dice overlap of the whole volume, in [0, 1]; absent where the volume could not be segmented.
    pub dice: Option<f64>,
    /// 95th percentile of the surface distance, in millimetres; absent where one of the two is empty.
    pub hd95_mm: Option<f64>,
    /// Predicted volume over true volume, minus 1; absent where the true one is empty.
    pub volume_error: Option<f64>,
}

impl SegmentationRow {
    /// Says whether there is an organ of which nothing was found.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        self.hd95_mm.is_none() && self.volume_error.is_some()
    }
}

/// Returns a score if it is a number.
#[must_use]
pub fn score(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_become_counts_and_local_scores_have_none() {
        let counted = |histogram: Histogram, report: &Report| -> Vec<(usize, u64)> {
            let counts = report.counts(histogram);
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
