//! Figures as JSON, in the shape that scripts rely on.

use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use crate::results::Row;

/// Writes figures in the shape that scripts rely on.
///
/// # Errors
/// Names the file that cannot be written.
pub fn write_rows(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    write_json(path, &serde_json::json!({ "results": rows }))
}

/// Writes JSON for people and programs.
///
/// # Errors
/// Names the file that cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    std::fs::write(path, text + "\n").with_context(|| format!("{} cannot be written", path.display()))
}
