//! `cargo xtask ci`: every check that a change must pass, in the order in which they fail fastest.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::libtorch;
use crate::paths::Paths;
use crate::shell::{cargo, run};
use crate::test::{self, Data};
use crate::tools::{CargoTool, cargo_with_tools};

/// Runs all steps, even after one failed, and sums up which did.
pub(crate) fn ci(paths: &Paths) -> Result<(), Error> {
    libtorch::ensure(paths)?;
    let results = STEPS.map(|(name, step)| {
        println!("\n== {name}");
        let (result, duration) = timed(|| step(paths));
        println!("== {name}: {} in {:.0} s", verdict(&result), duration.as_secs_f64());
        (name, result, duration)
    });
    println!("\nsummary");
    for (name, result, duration) in &results {
        println!("  {:6.0} s  {name}: {}", duration.as_secs_f64(), verdict(result));
    }
    match results.iter().filter(|(_, result, _)| result.is_err()).count() {
        0 => Ok(()),
        failed => Err(Error::Steps(failed)),
    }
}

type Step = fn(&Paths) -> Result<(), Error>;

const STEPS: [(&str, Step); 5] = [
    ("fmt", |paths| run(&mut cargo(paths, ["fmt", "--all", "--check"]))),
    ("deny", |paths| {
        CargoTool::Deny.ensure(paths)?;
        run(&mut cargo_with_tools(paths, &["deny", "--workspace", "check", "bans", "licenses", "sources"])?)
    }),
    ("clippy", |paths| {
        run(&mut cargo(
            paths,
            ["clippy", "--release", "--workspace", "--all-targets", "--", "--deny", "warnings"],
        ))
    }),
    ("doc", |paths| {
        run(cargo(paths, ["doc", "--release", "--no-deps", "--workspace"]).env("RUSTDOCFLAGS", "-D warnings"))
    }),
    ("test", |paths| test::test(paths, Data::IfFound)),
];

fn verdict(result: &Result<(), Error>) -> String {
    match result {
        Ok(()) => "ok".to_owned(),
        Err(error) => format!("FAILED, {error}"),
    }
}

#[expect(clippy::disallowed_methods, reason = "times the steps of a check, which no protocol depends on")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}
