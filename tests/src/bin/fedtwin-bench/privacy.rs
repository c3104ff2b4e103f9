//! `bench privacy`: the accountant against reference values, and how long it takes.
//!
//! A row is accepted by the rules of the reference's README: not below the truth or its lower bracket, and at most
//! 0.2 % and 2e-4 above dp-accounting's upper value.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use fedtwin_plan::Ratio;
use fedtwin_privacy::accountant::gaussian_bound::gaussian_bound_of;
use fedtwin_privacy::accountant::{
    Adjacency, EpsilonTarget, Event, Mechanism, Segment, best_epsilon, gdp, noise_multiplier, pld, rdp,
    rdp_epsilon, segments_of, unsampled_mu,
};
use serde::Serialize;
use tokio::time::Instant;

/// One line of the results.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    case: String,
    engine: &'static str,
    /// An epsilon, a delta, a noise multiplier or a Renyi divergence, as the case's file says.
    value: f64,
    /// What it may not be below.
    lower: f64,
    /// What it may not be above; absent where it is only compared.
    upper: Option<f64>,
    accepted: bool,
    seconds: f64,
    #[serde(skip)]
    steps: u64,
}

/// Bounds of one case.
#[derive(Clone, Copy)]
struct Bounds {
    lower: f64,
    upper: Option<f64>,
}

/// Runs every row of the reference files, or a built-in list without them, and prints a line for each.
pub(crate) fn run(directory: Option<PathBuf>) -> anyhow::Result<Vec<Figures>> {
    let mut results = Vec::new();
    println!(
        "{:>24} {:>12} {:>15} {:>15} {:>15} {:>9}",
        "case", "engine", "value", "at least", "at most", "seconds"
    );
    match directory.or_else(beside_the_data) {
        Some(directory) => {
            epsilons(&rows(&directory, "epsilon.csv")?, &mut results)?;
            profiles(&rows(&directory, "profile.csv")?, &mut results)?;
            calibrations(&rows(&directory, "calibration.csv")?, &mut results)?;
            divergences(&rows(&directory, "rdp.csv")?, &mut results)?;
        }
        None => {
            println!("no reference files: closed forms of steps with all patients instead");
            closed_forms(&mut results);
        }
    }
    for (what, bounded) in [("reference value", true), ("compared alone", false)] {
        let quick = results
            .iter()
            .filter(|figures| figures.steps <= STEPS_QUICK && figures.upper.is_some() == bounded);
        if let Some(slowest) = quick.max_by(|a, b| a.seconds.total_cmp(&b.seconds)) {
            let Figures { case, engine, seconds, .. } = slowest;
            println!("slowest {what} of at most {STEPS_QUICK} steps: {case} by {engine}, {seconds:.3} s");
        }
    }
    Ok(results)
}

/// Says whether each result was accepted.
pub(crate) fn verdict(results: &[Figures]) -> anyhow::Result<()> {
    let refused: Vec<_> = results.iter().filter(|figures| !figures.accepted).collect();
    if let Some(first) = refused.first() {
        bail!("{} of {} results are not accepted, the first of {}", refused.len(), results.len(), first.case);
    }
    Ok(())
}

fn beside_the_data() -> Option<PathBuf> {
    let data = std::env::var_os("FEDTWIN_DATA").filter(|data| !data.is_empty())?;
    let directory = PathBuf::from(data).join("../reference");
    directory.join("epsilon.csv").is_file().then_some(directory)
}

fn rows(directory: &Path, file: &str) -> anyhow::Result<Vec<Vec<String>>> {
    let path = directory.join(file);
    let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect())
}

fn epsilons(rows: &[Vec<String>], results: &mut Vec<Figures>) -> anyhow::Result<()> {
    for row in rows {
        let [id, relation, segments, delta, exact, upper, lower, ..] = row.as_slice() else {
            bail!("a row of epsilon.csv has {} fields", row.len());
        };
        let relation = if relation == "replace_one" { Adjacency::ReplaceOne } else { Adjacency::ZeroOut };
        let note = row.last().map_or("", String::as_str);
        let (events, delta, upper) = (events(segments, note)?, number(delta)?, number(upper)?);
        let truth = [exact, lower].into_iter().find_map(|text| text.parse().ok());
        let bounds = Bounds {
            lower: truth.unwrap_or(upper * 0.998),
            upper: Some(if lower.is_empty() { upper * 1.002 } else { upper * 1.002 + 2e-4 }),
        };
        let compared = Bounds { upper: None, ..bounds };
        let steps = events.iter().map(|event| event.count).sum();
        let mut add = |engine, bounds, value: &dyn Fn() -> f64| {
            results.push(measure((id, engine, steps), bounds, value));
        };
        add("best", bounds, &|| best_epsilon(&events, delta, relation).value);
        add("pld", bounds, &|| pld::epsilon(&events, delta, relation));
        if let Some(mu) = unsampled_mu(&events, relation) {
            add("gdp", bounds, &|| gdp::epsilon(mu, delta));
        }
        if let Some(segments) = segments_of(&events, relation) {
            add("rdp", compared, &|| rdp_epsilon(&segments, delta).value);
        }
        if relation == Adjacency::ZeroOut {
            let delta0 = delta / 100.0;
            let rest = (delta - delta0) / (1.0 - delta0);
            add("certificate", compared, &|| gdp::epsilon(gaussian_bound_of(&events, delta0), rest));
        }
    }
    Ok(())
}

