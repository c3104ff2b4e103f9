//! Figures of simulated studies, in the shape that scripts rely on.

use std::borrow::Cow;

use fedtwin_metrics::{Prediction, accuracy, auroc, brier, ece};
use fedtwin_plan::StudyId;
use fedtwin_plan::numbers::Positive;
use fedtwin_plan::report::{Report, RiskReport, SegmentationReport};
use serde::{Deserialize, Serialize};

use super::outcome::{SiteOutcome, StudyOutcome};

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The study.
    pub study: StudyId,
    /// Who trained, and whether each site's own intercept is in.
    pub arm: ArmName,
    /// The privacy mode: none, sums-only, local, shared.
    pub privacy: Cow<'static, str>,
    /// What the study cost at each site; absent where nothing bounds it.
    pub epsilon: Option<f64>,
    /// At which delta.
    pub delta: Option<f64>,
    /// A site's name, `mean` or `pooled`.
    pub site: String,
    /// What was measured.
    pub metric: Cow<'static, str>,
    /// The figure, the mean over `seeds`.
    pub value: f64,
    /// The lower end of the 95 % interval over seeds.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// Independent repetitions.
    pub seeds: u32,
}

/// Who trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArmName {
    /// One site alone.
    #[serde(rename = "alone")]
    Alone,
    /// All sites, one global model.
    #[serde(rename = "federated")]
    Federated,
    /// The same, with each site's own intercept.
    #[serde(rename = "federated+local")]
    FederatedLocal,
    /// All data in one place, which only a demonstration can have.
    #[serde(rename = "pooled")]
    Pooled,
}

impl ArmName {
    /// Returns the name as people read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Federated => "federated",
            Self::FederatedLocal => "federated+local",
            Self::Pooled => "pooled",
        }
    }
}

/// Where figures belong.
#[derive(Debug, Clone)]
pub struct Label {
    /// The study.
    pub study: StudyId,
    /// The privacy mode.
    pub privacy: &'static str,
    /// What it cost.
    pub epsilon: Option<f64>,
    /// At which delta.
    pub delta: Option<f64>,
}

impl Label {
    /// Labels a study's figures.
    #[must_use]
    pub fn of(outcome: &StudyOutcome) -> Self {
        let plan = &outcome.plan;
        let privacy = plan.privacy.mode().as_str();
        let epsilon = plan.calibrated.epsilon.map(Positive::get);
        Self { study: plan.study.id.clone(), privacy, epsilon, delta: plan.privacy.delta() }
    }

    fn row(&self, arm: ArmName, site: &str, metric: &'static str, value: f64) -> Row {
        let Self { study, privacy, epsilon, delta } = self.clone();
        let (site, low, high, seeds) = (site.to_owned(), None, None, 1);
        let (privacy, metric) = (privacy.into(), metric.into());
        Row { study, arm, privacy, epsilon, delta, site, metric, value, low, high, seeds }
    }
}

/// Returns a study's figures; `arm` says who trained.
#[must_use]
pub fn rows(outcome: &StudyOutcome, arm: ArmName) -> Vec<Row> {
    reports(&Label::of(outcome), arm, &outcome.sites.iter().map(named).collect::<Vec<_>>())
}

fn named(site: &SiteOutcome) -> (String, &Report) {
    (site.site.to_string(), &site.report)
}

/// Returns the figures of named reports of one model.
#[must_use]
pub fn reports(label: &Label, arm: ArmName, reports: &[(String, &Report)]) -> Vec<Row> {
    let risk: Vec<_> = reports
        .iter()
        .filter_map(|(site, report)| match report {
            Report::Risk(risk) => Some((site.as_str(), risk)),
            Report::Segmentation(_) => None,
        })
        .collect();
    let segmentation: Vec<_> = reports
        .iter()
        .filter_map(|(site, report)| match report {
            Report::Segmentation(segmentation) => Some((site.as_str(), segmentation)),
            Report::Risk(_) => None,
        })
        .collect();
    let mut rows = Vec::new();
    if !risk.is_empty() {
        rows.extend(risk_rows(label, arm, &risk, |row| row.global));
        let local = if arm == ArmName::Federated { ArmName::FederatedLocal } else { arm };
        if local != arm {
            rows.extend(risk_rows(label, local, &risk, |row| row.local));
        }
    }
    rows.extend(segmentation_rows(label, arm, &segmentation));
    rows
}

