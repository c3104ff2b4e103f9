//! `--against FOLDER`: another build's benchmark and this one's in turns, and the ratios of what they measure.
//!
//! Machines differ, and one machine does from hour to hour: only turns in one run compare two builds.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::round::median;

/// One figure of one case, by both builds.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Comparison {
    case: String,
    figure: String,
    /// The other build's median.
    other: f64,
    /// This build's.
    this: f64,
    /// The median, the least and the largest of each turn's ratio, this build's figure over the other's.
    ratio: f64,
    ratio_min: f64,
    ratio_max: f64,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, figure, other, this, ratio, ratio_min, ratio_max } = self;
        write!(
            f,
            "{case:>22} {figure:>16} {other:>10.3} {this:>10.3} {ratio:>7.3} {ratio_min:>7.3} {ratio_max:>7.3}"
        )
    }
}

/// Runs the benchmark of the build whose programs are in `folder`, and this one, `turns` times each with the same
/// arguments; prints and returns what changed.
pub(crate) fn compare(folder: &Path, turns: usize, arguments: &[String]) -> anyhow::Result<Vec<Comparison>> {
    let own = std::env::current_exe()?;
    let name = own.file_name().context("this program has no name")?;
    let other = folder.join(name);
    let mut series = Vec::new();
    for turn in 1..=turns {
        for (side, program) in [&other, &own].into_iter().enumerate() {
            println!("turn {turn} of {turns}: {}", program.display());
            collect(&mut series, side, measure(program, arguments)?);
        }
    }
    let comparisons: Vec<_> = series.into_iter().filter_map(|series| series.compared(turns)).collect();
    println!(
        "{:>22} {:>16} {:>10} {:>10} {:>7} {:>7} {:>7}",
        "case", "figure", "other", "this", "ratio", "least", "most"
    );
    comparisons.iter().for_each(|comparison| println!("{comparison}"));
    Ok(comparisons)
}

/// What both builds measured of one figure, turn by turn.
struct Series {
    case: String,
    figure: String,
    sides: [Vec<f64>; 2],
}

impl Series {
    /// Returns the medians and ratios; nothing of a figure that one build lacks, or that is the same in both, as the
    /// number of sites is.
    fn compared(self, turns: usize) -> Option<Comparison> {
        let Self { case, figure, sides: [other, this] } = self;
        if other == this || other.len() != turns || this.len() != turns {
            return None;
        }
        let ratios: Vec<f64> = this.iter().zip(&other).map(|(this, other)| this / other).collect();
        let (ratio_min, ratio_max) = ratios
            .iter()
            .fold((f64::MAX, f64::MIN), |(least, most), &ratio| (least.min(ratio), most.max(ratio)));
        Some(Comparison {
            case,
            figure,
            other: median(other),
            this: median(this),
            ratio: median(ratios),
            ratio_min,
            ratio_max,
        })
    }
}

/// Runs a benchmark; returns what it writes to its file of figures.
fn measure(program: &Path, arguments: &[String]) -> anyhow::Result<Value> {
    let folder = tempfile::tempdir()?;
    let json = folder.path().join("figures.json");
    let status =
        Command::new(program).args(arguments).arg("--json").arg(&json).status().with_context(|| {
            format!("{} cannot be started: name the folder of a build's programs", program.display())
        })?;
    ensure!(status.success(), "{} {}: {status}", program.display(), arguments.join(" "));
    Ok(serde_json::from_reader(File::open(json)?)?)
}

/// Adds the numbers of each case. Builds differ in what they write; what is no number of a case is passed by.
fn collect(series: &mut Vec<Series>, side: usize, figures: Value) {
    let Value::Object(mut figures) = figures else { return };
    let Some(Value::Array(cases)) = figures.remove("results") else { return };
    for line in cases {
        let Some(case) = line.get("case").and_then(Value::as_str) else { continue };
        let numbers = line.as_object().into_iter().flatten();
        for (figure, number) in numbers.filter_map(|(figure, value)| Some((figure, value.as_f64()?))) {
            let known = series.iter().position(|series| series.case == case && series.figure == *figure);
            let place = known.unwrap_or_else(|| {
                series.push(Series {
                    case: case.to_owned(),
                    figure: figure.clone(),
                    sides: Default::default(),
                });
                series.len() - 1
            });
            series[place].sides[side].push(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_that_both_builds_have_are_compared_turn_by_turn() {
        let mut series = Vec::new();
        for (other, this) in [(4.0, 1.0), (2.0, 1.0), (5.0, 2.0)] {
            let line = json!({"case": "4x10", "engine": "fedtwin", "sites": 4, "seconds": other, "gone": 1});
            collect(&mut series, 0, json!({"results": [line]}));
            let line = json!({"case": "4x10", "sites": 4, "seconds": this, "new": 1});
            collect(&mut series, 1, json!({"results": [line, {"engine": "fedtwin"}, 7]}));
        }
        let compared: Vec<_> = series.into_iter().filter_map(|series| series.compared(3)).collect();
        let (case, figure) = ("4x10".to_owned(), "seconds".to_owned());
        let expected =
            Comparison { case, figure, other: 4.0, this: 1.0, ratio: 0.4, ratio_min: 0.25, ratio_max: 0.5 };
        assert_eq!(compared, [expected]);
    }
}
