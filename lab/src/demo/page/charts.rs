//! What the demonstration's page draws: learning, discrimination, calibration, utility and budgets.

use std::collections::BTreeMap;

use fedtwin_metrics::curves::{reliability, roc};
use fedtwin_metrics::{Prediction, accuracy};
use fedtwin_page::chart::{Axis, Bar, Bars, Guide, Lines, Point, Scale, Series};
use fedtwin_privacy::ledger::CohortReport;
use fedtwin_simulation::arm::ArmOutcome;
use fedtwin_simulation::outcome::FinishedStudy;
use fedtwin_simulation::results::{ArmName, Row, mean};
use fedtwin_trainer::report::{Report, RiskReport, RiskRow};

/// Returns a study's charts: scores by round, and of a risk model how it ranks patients and how far its numbers can be
/// taken at their word.
pub(super) fn of_study(study: &FinishedStudy) -> Vec<Lines> {
    let mut charts = vec![by_round(study)];
    let risk = |report: &Report| match report {
        Report::Risk(risk) => Some(risk.clone()),
        Report::Count(_) | Report::Survival(_) | Report::Segmentation(_) => None,
    };
    let sites: Vec<(String, RiskReport)> =
        study.sites.iter().filter_map(|site| Some((site.site.to_string(), risk(&site.report)?))).collect();
    if !sites.is_empty() {
        charts.extend([ranking(&sites), calibration(&sites)]);
    }
    charts
}

/// Each site's score along the rounds, in [0, 1].
fn by_round(study: &FinishedStudy) -> Lines {
    let rounds = f64::from(study.plan.rounds.count.get());
    let series = study.sites.iter().map(|site| {
        let along = site.curve.iter().map(|scores| (f64::from(scores.rounds), headline(&scores.report)));
        let points = along.chain([(rounds, headline(&site.report))]);
        let points = points.map(|(x, y)| Point { x, y, band: None }).collect();
        Series { name: site.site.to_string(), points }
    });
    Lines {
        title: "Score along the rounds".to_owned(),
        x: Axis::new("rounds", Scale::Linear),
        y: Axis::new("accuracy or Dice", Scale::Unit),
        series: series.collect(),
        guide: Guide::None,
    }
}

/// The score that a curve shows: accuracy of a risk model, mean Dice of a segmentation; counts have none in [0, 1].
fn headline(report: &Report) -> Option<f64> {
    match report {
        Report::Risk(risk) => accuracy(&predictions(&risk.rows, |row| row.global)),
        Report::Count(_) | Report::Survival(_) => None,
        Report::Segmentation(segmentation) => mean(segmentation.rows.iter().filter_map(|row| row.dice)),
    }
}

fn ranking(sites: &[(String, RiskReport)]) -> Lines {
    let curve = |name: &str, rows: &[RiskRow]| {
        let points = roc(&predictions(rows, |row| row.global));
        Series { name: name.to_owned(), points: points.into_iter().map(|(x, y)| Point::new(x, y)).collect() }
    };
    let all: Vec<_> = sites.iter().flat_map(|(_, report)| report.rows.clone()).collect();
    let each = sites.iter().map(|(name, report)| curve(name, &report.rows));
    Lines {
        title: "Who is found (ROC curve)".to_owned(),
        x: Axis::new("false alarms among the well", Scale::Unit),
        y: Axis::new("found among the ill", Scale::Unit),
        series: std::iter::once(curve("all", &all)).chain(each).collect(),
        guide: Guide::Diagonal,
    }
}

fn calibration(sites: &[(String, RiskReport)]) -> Lines {
    let all: Vec<_> = sites.iter().flat_map(|(_, report)| report.rows.clone()).collect();
    let curve = |name: &str, probability: fn(&RiskRow) -> Option<f64>| {
        let points = reliability(&predictions(&all, probability));
        Series { name: name.to_owned(), points: points.into_iter().map(|(x, y)| Point::new(x, y)).collect() }
    };
    Lines {
        title: "What happened against what was said".to_owned(),
        x: Axis::new("mean probability in a tenth", Scale::Unit),
        y: Axis::new("rate of the outcome", Scale::Unit),
        series: vec![
            curve("global model", |row| row.global),
            curve("with each hospital's intercept", |row| row.local),
        ],
        guide: Guide::Diagonal,
    }
}

fn predictions(rows: &[RiskRow], probability: fn(&RiskRow) -> Option<f64>) -> Vec<Prediction> {
    let predicted =
        |row| Some(Prediction { outcome: RiskRow::clone(row).outcome, probability: probability(row)? });
    rows.iter().filter_map(predicted).collect()
}

