//! `cargo xtask bench build`: how long a clean checkout takes to the first program and to the first test.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::paths::Paths;
use crate::shell::{cargo, run};

/// Builds this checkout from nothing, and another one if `--against CHECKOUT` says so, and prints seconds and ratios.
///
/// Packages and libtorch are in the caches of cargo and of this program before, or the first checkout would pay for both.
pub(crate) fn bench(paths: &Paths, arguments: &[&str]) -> Result<(), Error> {
    let other = match arguments {
        [] => None,
        ["--against", checkout] => Some(fs::canonicalize(checkout).map_err(Error::at(*checkout))?),
        _ => return Err(Error::Usage(format!("what does `bench build {}` mean?", arguments.join(" ")))),
    };
    run(&mut cargo(paths, ["fetch"]))?;
    let folder = paths.target().join("bench-build");
    let this = build(paths, &paths.root, &folder.join("this"))?;
    let other = other.map(|root| build(paths, &root, &folder.join("other"))).transpose()?;
    println!("\nwhat was built is in {}", folder.display());
    println!("{:28} {:>8} {:>8}", "", "wall s", "cores s");
    for (at, phase) in PHASES.iter().enumerate() {
        let cost = this[at];
        println!("{phase:28} {:8.0} {:8.0}", cost.wall_s, cost.processor_s);
        if let Some(other) = &other {
            let other = other[at];
            println!("{:28} {:8.0} {:8.0}", "  the other", other.wall_s, other.processor_s);
            let ratios = (cost.wall_s / other.wall_s, cost.processor_s / other.processor_s);
            println!("{:28} {:8.2} {:8.2}", "  ratio", ratios.0, ratios.1);
        }
    }
    Ok(())
}

const PHASES: [&str; 3] = ["to the first program", "from there to the first test", "to the first test"];

/// What a build took.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// Seconds by the clock.
    wall_s: f64,
    /// Seconds of all processors together.
    processor_s: f64,
}

/// Builds a checkout in an empty folder, first as `demo` does, then as `test` does; returns a cost per phase.
fn build(paths: &Paths, root: &Path, target: &Path) -> Result<[Cost; 3], Error> {
    if target.exists() {
        fs::remove_dir_all(target).map_err(Error::at(target))?;
    }
    let paths = Paths { root: root.to_owned(), cache: paths.cache.clone() };
    // With `--help`, the demonstration's program ends as soon as it has begun.
    let demo = cost(cargo(&paths, ["xtask", "demo", "--help"]).env("CARGO_TARGET_DIR", target))?;
    let mut command = cargo(&paths, ["build", "--workspace", "--bins", "--tests"]);
    if tests_are_of_the_release_profile(&paths.root)? {
        command.arg("--release");
    }
    let tests = cost(command.env("CARGO_TARGET_DIR", target))?;
    let both = Cost { wall_s: demo.wall_s + tests.wall_s, processor_s: demo.processor_s + tests.processor_s };
    Ok([demo, tests, both])
}

/// Checkouts of before had a profile for tests alone, in which all was compiled a second time.
fn tests_are_of_the_release_profile(root: &Path) -> Result<bool, Error> {
    let source = root.join("xtask/src/test.rs");
    Ok(fs::read_to_string(&source).map_err(Error::at(source))?.contains("\"--release\""))
}

#[expect(clippy::disallowed_methods, reason = "times a build, which no protocol depends on")]
fn cost(command: &mut Command) -> Result<Cost, Error> {
    // Incremental compilation would cost time that a build from nothing gets nothing for.
    command.env("CARGO_INCREMENTAL", "0");
    let (start, before) = (Instant::now(), processor_time()?);
    run(command)?;
    let (wall, processor) = (start.elapsed(), processor_time()?.saturating_sub(before));
    Ok(Cost { wall_s: wall.as_secs_f64(), processor_s: processor.as_secs_f64() })
}

/// The processor time of all processes that this one has started and that have ended, with theirs: proc(5), fields 16 and 17.
fn processor_time() -> Result<Duration, Error> {
    let path = "/proc/self/stat";
    let stat = fs::read_to_string(path).map_err(Error::at(path))?;
    // The second field, a name in parentheses, may hold spaces.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok());
    // The kernel shows a hundred ticks a second on every platform.
    Ok(Duration::from_millis(10 * ticks.sum::<u64>()))
}
