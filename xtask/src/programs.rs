//! Building the programs as a hospital runs them, and starting one of them.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::error::Error;
use crate::libtorch;
use crate::paths::Paths;
use crate::shell::{cargo, run};
use crate::test::data_folder;

/// Builds all programs and becomes `fedtwin simulate ARGUMENTS...`; returns only if that fails.
pub(crate) fn simulate(paths: &Paths, arguments: &[&str]) -> Result<(), Error> {
    build(paths, &PROGRAMS)?;
    become_program(paths, "fedtwin", &[&["simulate"], arguments].concat())
}

/// Builds all programs and the laboratory's, and becomes `fedtwin-lab COMMAND ARGUMENTS...`; returns only if that fails.
pub(crate) fn lab(paths: &Paths, command: &str, arguments: &[&str]) -> Result<(), Error> {
    build(paths, &[&PROGRAMS[..], &["fedtwin-lab"]].concat())?;
    become_program(paths, "fedtwin-lab", &[&[command], arguments].concat())
}

/// Builds all programs and the benchmarks, and becomes the benchmark; returns only if that fails.
pub(crate) fn bench(paths: &Paths, arguments: &[&str]) -> Result<(), Error> {
    build(paths, &[&PROGRAMS[..], &["fedtwin-tests"]].concat())?;
    become_program(paths, "fedtwin-bench", arguments)
}

/// Builds all programs, and becomes the benchmark of training steps; returns only if that fails.
pub(crate) fn bench_dp_step(paths: &Paths, arguments: &[&str]) -> Result<(), Error> {
    build(paths, &PROGRAMS)?;
    become_program(paths, "fedtwin-dp-step", arguments)
}

/// Builds packages, always with all programs: alone, cargo would choose other features for what they share with the
/// others, and compile it again.
fn build(paths: &Paths, packages: &[&str]) -> Result<(), Error> {
    libtorch::ensure(paths)?;
    let mut command = cargo(paths, ["build", "--release", "--bins"]);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    run(&mut command)
}

/// Replaces this process, so that Ctrl-C and the exit status are the program's own.
fn become_program(paths: &Paths, name: &str, arguments: &[&str]) -> Result<(), Error> {
    println!("> {name} {}", arguments.join(" "));
    let program = paths.target().join("release").join(name);
    let mut command = Command::new(&program);
    if let Some(folder) = data_folder(env::var_os("FEDTWIN_DATA"), &paths.root) {
        // The reference values that a benchmark compares with lie beside the data.
        command.env("FEDTWIN_DATA", folder);
    }
    let source = command.args(arguments).exec();
    Err(Error::Start { command: program.display().to_string(), source })
}

/// The packages with the programs that a federation runs.
const PROGRAMS: [&str; 4] = ["fedtwin-models", "fedtwin-site-agent", "fedtwin-coordinator", "fedtwin-cli"];
