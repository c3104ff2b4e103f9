//! Means over independent draws of the noise, with their intervals.

use fedtwin_simulation::results::Row;

/// Replaces the rows of single draws by their means with 95 % intervals, under the name `study`.
///
/// Every draw has the same rows.
pub(super) fn means(draws: &[Vec<Row>], study: &str) -> Vec<Row> {
    let Some(first) = draws.first() else { return Vec::new() };
    let mean = |row: &Row| {
        let same =
            |other: &&Row| (other.arm, &other.site, &other.metric) == (row.arm, &row.site, &row.metric);
        let rows: Vec<&Row> = draws.iter().filter_map(|rows| rows.iter().find(same)).collect();
        let values: Vec<f64> = rows.iter().map(|row| row.value).collect();
        let (value, half) = mean_and_half_interval(&values);
        Row {
            study: study.parse().expect("the name is one of the page's"),
            value,
            low: half.map(|half| value - half),
            high: half.map(|half| value + half),
            seeds: u32::try_from(values.len()).unwrap_or(u32::MAX),
            // Of the draw in which the figure is of the fewest.
            counted: rows.iter().filter_map(|row| row.counted).min_by_key(|counted| counted.patients),
            ..row.clone()
        }
    };
    first.iter().map(mean).collect()
}

/// Returns the mean and half of Student's interval, which one draw does not have.
#[expect(clippy::cast_precision_loss, reason = "a number of draws")]
fn mean_and_half_interval(values: &[f64]) -> (f64, Option<f64>) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    if values.len() < 2 {
        return (mean, None);
    }
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, Some(student(values.len() - 1) * (variance / count).sqrt()))
}

/// Returns the 97.5 % quantile of Student's distribution: from the tables up to 9 degrees of freedom, then by
/// Abramowitz and Stegun 1964, equation 26.7.5, which is within 0.001.
#[expect(clippy::cast_precision_loss, reason = "a number of draws")]
fn student(freedom: usize) -> f64 {
    const TABLE: [f64; 9] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];
    if let Some(quantile) = TABLE.get(freedom.saturating_sub(1)) {
        return *quantile;
    }
    let (z, v) = (1.959_964_f64, freedom as f64);
    let third = 3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z;
    z + (z.powi(3) + z) / (4.0 * v)
        + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * v * v)
        + third / (384.0 * v.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_shrink_with_draws_and_one_draw_has_none() {
        let (mean, half) = mean_and_half_interval(&[1.0, 2.0, 3.0]);
        assert!((mean - 2.0).abs() < 1e-12);
        assert!((half.unwrap() - 4.303 / 3.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!(mean_and_half_interval(&[0.5]), (0.5, None));
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, quantile) in [(1, 12.706), (10, 2.228), (19, 2.093), (49, 2.010), (1000, 1.962)] {
            assert!((student(freedom) - quantile).abs() < 1e-3, "{freedom}: {}", student(freedom));
        }
    }
}
