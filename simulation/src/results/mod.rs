//! Figures of simulated studies, in the shape that scripts rely on.

mod survival;

use std::borrow::Cow;

use fedtwin_metrics::risk::poisson_deviance;
use fedtwin_metrics::{Prediction, accuracy, auroc, brier, ece};
use fedtwin_plan::StudyId;
use fedtwin_plan::numbers::Positive;
use fedtwin_trainer::report::{CountRow, Report, RiskReport, SegmentationReport};
use serde::{Deserialize, Serialize};

use crate::outcome::{FinishedStudy, SiteOutcome};

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The study, by its plan's `study.id`.
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
    /// Of how many test patients the figure is; absent in files of earlier releases.
    #[serde(default)]
    pub counted: Option<Counted>,
}

/// Of how many patients a figure is: of one who has no organ, or whose organ was missed, there is no distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Test patients of whom the figure is defined.
    pub patients: u32,
    /// All test patients.
    pub of: u32,
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
    /// The study, by its plan's `study.id`.
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
    pub fn of(outcome: &FinishedStudy) -> Self {
        let plan = &outcome.plan;
        let privacy = plan.privacy.mode().as_str();
        let epsilon = plan.calibrated.epsilon.map(Positive::get);
        Self { study: plan.study.id.clone(), privacy, epsilon, delta: plan.privacy.delta() }
    }

    fn row(&self, arm: ArmName, site: &str, metric: &'static str, figure: Figure) -> Row {
        let Self { study, privacy, epsilon, delta } = self.clone();
        let (site, low, high, seeds) = (site.to_owned(), None, None, 1);
        let (privacy, metric) = (privacy.into(), metric.into());
        let Figure { value, counted } = figure;
        let counted = Some(counted);
        Row { study, arm, privacy, epsilon, delta, site, metric, value, low, high, seeds, counted }
    }
}

/// A value and of whom it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// The value.
    pub value: f64,
    /// Of whom.
    pub counted: Counted,
}

/// Returns a study's figures; `arm` says who trained.
#[must_use]
pub fn rows(outcome: &FinishedStudy, arm: ArmName) -> Vec<Row> {
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
            Report::Count(_) | Report::Survival(_) | Report::Segmentation(_) => None,
        })
        .collect();
    let segmentation: Vec<_> = reports
        .iter()
        .filter_map(|(site, report)| match report {
            Report::Segmentation(segmentation) => Some((site.as_str(), segmentation)),
            Report::Risk(_) | Report::Count(_) | Report::Survival(_) => None,
        })
        .collect();
    let mut rows = Vec::new();
    if !risk.is_empty() {
        rows.extend(risk_rows(label, arm, &risk, |row| row.global));
        if arm == ArmName::Federated {
            rows.extend(risk_rows(label, ArmName::FederatedLocal, &risk, |row| row.local));
        }
    }
    rows.extend(count_rows(label, arm, reports));
    rows.extend(survival::rows(label, arm, reports));
    rows.extend(segmentation_rows(label, arm, &segmentation));
    rows
}

type Expected = fn(&CountRow) -> Option<f64>;

/// For counts, the mean deviance at each site and of all test rows together.
fn count_rows(label: &Label, arm: ArmName, reports: &[(String, &Report)]) -> Vec<Row> {
    let rows = |report: &Report| match report {
        Report::Count(report) => report.rows.clone(),
        Report::Risk(_) | Report::Survival(_) | Report::Segmentation(_) => Vec::new(),
    };
    let of_sites = reports.iter().map(|(site, report)| (site.as_str(), rows(report)));
    let all = reports.iter().flat_map(|(_, report)| rows(report)).collect();
    let groups: Vec<(&str, Vec<CountRow>)> = of_sites.chain([("pooled", all)]).collect();
    let mut expectations: Vec<(ArmName, Expected)> = vec![(arm, |row| row.global)];
    if arm == ArmName::Federated {
        expectations.push((ArmName::FederatedLocal, |row| row.local));
    }
    let figures = expectations.into_iter().flat_map(|(arm, expected)| {
        groups.iter().filter_map(move |(site, rows)| {
            let counts: Vec<_> = rows.iter().filter_map(|row| Some((row.count, expected(row)?))).collect();
            let counted = Counted { patients: number(counts.len()), of: number(rows.len()) };
            let figure = Figure { value: poisson_deviance(&counts)?, counted };
            Some(label.row(arm, site, "deviance", figure))
        })
    });
    figures.collect()
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
    probability: fn(&fedtwin_trainer::report::RiskRow) -> Option<f64>,
) -> Vec<Row> {
    let predictions = |report: &RiskReport| -> Vec<Prediction> {
        report
            .rows
            .iter()
            .filter_map(|row| Some(Prediction { outcome: row.outcome, probability: probability(row)? }))
            .collect()
    };
    let pooled: Vec<_> = reports.iter().flat_map(|(_, report)| predictions(report)).collect();
    let all = number(reports.iter().map(|(_, report)| report.rows.len()).sum());
    let mut rows = Vec::new();
    for (metric, measure) in RISK_METRICS {
        let measured = |&(site, report): &(&str, &RiskReport)| {
            let scored = predictions(report);
            let counted = Counted { patients: number(scored.len()), of: number(report.rows.len()) };
            Some((site.to_owned(), Figure { value: measure(&scored)?, counted }))
        };
        let figures: Vec<_> = reports.iter().filter_map(measured).collect();
        rows.extend(figures.iter().map(|(site, figure)| label.row(arm, site, metric, *figure)));
        let counted = |patients| Counted { patients, of: all };
        let in_mean = counted(figures.iter().map(|(_, figure)| figure.counted.patients).sum());
        let mean = mean(figures.iter().map(|(_, figure)| figure.value));
        rows.extend(mean.map(|value| label.row(arm, "mean", metric, Figure { value, counted: in_mean })));
        let of_pooled = counted(number(pooled.len()));
        let pooled = measure(&pooled).map(|value| Figure { value, counted: of_pooled });
        rows.extend(pooled.map(|figure| label.row(arm, "pooled", metric, figure)));
    }
    rows
}