type RiskMetric = (&'static str, fn(&[Prediction]) -> Option<f64>);

const RISK_METRICS: [RiskMetric; 4] =
    [("accuracy", accuracy), ("auroc", auroc), ("brier", brier), ("ece", ece)];

/// For tables, `mean` is the plain mean over the sites for which a figure is defined, and `pooled` is the
/// figure of all test rows together.
fn risk_rows(
    label: &Label,
    arm: ArmName,
    reports: &[(&str, &RiskReport)],
    probability: fn(&fedtwin_plan::report::RiskRow) -> Option<f64>,
) -> Vec<Row> {
    let predictions = |report: &RiskReport| -> Vec<Prediction> {
        report
            .rows
            .iter()
            .filter_map(|row| Some(Prediction { outcome: row.outcome, probability: probability(row)? }))
            .collect()
    };
    let pooled: Vec<_> = reports.iter().flat_map(|(_, report)| predictions(report)).collect();
    let mut rows = Vec::new();
    for (metric, measure) in RISK_METRICS {
        let values: Vec<_> =
            reports.iter().filter_map(|(site, r)| Some((*site, measure(&predictions(r))?))).collect();
        rows.extend(values.iter().map(|(site, value)| label.row(arm, site, metric, *value)));
        rows.extend(
            mean(values.iter().map(|(_, value)| *value)).map(|value| label.row(arm, "mean", metric, value)),
        );
        rows.extend(measure(&pooled).map(|value| label.row(arm, "pooled", metric, value)));
    }
    rows
}

type VolumeMetric = (&'static str, fn(&fedtwin_plan::report::SegmentationRow) -> Option<f64>);

const VOLUME_METRICS: [VolumeMetric; 3] =
    [("dice", |row| row.dice), ("hd95_mm", |row| row.hd95_mm), ("volume_error", |row| row.volume_error)];

/// For images, `mean` is over all test patients.
fn segmentation_rows(label: &Label, arm: ArmName, reports: &[(&str, &SegmentationReport)]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (metric, measure) in VOLUME_METRICS {
        let of = |report: &SegmentationReport| mean(report.rows.iter().filter_map(measure));
        rows.extend(
            reports.iter().filter_map(|(site, report)| Some(label.row(arm, site, metric, of(report)?))),
        );
        let all = reports.iter().flat_map(|(_, report)| report.rows.iter().filter_map(measure));
        rows.extend(mean(all).map(|value| label.row(arm, "mean", metric, value)));
    }
    rows
}

/// Returns the mean, if there is anything to take it of.
#[must_use]
pub fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then_some(sum / count)
}

/// A study's figures with a line per site and arm and a column per metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Pivot {
    /// The metrics, in the order in which they were measured.
    pub metrics: Vec<Cow<'static, str>>,
    /// Site, arm, and a figure for each metric where there is one.
    pub lines: Vec<(String, ArmName, Vec<Option<f64>>)>,
}

/// Arranges a study's figures for people.
#[must_use]
pub fn pivot(study: &StudyId, rows: &[Row]) -> Pivot {
    let mut pivot = Pivot { metrics: Vec::new(), lines: Vec::new() };
    for row in rows.iter().filter(|row| row.study == *study) {
        let column = pivot.metrics.iter().position(|metric| *metric == row.metric).unwrap_or_else(|| {
            pivot.metrics.push(row.metric.clone());
            pivot.metrics.len() - 1
        });
        let line = pivot.lines.iter().position(|(site, arm, _)| (site, *arm) == (&row.site, row.arm));
        let line = line.unwrap_or_else(|| {
            pivot.lines.push((row.site.clone(), row.arm, Vec::new()));
            pivot.lines.len() - 1
        });
        let values = &mut pivot.lines[line].2;
        values.resize(values.len().max(column + 1), None);
        values[column] = Some(row.value);
    }
    let columns = pivot.metrics.len();
    pivot.lines.iter_mut().for_each(|(_, _, values)| values.resize(columns, None));
    // One arm after the other, each beginning with its sites.
    let order = |site: &str| match site {
        "mean" => 1,
        "pooled" => 2,
        _ => 0,
    };
    pivot.lines.sort_by_key(|(site, arm, _)| (arm.as_str(), order(site)));
    pivot
}

/// Writes a figure, or a dash where it is not defined.
#[must_use]
pub fn figure(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.3}"))
}
