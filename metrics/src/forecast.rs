//! Scores of forecast values: errors, quantiles and intervals.

/// A forecast interval and the value that came; both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IntervalForecast {
    /// The lower end; may be minus infinity.
    pub low: f64,
    /// The upper end; may be infinity.
    pub high: f64,
    /// The value that came.
    pub value: f64,
}

/// Returns the mean absolute error of pairs of a forecast and the value that came, in the values' unit; `None` without.
#[must_use]
pub fn mean_absolute_error(pairs: &[(f64, f64)]) -> Option<f64> {
    mean(pairs.iter().map(|(forecast, value)| (forecast - value).abs()))
}

/// Returns the root of the mean squared error of pairs of a forecast and the value that came, in the values' unit; `None`
/// without.
#[must_use]
pub fn root_mean_squared_error(pairs: &[(f64, f64)]) -> Option<f64> {
    mean(pairs.iter().map(|(forecast, value)| (forecast - value).powi(2))).map(f64::sqrt)
}

/// Returns the mean pinball loss of forecasts of the quantile at `level`, in the values' unit, at least 0.
///
/// Koenker and Bassett 1978: `level` times what a forecast is too low by, or one minus `level` times what it is too high
/// by. `pairs`: a forecast and the value that came. `None` without pairs, or where the level is not in [0, 1].
#[must_use]
pub fn pinball(level: f64, pairs: &[(f64, f64)]) -> Option<f64> {
    let loss = |&(forecast, value): &(f64, f64)| {
        let low_by: f64 = value - forecast;
        (level * low_by).max((level - 1.0) * low_by)
    };
    (0.0..=1.0).contains(&level).then(|| mean(pairs.iter().map(loss)))?
}

/// Returns the share of values in their intervals, in [0, 1]; `None` without intervals.
#[must_use]
pub fn coverage(forecasts: &[IntervalForecast]) -> Option<f64> {
    mean(forecasts.iter().map(|f| f64::from(u8::from((f.low..=f.high).contains(&f.value)))))
}

/// Returns the mean width of the intervals, in the values' unit; infinite where one is, `None` without intervals.
#[must_use]
pub fn mean_width(forecasts: &[IntervalForecast]) -> Option<f64> {
    mean(forecasts.iter().map(|f| f.high - f.low))
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a count of forecasts is far below 2^52")]
    let count = values.len() as f64;
    (count > 0.0).then(|| values.sum::<f64>() / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(score: Option<f64>, expected: f64) {
        let score = score.unwrap();
        assert!((score - expected).abs() < 1e-12, "{score} is not {expected}");
    }

    #[test]
    fn errors_are_as_by_hand() {
        let pairs = [(1.0, 2.0), (5.0, 2.0), (4.0, 4.0)];
        check(mean_absolute_error(&pairs), 4.0 / 3.0);
        check(root_mean_squared_error(&pairs), (10.0_f64 / 3.0).sqrt());
        // Too low by 1, too high by 3, right.
        check(pinball(0.9, &pairs), (0.9 + 0.3) / 3.0);
        check(pinball(0.5, &pairs), 2.0 / 3.0);
        assert_eq!((pinball(1.5, &pairs), pinball(f64::NAN, &pairs)), (None, None));
    }

    #[test]
    fn intervals_hold_their_ends() {
        let of = |low, high, value| IntervalForecast { low, high, value };
        let forecasts = [of(1.0, 2.0, 1.0), of(1.0, 2.0, 2.0), of(1.0, 4.0, 4.5), of(0.0, 1.0, f64::NAN)];
        check(coverage(&forecasts), 0.5);
        check(mean_width(&forecasts), 1.5);
        check(coverage(&[of(f64::NEG_INFINITY, f64::INFINITY, 7.0)]), 1.0);
        check(mean_width(&[of(1.0, 2.0, 0.0)]), 1.0);
    }

    #[test]
    fn nothing_has_no_score() {
        assert_eq!((mean_absolute_error(&[]), root_mean_squared_error(&[])), (None, None));
        assert_eq!((pinball(0.5, &[]), coverage(&[]), mean_width(&[])), (None, None, None));
    }
}