/// Returns a chart for each cohort whose models were trained at several epsilons.
pub(super) fn utility(figures: &[Row]) -> Vec<Lines> {
    let mut cohorts = BTreeMap::<&str, Vec<&Row>>::new();
    let of_federation =
        |row: &&Row| row.arm == ArmName::Federated && matches!(&*row.metric, "accuracy" | "dice");
    for row in figures.iter().filter(of_federation) {
        let id = row.study.as_str();
        // What drafts call their studies: the cohort, and then how it is protected.
        let cohort = id.strip_suffix("-none").or_else(|| Some(id.rsplit_once("-e")?.0));
        if let Some(cohort) = cohort {
            cohorts.entry(cohort).or_default().push(row);
        }
    }
    cohorts.into_iter().map(|(cohort, rows)| of_cohort(cohort, &rows)).collect()
}

fn of_cohort(cohort: &str, rows: &[&Row]) -> Lines {
    let (means, sites): (Vec<_>, Vec<_>) =
        rows.iter().copied().filter(|row| row.site != "pooled").partition(|row| row.site == "mean");
    let point = |row: &&Row| {
        let values = || sites.iter().filter(|site| site.study == row.study).map(|site| site.value);
        let band = values().reduce(f64::min).zip(values().reduce(f64::max));
        Some(Point { x: row.epsilon?, y: Some(row.value), band })
    };
    let points: Vec<_> = means.iter().filter_map(point).collect();
    let without = means.iter().find(|row| row.epsilon.is_none());
    let level = without.map(|row| points.iter().map(|point| Point::new(point.x, row.value)).collect());
    let metric = means.first().map_or("", |row| row.metric.as_ref());
    Lines {
        title: format!("{cohort}: {metric} against privacy"),
        x: Axis::new("epsilon of the study", Scale::Logarithmic),
        y: Axis::new(metric, Scale::Linear),
        series: [("with noise", Some(points)), ("without noise", level)]
            .into_iter()
            .filter_map(|(name, points)| Some(Series { name: name.to_owned(), points: points? }))
            .collect(),
        guide: Guide::None,
    }
}

/// Divides each site's budgets in what is spent, reserved and left, by the amounts, which add up, after the last study.
pub(super) fn budgets(arm: &ArmOutcome) -> Bars {
    let mut last = BTreeMap::<&str, &CohortReport>::new();
    for site in arm.studies.iter().flat_map(|study| &study.sites) {
        last.insert(site.site.as_str(), &site.ledger.cohort);
    }
    #[expect(clippy::cast_precision_loss, reason = "a share on a page")]
    let bar = |(site, cohort): (&str, &CohortReport)| {
        let cap = cohort.total.nano.max(1) as f64;
        let amounts = [cohort.spent, cohort.reserved, cohort.left];
        Bar {
            name: site.to_owned(),
            shares: amounts.map(|amount| amount.nano as f64 / cap).into(),
            note: format!("epsilon {:.3} of {:.3}", cohort.spent.epsilon, cohort.total.epsilon),
        }
    };
    Bars {
        title: "Each hospital's budget, by amount".to_owned(),
        parts: ["spent", "reserved", "left"].map(str::to_owned).into(),
        bars: last.into_iter().map(bar).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(study: &str, epsilon: Option<f64>, site: &str, value: f64) -> Row {
        Row {
            study: study.parse().unwrap(),
            arm: ArmName::Federated,
            privacy: "shared".into(),
            epsilon,
            delta: None,
            site: site.to_owned(),
            metric: "dice".into(),
            value,
            low: None,
            high: None,
            seeds: 1,
            counted: None,
        }
    }

    #[test]
    fn each_cohort_has_its_means_in_a_band_and_its_level_without_noise() {
        let figures = [
            row("hippocampus-none", None, "mean", 0.9),
            row("hippocampus-e1", Some(1.0), "a", 0.7),
            row("hippocampus-e1", Some(1.0), "b", 0.9),
            row("hippocampus-e1", Some(1.0), "mean", 0.8),
            row("hippocampus-six-e8", Some(8.0), "mean", 0.85),
            row("nuclei-long", None, "mean", 0.5),
        ];
        let [three, six] = &utility(&figures)[..] else { panic!("two cohorts have studies at an epsilon") };
        assert_eq!(three.series[0].points, [Point { x: 1.0, y: Some(0.8), band: Some((0.7, 0.9)) }]);
        assert_eq!(three.series[1].points, [Point::new(1.0, 0.9)]);
        assert_eq!((six.title.as_str(), six.series.len()), ("hippocampus-six: dice against privacy", 1));
        assert_eq!(six.series[0].points, [Point { x: 8.0, y: Some(0.85), band: None }]);
    }
}
