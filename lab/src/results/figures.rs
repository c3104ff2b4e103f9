//! The page's plots, as SVG files beside it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use fedtwin_page::chart::{Axis, Guide, Lines, Point, Scale, Series};
use fedtwin_simulation::results::Row;

use super::lines::{Block, BlockRow};
use super::page::find;
use super::utility::cell;

/// The folder of plots, beside the page.
pub(super) const FOLDER: &str = "figures";

/// Writes a plot for each block that was measured, and returns the files.
///
/// # Errors
/// Names what cannot be written.
pub(super) fn write(page: &Path, figures: &[Row], blocks: &[Block]) -> anyhow::Result<Vec<PathBuf>> {
    let folder = page.with_file_name(FOLDER);
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be written", folder.display()))?;
    let mut files = Vec::new();
    for block in blocks {
        let plot = plot(block, figures);
        if plot.series.is_empty() {
            continue;
        }
        let file = folder.join(block.file).with_extension("svg");
        std::fs::write(&file, plot.draw().to_file())
            .with_context(|| format!("{} cannot be written", file.display()))?;
        files.push(file);
    }
    Ok(files)
}

/// A metric against epsilon, with a band of its interval for each who trains; the figure without noise as a level.
fn plot(block: &Block, figures: &[Row]) -> Lines {
    let mut series: Vec<_> = block.rows.iter().map(|row| of_row(block, row, figures)).collect();
    let without = block.rows.first().and_then(|row| find(figures, row.without));
    series.extend(without.map(|row| Series {
        name: "all, no noise".to_owned(),
        points: block.epsilons.iter().map(|epsilon| Point::new(*epsilon, row.value)).collect(),
    }));
    series.retain(|series| !series.points.is_empty());
    Lines {
        title: block.metric.to_owned(),
        x: Axis::new("epsilon of a patient, delta 0.001", Scale::Logarithmic),
        y: Axis::new("mean over draws, 95 % interval", Scale::Linear),
        series,
        guide: Guide::None,
    }
}

fn of_row(block: &Block, BlockRow { name, cohort, scheme, without }: &BlockRow, figures: &[Row]) -> Series {
    let (_, arm, site, metric) = *without;
    let point = |&epsilon: &f64| {
        let study = cell(*cohort, epsilon, *scheme);
        let row = find(figures, (&study, arm, site, metric))?;
        Some(Point { x: epsilon, y: Some(row.value), band: row.low.zip(row.high) })
    };
    Series { name: name.clone(), points: block.epsilons.iter().filter_map(point).collect() }
}

#[cfg(test)]
mod tests {
    use fedtwin_simulation::results::ArmName;

    use super::*;
    use crate::results::lines::hippocampus_under_privacy;

    #[test]
    fn a_plot_has_who_was_measured_and_nobody_else() {
        let row = |study: &str, value| Row {
            study: study.parse().unwrap(),
            arm: ArmName::Federated,
            privacy: "local".into(),
            epsilon: None,
            delta: None,
            site: "mean".to_owned(),
            metric: "dice".into(),
            value,
            low: Some(value - 0.1),
            high: Some(value + 0.1),
            seeds: 3,
            counted: None,
        };
        let [block] = hippocampus_under_privacy();
        assert!(plot(&block, &[]).series.is_empty());
        let plot = plot(&block, &[row("hippocampus-e2-local", 0.8), row("hippocampus-none", 0.9)]);
        let names: Vec<_> = plot.series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(names, ["all, local noise", "all, no noise"]);
        let [point] = plot.series[0].points[..] else { panic!("one epsilon was measured") };
        assert_eq!((point.x, point.y), (2.0, Some(0.8)));
        assert_eq!(plot.series[1].points.len(), block.epsilons.len());
    }
}
