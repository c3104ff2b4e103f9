//! Kaplan and Meier's curve from counts at public times.

use crate::event_counts::{EventCounts, TimeGrid};
use crate::interval::{Estimate, Level};

/// The curve at one of the grid's times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    /// The time.
    pub time: f64,
    /// The share without an event by then, in [0, 1].
    pub survival: f64,
    /// The share with Greenwood's standard error and interval, which may leave [0, 1]; `None` where the share is 0.
    pub greenwood: Option<Estimate>,
    /// The same with the log-log interval (Kalbfleisch and Prentice 1980, section 1.3), which stays within [0, 1]; `None`
    /// before the first event and where the share is 0.
    pub log_log: Option<Estimate>,
}

/// Returns the curve at each time until nobody is at risk (Kaplan and Meier 1958).
///
/// The variance of its logarithm is Greenwood's (1926), the sum of `d / (n (n - d))` for d events among n at risk. With
/// independent noise of standard deviation `noise_sd` in each count it gets, to first order,
/// `noise_sd^2 (1 + (d / n)^2) / (n - d)^2` more at each time. Noised events are taken for at least 0 and at most those at
/// risk. Empty where the counts are not of this grid.
#[must_use]
pub fn kaplan_meier(grid: &TimeGrid, counts: &EventCounts, noise_sd: f64, level: Level) -> Vec<CurvePoint> {
    if counts.events.len() != grid.times().len() || counts.at_risk.len() != grid.times().len() {
        return Vec::new();
    }
    let (mut survival, mut variance) = (1.0, 0.0);
    let mut points = Vec::new();
    for ((&time, &events), &at_risk) in grid.times().iter().zip(&counts.events).zip(&counts.at_risk) {
        if at_risk.is_nan() || at_risk <= 0.0 || !events.is_finite() {
            break;
        }
        let events = events.clamp(0.0, at_risk);
        let left = at_risk - events;
        survival *= left / at_risk;
        let of_noise = noise_sd.powi(2) * (1.0 + (events / at_risk).powi(2)) / left.powi(2);
        variance += if events > 0.0 { events / (at_risk * left) } else { 0.0 };
        variance += if noise_sd > 0.0 { of_noise } else { 0.0 };
        points.push(CurvePoint {
            time,
            survival,
            greenwood: Estimate::wald(survival, survival.powi(2) * variance, level),
            log_log: log_log(survival, variance, level),
        });
    }
    points
}

/// The interval `S^exp(-+ z se)`, for se the standard error of `ln(-ln S)`.
fn log_log(survival: f64, variance: f64, level: Level) -> Option<Estimate> {
    let reach = level.z() * variance.sqrt() / survival.ln();
    let found = Estimate {
        value: survival,
        standard_error: survival * variance.sqrt(),
        // The logarithm of a share is below 0, and so is the reach.
        low: survival.powf((-reach).exp()),
        high: survival.powf(reach.exp()),
    };
    (survival > 0.0 && survival < 1.0 && variance.is_finite()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_ends_where_nobody_is_at_risk() {
        let grid = TimeGrid::new(vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        let counts = EventCounts { events: vec![0.0, 1.0, 1.0, 0.0], at_risk: vec![4.0, 4.0, 1.0, 0.0] };
        let points = kaplan_meier(&grid, &counts, 0.0, Level::default());
        assert_eq!(points.iter().map(|p| p.survival).collect::<Vec<_>>(), [1.0, 0.75, 0.0]);
        assert!(points[0].greenwood.is_some_and(|e| e.standard_error <= 0.0) && points[0].log_log.is_none());
        let greenwood = points[1].greenwood.unwrap();
        assert!((greenwood.standard_error - 0.75 * (1.0_f64 / 12.0).sqrt()).abs() < 1e-12);
        assert_eq!((points[2].greenwood, points[2].log_log), (None, None));
        let other = EventCounts { events: vec![0.0], at_risk: vec![4.0] };
        assert_eq!(kaplan_meier(&grid, &other, 0.0, Level::default()), []);
    }

    #[test]
    fn noise_widens_every_interval_after_it() {
        let grid = TimeGrid::new(vec![1.0, 2.0]).unwrap();
        let counts = EventCounts { events: vec![10.0, 20.0], at_risk: vec![100.0, 80.0] };
        let of = |noise_sd| kaplan_meier(&grid, &counts, noise_sd, Level::default())[1];
        let error = |point: CurvePoint| point.greenwood.unwrap().standard_error / point.survival;
        let expected = 4.0 * (1.01 / 8100.0 + 1.0625 / 3600.0);
        assert!((error(of(2.0)).powi(2) - error(of(0.0)).powi(2) - expected).abs() < 1e-12);
        let (wide, narrow) = (of(2.0).log_log.unwrap(), of(0.0).log_log.unwrap());
        assert!(wide.low < narrow.low && wide.high > narrow.high && wide.high < 1.0);
    }

    #[test]
    fn counts_that_noise_made_impossible_do_not_break_it() {
        let grid = TimeGrid::new(vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        let counts =
            EventCounts { events: vec![-2.0, 9.0, 1.0, f64::NAN], at_risk: vec![4.0, 3.0, 2.0, 2.0] };
        let points = kaplan_meier(&grid, &counts, 1.0, Level::default());
        assert_eq!(points.iter().map(|p| p.survival).collect::<Vec<_>>(), [1.0, 0.0, 0.0]);
        let gone = EventCounts { events: vec![0.0; 4], at_risk: vec![-1.0; 4] };
        assert_eq!(kaplan_meier(&grid, &gone, 1.0, Level::default()), []);
    }
}
