//! What opening a sum takes at the coordinator: messages, reconstruction, and the walk over all updates.

use std::collections::BTreeSet;

use anyhow::ensure;
use fedtwin_plan::{SiteName, WireBits, model_file};
use fedtwin_privacy::wire_integers::encode;

use super::Figures;
use super::coordinator::{self, Coordinator};
use super::halves::{Halves, Size};
use crate::memory::PeakMemory;

/// Measures without drop-outs, and with a fifth of the sites, rounded up, gone after they gave their shares.
pub(super) fn measure(sites: usize) -> anyhow::Result<Vec<Figures>> {
    [0, sites.div_ceil(5)].into_iter().map(|dropped| measure_one(sites, dropped)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a ratio, and small integers")]
fn measure_one(sites: usize, dropped: usize) -> anyhow::Result<Figures> {
    let folder = tempfile::tempdir()?;
    let size = Size { sites, values: VALUES, bits: BITS };
    let mut coordinator = Coordinator::start(size, &folder.path().join("coordinator"))?;
    let memory = PeakMemory::of(coordinator.process());
    let halves = Halves::new(size)?;
    let gone: BTreeSet<SiteName> = halves.sites().take(dropped).cloned().collect();
    let mut spools = Vec::new();
    let bytes = halves.attempt(&mut coordinator, &gone, &mut |_, mask| {
        let mut vector: Vec<i64> = (0..VALUES).map(value).collect();
        mask.add_to(&mut vector);
        let path = folder.path().join(spools.len().to_string());
        std::fs::write(&path, encode(&vector, BITS))?;
        spools.push(path);
        Ok(())
    })?;
    let survivors = spools.len();
    let (model, seconds) = coordinator.close(spools)?;
    let coordinator_mb = memory.peak_mb();
    let model = folder.path().join(format!("coordinator/studies/bench/{model}.safetensors"));
    let weights = model_file::decode(&coordinator::architecture(size)?, &std::fs::read(model)?)?;
    let right = weights.iter().enumerate().all(|(at, &weight)| {
        let expected = value(at) as f64 * survivors as f64;
        (f64::from(weight) - expected).abs() < 0.5
    });
    ensure!(right, "the opened sum is not the survivors'");
    Ok(Figures {
        case: format!("close {sites}x10^6 -{dropped}"),
        seconds: Some(seconds),
        coordinator_mb: Some(coordinator_mb),
        expansion: Some(1.0 + bytes as f64 / (VALUES * BITS.bytes()) as f64),
        ..Figures::new()
    })
}

/// A site's value, so small that sums of 256 are exact weights.
fn value(at: usize) -> i64 {
    i64::try_from(at % 1001).unwrap_or(0) - 500
}

const VALUES: usize = 1_000_000;
const BITS: WireBits = WireBits::B40;
