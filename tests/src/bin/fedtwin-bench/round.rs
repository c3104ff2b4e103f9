//! `bench round`: what a round costs that does not train.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use fedtwin_plan::Timestamp;
use fedtwin_proto::domain::Event;
use fedtwin_tests::testbed::Testbed;
use fedtwin_tests::vector_study::{PARAMETERS_MAX, VectorPrivacy, VectorStudy};
use fedtwin_tests::watch::Watch;
use serde::Serialize;
use tokio::time::{Instant, timeout};

use crate::memory::PeakMemory;

/// Sites and weights of one measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) sites: usize,
    pub(crate) parameters: u32,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.sites, self.parameters)
    }
}

impl FromStr for Case {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (sites, parameters) = text.split_once('x').context("expected SITESxPARAMETERS")?;
        let (sites, parameters) = (sites.parse()?, parameters.parse()?);
        anyhow::ensure!(
            parameters <= PARAMETERS_MAX,
            "{parameters} weights, expected {PARAMETERS_MAX} at most"
        );
        Ok(Self { sites, parameters })
    }
}

/// One line of the results.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    case: String,
    engine: &'static str,
    sites: usize,
    parameters: u32,
    /// The median round from its start to its close, by the coordinator's events.
    pub(crate) seconds: f64,
    /// The median time between two closes, at a watcher.
    wall_seconds: f64,
    pub(crate) coordinator_mb: f64,
    /// Models down and updates up, of one round.
    bytes: u64,
}

/// Measures all cases, and prints a line for each.
pub(crate) async fn run(cases: &[Case]) -> anyhow::Result<Vec<Figures>> {
    println!("{:>14} {:>9} {:>9} {:>15} {:>10}", "case", "seconds", "wall", "coordinator MB", "MB moved");
    let mut results = Vec::new();
    for &case in if cases.is_empty() { &CASES } else { cases } {
        let measured = timeout(CASE_TIME_MAX, measure(case, VectorPrivacy::None)).await;
        let figures = measured.with_context(|| format!("{case} took too long"))??;
        let Figures { seconds, wall_seconds, coordinator_mb, bytes, .. } = &figures;
        #[expect(clippy::cast_precision_loss, reason = "megabytes, for people")]
        let moved = *bytes as f64 / 1e6;
        println!(
            "{:>14} {seconds:>9.3} {wall_seconds:>9.3} {coordinator_mb:>15.1} {moved:>10.1}",
            case.to_string()
        );
        results.push(figures);
    }
    Ok(results)
}

/// Measures the rounds of a study that is protected like this.
pub(crate) async fn measure(case: Case, privacy: VectorPrivacy) -> anyhow::Result<Figures> {
    let testbed = Testbed::start_with_sites(case.sites)?;
    let study = VectorStudy {
        parameters: case.parameters,
        rounds: WARM_UP + ROUNDS,
        attempts_max: WARM_UP + ROUNDS,
        deadline_s: 120,
        privacy,
        ..VectorStudy::new("bench", &testbed.sites)
    };
    let mut watch = testbed.open(&study).await?;
    watch.round_closed(WARM_UP).await?;
    let memory = PeakMemory::of(testbed.federation.process_ids()[0]);
    let mut walls = Vec::new();
    let mut before = Instant::now();
    for round in WARM_UP + 1..=WARM_UP + ROUNDS {
        let (_included, missing) = watch.round_closed(round).await?;
        anyhow::ensure!(missing.is_empty(), "round {round} went without {missing:?}: {}", testbed.log(None));
        let now = Instant::now();
        walls.push((now - before).as_secs_f64());
        before = now;
    }
    let coordinator_mb = memory.peak_mb();
    watch.finished().await?;
    // A weight is four bytes down and, modulo 2^32, four bytes up.
    let bytes = 2 * 4 * u64::from(case.parameters) * case.sites as u64;
    Ok(Figures {
        case: case.to_string(),
        engine: "fedtwin",
        sites: case.sites,
        parameters: case.parameters,
        seconds: median(seconds_of_rounds(&watch)),
        wall_seconds: median(walls),
        coordinator_mb,
        bytes,
    })
}

/// Returns the time from start to close of each measured round, by the coordinator's clock.
fn seconds_of_rounds(watch: &Watch) -> Vec<f64> {
    let mut started = Timestamp(0);
    let mut seconds = Vec::new();
    for event in &watch.seen {
        match &event.event {
            Event::AttemptStarted { .. } => started = event.time,
            Event::AttemptClosed { round, .. } if *round > WARM_UP => {
                seconds.push(event.time.since(started).as_secs_f64());
            }
            Event::AttemptClosed { .. }
            | Event::SiteAnswered { .. }
            | Event::UpdateReceived { .. }
            | Event::MetricsReleased(_)
            | Event::SiteFailed { .. }
            | Event::AttemptFailed { .. }
            | Event::StudyClosed(_) => {}
        }
    }
    seconds
}

/// Returns the middle one, or the upper of two.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A small and a middling U-Net, a large one, more sites; and how memory depends on the sites.
const CASES: [Case; 6] = [
    Case { sites: 4, parameters: 117_985 },
    Case { sites: 4, parameters: 1_881_985 },
    Case { sites: 4, parameters: 31_000_000 },
    Case { sites: 16, parameters: 117_985 },
    Case { sites: 2, parameters: 1_881_985 },
    Case { sites: 16, parameters: 1_881_985 },
];
const WARM_UP: u32 = 1;
const ROUNDS: u32 = 5;
/// Far more than any case needs.
const CASE_TIME_MAX: Duration = Duration::from_secs(300);