type VolumeMetric = (&'static str, fn(&fedtwin_trainer::report::SegmentationRow) -> Option<f64>);

const VOLUME_METRICS: [VolumeMetric; 3] =
    [("dice", |row| row.dice), ("hd95_mm", |row| row.hd95_mm), ("volume_error", |row| row.volume_error)];

/// For images, `mean` is over all test patients of whom a figure is defined. A missed organ has no distance, so that a
/// model that misses more of them would look no worse: it is counted, as [`MISSED`].
fn segmentation_rows(label: &Label, arm: ArmName, reports: &[(&str, &SegmentationReport)]) -> Vec<Row> {
    let of_site = reports.iter().map(|(site, report)| (*site, report.rows.iter().collect::<Vec<_>>()));
    let of_all = reports.iter().flat_map(|(_, report)| &report.rows).collect::<Vec<_>>();
    let groups: Vec<_> = of_site.chain((!reports.is_empty()).then_some(("mean", of_all))).collect();
    let mut rows = Vec::new();
    for (metric, measure) in VOLUME_METRICS {
        for (site, patients) in &groups {
            let values: Vec<_> = patients.iter().filter_map(|row| measure(row)).collect();
            let counted = Counted { patients: number(values.len()), of: number(patients.len()) };
            let value = mean(values.into_iter());
            rows.extend(value.map(|value| label.row(arm, site, metric, Figure { value, counted })));
        }
    }
    for (site, patients) in &groups {
        let with_organ = || patients.iter().filter(|row| row.volume_error.is_some());
        let counted = Counted { patients: number(with_organ().count()), of: number(patients.len()) };
        let missed = with_organ().filter(|row| row.is_missed()).count();
        let value = f64::from(number(missed));
        rows.push(label.row(arm, site, MISSED, Figure { value, counted }));
    }
    rows
}

/// How many organs were missed altogether, of the patients who have one.
pub const MISSED: &str = "missed";

fn number(patients: usize) -> u32 {
    u32::try_from(patients).unwrap_or(u32::MAX)
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
    /// Site, arm, and a figure for each metric, as people read it.
    pub lines: Vec<(String, ArmName, Vec<String>)>,
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
        values.resize(values.len().max(column + 1), UNDEFINED.to_owned());
        values[column] = figure(row);
    }
    let columns = pivot.metrics.len();
    pivot.lines.iter_mut().for_each(|(_, _, values)| values.resize(columns, UNDEFINED.to_owned()));
    // One arm after the other, each beginning with its sites.
    let order = |site: &str| match site {
        "mean" => 1,
        "pooled" => 2,
        _ => 0,
    };
    pivot.lines.sort_by_key(|(site, arm, _)| (arm.as_str(), order(site)));
    pivot
}

/// Writes a figure, and of how many patients it is where that is not all.
#[must_use]
pub fn figure(row: &Row) -> String {
    let Row { metric, value, counted, .. } = row;
    match counted {
        Some(Counted { patients, .. }) if metric == MISSED => format!("{value:.0} of {patients}"),
        Some(Counted { patients, of }) if patients < of => format!("{value:.3} ({patients} of {of})"),
        Some(_) | None => format!("{value:.3}"),
    }
}

/// Stands for a figure that is defined of nobody.
const UNDEFINED: &str = "-";

#[cfg(test)]
mod tests;
