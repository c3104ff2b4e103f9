//! Figures of survival curves, at each site and of all test patients together.

use fedtwin_metrics::survival::{
    Curve, Survival, SurvivalPrediction, auroc_at, brier_at, censoring_curve, concordance, integrated_brier,
};
use fedtwin_trainer::report::{Report, SurvivalReport, SurvivalRow};

use super::{ArmName, Counted, Figure, Label, Row, mean, number};

type Predicted = fn(&SurvivalRow) -> Option<&Vec<f64>>;

/// The test patients of a site or of all, with the predicted probabilities at the ends of the intervals.
struct Group<'a> {
    site: &'a str,
    /// The ends of the intervals, from the landmark.
    until: Vec<f64>,
    patients: Vec<(Survival, Vec<f64>)>,
    of: u32,
}

/// Returns what each metric is of the reports of hazard models; `mean` is the plain mean over the sites for which a figure
/// is defined.
///
/// Scores are weighed by one censoring curve, of all sites' test patients together, so that a site's figure does not hang
/// on one of its own. Harrell's C ranks by the risk at the horizon and looks at all the times there are.
pub(super) fn rows(label: &Label, arm: ArmName, reports: &[(String, &Report)]) -> Vec<Row> {
    let survival =
        reports.iter().filter_map(|(site, report)| Some((site.clone(), report.survival()?.clone())));
    let reports: Vec<(String, SurvivalReport)> = survival.collect();
    let Some((_, first)) = reports.first() else { return Vec::new() };
    let mut arms: Vec<(ArmName, Predicted)> = vec![(arm, |row| row.global.as_ref())];
    if arm == ArmName::Federated {
        arms.push((ArmName::FederatedLocal, |row| row.local.as_ref()));
    }
    let mut rows = Vec::new();
    for (arm, predicted) in arms {
        let sites: Vec<_> =
            reports.iter().map(|(site, report)| Group::new(site, report, predicted)).collect();
        let all = SurvivalReport {
            rows: reports.iter().flat_map(|(_, report)| report.rows.clone()).collect(),
            ..first.clone()
        };
        let pooled = Group::new("pooled", &all, predicted);
        let observed: Vec<_> = pooled.patients.iter().map(|(observed, _)| *observed).collect();
        let censoring = censoring_curve(&observed);
        for (metric, measure) in METRICS {
            let of_group =
                |group: &Group<'_>| Some((group.figure(measure(group, &censoring)?), group.site.to_owned()));
            let of_sites: Vec<_> = sites.iter().filter_map(of_group).collect();
            let patients = of_sites.iter().map(|(figure, _)| figure.counted.patients).sum();
            let counted = Counted { patients, of: pooled.of };
            let over_sites = mean(of_sites.iter().map(|(figure, _)| figure.value));
            let over_sites = over_sites.map(|value| (Figure { value, counted }, "mean".to_owned()));
            let figures = of_sites.into_iter().chain(over_sites).chain(of_group(&pooled));
            rows.extend(figures.map(|(figure, site)| label.row(arm, &site, metric, figure)));
        }
    }
    rows
}

type Metric = (&'static str, fn(&Group<'_>, &Curve) -> Option<f64>);

const METRICS: [Metric; 4] = [
    ("c_index", |group, _| concordance(&group.at(group.until.len() - 1))?.c_index()),
    ("auroc_horizon", |group, censoring| {
        auroc_at(&group.at(group.until.len() - 1), censoring, group.horizon())
    }),
    ("brier_horizon", |group, censoring| {
        brier_at(&group.at(group.until.len() - 1), censoring, group.horizon())
    }),
    ("ibs", |group, censoring| {
        let of_end = |(nth, &end): (usize, &f64)| Some((end, brier_at(&group.at(nth), censoring, end)?));
        // At the landmark everybody is without the event, and known to be.
        let mut scores = vec![(0.0, 0.0)];
        scores.extend(group.until.iter().enumerate().map(of_end).collect::<Option<Vec<_>>>()?);
        integrated_brier(&scores)
    }),
];

impl<'a> Group<'a> {
    fn new(site: &'a str, report: &SurvivalReport, predicted: Predicted) -> Self {
        let since = |time: f64| (time - report.from).max(0.0);
        let patient = |row: &SurvivalRow| {
            let observed = Survival::new(since(row.entry), since(row.time), row.happened).ok()?;
            Some((observed, predicted(row)?.clone()))
        };
        Self {
            site,
            until: report.until.iter().map(|&end| since(end)).collect(),
            patients: report.rows.iter().filter_map(patient).collect(),
            of: number(report.rows.len()),
        }
    }

    fn horizon(&self) -> f64 {
        self.until.last().copied().unwrap_or(0.0)
    }

    /// Returns the patients with their risk by the end of an interval.
    fn at(&self, interval: usize) -> Vec<SurvivalPrediction> {
        let risk = |(observed, curve): &(Survival, Vec<f64>)| {
            let without = curve.get(interval)?;
            Some(SurvivalPrediction { observed: *observed, risk: 1.0 - without })
        };
        self.patients.iter().filter_map(risk).collect()
    }

    fn figure(&self, value: f64) -> Figure {
        Figure { value, counted: Counted { patients: number(self.patients.len()), of: self.of } }
    }
}