fn profiles(rows: &[Vec<String>], results: &mut Vec<Figures>) -> anyhow::Result<()> {
    for row in rows {
        let [id, segments, epsilon, upper] = row.as_slice() else {
            bail!("a row of profile.csv has {} fields", row.len());
        };
        let (events, epsilon, upper) = (events(segments, "")?, number(epsilon)?, number(upper)?);
        let bounds = Bounds { lower: upper * 0.998, upper: Some(upper * 1.002) };
        let steps = events.iter().map(|event| event.count).sum();
        let case = format!("{id} delta({epsilon})");
        results.push(measure((&case, "pld", steps), bounds, &|| {
            pld::delta(&events, epsilon, Adjacency::ZeroOut)
        }));
    }
    Ok(())
}

fn calibrations(rows: &[Vec<String>], results: &mut Vec<Figures>) -> anyhow::Result<()> {
    for row in rows {
        let [id, rate, steps, epsilon, delta, sigma, ..] = row.as_slice() else {
            bail!("a row of calibration.csv has {} fields", row.len());
        };
        let (rate, steps): (f64, u64) = (number(rate)?, steps.parse()?);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates of few decimals")]
        let sampling = Ratio::new((rate * 1e9).round() as u32, 1_000_000_000)?;
        let target = EpsilonTarget { epsilon: number(epsilon)?, delta: number(delta)? };
        let bounds = Bounds { lower: 0.0, upper: Some(number(sigma)? * 1.002) };
        let found = || noise_multiplier(sampling, steps, target).unwrap_or(f64::INFINITY);
        let mut figures = measure((id, "best", steps), bounds, &found);
        let event = Segment { rate, multiplier: figures.value, steps };
        figures.accepted &=
            best_epsilon(&[event.into()], target.delta, Adjacency::ZeroOut).value <= target.epsilon;
        results.push(figures);
    }
    Ok(())
}

fn divergences(rows: &[Vec<String>], results: &mut Vec<Figures>) -> anyhow::Result<()> {
    for row in rows {
        let [rate, multiplier, order, expected] = row.as_slice() else {
            bail!("a row of rdp.csv has {} fields", row.len());
        };
        let case = format!("{rate}:{multiplier} order {order}");
        let (rate, multiplier, order, expected) =
            (number(rate)?, number(multiplier)?, number(order)?, number(expected)?);
        let bounds = Bounds { lower: expected * (1.0 - 1e-9), upper: Some(expected * (1.0 + 1e-9)) };
        results.push(measure((&case, "rdp", 1), bounds, &|| rdp::one_step(rate, multiplier, order)));
    }
    Ok(())
}

/// Steps with all patients by privacy losses, against Balle and Wang's closed form.
fn closed_forms(results: &mut Vec<Figures>) {
    for (multiplier, steps, delta) in [(0.5, 1, 1e-5), (1.0, 10, 1e-6), (10.0, 100, 1e-9), (5.0, 1, 1e-3)] {
        let events = [Segment { rate: 1.0, multiplier, steps }.into()];
        let exact = unsampled_mu(&events, Adjacency::ZeroOut).map_or(f64::NAN, |mu| gdp::epsilon(mu, delta));
        let bounds = Bounds { lower: exact * (1.0 - 1e-11), upper: Some(exact * 1.002 + 2e-4) };
        let case = format!("1:{multiplier}:{steps} at {delta:e}");
        results.push(measure((&case, "pld", steps), bounds, &|| {
            pld::epsilon(&events, delta, Adjacency::ZeroOut)
        }));
    }
}

fn measure(
    (case, engine, steps): (&str, &'static str, u64),
    bounds: Bounds,
    value: &dyn Fn() -> f64,
) -> Figures {
    let start = Instant::now();
    let value = value();
    let seconds = start.elapsed().as_secs_f64();
    let Bounds { lower, upper } = bounds;
    let accepted = value >= lower && upper.is_none_or(|upper| value <= upper);
    let figures = Figures { case: case.to_owned(), engine, value, lower, upper, accepted, seconds, steps };
    print(&figures);
    figures
}

fn print(figures: &Figures) {
    let Figures { case, engine, value, lower, upper, accepted, seconds, .. } = figures;
    let upper = upper.map_or("-".to_owned(), |upper| format!("{upper:.8e}"));
    let accepted = if *accepted { "accepted" } else { "REFUSED" };
    println!(
        "{case:>24} {engine:>12} {value:>15.8e} {lower:>15.8e} {upper:>15} {seconds:>9.4} {accepted:>8}"
    );
}

/// Reads segments, whose samples are cut where the note says to what.
fn events(segments: &str, note: &str) -> anyhow::Result<Vec<Event>> {
    let cut = noted(note, "dataset_size=").zip(noted(note, "max_batch="));
    let event = |text: &str| {
        let parts: Vec<_> = text.split(':').collect();
        let [rate, multiplier, count] = parts.as_slice() else { bail!("{text:?} is no segment") };
        let (rate, multiplier) = (number(rate)?, number(multiplier)?);
        let mechanism = match cut {
            Some((patients, cap)) => Mechanism::TruncatedPoissonGaussian { rate, multiplier, patients, cap },
            None => Mechanism::PoissonGaussian { rate, multiplier },
        };
        Ok(Event { mechanism, count: count.parse()? })
    };
    segments.split(';').map(event).collect()
}

fn noted(note: &str, key: &str) -> Option<u32> {
    let (_, after) = note.split_once(key)?;
    after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn number(text: &str) -> anyhow::Result<f64> {
    text.trim().parse().with_context(|| format!("{text:?} is no number"))
}

const STEPS_QUICK: u64 = 10_000;
