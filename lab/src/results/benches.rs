//! The benchmarks' part of the page, from the JSON that `cargo xtask bench NAME --json` leaves.

use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use super::text_if_there;

/// The figures of the benchmarks that were run.
#[derive(Debug)]
pub(super) struct Benches {
    round: Vec<Value>,
    noise: Vec<Value>,
    privacy: Vec<Value>,
    dp_step: Vec<Value>,
    secagg: Vec<Value>,
}

impl Benches {
    /// Reads the files that are there.
    ///
    /// # Errors
    /// Names a file that is there and cannot be read.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let read = |name: &str| read(&folder.join(format!("bench-{name}.json")));
        Ok(Self {
            round: read("round")?,
            noise: read("noise")?,
            privacy: read("privacy")?,
            dp_step: read("dp-step")?,
            secagg: read("secagg")?,
        })
    }

    pub(super) fn render(&self, page: &mut String) {
        accountant(page, &self.privacy);
        table(page, NOISE, &self.noise, |row| {
            let (case, engine, threads) = (text(row, "case"), text(row, "engine"), &row["threads"]);
            let (time, ratio) = (number(row, "microseconds"), number(row, "ratio"));
            format!("| {case} | {engine} | {threads} | {time:.4} | {ratio:.0} |\n")
        });
        table(page, DP_STEP, &self.dp_step, |row| {
            let (case, engine, threads) = (text(row, "case"), text(row, "engine"), &row["threads"]);
            let figures = [("milliseconds", 2), ("noise_milliseconds", 2), ("ratio", 3), ("memory_ratio", 2)];
            let cells = figures.map(|(key, digits)| format!("{:.digits$}", number(row, key)));
            format!("| {case} | {engine} | {threads} | {} |\n", cells.join(" | "))
        });
        table(page, ROUND, &self.round, |row| {
            let (seconds, memory) = (number(row, "seconds"), number(row, "coordinator_mb"));
            let (sites, parameters, bytes) = (&row["sites"], &row["parameters"], number(row, "bytes") / 1e6);
            format!("| {sites} x {parameters} | {seconds:.3} | {memory:.0} | {bytes:.1} |\n")
        });
        table(page, SECAGG, &self.secagg, |row| {
            let cell = |key: &str, digits: usize| match row[key].as_f64() {
                Some(value) => format!("{value:.digits$}"),
                None => String::new(),
            };
            let cells =
                [cell("mb_per_s", 0), cell("expansion", 3), cell("seconds", 3), cell("coordinator_mb", 1)];
            format!("| {} | {} |\n", text(row, "case"), cells.join(" | "))
        });
    }
}

/// Sums up the rows of each reference file by each accountant.
fn accountant(page: &mut String, rows: &[Value]) {
    page.push_str(PRIVACY);
    if rows.is_empty() {
        page.push_str("| not measured | | | |\n");
    }
    let mut engines: Vec<_> = rows.iter().map(|row| text(row, "engine")).collect();
    engines.sort_unstable();
    engines.dedup();
    for engine in engines {
        let of_engine: Vec<_> = rows.iter().filter(|row| text(row, "engine") == engine).collect();
        let accepted = of_engine.iter().filter(|row| row["accepted"] == true).count();
        let slowest = of_engine.iter().map(|row| number(row, "seconds")).fold(0.0, f64::max);
        *page += &format!("| {engine} | {} | {accepted} | {slowest:.3} |\n", of_engine.len());
    }
}

fn table(page: &mut String, head: &str, rows: &[Value], line: impl Fn(&Value) -> String) {
    page.push_str(head);
    if rows.is_empty() {
        page.push_str("| not measured |\n");
    }
    for row in rows {
        page.push_str(&line(row));
    }
}

fn number(row: &Value, key: &str) -> f64 {
    row[key].as_f64().unwrap_or(f64::NAN)
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or("-")
}

