//! The same steps in Opacus, by a script of the examples.

use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::case::Case;
use crate::figures::Figures;

#[derive(Deserialize)]
struct Results {
    results: Vec<Figures>,
}

/// Runs the script; it measures PyTorch's own ordinary step, and Opacus beside it.
pub(crate) fn measure(python: &Path, case: &Case, threads: NonZeroUsize) -> anyhow::Result<Vec<Figures>> {
    let Case::Unet(_) = case else { return Ok(Vec::new()) };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/opacus_dp_step.py");
    let output = Command::new(python)
        .args([script, "--case", &case.to_string(), "--threads", &threads.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("could not start {}", python.display()))?;
    ensure!(output.status.success(), "{script} failed");
    let results: Results = serde_json::from_slice(&output.stdout).context("the script's figures")?;
    Ok(results.results)
}
