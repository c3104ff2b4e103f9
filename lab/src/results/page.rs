//! `docs/RESULTS.md`: figures beside what was asked of them, and how to make them anew.

use std::collections::BTreeMap;

use fedtwin_simulation::results::{ArmName, Row, figure};

use super::benches::Benches;
use super::figures::FOLDER;
use super::lines::{self, Block, BlockRow, Key, Line};
use super::measured::{Measured, Part, Took};
use super::utility::{add_means, cell};
use super::words;
use crate::demo::cohorts::Cohort;

/// Returns all figures, with means over the sites that trained alone.
pub(super) fn figures(parts: &BTreeMap<Part, Measured>) -> Vec<Row> {
    parts.iter().flat_map(|(part, measured)| with_means(&measured.results, part.cohort())).collect()
}

/// Renders the page, which links the plots beside it.
#[must_use]
pub(super) fn render(parts: &BTreeMap<Part, Measured>, benches: &Benches) -> String {
    let figures = figures(parts);
    let mut page = String::from(words::INTRODUCTION);
    page.push_str(words::HEART);
    lines(&mut page, &figures, &lines::heart());
    let on_its_own = "no noise, on its own test patients: accuracy";
    lines_alone(&mut page, &figures, (Cohort::Heart, "accuracy"), on_its_own);
    page.push_str(words::HEART_UTILITY);
    utility(&mut page, &figures, &lines::heart_under_privacy());
    page.push_str(words::HIPPOCAMPUS);
    lines(&mut page, &figures, &lines::hippocampus());
    let long = "as many steps as the long run: Dice";
    lines_alone(&mut page, &figures, (Cohort::Hippocampus, "dice"), long);
    page.push_str(words::HIPPOCAMPUS_UTILITY);
    utility(&mut page, &figures, &lines::hippocampus_under_privacy());
    page.push_str(words::NUCLEI);
    lines(&mut page, &figures, &lines::nuclei());
    lines_alone(&mut page, &figures, (Cohort::Nuclei, "dice"), "all test pictures: Dice");
    what_it_took(&mut page, parts.values().flat_map(|measured| &measured.took));
    benches.render(&mut page);
    page
}

/// Adds the mean over the sites that trained alone without noise.
fn with_means(figures: &[Row], cohort: Cohort) -> Vec<Row> {
    let mut alone: Vec<Row> = of_alone(figures, cohort).cloned().collect();
    let name: fedtwin_plan::StudyId = lines::alone(cohort).parse().expect("the names are constants");
    alone.iter_mut().for_each(|row| row.study = name.clone());
    let own = alone.len();
    add_means(&mut alone);
    figures.iter().cloned().chain(alone.into_iter().skip(own)).collect()
}

/// Returns the figures of sites that trained alone without noise.
fn of_alone(figures: &[Row], cohort: Cohort) -> impl Iterator<Item = &Row> {
    let study = format!("{}-alone-", cohort.name());
    let alone = |row: &&Row| row.arm == ArmName::Alone && row.privacy == "none" && row.site != "mean";
    figures.iter().filter(alone).filter(move |row| row.study.as_str().starts_with(&study))
}

fn utility(page: &mut String, figures: &[Row], blocks: &[Block]) {
    let Some(first) = blocks.first() else { return };
    for block in blocks {
        *page += &format!("![{} against epsilon]({FOLDER}/{}.svg)\n", block.metric, block.file);
    }
    page.push('\n');
    page.push_str("| metric | who trains, whose noise |");
    for epsilon in first.epsilons {
        *page += &format!(" epsilon {epsilon} |");
    }
    page.push_str(" none |\n|---|---|");
    page.push_str(&"---|".repeat(first.epsilons.len() + 1));
    page.push('\n');
    for block in blocks {
        for BlockRow { name, cohort, scheme, without } in &block.rows {
            *page += &format!("| {} | {name} |", block.metric);
            for epsilon in block.epsilons {
                let study = cell(*cohort, *epsilon, *scheme);
                let (_, arm, site, metric) = *without;
                *page += &format!(" {} |", shown(find(figures, (&study, arm, site, metric))));
            }
            *page += &format!(" {} |\n", shown(find(figures, *without)));
        }
    }
}

/// Writes a figure with half of its interval.
fn shown(row: Option<&Row>) -> String {
    match row {
        None => "-".to_owned(),
        Some(Row { value, high: Some(high), .. }) => format!("{value:.3} ± {:.3}", high - value),
        Some(row) => format!("{:.3}", row.value),
    }
}

fn lines(page: &mut String, figures: &[Row], lines: &[Line]) {
    for (what, key, asked) in lines {
        line(page, what, find(figures, *key), asked);
    }
}

/// Writes one metric of every site that trained alone without noise.
fn lines_alone(page: &mut String, figures: &[Row], (cohort, metric): (Cohort, &str), what: &str) {
    for row in of_alone(figures, cohort).filter(|row| row.metric == metric) {
        line(page, &format!("{} alone, {what}", row.site), Some(row), "");
    }
}

fn line(page: &mut String, what: &str, row: Option<&Row>, asked: &str) {
    let value = match row {
        None => "not measured".to_owned(),
        Some(Row { value, low: Some(low), high: Some(high), seeds, .. }) => {
            format!("{value:.3} [{low:.3}, {high:.3}] over {seeds} draws")
        }
        Some(row) => figure(row),
    };
    *page += &format!("| {what} | {value} | {asked} |\n");
}

pub(super) fn find<'a>(figures: &'a [Row], (study, arm, site, metric): Key<'_>) -> Option<&'a Row> {
    figures
        .iter()
        .find(|row| row.study.as_str() == study && row.arm == arm && row.site == site && row.metric == metric)
}

fn what_it_took<'a>(page: &mut String, studies: impl Iterator<Item = &'a Took>) {
    page.push_str(words::WHAT_IT_TOOK);
    for Took { run, study, rounds, training_seconds, update_mb, coordinator_mb, site_mb } in studies {
        *page += &format!(
            "| {run} | {study} | {rounds} | {training_seconds:.1} | {update_mb:.1} | {coordinator_mb} | {site_mb} |\n"
        );
    }
}