fn read(path: &Path) -> anyhow::Result<Vec<Value>> {
    let Some(text) = text_if_there(path)? else { return Ok(Vec::new()) };
    let json: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
    Ok(json["results"].as_array().cloned().unwrap_or_default())
}

const PRIVACY: &str = "
## The accountant against reference values

`cargo xtask bench privacy`: rows computed with Google's dp-accounting 0.6, prv-accountant 0.2, the closed form and
mpmath, on one core. Accepted: not below the lower bracket nor the exact value, and at most 0.2 % above dp-accounting's
upper bound.

| accountant | rows | accepted | slowest row in seconds |
|---|---|---|---|
";

const NOISE: &str = "
## Noise

`cargo xtask bench noise`: microseconds for one value of discrete Gaussian noise of standard deviation 2^m, and how many
times as fast as opendp's sampler on one core.

| case | sampler | threads | microseconds | times as fast |
|---|---|---|---|---|
";

const DP_STEP: &str = "
## A private step of training

`cargo xtask bench dp-step`: a private step (noise, sample, per-patient gradients, clip, quantise, check, sum, decode, step)
beside an ordinary one of the same net on the same patients, in turns in one run with the same threads; medians. `unet-8x1` and
`unet-8x24` are 8 patients of 1 and 24 slices of 128 x 128 in the U-Net 16-32-64. Opacus' rows are its own private step
beside PyTorch's ordinary one, without discrete noise. Where a patient has one slice, a pass is so short that what the
library does for each operation beside its kernels is a quarter of it on one thread; the kernels themselves take 0.91 of the
ordinary step's. Several threads compute several patients' passes, where the ordinary step splits each operation among them.
These ratios depend on who else uses the machine's caches: in five runs on it, the best engine's of `unet-8x1` was 1.23 to 1.51
on one thread and 1.05 to 1.21 on two, and that of `unet-8x24` 0.89 to 1.08 and 0.83 to 0.84.
There are no figures of CUDA, because no such machine was at hand; `models/cuda.sh` makes them on one.

| case | engine | threads | milliseconds | of which noise | ratio | memory ratio |
|---|---|---|---|---|---|---|
";

const ROUND: &str = "
## Time of a round

`cargo xtask bench round`: scripted sites as processes over mutual TLS on loopback, no waiting for slots, the median of 5
rounds after a warm-up. On such a machine NVIDIA FLARE 2.9 took 2.5, 3.1, 11.0 and 3.0 s for 4 x 117,985, 4 x 1,881,985, 4 x
31,000,000 and 16 x 117,985 weights, with 242 to 3,328 MB at the server; Flower 1.39 took 10.0, 10.7, 29.2 and 34.2 s with
465 to 3,053 MB. Most of the time is SHA-256, of each model and update at both ends: these figures are of a processor with
instructions for it; without them (0.26 GB/s) 4 x 117,985, 4 x 1,881,985, 4 x 31,000,000 and 16 x 117,985 took 0.042, 0.505, 6.161 and 0.133 s.

| sites x weights | seconds | coordinator MB (RssAnon) | MB both ways |
|---|---|---|---|
";

const SECAGG: &str = "
## Secure aggregation

`cargo xtask bench secagg`. `mask`: mask bytes that one core expands (AES-128 in counter mode) and adds to a vector, modulo 2^40 where nothing else is said.
`bytes`: what the busiest site moves over its plain update of 117,985 weights modulo 2^40, all messages up and down with their
frames; no certificates travel, because sites pin each other's. `close SITESx10^6 -DROPPED`: the coordinator's part, messages, secrets and the
walk over all stored updates of 10^6 weights, on two cores, in a process of its own, whose memory (RssAnon) is shown. `round`: whole rounds
over mutual TLS with scripted sites as processes, no noise, medians of 5; on such a machine Flower 1.39's SecAgg+ took 42 s for 4 x 1,881,985 and 63 s for 8 x
117,985, at 2.0 times the bytes.

| case | MB/s | bytes over plain | seconds | MB |
|---|---|---|---|---|
";
