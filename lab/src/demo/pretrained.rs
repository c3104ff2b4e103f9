//! The weights that the demonstration's hippocampus studies begin with, from training on invented volumes.
//!
//! `examples/plans/hippocampus-pretraining.toml` made them; no patient's data went into them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Writes the model file to `folder` and returns where it is.
///
/// # Errors
/// Fails where the folder cannot be written.
pub(super) fn file(folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("hippocampus-pretrained.safetensors");
    fs::write(&path, WEIGHTS).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}

const WEIGHTS: &[u8] = include_bytes!("../../../models/pretrained/hippocampus.safetensors");
