//! Figures of named reports.

use fedtwin_trainer::report::{CountReport, SegmentationRow};

use super::*;

fn label() -> Label {
    Label { study: "s".parse().unwrap(), privacy: "none", epsilon: None, delta: None }
}

fn found(dice: f64, hd95_mm: f64) -> SegmentationRow {
    SegmentationRow { dice: Some(dice), hd95_mm: Some(hd95_mm), volume_error: Some(0.0) }
}

const MISSED_ORGAN: SegmentationRow =
    SegmentationRow { dice: Some(0.0), hd95_mm: None, volume_error: Some(-1.0) };
const NO_ORGAN: SegmentationRow = SegmentationRow { dice: Some(1.0), hd95_mm: None, volume_error: None };

#[test]
fn a_missed_organ_is_counted_where_it_has_no_distance() {
    let one = Report::Segmentation(SegmentationReport { rows: vec![found(0.8, 2.0), MISSED_ORGAN] });
    let two = Report::Segmentation(SegmentationReport { rows: vec![NO_ORGAN, found(0.6, 4.0)] });
    let none = Report::Segmentation(SegmentationReport { rows: vec![MISSED_ORGAN] });
    let named = [("a".to_owned(), &one), ("b".to_owned(), &two), ("c".to_owned(), &none)];
    let rows = reports(&label(), ArmName::Federated, &named);
    let Pivot { metrics, lines } = pivot(&label().study, &rows);
    assert_eq!(metrics, ["dice", "hd95_mm", "volume_error", "missed"]);
    let lines: Vec<_> = lines.iter().map(|(site, _, cells)| (site.as_str(), cells.join(" | "))).collect();
    let expected = [
        ("a", "0.400 | 2.000 (1 of 2) | -0.500 | 1 of 2"),
        ("b", "0.800 | 4.000 (1 of 2) | 0.000 (1 of 2) | 0 of 1"),
        ("c", "0.000 | - | -1.000 | 1 of 1"),
        ("mean", "0.480 | 3.000 (2 of 5) | -0.500 (4 of 5) | 2 of 4"),
    ];
    assert_eq!(lines, expected.map(|(site, cells)| (site, cells.to_owned())));
}

#[test]
fn only_a_federated_model_has_a_second_line_of_counts() {
    let row = CountRow { count: 2.0, global: Some(1.0), local: Some(2.0) };
    let report = Report::Count(CountReport { intercept: 0.7, rows: vec![row] });
    let named = [("a".to_owned(), &report)];
    let arms = |arm| {
        let rows = reports(&label(), arm, &named);
        rows.into_iter().map(|row| (row.arm, row.site)).collect::<Vec<_>>()
    };
    let lines = |arm| [(arm, "a".to_owned()), (arm, "pooled".to_owned())];
    assert_eq!(arms(ArmName::Alone), lines(ArmName::Alone));
    assert_eq!(
        arms(ArmName::Federated),
        [lines(ArmName::Federated), lines(ArmName::FederatedLocal)].concat()
    );
}

#[test]
fn a_mean_over_sites_says_whose_patients_are_in_it() {
    let row = |outcome, global| fedtwin_trainer::report::RiskRow {
        outcome,
        global: Some(global),
        local: Some(global),
    };
    let both = Report::Risk(RiskReport { intercept: 0.0, rows: vec![row(true, 0.9), row(false, 0.2)] });
    let one = Report::Risk(RiskReport { intercept: 0.0, rows: vec![row(false, 0.1)] });
    let named = [("a".to_owned(), &both), ("b".to_owned(), &one)];
    let rows = reports(&label(), ArmName::Federated, &named);
    let of = |site: &str, metric: &str| {
        let row =
            rows.iter().find(|row| row.site == site && row.metric == metric && row.arm == ArmName::Federated);
        row.map(figure)
    };
    assert_eq!(of("mean", "auroc").as_deref(), Some("1.000 (2 of 3)"));
    assert_eq!(of("b", "auroc"), None);
    assert_eq!(of("pooled", "auroc").as_deref(), Some("1.000"));
}
