//! `bench secagg`: masks, bytes, what opening a sum takes at the coordinator, and whole rounds.

mod close;
pub(crate) mod coordinator;
pub(crate) mod halves;

use std::collections::BTreeSet;

use anyhow::Context;
use fedtwin_plan::WireBits;
use fedtwin_tests::vector_study::VectorPrivacy;
use serde::Serialize;
use tokio::time::Instant;

use crate::round;
use coordinator::Coordinator;
use halves::{Halves, Size};

/// One line of the results.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Figures {
    case: String,
    engine: &'static str,
    /// Mask bytes that one core expands and adds in a second, in millions.
    #[serde(skip_serializing_if = "Option::is_none")]
    mb_per_s: Option<f64>,
    /// What one site moves over its plain update: its update and all messages of the protocol, up and down.
    #[serde(skip_serializing_if = "Option::is_none")]
    expansion: Option<f64>,
    /// The coordinator's time, from its first message to the new model; or a whole round's.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coordinator_mb: Option<f64>,
}

/// Measures everything, and prints a line for each.
pub(crate) async fn run(sites_max: usize) -> anyhow::Result<Vec<Figures>> {
    println!("{:>22} {:>10} {:>10} {:>10} {:>8}", "case", "MB/s", "expansion", "seconds", "MB");
    let mut results = Vec::new();
    let mut show = |figures: Figures| {
        println!("{figures}");
        results.push(figures);
    };
    for (bits, name) in [(WireBits::B32, "32"), (WireBits::B40, "40"), (WireBits::B64, "64")] {
        let mb_per_s = Some(mask_rate(bits)?);
        let case = if bits == WireBits::B40 { "mask".to_owned() } else { format!("mask {name} bits") };
        show(Figures { case, mb_per_s, ..Figures::new() });
    }
    for sites in [4, 16, 64, 100] {
        let expansion = Some(expansion(sites, PARAMETERS)?);
        show(Figures { case: format!("bytes {sites}x{PARAMETERS}"), expansion, ..Figures::new() });
    }
    for sites in [4, 16, 64, 256].into_iter().filter(|&sites| sites <= sites_max) {
        for figures in close::measure(sites)? {
            show(figures);
        }
    }
    for (sites, parameters) in [(4, 1_881_985), (8, PARAMETERS)] {
        let case = round::Case { sites, parameters };
        let measured = round::measure(case, VectorPrivacy::SumsOnly).await.context("a secure round")?;
        let expansion = Some(expansion(sites, parameters)?);
        let (seconds, coordinator_mb) = (Some(measured.seconds), Some(measured.coordinator_mb));
        show(Figures { case: format!("round {case}"), expansion, seconds, coordinator_mb, ..Figures::new() });
    }
    Ok(results)
}

impl Figures {
    fn new() -> Self {
        Self { engine: "fedtwin", ..Self::default() }
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cell = |value: Option<f64>, digits: usize| {
            value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
        };
        let Self { case, mb_per_s, expansion, seconds, coordinator_mb, .. } = self;
        write!(f, "{case:>22} {:>10} {:>10}", cell(*mb_per_s, 0), cell(*expansion, 3))?;
        write!(f, " {:>10} {:>8}", cell(*seconds, 3), cell(*coordinator_mb, 1))
    }
}

/// Masks a vector with one key per site, on one core.
#[expect(clippy::cast_precision_loss, reason = "megabytes")]
fn mask_rate(bits: WireBits) -> anyhow::Result<f64> {
    let mut vector = vec![0_i64; MASKED_VALUES];
    let mut best = 0.0_f64;
    let size = Size { sites: 16, values: MASKED_VALUES, bits };
    let folder = tempfile::tempdir()?;
    let mut coordinator = Coordinator::start(size, folder.path())?;
    Halves::new(size)?.attempt(&mut coordinator, &BTreeSet::new(), &mut |_, mask| {
        let count = mask.count();
        let start = Instant::now();
        mask.add_to(&mut vector);
        let bytes = (count * MASKED_VALUES * bits.bytes()) as f64;
        best = best.max(bytes / 1e6 / start.elapsed().as_secs_f64());
        Ok(())
    })?;
    Ok(best)
}

/// Returns what the busiest site moves, up and down, over its plain update modulo 2^40.
#[expect(clippy::cast_precision_loss, reason = "a ratio of a few digits")]
fn expansion(sites: usize, parameters: u32) -> anyhow::Result<f64> {
    let bits = WireBits::B40;
    let size = Size { sites, values: parameters as usize, bits };
    let folder = tempfile::tempdir()?;
    let mut coordinator = Coordinator::start(size, folder.path())?;
    let bytes = Halves::new(size)?.attempt(&mut coordinator, &BTreeSet::new(), &mut |_, _| Ok(()))?;
    let update = f64::from(parameters) * bits.bytes() as f64;
    Ok(1.0 + bytes as f64 / update)
}

/// The U-Net of the demonstration.
const PARAMETERS: u32 = 117_985;
const MASKED_VALUES: usize = 1 << 18;
