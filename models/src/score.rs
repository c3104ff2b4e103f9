//! The site's own report of a model; it stays at the site.

use fedtwin_metrics::{Grid, dice, hd95_mm, volume_error};
use fedtwin_plan::follow_up::{FollowUp, Observed};
use fedtwin_plan::record::VolumeRecord;
use fedtwin_trainer::report::{
    CountReport, CountRow, Report, RiskReport, RiskRow, SegmentationRow, SurvivalReport, SurvivalRow, score,
};

use crate::risk::Link;

/// Returns the report of a risk model with these outputs for the test patients.
///
/// # Panics
/// If there are not as many outcomes as outputs.
#[must_use]
pub fn risk(outputs: &[f64], outcomes: &[f64], intercept: f64, link: Link) -> Report {
    assert_eq!(outputs.len(), outcomes.len(), "one outcome per patient");
    let expected = |output: f64| score(link.expected(output));
    let of_patients = outputs.iter().zip(outcomes);
    let rows =
        of_patients.map(|(&output, &outcome)| (outcome, expected(output), expected(output + intercept)));
    match link {
        Link::Logit => {
            let rows = rows.map(|(y, global, local)| RiskRow { outcome: y > 0.5, global, local });
            Report::Risk(RiskReport { intercept, rows: rows.collect() })
        }
        Link::Log => {
            let rows = rows.map(|(count, global, local)| CountRow { count, global, local });
            Report::Count(CountReport { intercept, rows: rows.collect() })
        }
    }
}

/// Returns the report of a hazard model with these outputs for the test patients.
///
/// # Shapes
/// `patients`: how each was followed, and the outputs `[intervals]`.
#[must_use]
pub fn survival(follow_up: &FollowUp, patients: &[(Observed, Vec<f64>)], intercept: f64) -> Report {
    let rows =
        patients.iter().filter(|(observed, _)| follow_up.includes(*observed)).map(|(observed, outputs)| {
            let Observed { entry, time, happened } = *observed;
            let curve = |intercept: f64| survival_curve(outputs, intercept);
            SurvivalRow { entry, time, happened, global: curve(0.0), local: curve(intercept) }
        });
    let (from, until, rows) = (follow_up.from, follow_up.until.clone(), rows.collect());
    Report::Survival(SurvivalReport { intercept, from, until, rows })
}

/// Returns the probability that it has not happened by the end of each interval: the product of one less each hazard up to
/// there (Singer and Willett 1993, equation 5).
fn survival_curve(outputs: &[f64], intercept: f64) -> Option<Vec<f64>> {
    let mut survival = 1.0;
    let mut of_interval = |&output: &f64| {
        survival *= 1.0 - Link::Logit.expected(output + intercept);
        score(survival)
    };
    outputs.iter().map(&mut of_interval).collect()
}

/// Returns the scores of a volume's predicted mask.
///
/// # Panics
/// If the mask has another size than the volume.
#[must_use]
pub fn segmentation_row(volume: &VolumeRecord, predicted: &[bool]) -> SegmentationRow {
    let truth: Vec<bool> = volume.mask.iter().map(|&inside| inside != 0).collect();
    let grid = Grid { shape: volume.shape, spacing_mm: volume.spacing_mm };
    SegmentationRow {
        // Nothing to find and nothing found: a perfect answer.
        dice: Some(dice(predicted, &truth).unwrap_or(1.0)),
        hd95_mm: hd95_mm(&grid, predicted, &truth),
        volume_error: volume_error(predicted, &truth),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_prediction_has_no_distance_and_an_empty_organ_no_error() {
        let volume = |mask: [u8; 2]| VolumeRecord {
            shape: [1, 1, 2],
            spacing_mm: [1.0; 3],
            image: vec![0.0; 2],
            mask: mask.to_vec(),
        };
        let row = segmentation_row(&volume([1, 1]), &[false, true]);
        assert_eq!(
            row,
            SegmentationRow { dice: Some(2.0 / 3.0), hd95_mm: Some(0.95), volume_error: Some(-0.5) }
        );
        let row = segmentation_row(&volume([1, 1]), &[false, false]);
        assert_eq!(row, SegmentationRow { dice: Some(0.0), hd95_mm: None, volume_error: Some(-1.0) });
        let row = segmentation_row(&volume([0, 0]), &[false, false]);
        assert_eq!(row, SegmentationRow { dice: Some(1.0), hd95_mm: None, volume_error: None });
    }

    #[test]
    fn the_intercept_moves_the_local_probability_only() {
        let report = risk(&[0.0], &[1.0], f64::ln(3.0), Link::Logit);
        let Report::Risk(report) = report else { panic!("probabilities") };
        assert!((report.rows[0].global.unwrap() - 0.5).abs() < 1e-12);
        assert!((report.rows[0].local.unwrap() - 0.75).abs() < 1e-12);
    }
}
